-- Views have no rows of their own; reading each over the samples before is what is tried here.
SELECT count(*) FROM audit.event_timeline;
SELECT count(*) FROM audit.order_timeline;
SELECT count(*) FROM audit.dead_jobs;
SELECT count(*) FROM audit.delivery_latency;
SELECT count(*) FROM audit.missing_in_sheet;
SELECT count(*) FROM audit.duplicate_pushes;
SELECT count(*) FROM audit.lost_and_recovered;
SELECT count(*) FROM audit.daily_summary;
SELECT count(*) FROM audit.queue_health;
SELECT audit.grant_reading();
