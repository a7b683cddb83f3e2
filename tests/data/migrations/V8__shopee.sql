INSERT INTO pushbox.alerts (key, severity, title, remedy, resolved_at, raised_told_at) VALUES
    ('sample:open', 'critical', 'Shop 1 has to be authorized again', 'Open the link', NULL, now()),
    ('sample:over', 'warning', 'Queue sheet is late', 'Look at the log', now(), now());
INSERT INTO pushbox.reconciliations (platform, shop_id, kind, time_from, time_to, state, listed, found, known, started_at, finished_at) VALUES
    ('shopee', '220812345', 'orders', now() - interval '15 minutes', now(), 'done', 3, 1, 2, now(), now());
INSERT INTO pushbox.push_rhythms (source, account, code, events, first_at, last_at, longest_gaps) VALUES
    ('shopee', '220812345', '3', 120, now() - interval '9 days', now(), '{"2026-11-20": 7200}');
INSERT INTO pushbox.watermarks (name, at) VALUES ('sample', now());
