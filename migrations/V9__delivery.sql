-- safe: a constant default needs no rewrite, and the check holds for it
ALTER TABLE pushbox.destinations
    ADD COLUMN state text NOT NULL DEFAULT 'closed' CHECK (state IN ('closed', 'open', 'half_open')),
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN opens integer NOT NULL DEFAULT 0,
    ADD COLUMN opened_at timestamptz,
    ADD COLUMN probe_until timestamptz,
    ADD COLUMN last_error text,
    ADD COLUMN last_failure_at timestamptz,
    ADD COLUMN last_success_at timestamptz,
    ADD COLUMN pace real NOT NULL DEFAULT 1;
COMMENT ON COLUMN pushbox.destinations.kind IS 'A platform, sheet, telegram, google (the account''s quota) or forward.';
COMMENT ON COLUMN pushbox.destinations.name IS 'Shop, spreadsheet, chat or chat and topic, URL.';
COMMENT ON COLUMN pushbox.destinations.state IS 'The breaker: closed (in use), open (not used before paused_until), half_open (one caller tries whether it works again).';
COMMENT ON COLUMN pushbox.destinations.failures IS 'Failures in a row since it last worked.';
COMMENT ON COLUMN pushbox.destinations.opens IS 'How often in a row the breaker opened; each time the pause doubles.';
COMMENT ON COLUMN pushbox.destinations.opened_at IS 'Since when the breaker is not closed.';
COMMENT ON COLUMN pushbox.destinations.probe_until IS 'Half open: until then whoever tries it has the time to say how it went.';
COMMENT ON COLUMN pushbox.destinations.last_error IS 'How it failed last.';
COMMENT ON COLUMN pushbox.destinations.last_failure_at IS 'When it failed last.';
COMMENT ON COLUMN pushbox.destinations.last_success_at IS 'When it last worked after a failure.';
COMMENT ON COLUMN pushbox.destinations.pace IS 'Rate budget: how many times slower than set it is used, because it said "too many requests"; falls back to 1 by itself.';

CREATE TABLE pushbox.deliveries (
    target        text        NOT NULL,
    event_id      uuid        NOT NULL,
    state         text        NOT NULL,
    attempts      integer     NOT NULL DEFAULT 1,
    status        integer,
    response      text,
    error         text,
    duration_ms   integer,
    first_tried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_tried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    delivered_at  timestamptz,
    PRIMARY KEY (target, event_id),
    CONSTRAINT deliveries_state_check CHECK (state IN ('retrying', 'delivered', 'given_up'))
) WITH (fillfactor = 80);
COMMENT ON TABLE pushbox.deliveries IS 'What became of each event that was forwarded to a service of the seller''s.';
COMMENT ON COLUMN pushbox.deliveries.target IS 'Name of the target: default for FORWARD_URL, else the name it was given or its URL without query.';
COMMENT ON COLUMN pushbox.deliveries.event_id IS 'The event; also its webhook-id.';
COMMENT ON COLUMN pushbox.deliveries.state IS 'retrying, delivered (answered 2xx), or given_up.';
COMMENT ON COLUMN pushbox.deliveries.attempts IS 'How often it was posted.';
COMMENT ON COLUMN pushbox.deliveries.status IS 'HTTP status of the last answer; null: there was none.';
COMMENT ON COLUMN pushbox.deliveries.response IS 'The beginning of the last answer''s body.';
COMMENT ON COLUMN pushbox.deliveries.error IS 'Why the last attempt failed; null: it did not.';
COMMENT ON COLUMN pushbox.deliveries.duration_ms IS 'How long the last attempt took.';
COMMENT ON COLUMN pushbox.deliveries.first_tried_at IS 'When it was first posted.';
COMMENT ON COLUMN pushbox.deliveries.last_tried_at IS 'When it was last posted.';
COMMENT ON COLUMN pushbox.deliveries.delivered_at IS 'When the service accepted it.';
CREATE INDEX deliveries_event_id_idx ON pushbox.deliveries (event_id);

ALTER TABLE pushbox.telegram_messages ADD COLUMN held boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN pushbox.telegram_messages.held IS 'Uncertain, and not sent again before a person retries its job (TELEGRAM_UNCERTAIN=hold).';
-- safe: few rows are ever uncertain, and reading for them is a matter of moments
CREATE INDEX telegram_messages_unsettled_idx ON pushbox.telegram_messages (event_id) WHERE state <> 'sent';

CREATE TABLE pushbox.telegram_orders (
    chat_id        bigint      NOT NULL,
    platform       text        NOT NULL,
    shop_id        text        NOT NULL,
    order_sn       text        NOT NULL,
    message_id     integer     NOT NULL,
    event_id       uuid        NOT NULL,
    content_sha256 bytea       NOT NULL,
    shown_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, platform, shop_id, order_sn)
) WITH (fillfactor = 80);
COMMENT ON TABLE pushbox.telegram_orders IS 'With TELEGRAM_MODE=edit: the message of each order in each chat, which its next state is written into.';
COMMENT ON COLUMN pushbox.telegram_orders.chat_id IS 'Telegram chat as it is set.';
COMMENT ON COLUMN pushbox.telegram_orders.platform IS 'Platform of the order.';
COMMENT ON COLUMN pushbox.telegram_orders.shop_id IS 'Shop of the order.';
COMMENT ON COLUMN pushbox.telegram_orders.order_sn IS 'Number of the order.';
COMMENT ON COLUMN pushbox.telegram_orders.message_id IS 'Telegram''s id of the message.';
COMMENT ON COLUMN pushbox.telegram_orders.event_id IS 'Newest event that it shows.';
COMMENT ON COLUMN pushbox.telegram_orders.content_sha256 IS 'Hash of what it shows; an equal hash needs no edit.';
COMMENT ON COLUMN pushbox.telegram_orders.shown_at IS 'When it was sent or last edited.';
