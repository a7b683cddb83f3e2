UPDATE pushbox.orders SET erased_at = now(), buyer = NULL, snapshot = '{}' WHERE order_sn = '2404011ABCDEF2';
UPDATE pushbox.events SET erased_at = now() WHERE subject = '2404011ABCDEF2';
