CREATE SCHEMA IF NOT EXISTS pushbox;
COMMENT ON SCHEMA pushbox IS 'Everything pushbox keeps. Tables may be read by people; names are part of the contract.';

CREATE TABLE pushbox.event_keys (
    source       text        NOT NULL,
    key          text        NOT NULL,
    event_id     uuid        NOT NULL,
    expires_at   timestamptz NOT NULL,
    redeliveries integer     NOT NULL DEFAULT 0,
    last_seen_at timestamptz,
    PRIMARY KEY (source, key)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
COMMENT ON TABLE pushbox.event_keys IS 'The idempotency ledger: one row per event that may still be sent again.';
COMMENT ON COLUMN pushbox.event_keys.source IS 'Name of the source, for example shopee.';
COMMENT ON COLUMN pushbox.event_keys.key IS 'Idempotency key within the source, derived from the content of the push.';
COMMENT ON COLUMN pushbox.event_keys.event_id IS 'The event stored under this key (events.id).';
COMMENT ON COLUMN pushbox.event_keys.expires_at IS 'When the row may be pruned: retry horizon of the source plus its lost-push window.';
COMMENT ON COLUMN pushbox.event_keys.redeliveries IS 'How often the same event came again.';
COMMENT ON COLUMN pushbox.event_keys.last_seen_at IS 'When it last came again; null when it came once.';
CREATE INDEX event_keys_expires_at_idx ON pushbox.event_keys (expires_at);
-- Partial, so that storing an event touches neither; only a redelivery does.
CREATE INDEX event_keys_event_id_redelivered_idx ON pushbox.event_keys (event_id) WHERE redeliveries > 0;
CREATE INDEX event_keys_last_seen_at_idx ON pushbox.event_keys (last_seen_at) WHERE redeliveries > 0;

CREATE TABLE pushbox.events (
    id          uuid        NOT NULL,
    source      text        NOT NULL,
    account     text,
    code        text        NOT NULL,
    kind        text        NOT NULL,
    subject     text,
    payload     jsonb,
    body        bytea,
    parse_error text,
    body_sha256 bytea       NOT NULL,
    headers     jsonb       NOT NULL DEFAULT '{}',
    occurred_at timestamptz,
    received_at timestamptz NOT NULL,
    via         text        NOT NULL,
    first_jobs  text[]      NOT NULL DEFAULT '{}',
    PRIMARY KEY (received_at, id),
    CONSTRAINT events_via_check CHECK (via IN ('push', 'lost_push', 'reconcile', 'manual')),
    CONSTRAINT events_payload_check CHECK ((payload IS NULL) = (body IS NOT NULL))
) PARTITION BY RANGE (received_at);
COMMENT ON TABLE pushbox.events IS 'Every event once, append-only, partitioned by day of received_at (UTC).';
COMMENT ON COLUMN pushbox.events.id IS 'UUIDv7; its time is received_at to the millisecond.';
COMMENT ON COLUMN pushbox.events.source IS 'Name of the source, for example shopee.';
COMMENT ON COLUMN pushbox.events.account IS 'Shop or account the event concerns; null for partner-level events.';
COMMENT ON COLUMN pushbox.events.code IS 'Event code or name as the platform sends it.';
COMMENT ON COLUMN pushbox.events.kind IS 'Readable name of the code, for example order_status.';
COMMENT ON COLUMN pushbox.events.subject IS 'What it is about: order, return, package or item number.';
COMMENT ON COLUMN pushbox.events.payload IS 'The whole envelope as sent; null when jsonb cannot hold it, see body.';
COMMENT ON COLUMN pushbox.events.body IS 'The bytes as received, only when jsonb cannot hold them.';
COMMENT ON COLUMN pushbox.events.parse_error IS 'Why body is not in payload.';
COMMENT ON COLUMN pushbox.events.body_sha256 IS 'SHA-256 of the bytes as received.';
COMMENT ON COLUMN pushbox.events.headers IS 'Request headers on the allow-list.';
COMMENT ON COLUMN pushbox.events.occurred_at IS 'When it happened by the platform''s clock.';
COMMENT ON COLUMN pushbox.events.received_at IS 'When it reached us.';
COMMENT ON COLUMN pushbox.events.via IS 'How it reached us: push, lost_push, reconcile or manual.';
COMMENT ON COLUMN pushbox.events.first_jobs IS 'Kinds of the jobs that were asked for in the transaction that stored the event, one entry per job.';
CREATE INDEX events_subject_idx ON pushbox.events (subject, received_at) WHERE subject IS NOT NULL;
-- Nothing should land here: it keeps the promise to store even when the partitions were not made in time.
CREATE TABLE pushbox.events_default PARTITION OF pushbox.events DEFAULT;
COMMENT ON TABLE pushbox.events_default IS 'Catches events of a day without a partition; empty in normal operation.';
