INSERT INTO pushbox.schedules (name, every_seconds, next_run_at, last_started_at, last_success_at, last_result) VALUES
    ('sample_task', 900, now(), now(), now(), '{"found":3}');
INSERT INTO pushbox.schedule_runs (name, started_at, finished_at, result, error) VALUES
    ('sample_task', now(), now(), '{"found":3}', NULL),
    ('sample_task', now(), NULL, NULL, NULL);
