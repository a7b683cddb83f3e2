-- The questions people really ask, as views; docs/audits.md has the questions. A view with a history behind it is
-- written so that a filter on its first columns reaches the partitions and indexes: `LATERAL` from the row that is
-- asked for, never a join of two histories.
CREATE SCHEMA audit;
COMMENT ON SCHEMA audit IS 'The questions people really ask of pushbox, as views. docs/audits.md explains each.';

-- Ids of events grow with time, and so do the rows: a few bytes per block range find an id in every partition.
-- safe: partitioned, and without rows before the first release
CREATE INDEX events_id_idx ON pushbox.events USING brin (id) WITH (pages_per_range = 16, autosummarize = on);
-- Only what was not pushed is in it, so that storing a push costs nothing.
-- safe: partitioned, and without rows before the first release
CREATE INDEX events_via_idx ON pushbox.events (via, received_at) WHERE via <> 'push';
-- safe: without rows before the first release
CREATE INDEX telegram_messages_event_id_idx ON pushbox.telegram_messages (event_id);
-- safe: without rows before the first release
CREATE INDEX sheet_rows_order_sn_idx ON pushbox.sheet_rows (order_sn, shop_id);

CREATE FUNCTION audit.received_at(event_id uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_timestamp(('x' || left(replace(event_id::text, '-', ''), 12))::bit(48)::bigint / 1000::float8);
COMMENT ON FUNCTION audit.received_at IS 'When an event was received, to the millisecond, by its id alone (UUIDv7): finds its partition.';

CREATE FUNCTION audit.first_day() RETURNS date LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce((SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD'))
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent IN (to_regclass('pushbox.events'), to_regclass('pushbox.job_history'))
      AND c.relname ~ '_[0-9]{8}$'), (now() AT TIME ZONE 'UTC')::date);
COMMENT ON FUNCTION audit.first_day IS 'The oldest day (UTC) of which events or finished jobs are kept.';

CREATE VIEW audit.event_timeline AS
SELECT e.id AS event_id, e.source, e.account AS shop_id, e.subject, e.code, e.received_at,
       t.at, t.step, t.what, t.job_id, t.error
FROM pushbox.events e
CROSS JOIN LATERAL (
    SELECT e.occurred_at AS at, 'happened' AS step, 'by the clock of ' || e.source AS what,
           NULL::bigint AS job_id, NULL::text AS error
    WHERE e.occurred_at IS NOT NULL
    UNION ALL
    SELECT e.received_at, 'received',
           format('code %s (%s)%s, came by %s', e.code, e.kind, ' about ' || e.subject, e.via), NULL, e.parse_error
    UNION ALL
    SELECT k.last_seen_at, 'repeated', format('%s times, the last time then', k.redeliveries), NULL, NULL
    FROM pushbox.event_keys k WHERE k.event_id = e.id AND k.redeliveries > 0
    UNION ALL
    SELECT h.seen_at, 'order seen', format('as %s of %s', h.status, h.update_time), NULL, NULL
    FROM pushbox.order_status_history h
    WHERE h.platform = e.source AND h.shop_id = e.account AND h.order_sn = e.subject AND h.event_id = e.id
    UNION ALL
    SELECT coalesce(m.sent_at, m.intended_at), 'telegram',
           format('part %s of %s in chat %s: %s', m.part + 1, m.parts, m.chat_id, m.state), NULL, NULL
    FROM pushbox.telegram_messages m WHERE m.event_id = e.id
    UNION ALL
    SELECT coalesce(d.delivered_at, d.last_tried_at), 'forward',
           format('to %s: %s after %s attempts%s', d.target, d.state, d.attempts, ', status ' || d.status), NULL, d.error
    FROM pushbox.deliveries d WHERE d.event_id = e.id
    UNION ALL
    SELECT s.at, s.step, s.what, j.id, s.error
    FROM (
        SELECT id, queue, kind, state, attempt, max_attempts, run_at, waiting_on, errors, last_error, created_at,
               coalesce(started_at, claimed_at) AS started_at, NULL::timestamptz AS finished_at, NULL::text AS note
        FROM pushbox.jobs WHERE event_id = e.id
        UNION ALL
        SELECT id, queue, kind, state, attempt, max_attempts, run_at, waiting_on, errors, last_error, created_at,
               coalesce(started_at, claimed_at), NULL, NULL
        FROM pushbox.jobs WHERE merged_events <> '{}' AND merged_events @> ARRAY[e.id]
        UNION ALL
        SELECT id, queue, kind, outcome, attempt, NULL, NULL, NULL, errors, NULL, created_at, started_at, finished_at, note
        FROM pushbox.job_history WHERE event_id = e.id AND finished_at >= e.received_at - interval '1 hour'
        UNION ALL
        SELECT id, queue, kind, outcome, attempt, NULL, NULL, NULL, errors, NULL, created_at, started_at, finished_at, note
        FROM pushbox.job_history
        WHERE merged_events <> '{}' AND merged_events @> ARRAY[e.id] AND finished_at >= e.received_at - interval '1 hour'
    ) j
    CROSS JOIN LATERAL (
        SELECT j.created_at AS at, 'asked' AS step, j.kind AS what, NULL::text AS error
        UNION ALL
        SELECT coalesce((f.failure->>'at')::timestamptz, j.finished_at, j.created_at), 'failed',
               format('%s, attempt %s', j.kind, f.failure->>'attempt'), f.failure->>'error'
        FROM jsonb_array_elements(j.errors) AS f(failure)
        UNION ALL
        SELECT j.started_at, 'started', j.kind, NULL WHERE j.started_at IS NOT NULL
        UNION ALL
        SELECT j.finished_at, j.state, j.kind || coalesce(': ' || j.note, ''), NULL WHERE j.finished_at IS NOT NULL
        UNION ALL
        SELECT CASE j.state WHEN 'ready' THEN j.run_at ELSE now() END, j.state,
               CASE j.state
                   WHEN 'dead' THEN format('%s: given up after %s attempts', j.kind, j.attempt)
                   WHEN 'running' THEN format('%s: at work now', j.kind)
                   ELSE format('%s: runs then, attempt %s of %s', j.kind, j.attempt + 1, j.max_attempts)
                        || coalesce('; waits for ' || j.waiting_on, '') END,
               CASE WHEN j.state = 'dead' OR j.attempt > 0 THEN j.last_error END
        WHERE j.finished_at IS NULL
    ) s
) t;
COMMENT ON VIEW audit.event_timeline IS
    'One event and everything that came of it, a row per step. Ask with event_id, with subject (an order number), or with a short range of received_at; order by at.';
COMMENT ON COLUMN audit.event_timeline.event_id IS 'The event.';
COMMENT ON COLUMN audit.event_timeline.source IS 'Who sent it.';
COMMENT ON COLUMN audit.event_timeline.shop_id IS 'Shop or account it concerns.';
COMMENT ON COLUMN audit.event_timeline.subject IS 'What it is about: an order number, a return number, an item.';
COMMENT ON COLUMN audit.event_timeline.code IS 'Code of the platform.';
COMMENT ON COLUMN audit.event_timeline.received_at IS 'When it reached us first.';
COMMENT ON COLUMN audit.event_timeline.at IS 'When the step was, or will be: a ready job shows when it runs next.';
COMMENT ON COLUMN audit.event_timeline.step IS 'happened, received, repeated, order seen, telegram, forward; of a job: asked, started, failed, done, merged, cancelled, and what it is now: ready, running, dead.';
COMMENT ON COLUMN audit.event_timeline.what IS 'The step in words.';
COMMENT ON COLUMN audit.event_timeline.job_id IS 'The job, for steps of jobs.';
COMMENT ON COLUMN audit.event_timeline.error IS 'What went wrong, if something did.';

CREATE VIEW audit.order_timeline AS
SELECT t.source AS platform, t.shop_id, t.subject AS order_sn, t.at, t.step, t.what, t.event_id, t.job_id, t.error
FROM audit.event_timeline t WHERE t.subject IS NOT NULL AND t.step <> 'order seen'
UNION ALL
SELECT o.platform, o.shop_id, o.order_sn, h.seen_at, 'order seen', format('as %s of %s', h.status, h.update_time),
       h.event_id, NULL, NULL
FROM pushbox.orders o JOIN pushbox.order_status_history h USING (platform, shop_id, order_sn)
UNION ALL
SELECT o.platform, o.shop_id, o.order_sn, r.written_at, 'sheet row',
       format('spreadsheet %s shows %s of %s', r.spreadsheet_id, r.status, r.update_time), NULL, NULL, NULL
FROM pushbox.orders o JOIN pushbox.sheet_rows r USING (platform, shop_id, order_sn);
COMMENT ON VIEW audit.order_timeline IS
    'One order: every event about it with what came of each, every state it was seen in, and what the sheets show. Ask with order_sn; order by at.';
COMMENT ON COLUMN audit.order_timeline.platform IS 'Platform of the order.';
COMMENT ON COLUMN audit.order_timeline.shop_id IS 'Shop of the order.';
COMMENT ON COLUMN audit.order_timeline.order_sn IS 'Number of the order.';
COMMENT ON COLUMN audit.order_timeline.at IS 'When the step was, or will be.';
COMMENT ON COLUMN audit.order_timeline.step IS 'As in event_timeline, and sheet row.';
COMMENT ON COLUMN audit.order_timeline.what IS 'The step in words.';
COMMENT ON COLUMN audit.order_timeline.event_id IS 'The event that the step belongs to.';
COMMENT ON COLUMN audit.order_timeline.job_id IS 'The job, for steps of jobs.';
COMMENT ON COLUMN audit.order_timeline.error IS 'What went wrong, if something did.';

CREATE VIEW audit.dead_jobs AS
SELECT j.id AS job_id, j.queue, j.kind, j.last_error AS error,
       regexp_replace(left(coalesce(j.last_error, 'no error was kept'), 300), '[0-9]+', '#', 'g') AS error_group,
       j.payload->>'platform' AS platform, j.payload->>'shop_id' AS shop_id, j.payload->>'order_sn' AS order_sn,
       coalesce(j.payload->>'spreadsheet_id', j.payload->>'chat_id', j.batch_key) AS destination,
       j.event_id, j.attempt AS attempts, j.created_at AS asked_at,
       coalesce((j.errors->-1->>'at')::timestamptz, j.created_at) AS died_at
FROM pushbox.jobs j WHERE j.state = 'dead';
COMMENT ON VIEW audit.dead_jobs IS 'What was given up and waits for a person, who mends the reason and has it tried again.';
COMMENT ON COLUMN audit.dead_jobs.job_id IS 'Number of the job.';
COMMENT ON COLUMN audit.dead_jobs.queue IS 'Its queue.';
COMMENT ON COLUMN audit.dead_jobs.kind IS 'What was to be done.';
COMMENT ON COLUMN audit.dead_jobs.error IS 'Why it was given up.';
COMMENT ON COLUMN audit.dead_jobs.error_group IS 'The error with # for digits, so that ids do not keep equal errors apart.';
COMMENT ON COLUMN audit.dead_jobs.platform IS 'Platform of the order, if it is about one.';
COMMENT ON COLUMN audit.dead_jobs.shop_id IS 'Shop of the order.';
COMMENT ON COLUMN audit.dead_jobs.order_sn IS 'Number of the order.';
COMMENT ON COLUMN audit.dead_jobs.destination IS 'Spreadsheet or chat; else what the job shares its batches by.';
COMMENT ON COLUMN audit.dead_jobs.event_id IS 'Event that asked for it first.';
COMMENT ON COLUMN audit.dead_jobs.attempts IS 'How often it was tried.';
COMMENT ON COLUMN audit.dead_jobs.asked_at IS 'When it was asked for.';
COMMENT ON COLUMN audit.dead_jobs.died_at IS 'When it failed for the last time.';

CREATE VIEW audit.delivery_latency AS
SELECT t.hour, l.way, l.events, l.p50_s, l.p95_s, l.p99_s, l.longest_s
FROM generate_series(audit.first_day()::timestamp AT TIME ZONE 'UTC', now(), interval '1 hour') AS t(hour)
CROSS JOIN LATERAL (
    SELECT d.way, count(*) AS events,
           percentile_cont(0.50) WITHIN GROUP (ORDER BY d.took_s) AS p50_s,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY d.took_s) AS p95_s,
           percentile_cont(0.99) WITHIN GROUP (ORDER BY d.took_s) AS p99_s,
           max(d.took_s) AS longest_s
    FROM (
        SELECT CASE h.queue WHEN 'sheet' THEN 'sheet' WHEN 'notify' THEN 'telegram' ELSE h.queue END AS way,
               extract(epoch FROM h.finished_at - audit.received_at(e.id))::float8 AS took_s
        FROM pushbox.job_history h
        CROSS JOIN LATERAL unnest(array_remove(h.event_id || h.merged_events, NULL)) AS e(id)
        WHERE h.finished_at >= t.hour AND h.finished_at < t.hour + interval '1 hour'
          AND h.outcome = 'done' AND h.queue IN ('sheet', 'notify', 'forward')
          AND h.note IS DISTINCT FROM 'orders of its status get no row'
    ) d
    GROUP BY d.way
) l;
COMMENT ON VIEW audit.delivery_latency IS
    'How long events took from their receipt to the sheet, to Telegram and to the seller''s service, per hour of delivery. Ask with hour: an hour reads that hour only.';
COMMENT ON COLUMN audit.delivery_latency.hour IS 'Begin of the hour in which the delivery ended.';
COMMENT ON COLUMN audit.delivery_latency.way IS 'sheet, telegram or forward.';
COMMENT ON COLUMN audit.delivery_latency.events IS 'Events delivered; an event for two chats counts twice.';
COMMENT ON COLUMN audit.delivery_latency.p50_s IS 'Seconds that half of them did not exceed.';
COMMENT ON COLUMN audit.delivery_latency.p95_s IS 'Seconds that 95 % of them did not exceed.';
COMMENT ON COLUMN audit.delivery_latency.p99_s IS 'Seconds that 99 % of them did not exceed.';
COMMENT ON COLUMN audit.delivery_latency.longest_s IS 'Seconds of the slowest.';

CREATE VIEW audit.missing_in_sheet AS
WITH on_the_way AS (
    SELECT DISTINCT ON (payload->>'platform', payload->>'shop_id', payload->>'order_sn', payload->>'spreadsheet_id')
           payload->>'platform' AS platform, payload->>'shop_id' AS shop_id, payload->>'order_sn' AS order_sn,
           payload->>'spreadsheet_id' AS spreadsheet_id, id, state, waiting_on, run_at, last_error
    FROM pushbox.jobs WHERE queue = 'sheet' AND payload->>'order_sn' IS NOT NULL
    ORDER BY 1, 2, 3, 4, state <> 'dead' DESC, id DESC
)
SELECT o.platform, o.shop_id, o.order_sn, o.status, o.update_time, coalesce(r.spreadsheet_id, j.spreadsheet_id) AS spreadsheet_id,
       r.status AS shown_status, r.update_time AS shown_update_time, j.id AS job_id, j.state AS job_state,
       CASE WHEN j.state = 'dead' THEN format('job %s is dead: %s', j.id, j.last_error)
            WHEN j.state = 'running' THEN format('job %s is at work', j.id)
            WHEN j.waiting_on IS NOT NULL THEN format('job %s waits until %s for %s', j.id, j.run_at, j.waiting_on)
            WHEN j.state = 'ready' THEN format('job %s runs at %s', j.id, j.run_at)
            WHEN r.order_sn IS NULL THEN 'nothing is on the way: no spreadsheet wants its shop or its status; the order''s timeline tells what the last job said'
            ELSE 'nothing is on the way: `pushbox audit` calls this a broken promise' END AS why
FROM pushbox.orders o
LEFT JOIN pushbox.sheet_rows r USING (platform, shop_id, order_sn)
LEFT JOIN on_the_way j ON j.platform = o.platform AND j.shop_id = o.shop_id AND j.order_sn = o.order_sn
                      AND (r.spreadsheet_id IS NULL OR r.spreadsheet_id = j.spreadsheet_id)
WHERE (r.order_sn IS NULL AND (o.status <> 'UNPAID' OR j.id IS NOT NULL)) OR r.update_time < o.update_time
UNION ALL
SELECT j.payload->>'platform', j.payload->>'shop_id', j.payload->>'order_sn', NULL, NULL, NULL, NULL, NULL, j.id, j.state,
       CASE j.state WHEN 'dead' THEN format('the order was never fetched: job %s is dead: %s', j.id, j.last_error)
                    WHEN 'running' THEN format('job %s is fetching the order', j.id)
                    ELSE format('the order is not fetched yet: job %s runs at %s', j.id, j.run_at)
                         || coalesce(', waits for ' || j.waiting_on, '') END
FROM pushbox.jobs j
WHERE j.kind = 'enrich_order' AND NOT EXISTS (
    SELECT FROM pushbox.orders o WHERE o.platform = j.payload->>'platform' AND o.shop_id = j.payload->>'shop_id'
       AND o.order_sn = j.payload->>'order_sn');
COMMENT ON VIEW audit.missing_in_sheet IS
    'Orders without a row in a spreadsheet, or with a row behind the order, and why. An UNPAID order is listed only while a job for it is alive. Ask with order_sn or update_time on large shops.';
COMMENT ON COLUMN audit.missing_in_sheet.platform IS 'Platform of the order.';
COMMENT ON COLUMN audit.missing_in_sheet.shop_id IS 'Shop of the order.';
COMMENT ON COLUMN audit.missing_in_sheet.order_sn IS 'Number of the order.';
COMMENT ON COLUMN audit.missing_in_sheet.status IS 'Status of the order; null while it was never fetched.';
COMMENT ON COLUMN audit.missing_in_sheet.update_time IS 'The order''s clock.';
COMMENT ON COLUMN audit.missing_in_sheet.spreadsheet_id IS 'Spreadsheet in question; null: none is known for it.';
COMMENT ON COLUMN audit.missing_in_sheet.shown_status IS 'What the row shows; null: there is no row.';
COMMENT ON COLUMN audit.missing_in_sheet.shown_update_time IS 'The order''s clock that the row shows.';
COMMENT ON COLUMN audit.missing_in_sheet.job_id IS 'Job that will bring it, or that gave up.';
COMMENT ON COLUMN audit.missing_in_sheet.job_state IS 'ready, running or dead; null: no job is alive.';
COMMENT ON COLUMN audit.missing_in_sheet.why IS 'Why, in words.';

CREATE VIEW audit.duplicate_pushes AS
SELECT k.event_id, k.source, e.account AS shop_id, e.code, e.subject, k.redeliveries,
       audit.received_at(k.event_id) AS first_seen_at, k.last_seen_at, k.key
FROM pushbox.event_keys k
LEFT JOIN pushbox.events e ON e.id = k.event_id AND e.received_at >= audit.received_at(k.event_id)
                          AND e.received_at < audit.received_at(k.event_id) + interval '1 millisecond'
WHERE k.redeliveries > 0;
COMMENT ON VIEW audit.duplicate_pushes IS
    'Events that came more than once; they were stored and acted on once. Kept as long as the key (about as long as the platform may repeat a push). Ask with last_seen_at or event_id.';
COMMENT ON COLUMN audit.duplicate_pushes.event_id IS 'The one event.';
COMMENT ON COLUMN audit.duplicate_pushes.source IS 'Who sent it.';
COMMENT ON COLUMN audit.duplicate_pushes.shop_id IS 'Shop or account it concerns.';
COMMENT ON COLUMN audit.duplicate_pushes.code IS 'Code of the platform.';
COMMENT ON COLUMN audit.duplicate_pushes.subject IS 'What it is about.';
COMMENT ON COLUMN audit.duplicate_pushes.redeliveries IS 'How often it came again.';
COMMENT ON COLUMN audit.duplicate_pushes.first_seen_at IS 'When it came first, to the millisecond.';
COMMENT ON COLUMN audit.duplicate_pushes.last_seen_at IS 'When it came last.';
COMMENT ON COLUMN audit.duplicate_pushes.key IS 'What made them equal.';

CREATE VIEW audit.lost_and_recovered AS
SELECT e.id AS event_id, e.via, e.source, e.account AS shop_id, e.code, e.subject, e.occurred_at, e.received_at,
       e.received_at - e.occurred_at AS late_by, coalesce(k.redeliveries, 0) AS also_pushed,
       EXISTS (SELECT FROM pushbox.jobs j WHERE j.event_id = e.id AND j.state = 'dead') AS dead
FROM pushbox.events e
LEFT JOIN pushbox.event_keys k ON k.event_id = e.id AND k.redeliveries > 0
WHERE e.via IN ('lost_push', 'reconcile');
COMMENT ON VIEW audit.lost_and_recovered IS
    'Events that no push brought: taken from the platform''s lost queue (lost_push) or found by polling (reconcile). Ask with received_at.';
COMMENT ON COLUMN audit.lost_and_recovered.event_id IS 'The event.';
COMMENT ON COLUMN audit.lost_and_recovered.via IS 'lost_push or reconcile.';
COMMENT ON COLUMN audit.lost_and_recovered.source IS 'Whose event it is.';
COMMENT ON COLUMN audit.lost_and_recovered.shop_id IS 'Shop or account it concerns.';
COMMENT ON COLUMN audit.lost_and_recovered.code IS 'Code of the platform.';
COMMENT ON COLUMN audit.lost_and_recovered.subject IS 'What it is about.';
COMMENT ON COLUMN audit.lost_and_recovered.occurred_at IS 'When it happened by the platform''s clock.';
COMMENT ON COLUMN audit.lost_and_recovered.received_at IS 'When we recovered it.';
COMMENT ON COLUMN audit.lost_and_recovered.late_by IS 'How long it took to come.';
COMMENT ON COLUMN audit.lost_and_recovered.also_pushed IS 'How often it came afterwards after all.';
COMMENT ON COLUMN audit.lost_and_recovered.dead IS 'A job of it was given up.';

CREATE VIEW audit.daily_summary AS
SELECT d.day, e.events, e.recovered, e.found, k.repeated, h.jobs_done, h.orders_fetched, h.sheet_updates, h.announcements,
       h.forwarded, h.failed_attempts, x.dead
FROM (SELECT day::date, day::timestamp AT TIME ZONE 'UTC' AS begins,
             (day + interval '1 day')::timestamp AT TIME ZONE 'UTC' AS ends
      FROM generate_series(audit.first_day()::timestamp, now() AT TIME ZONE 'UTC', interval '1 day') AS s(day)) d
CROSS JOIN LATERAL (
    SELECT (SELECT count(*) FROM pushbox.events WHERE received_at >= d.begins AND received_at < d.ends) AS events,
           (SELECT count(*) FROM pushbox.events
            WHERE via = 'lost_push' AND received_at >= d.begins AND received_at < d.ends) AS recovered,
           (SELECT count(*) FROM pushbox.events
            WHERE via = 'reconcile' AND received_at >= d.begins AND received_at < d.ends) AS found
) e
CROSS JOIN LATERAL (
    SELECT coalesce(sum(redeliveries), 0)::bigint AS repeated FROM pushbox.event_keys
    WHERE redeliveries > 0 AND last_seen_at >= d.begins AND last_seen_at < d.ends
) k
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE outcome = 'done') AS jobs_done,
           count(*) FILTER (WHERE outcome = 'done' AND queue = 'enrich') AS orders_fetched,
           count(*) FILTER (WHERE outcome = 'done' AND queue = 'sheet' AND (note LIKE 'appended%' OR note LIKE 'updated%')) AS sheet_updates,
           count(*) FILTER (WHERE outcome = 'done' AND queue = 'notify') AS announcements,
           count(*) FILTER (WHERE outcome = 'done' AND queue = 'forward') AS forwarded,
           coalesce(sum(greatest(attempt - 1, 0)), 0)::bigint AS failed_attempts
    FROM pushbox.job_history WHERE finished_at >= d.begins AND finished_at < d.ends
) h
CROSS JOIN LATERAL (
    SELECT count(*) AS dead FROM pushbox.jobs
    WHERE state = 'dead' AND created_at >= d.begins AND created_at < d.ends
) x;
COMMENT ON VIEW audit.daily_summary IS 'What happened on each day (UTC). Ask with day: a day reads that day only.';
COMMENT ON COLUMN audit.daily_summary.day IS 'The day, in UTC.';
COMMENT ON COLUMN audit.daily_summary.events IS 'Events stored, however they came.';
COMMENT ON COLUMN audit.daily_summary.recovered IS 'Of these, taken from the platform''s lost queue.';
COMMENT ON COLUMN audit.daily_summary.found IS 'Of these, found by polling.';
COMMENT ON COLUMN audit.daily_summary.repeated IS 'Redeliveries absorbed, of events that were last seen on that day.';
COMMENT ON COLUMN audit.daily_summary.jobs_done IS 'Jobs done.';
COMMENT ON COLUMN audit.daily_summary.orders_fetched IS 'Times an order was fetched in full.';
COMMENT ON COLUMN audit.daily_summary.sheet_updates IS 'Times an order''s rows were written to a sheet.';
COMMENT ON COLUMN audit.daily_summary.announcements IS 'Announcements done, per event and chat.';
COMMENT ON COLUMN audit.daily_summary.forwarded IS 'Events posted to the seller''s own service.';
COMMENT ON COLUMN audit.daily_summary.failed_attempts IS 'Attempts that failed before the job ended otherwise.';
COMMENT ON COLUMN audit.daily_summary.dead IS 'Jobs asked for on that day that are dead now.';

CREATE VIEW audit.queue_health AS
SELECT q.name AS queue, q.paused_at, q.paused_reason, j.ready, j.scheduled, j.waiting, j.running, j.dead, j.oldest_ready_s,
       j.waits_mostly_for, h.done_5_min, h.slowest_5_min_s,
       CASE WHEN q.paused_at IS NOT NULL THEN 'paused'
            WHEN j.dead > 0 THEN 'has dead jobs'
            WHEN j.oldest_ready_s > 300 AND coalesce(h.done_5_min, 0) = 0 THEN 'stuck: jobs are due and none was done for 5 minutes'
            WHEN j.oldest_ready_s > 300 THEN 'behind'
            WHEN j.waiting > 0 THEN 'waits for a destination'
            ELSE 'fine' END AS verdict
FROM pushbox.queues q
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'ready' AND waiting_on IS NULL AND run_at <= now()) AS ready,
           count(*) FILTER (WHERE state = 'ready' AND waiting_on IS NULL AND run_at > now()) AS scheduled,
           count(*) FILTER (WHERE state = 'ready' AND waiting_on IS NOT NULL) AS waiting,
           count(*) FILTER (WHERE state = 'running') AS running,
           count(*) FILTER (WHERE state = 'dead') AS dead,
           extract(epoch FROM now() - min(run_at)
               FILTER (WHERE state = 'ready' AND waiting_on IS NULL AND run_at <= now()))::bigint AS oldest_ready_s,
           mode() WITHIN GROUP (ORDER BY waiting_on) AS waits_mostly_for
    FROM pushbox.jobs WHERE queue = q.name
) j ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS done_5_min, max(extract(epoch FROM finished_at - started_at))::float8 AS slowest_5_min_s
    FROM pushbox.job_history
    WHERE queue = q.name AND outcome = 'done' AND finished_at >= now() - interval '5 minutes'
) h ON true;
COMMENT ON VIEW audit.queue_health IS 'Each queue with what is in it, how old that is, what it waits for, and a verdict.';
COMMENT ON COLUMN audit.queue_health.queue IS 'Name of the queue.';
COMMENT ON COLUMN audit.queue_health.paused_at IS 'Since when a person paused it.';
COMMENT ON COLUMN audit.queue_health.paused_reason IS 'Why.';
COMMENT ON COLUMN audit.queue_health.ready IS 'Due, and nothing in the way.';
COMMENT ON COLUMN audit.queue_health.scheduled IS 'Due later, most after a failure.';
COMMENT ON COLUMN audit.queue_health.waiting IS 'In the way of their destination.';
COMMENT ON COLUMN audit.queue_health.running IS 'At work.';
COMMENT ON COLUMN audit.queue_health.dead IS 'Given up.';
COMMENT ON COLUMN audit.queue_health.oldest_ready_s IS 'Seconds since the oldest due job became due.';
COMMENT ON COLUMN audit.queue_health.waits_mostly_for IS 'What most of the waiting ones wait for.';
COMMENT ON COLUMN audit.queue_health.done_5_min IS 'Jobs done in the last five minutes.';
COMMENT ON COLUMN audit.queue_health.slowest_5_min_s IS 'Seconds that the slowest of these ran.';
COMMENT ON COLUMN audit.queue_health.verdict IS 'In words: fine, behind, stuck, paused, has dead jobs, waits for a destination.';

-- Who may read. A column is closed to readers when its name or its comment says that it holds a secret, so that a
-- later table needs no thought.
CREATE FUNCTION audit.grant_reading(reader text DEFAULT 'pushbox_audit') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    relation record;
BEGIN
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA pushbox, audit FROM %I', reader);
    EXECUTE format('GRANT USAGE ON SCHEMA pushbox, audit TO %I', reader);
    FOR relation IN
        SELECT c.oid::regclass AS name, bool_or(s.secret) AS has_secret,
               string_agg(quote_ident(a.attname), ', ') FILTER (WHERE NOT s.secret) AS open_columns
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        CROSS JOIN LATERAL (
            SELECT a.attname ~ '(token|secret|password|sealed|cipher)'
                OR coalesce(col_description(c.oid, a.attnum), '') ~* '\m(sealed|secret)\M' AS secret
        ) s
        WHERE c.relnamespace IN (to_regnamespace('pushbox'), to_regnamespace('audit'))
          AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
        GROUP BY c.oid
    LOOP
        IF NOT relation.has_secret THEN
            EXECUTE format('GRANT SELECT ON %s TO %I', relation.name, reader);
        ELSIF relation.open_columns IS NOT NULL THEN
            EXECUTE format('GRANT SELECT (%s) ON %s TO %I', relation.open_columns, relation.name, reader);
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION audit.grant_reading IS 'Lets a role read every table and view, except columns with tokens and secrets. Done for pushbox_audit after every migration.';
REVOKE EXECUTE ON FUNCTION audit.grant_reading FROM PUBLIC;

-- Roles are of the whole cluster: another database may have made it, and another migration may be making it now.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pushbox_audit') THEN
        CREATE ROLE pushbox_audit NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE WARNING 'the role pushbox_audit could not be made; docs/audits.md tells what an administrator does';
END $$;
