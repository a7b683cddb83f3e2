-- A push that came twice, one that is not JSON, and one of a partner-level code.
INSERT INTO pushbox.event_keys (source, key, event_id, expires_at, redeliveries, last_seen_at) VALUES
    ('shopee', '3:220812345:2404011ABCDEF1:READY_TO_SHIP:1712000000', '018e9a00-0000-7000-8000-000000000001', now() + interval '7 days', 1, now()),
    ('shopee', 'raw:9f86d081884c7d65', '018e9a00-0000-7000-8000-000000000002', now() + interval '7 days', 0, NULL);
INSERT INTO pushbox.events
    (id, source, account, code, kind, subject, payload, body, parse_error, body_sha256, occurred_at, received_at, via) VALUES
    ('018e9a00-0000-7000-8000-000000000001', 'shopee', '220812345', '3', 'order_status', '2404011ABCDEF1',
     '{"code":3,"shop_id":220812345,"timestamp":1712000000,"data":{"ordersn":"2404011ABCDEF1","status":"READY_TO_SHIP","update_time":1712000000}}',
     NULL, NULL, '\x01', '2024-04-01 19:33:20+00', '2024-04-01 19:33:22+00', 'push'),
    ('018e9a00-0000-7000-8000-000000000002', 'shopee', NULL, 'unknown', 'unknown', NULL,
     NULL, 'not json', 'expected ident at line 1 column 2', '\x02', NULL, '2024-04-01 19:33:23+00', 'push'),
    ('018e9a00-0000-7000-8000-000000000003', 'shopee', NULL, '12', 'authorization_expiry', NULL,
     '{"code":12,"timestamp":1712000001,"data":{}}', NULL, NULL, '\x03', NULL, '2024-04-01 20:00:00+00', 'lost_push');
