INSERT INTO pushbox.workers (id, host, pid, version, roles, present) VALUES
    ('1-aaaaaaaa', 'sample', 1, '0.1.0', '{receiver,worker}', true);
INSERT INTO pushbox.replays (target, filter, per_second, requested_by) VALUES
    ('events', '{"source":"shopee"}', 100, 'sample'),
    ('dead_jobs', '{"queue":"sheet"}', 10, 'sample');
