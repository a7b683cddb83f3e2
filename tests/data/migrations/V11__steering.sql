INSERT INTO pushbox.admin_actions (request_id, actor, origin, action, subject) VALUES
    ('sample-0001', 'ADMIN_TOKEN', '127.0.0.1', 'pause_queue', 'queue sheet');
INSERT INTO pushbox.bulk_operations (id, action, filter, matched, up_to_job_id, requested_by) VALUES
    ('0198c2f0-5d3e-4c37-9f0e-0a7d3c1b2e4f', 'retry', '{"queue": "sheet"}', 3, 100, 'ADMIN_TOKEN');
INSERT INTO pushbox.event_counts VALUES (60, date_trunc('minute', now()), 'shopee', '3', 'order_status', 12);
INSERT INTO pushbox.job_counts VALUES (60, date_trunc('minute', now()), 'upsert_sheet_row', 40, 12, 13);
INSERT INTO pushbox.queue_samples VALUES (date_trunc('minute', now()), 'sheet', 3, 1, 0, 2);
