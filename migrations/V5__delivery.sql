CREATE TABLE pushbox.sheet_rows (
    spreadsheet_id text        NOT NULL,
    platform       text        NOT NULL,
    shop_id        text        NOT NULL,
    order_sn       text        NOT NULL,
    status         text        NOT NULL,
    update_time    timestamptz NOT NULL,
    item_rows      integer     NOT NULL,
    content_sha256 bytea       NOT NULL,
    written_at     timestamptz NOT NULL,
    PRIMARY KEY (spreadsheet_id, platform, shop_id, order_sn)
) WITH (fillfactor = 80);
COMMENT ON TABLE pushbox.sheet_rows IS 'What was last written to each spreadsheet for each order.';
COMMENT ON COLUMN pushbox.sheet_rows.spreadsheet_id IS 'Google''s id of the spreadsheet.';
COMMENT ON COLUMN pushbox.sheet_rows.platform IS 'Platform of the order.';
COMMENT ON COLUMN pushbox.sheet_rows.shop_id IS 'Shop of the order.';
COMMENT ON COLUMN pushbox.sheet_rows.order_sn IS 'Number of the order.';
COMMENT ON COLUMN pushbox.sheet_rows.status IS 'Status that the row shows.';
COMMENT ON COLUMN pushbox.sheet_rows.update_time IS 'The order''s clock of the state that the row shows.';
COMMENT ON COLUMN pushbox.sheet_rows.item_rows IS 'Rows of the order in the Items tab.';
COMMENT ON COLUMN pushbox.sheet_rows.content_sha256 IS 'Hash of the cells written; an equal hash needs no write.';
COMMENT ON COLUMN pushbox.sheet_rows.written_at IS 'When it was written.';

CREATE TABLE pushbox.telegram_topics (
    chat_id    bigint      NOT NULL,
    topic      text        NOT NULL,
    name       text        NOT NULL,
    thread_id  integer,
    creating_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, topic)
);
COMMENT ON TABLE pushbox.telegram_topics IS 'Forum topics that were made, one per chat and event code.';
COMMENT ON COLUMN pushbox.telegram_topics.chat_id IS 'Telegram chat.';
COMMENT ON COLUMN pushbox.telegram_topics.topic IS 'What the topic is for: source and event code.';
COMMENT ON COLUMN pushbox.telegram_topics.name IS 'Title of the topic.';
COMMENT ON COLUMN pushbox.telegram_topics.thread_id IS 'message_thread_id; null: the chat has no topics, messages go to the chat itself.';
COMMENT ON COLUMN pushbox.telegram_topics.creating_until IS 'Somebody is about to create it, and has until then; null: it is settled.';
COMMENT ON COLUMN pushbox.telegram_topics.created_at IS 'When it was made or found.';

CREATE TABLE pushbox.telegram_chats (
    chat_id     bigint      NOT NULL PRIMARY KEY,
    migrated_to bigint      NOT NULL,
    migrated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE pushbox.telegram_chats IS 'Groups that became supergroups: messages for the old id go to the new one.';
COMMENT ON COLUMN pushbox.telegram_chats.chat_id IS 'Chat id as it is set.';
COMMENT ON COLUMN pushbox.telegram_chats.migrated_to IS 'Chat id that Telegram told us to use instead.';
COMMENT ON COLUMN pushbox.telegram_chats.migrated_at IS 'When Telegram told us.';

CREATE TABLE pushbox.telegram_messages (
    chat_id    bigint      NOT NULL,
    event_id   uuid        NOT NULL,
    part       smallint    NOT NULL,
    parts      smallint    NOT NULL,
    state      text        NOT NULL,
    thread_id  integer,
    message_id integer,
    attempts   smallint    NOT NULL DEFAULT 1,
    intended_at timestamptz NOT NULL DEFAULT now(),
    sent_at    timestamptz,
    PRIMARY KEY (chat_id, event_id, part),
    CONSTRAINT telegram_messages_state_check CHECK (state IN ('intended', 'sent', 'uncertain'))
) WITH (fillfactor = 80);
COMMENT ON TABLE pushbox.telegram_messages IS 'Effect ledger: each part of each announcement, written before it is sent and settled after.';
COMMENT ON COLUMN pushbox.telegram_messages.chat_id IS 'Telegram chat as it is set; see telegram_chats for where it is now.';
COMMENT ON COLUMN pushbox.telegram_messages.event_id IS 'Event that is announced.';
COMMENT ON COLUMN pushbox.telegram_messages.part IS 'Number of the part, from 0.';
COMMENT ON COLUMN pushbox.telegram_messages.parts IS 'How many parts the announcement has.';
COMMENT ON COLUMN pushbox.telegram_messages.state IS 'intended (about to be sent), sent, or uncertain (nobody knows whether it arrived).';
COMMENT ON COLUMN pushbox.telegram_messages.thread_id IS 'Topic it went to.';
COMMENT ON COLUMN pushbox.telegram_messages.message_id IS 'Telegram''s id of the message; events of one digest share it. Null: not known.';
COMMENT ON COLUMN pushbox.telegram_messages.attempts IS 'How often it was handed to Telegram.';
COMMENT ON COLUMN pushbox.telegram_messages.intended_at IS 'When it was first about to be sent.';
COMMENT ON COLUMN pushbox.telegram_messages.sent_at IS 'When Telegram confirmed it.';

CREATE TABLE pushbox.destinations (
    kind         text        NOT NULL,
    name         text        NOT NULL,
    paused_until timestamptz,
    reason       text,
    next_free_at timestamptz,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, name)
) WITH (fillfactor = 50);
COMMENT ON TABLE pushbox.destinations IS 'State of each outside destination, shared by all processes.';
COMMENT ON COLUMN pushbox.destinations.kind IS 'shopee, sheet, telegram or forward.';
COMMENT ON COLUMN pushbox.destinations.name IS 'Shop, spreadsheet, chat or URL.';
COMMENT ON COLUMN pushbox.destinations.paused_until IS 'Nothing is sent there before this time; null: open.';
COMMENT ON COLUMN pushbox.destinations.reason IS 'Why it is paused, and what a person can do.';
COMMENT ON COLUMN pushbox.destinations.next_free_at IS 'Rate budget: theoretical time of the next send.';
COMMENT ON COLUMN pushbox.destinations.updated_at IS 'When the row last changed.';
