-- Personal data that was erased stays erased, also when the platform tells it again.

-- safe: a column without a default needs no rewrite
ALTER TABLE pushbox.events ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN pushbox.events.erased_at IS 'When the data of people was taken out of payload: by `pushbox privacy erase`, or with all of the payload because PAYLOAD_RETENTION_DAYS was over.';

-- safe: a column without a default needs no rewrite
ALTER TABLE pushbox.orders ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN pushbox.orders.erased_at IS 'When its buyer was erased (`pushbox privacy erase`); nothing about the buyer is stored from then on.';
