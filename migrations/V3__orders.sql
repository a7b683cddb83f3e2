CREATE TABLE pushbox.orders (
    platform          text        NOT NULL,
    shop_id           text        NOT NULL,
    order_sn          text        NOT NULL,
    status            text        NOT NULL,
    region            text        NOT NULL,
    create_time       timestamptz NOT NULL,
    update_time       timestamptz NOT NULL,
    pay_time          timestamptz,
    ship_by           timestamptz,
    currency          text        NOT NULL,
    total_amount      numeric,
    buyer             text,
    payment_method    text,
    cod               boolean     NOT NULL,
    shipping_carrier  text,
    packages          jsonb       NOT NULL,
    recipient         jsonb,
    message_to_seller text,
    note              text,
    cancel_by         text,
    cancel_reason     text,
    snapshot          jsonb       NOT NULL,
    fetched_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (platform, shop_id, order_sn)
) WITH (fillfactor = 80);
COMMENT ON TABLE pushbox.orders IS 'Newest known state of each order. An older state never overwrites a newer one.';
COMMENT ON COLUMN pushbox.orders.platform IS 'Platform of the source, for example shopee.';
COMMENT ON COLUMN pushbox.orders.shop_id IS 'The platform''s shop id.';
COMMENT ON COLUMN pushbox.orders.order_sn IS 'The platform''s order number.';
COMMENT ON COLUMN pushbox.orders.status IS 'Status as the platform spells it.';
COMMENT ON COLUMN pushbox.orders.region IS 'Market of the shop.';
COMMENT ON COLUMN pushbox.orders.create_time IS 'When the order was placed.';
COMMENT ON COLUMN pushbox.orders.update_time IS 'The order''s clock: when any value of it last changed at the platform.';
COMMENT ON COLUMN pushbox.orders.pay_time IS 'When it was paid.';
COMMENT ON COLUMN pushbox.orders.ship_by IS 'Shipping deadline.';
COMMENT ON COLUMN pushbox.orders.currency IS 'ISO 4217 code of all amounts.';
COMMENT ON COLUMN pushbox.orders.total_amount IS 'What the buyer pays; null while the platform does not say.';
COMMENT ON COLUMN pushbox.orders.buyer IS 'Account name of the buyer; personal data.';
COMMENT ON COLUMN pushbox.orders.payment_method IS 'How the buyer pays.';
COMMENT ON COLUMN pushbox.orders.cod IS 'Cash on delivery.';
COMMENT ON COLUMN pushbox.orders.shipping_carrier IS 'Carrier.';
COMMENT ON COLUMN pushbox.orders.packages IS 'Parcels: number, logistics status, carrier.';
COMMENT ON COLUMN pushbox.orders.recipient IS 'Name, phone and address; personal data.';
COMMENT ON COLUMN pushbox.orders.message_to_seller IS 'The buyer''s message.';
COMMENT ON COLUMN pushbox.orders.note IS 'The seller''s note.';
COMMENT ON COLUMN pushbox.orders.cancel_by IS 'Who cancelled.';
COMMENT ON COLUMN pushbox.orders.cancel_reason IS 'Why it was cancelled.';
COMMENT ON COLUMN pushbox.orders.snapshot IS 'The platform''s answer as it was read.';
COMMENT ON COLUMN pushbox.orders.fetched_at IS 'When this state was read.';
CREATE INDEX orders_order_sn_idx ON pushbox.orders (order_sn);
CREATE INDEX orders_update_time_idx ON pushbox.orders (update_time);

CREATE TABLE pushbox.order_items (
    platform   text    NOT NULL,
    shop_id    text    NOT NULL,
    order_sn   text    NOT NULL,
    line_no    integer NOT NULL,
    item_id    bigint  NOT NULL,
    model_id   bigint  NOT NULL,
    sku        text    NOT NULL,
    name       text    NOT NULL,
    variation  text    NOT NULL,
    quantity   integer NOT NULL,
    price      numeric NOT NULL,
    net_income numeric,
    PRIMARY KEY (platform, shop_id, order_sn, line_no)
);
COMMENT ON TABLE pushbox.order_items IS 'Lines of each order''s newest state.';
COMMENT ON COLUMN pushbox.order_items.platform IS 'Platform of the order.';
COMMENT ON COLUMN pushbox.order_items.shop_id IS 'Shop of the order.';
COMMENT ON COLUMN pushbox.order_items.order_sn IS 'Number of the order.';
COMMENT ON COLUMN pushbox.order_items.line_no IS 'Position within the order, from 0.';
COMMENT ON COLUMN pushbox.order_items.item_id IS 'The platform''s item id.';
COMMENT ON COLUMN pushbox.order_items.model_id IS 'The platform''s variation id; 0: none.';
COMMENT ON COLUMN pushbox.order_items.sku IS 'SKU of the variation, else of the item.';
COMMENT ON COLUMN pushbox.order_items.name IS 'Title of the item.';
COMMENT ON COLUMN pushbox.order_items.variation IS 'Title of the variation.';
COMMENT ON COLUMN pushbox.order_items.quantity IS 'Pieces bought.';
COMMENT ON COLUMN pushbox.order_items.price IS 'Price of one piece after discounts.';
COMMENT ON COLUMN pushbox.order_items.net_income IS 'The line''s share of the order''s payout, to the cent; the lines add up to it.';

CREATE TABLE pushbox.order_income (
    platform                text        NOT NULL,
    shop_id                 text        NOT NULL,
    order_sn                text        NOT NULL,
    escrow_amount           numeric     NOT NULL,
    buyer_total_amount      numeric     NOT NULL,
    commission_fee          numeric     NOT NULL,
    service_fee             numeric     NOT NULL,
    transaction_fee         numeric     NOT NULL,
    buyer_paid_shipping_fee numeric     NOT NULL,
    actual_shipping_fee     numeric     NOT NULL,
    voucher_from_seller     numeric     NOT NULL,
    voucher_from_platform   numeric     NOT NULL,
    snapshot                jsonb       NOT NULL,
    fetched_at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (platform, shop_id, order_sn)
) WITH (fillfactor = 80);
COMMENT ON TABLE pushbox.order_income IS 'What the seller earns with each order; provisional until the order is completed.';
COMMENT ON COLUMN pushbox.order_income.platform IS 'Platform of the order.';
COMMENT ON COLUMN pushbox.order_income.shop_id IS 'Shop of the order.';
COMMENT ON COLUMN pushbox.order_income.order_sn IS 'Number of the order.';
COMMENT ON COLUMN pushbox.order_income.escrow_amount IS 'Expected or final payout, in the order''s currency.';
COMMENT ON COLUMN pushbox.order_income.buyer_total_amount IS 'What the buyer paid in total.';
COMMENT ON COLUMN pushbox.order_income.commission_fee IS 'Commission of the platform.';
COMMENT ON COLUMN pushbox.order_income.service_fee IS 'Service fee of the platform.';
COMMENT ON COLUMN pushbox.order_income.transaction_fee IS 'The seller''s share of payment costs.';
COMMENT ON COLUMN pushbox.order_income.buyer_paid_shipping_fee IS 'Shipping as paid by the buyer.';
COMMENT ON COLUMN pushbox.order_income.actual_shipping_fee IS 'Shipping as it really cost.';
COMMENT ON COLUMN pushbox.order_income.voucher_from_seller IS 'Vouchers paid by the seller.';
COMMENT ON COLUMN pushbox.order_income.voucher_from_platform IS 'Vouchers paid by the platform.';
COMMENT ON COLUMN pushbox.order_income.snapshot IS 'The platform''s answer as it was read.';
COMMENT ON COLUMN pushbox.order_income.fetched_at IS 'When it was read.';

CREATE TABLE pushbox.order_status_history (
    platform    text        NOT NULL,
    shop_id     text        NOT NULL,
    order_sn    text        NOT NULL,
    update_time timestamptz NOT NULL,
    status      text        NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT now(),
    event_id    uuid,
    PRIMARY KEY (platform, shop_id, order_sn, update_time, status)
);
COMMENT ON TABLE pushbox.order_status_history IS 'States an order was seen in, by the order''s own clock.';
COMMENT ON COLUMN pushbox.order_status_history.platform IS 'Platform of the order.';
COMMENT ON COLUMN pushbox.order_status_history.shop_id IS 'Shop of the order.';
COMMENT ON COLUMN pushbox.order_status_history.order_sn IS 'Number of the order.';
COMMENT ON COLUMN pushbox.order_status_history.update_time IS 'The order''s clock at that state.';
COMMENT ON COLUMN pushbox.order_status_history.status IS 'Status as the platform spells it.';
COMMENT ON COLUMN pushbox.order_status_history.seen_at IS 'When we first saw it.';
COMMENT ON COLUMN pushbox.order_status_history.event_id IS 'Event that made us look.';
