INSERT INTO pushbox.sheet_rows (spreadsheet_id, platform, shop_id, order_sn, status, update_time, item_rows, content_sha256, written_at) VALUES
    ('sheet-1', 'shopee', '220812345', '2404011ABCDEF1', 'READY_TO_SHIP', '2024-04-01 19:33:20+00', 2, '\x01', now());
INSERT INTO pushbox.telegram_topics (chat_id, topic, name, thread_id) VALUES
    (-1001, 'shopee:3', 'Order status', 17),
    (-1002, 'shopee:3', 'Order status', NULL);
INSERT INTO pushbox.telegram_chats (chat_id, migrated_to) VALUES (-5, -1005);
INSERT INTO pushbox.telegram_messages (chat_id, event_id, part, parts, state, thread_id, message_id, sent_at) VALUES
    (-1001, '018e9a00-0000-7000-8000-000000000001', 0, 2, 'sent', 17, 4711, now()),
    (-1001, '018e9a00-0000-7000-8000-000000000001', 1, 2, 'uncertain', 17, NULL, NULL);
INSERT INTO pushbox.destinations (kind, name, paused_until, reason, next_free_at) VALUES
    ('telegram', '-1001', now() + interval '20 seconds', 'too many requests', now()),
    ('shopee', '220812345', NULL, NULL, NULL);
