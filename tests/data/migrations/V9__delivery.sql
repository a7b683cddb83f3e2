INSERT INTO pushbox.destinations (kind, name, state, failures, opens, opened_at, paused_until, reason, last_error, last_failure_at) VALUES
    ('forward', 'https://example.com/hook', 'open', 5, 1, now(), now() + interval '30 seconds', 'HTTP 503', 'HTTP 503', now());
INSERT INTO pushbox.deliveries (target, event_id, state, attempts, status, response, error, duration_ms, delivered_at) VALUES
    ('https://example.com/hook', '018e9a00-0000-7000-8000-000000000001', 'delivered', 2, 204, '', NULL, 12, now()),
    ('https://example.com/hook', '018e9a00-0000-7000-8000-000000000002', 'retrying', 1, 503, 'busy', 'HTTP 503', 20, NULL);
INSERT INTO pushbox.telegram_orders (chat_id, platform, shop_id, order_sn, message_id, event_id, content_sha256) VALUES
    (-1001, 'shopee', '220812345', '2404011ABCDEF1', 4711, '018e9a00-0000-7000-8000-000000000001', '\x01');
