INSERT INTO pushbox.reconciliations (platform, shop_id, kind, what, time_from, time_to, state, covered_to, cursor, lease, lease_until, failures) VALUES
    ('shopee', '220812345', 'manual', 'income', now() - interval '30 days', now(), 'running', now() - interval '15 days', '2', gen_random_uuid(), now(), 1);
INSERT INTO pushbox.push_answers (source, at, accepted, refused, failed) VALUES ('shopee', '2026-11-21T05:05:00Z', 120, 2, 1);
