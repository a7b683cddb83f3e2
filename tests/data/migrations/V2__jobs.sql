-- A job in each state, a merged one, and a finished one; a paused queue.
UPDATE pushbox.queues SET paused_at = now(), paused_reason = 'sheet is being moved' WHERE name = 'sheet';
INSERT INTO pushbox.jobs (queue, kind, key, batch_key, payload, state, attempt, max_attempts, lease_until, worker, claim_id, event_id, merged_events, last_error, errors) VALUES
    ('enrich', 'enrich', 'shopee:220812345:2404011ABCDEF1', 'shopee:220812345', '{"order_sn":"2404011ABCDEF1"}', 'ready', 0, 12, NULL, NULL, NULL,
     '018e9a00-0000-7000-8000-000000000001', ARRAY['018e9a00-0000-7000-8000-000000000002']::uuid[], NULL, '[]'),
    ('enrich', 'enrich', 'shopee:220812345:2404011ABCDEF1', 'shopee:220812345', '{"order_sn":"2404011ABCDEF1"}', 'running', 1, 12,
     now() + interval '15 seconds', 'host-1', '018e9a00-0000-4000-8000-00000000000a', '018e9a00-0000-7000-8000-000000000001', '{}', NULL, '[]'),
    ('notify', 'notify', NULL, '-1001', '{}', 'dead', 12, 12, NULL, 'host-1', NULL, '018e9a00-0000-7000-8000-000000000002', '{}',
     'chat not found', '[{"attempt":12,"error":"chat not found"}]');
INSERT INTO pushbox.job_history (id, queue, kind, key, batch_key, payload, outcome, attempt, crashes, worker, event_id, merged_events, errors, created_at, started_at, finished_at) VALUES
    (900001, 'notify', 'notify', NULL, '-1001', '{}', 'done', 1, 0, 'host-1', '018e9a00-0000-7000-8000-000000000001', '{}', '[]', now(), now(), now()),
    (900002, 'enrich', 'enrich', 'a', 'b', '{}', 'cancelled', 0, 0, NULL, NULL, '{}', '[]', '2024-04-01', NULL, '2024-04-01');
