INSERT INTO pushbox.settings (name, value, sealed, changed_by)
VALUES ('ORDER_EVENT_CODES', '3,4,29', false, 'ADMIN_TOKEN'), ('FORWARD_SECRET', 'v1:c2VhbGVk', true, 'ADMIN_TOKEN');
UPDATE pushbox.settings_version SET version = 2;
