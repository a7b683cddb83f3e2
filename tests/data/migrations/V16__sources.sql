INSERT INTO pushbox.rejections (source, fingerprint, cause, reason, near_miss, address, account, body_bytes, body_sha256, sealed, sealed_until) VALUES
    ('shopee', '\x01', 'wrong', 'it matches callback URL with a slash', true, '192.0.2.1', NULL, 120, '\x02', 'v1:AAAA', now() + interval '1 day');
INSERT INTO pushbox.source_keys (source, fingerprint, label) VALUES ('shopee', '0a1b2c3d', 'WEBHOOK_PARTNER_KEY (number 2)');
INSERT INTO pushbox.body_hashes (source, body_sha256, event_id, last_seen_at) VALUES ('shoplazza', '\x02', '018e9a00-0000-7000-8000-000000000001', now());
INSERT INTO pushbox.possible_replays (event_id, source, of_event_id, received_at) VALUES
    ('018e9a00-0000-7000-8000-000000000002', 'shoplazza', '018e9a00-0000-7000-8000-000000000001', now());
SELECT count(*) FROM audit.lateness;
