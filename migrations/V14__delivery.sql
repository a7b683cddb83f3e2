-- Delivery: batch keys that wait as a whole, and what is forgotten when it is old.

CREATE TABLE pushbox.batch_holds (
    queue      text        NOT NULL,
    batch_key  text        NOT NULL,
    held_until timestamptz NOT NULL,
    reason     text        NOT NULL,
    PRIMARY KEY (queue, batch_key)
) WITH (fillfactor = 50);
COMMENT ON TABLE pushbox.batch_holds IS
    'Batch keys of exclusive queues of which no job is claimed for now. Their jobs stay where they are, in their order; rows whose time is over mean nothing.';
COMMENT ON COLUMN pushbox.batch_holds.queue IS 'Name of the queue.';
COMMENT ON COLUMN pushbox.batch_holds.batch_key IS 'The chat, the spreadsheet.';
COMMENT ON COLUMN pushbox.batch_holds.held_until IS 'Nothing is claimed before this instant.';
COMMENT ON COLUMN pushbox.batch_holds.reason IS 'What it waits for, in words.';

-- safe: the table has a row per order and chat, only with TELEGRAM_MODE=edit, and is read in moments
CREATE INDEX telegram_orders_shown_at_idx ON pushbox.telegram_orders (shown_at);
