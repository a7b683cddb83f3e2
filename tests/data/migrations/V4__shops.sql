INSERT INTO pushbox.shops (platform, shop_id, state, state_reason, access_token, refresh_token, access_expires_at) VALUES
    ('shopee', '220812345', 'active', NULL, 'plain:access', 'plain:refresh', now() + interval '4 hours'),
    ('shopee', '220812346', 'reauthorize', 'refresh token expired', NULL, NULL, NULL);
