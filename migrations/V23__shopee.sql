-- Several apps of Shopee in one pushbox: which of them a shop's tokens belong to.

ALTER TABLE pushbox.shops ADD COLUMN partner_id bigint;
COMMENT ON COLUMN pushbox.shops.partner_id IS
    'The app that the shop has authorized and that its tokens belong to; null: that of PARTNER_ID.';
