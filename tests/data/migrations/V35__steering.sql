INSERT INTO pushbox.replays (target, filter, per_second, requested_by, request)
VALUES ('events', '{"source": "shopee"}', 50, 'ADMIN_TOKEN', '0198c2f0-5d3e-4c37-9f0e-0a7d3c1b2e4f');
