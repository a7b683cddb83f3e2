INSERT INTO pushbox.subscriptions (source, topic, address, state, platform_id) VALUES
    ('shoplazza', 'orders/create', 'https://hooks.example.com/webhook/shoplazza', 'active', '0b8f'),
    ('shoplazza', 'orders/paid', 'https://hooks.example.com/webhook/shoplazza', 'missing', NULL);
