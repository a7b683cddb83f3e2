INSERT INTO pushbox.orders (platform, shop_id, order_sn, status, region, create_time, update_time, pay_time, currency, total_amount, buyer, cod, packages, snapshot) VALUES
    ('shopee', '220812345', '2404011ABCDEF1', 'READY_TO_SHIP', 'SG', '2024-04-01', '2024-04-01 19:33:20+00', '2024-04-01', 'SGD', 25.90, 'buyer1', false, '[]', '{}'),
    ('shopee', '220812345', '2404011ABCDEF2', 'UNPAID', 'SG', '2024-04-01', '2024-04-01', NULL, 'SGD', NULL, NULL, true, '[]', '{}');
INSERT INTO pushbox.order_items (platform, shop_id, order_sn, line_no, item_id, model_id, sku, name, variation, quantity, price, net_income) VALUES
    ('shopee', '220812345', '2404011ABCDEF1', 0, 1001, 2001, 'MUG-BLUE', 'Mug', 'Blue', 2, 9.95, 18.01),
    ('shopee', '220812345', '2404011ABCDEF1', 1, 1002, 0, '', 'Spoon', '', 1, 6.00, NULL);
INSERT INTO pushbox.order_income (platform, shop_id, order_sn, escrow_amount, buyer_total_amount, commission_fee, service_fee, transaction_fee, buyer_paid_shipping_fee, actual_shipping_fee, voucher_from_seller, voucher_from_platform, snapshot) VALUES
    ('shopee', '220812345', '2404011ABCDEF1', 18.01, 25.90, 1.50, 0.50, 0.52, 1.99, 1.99, 0, 0, '{}');
INSERT INTO pushbox.order_status_history (platform, shop_id, order_sn, update_time, status, event_id) VALUES
    ('shopee', '220812345', '2404011ABCDEF1', '2024-04-01', 'UNPAID', NULL),
    ('shopee', '220812345', '2404011ABCDEF1', '2024-04-01 19:33:20+00', 'READY_TO_SHIP', '018e9a00-0000-7000-8000-000000000001');
