CREATE TABLE pushbox.rejections (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source       text        NOT NULL,
    fingerprint  bytea       NOT NULL,
    cause        text        NOT NULL,
    reason       text,
    near_miss    boolean     NOT NULL DEFAULT false,
    address      text,
    account      text,
    body_bytes   integer     NOT NULL,
    body_sha256  bytea       NOT NULL,
    headers      jsonb       NOT NULL DEFAULT '{}',
    sealed       text,
    sealed_until timestamptz,
    refused_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    times        integer     NOT NULL DEFAULT 1,
    accepted_at  timestamptz,
    event_id     uuid,
    CONSTRAINT rejections_sealed_check CHECK ((sealed IS NULL) = (sealed_until IS NULL))
);
COMMENT ON TABLE pushbox.rejections IS 'Refused pushes, a sample of them: capped per source, and only so many a minute. Nothing in here is proved.';
COMMENT ON COLUMN pushbox.rejections.id IS 'Number.';
COMMENT ON COLUMN pushbox.rejections.source IS 'Name of the source it claimed to be from.';
COMMENT ON COLUMN pushbox.rejections.fingerprint IS 'SHA-256 of cause, account, proof and body: the same request again counts here.';
COMMENT ON COLUMN pushbox.rejections.cause IS 'missing, wrong, expired_secret, stale, account or network.';
COMMENT ON COLUMN pushbox.rejections.reason IS 'What was found out about it: which other key or base string would have matched; null when there were too many to look at.';
COMMENT ON COLUMN pushbox.rejections.near_miss IS 'Whether the sender holds a key that is known here: the configuration is then more likely wrong than the sender.';
COMMENT ON COLUMN pushbox.rejections.address IS 'Address that counts for the throttle.';
COMMENT ON COLUMN pushbox.rejections.account IS 'Account in the path.';
COMMENT ON COLUMN pushbox.rejections.body_bytes IS 'Length of the body.';
COMMENT ON COLUMN pushbox.rejections.body_sha256 IS 'SHA-256 of the body.';
COMMENT ON COLUMN pushbox.rejections.headers IS 'Request headers on the allow-list.';
COMMENT ON COLUMN pushbox.rejections.sealed IS 'The request, sealed with ENCRYPTION_KEY, so that it can be verified again; null without a key, without a proof, or when its time is over.';
COMMENT ON COLUMN pushbox.rejections.sealed_until IS 'When the request is forgotten.';
COMMENT ON COLUMN pushbox.rejections.refused_at IS 'When it was first refused.';
COMMENT ON COLUMN pushbox.rejections.last_seen_at IS 'When the same request was last refused.';
COMMENT ON COLUMN pushbox.rejections.times IS 'How often the same request was refused.';
COMMENT ON COLUMN pushbox.rejections.accepted_at IS 'When a person accepted it, after the configuration was mended.';
COMMENT ON COLUMN pushbox.rejections.event_id IS 'The event it became, or the one that was known already.';
CREATE UNIQUE INDEX rejections_fingerprint_idx ON pushbox.rejections (source, fingerprint);

CREATE TABLE pushbox.source_keys (
    source       text        NOT NULL,
    fingerprint  text        NOT NULL,
    label        text        NOT NULL,
    first_used_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, fingerprint)
);
COMMENT ON TABLE pushbox.source_keys IS 'Which key of a source proved a push, and when last: tells when an old one may go.';
COMMENT ON COLUMN pushbox.source_keys.source IS 'Name of the source.';
COMMENT ON COLUMN pushbox.source_keys.fingerprint IS 'Tells keys apart without telling them.';
COMMENT ON COLUMN pushbox.source_keys.label IS 'How the configuration called it when it was last used.';
COMMENT ON COLUMN pushbox.source_keys.first_used_at IS 'When it first proved a push.';
COMMENT ON COLUMN pushbox.source_keys.last_used_at IS 'When it last proved a push, to the minute.';

CREATE TABLE pushbox.body_hashes (
    source       text        NOT NULL,
    body_sha256  bytea       NOT NULL,
    event_id     uuid        NOT NULL,
    last_seen_at timestamptz NOT NULL,
    PRIMARY KEY (source, body_sha256)
);
COMMENT ON TABLE pushbox.body_hashes IS 'Bodies of sources whose ids are not signed, each with the first event that had it; for 30 days.';
COMMENT ON COLUMN pushbox.body_hashes.source IS 'Name of the source.';
COMMENT ON COLUMN pushbox.body_hashes.body_sha256 IS 'As in events.';
COMMENT ON COLUMN pushbox.body_hashes.event_id IS 'The first event with this body.';
COMMENT ON COLUMN pushbox.body_hashes.last_seen_at IS 'When the newest event with this body was received.';
CREATE INDEX body_hashes_last_seen_at_idx ON pushbox.body_hashes (last_seen_at);

CREATE TABLE pushbox.possible_replays (
    event_id    uuid        PRIMARY KEY,
    source      text        NOT NULL,
    of_event_id uuid        NOT NULL,
    received_at timestamptz NOT NULL
);
COMMENT ON TABLE pushbox.possible_replays IS 'Events with the same body as an earlier one under another, unsigned id: several subscriptions, or somebody sends a captured push again.';
COMMENT ON COLUMN pushbox.possible_replays.event_id IS 'The later event.';
COMMENT ON COLUMN pushbox.possible_replays.source IS 'Name of the source.';
COMMENT ON COLUMN pushbox.possible_replays.of_event_id IS 'The first event with this body.';
COMMENT ON COLUMN pushbox.possible_replays.received_at IS 'When the later event was received.';
CREATE INDEX possible_replays_received_at_idx ON pushbox.possible_replays (received_at);

CREATE VIEW audit.lateness AS
SELECT source, date_trunc('hour', received_at) AS hour, count(*) AS events,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY late_s) AS p50_s,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY late_s) AS p95_s,
       max(late_s) AS max_s,
       count(*) FILTER (WHERE late_s < -60) AS ahead
FROM (SELECT source, received_at, extract(epoch FROM received_at - occurred_at)::float8 AS late_s
      FROM pushbox.events WHERE via = 'push' AND occurred_at IS NOT NULL) timed
GROUP BY 1, 2;
COMMENT ON VIEW audit.lateness IS 'How long after it happened an event was received, per source and hour, by the platform''s clock.';
COMMENT ON COLUMN audit.lateness.source IS 'Name of the source.';
COMMENT ON COLUMN audit.lateness.hour IS 'The hour of receipt.';
COMMENT ON COLUMN audit.lateness.events IS 'Pushes that told when it happened.';
COMMENT ON COLUMN audit.lateness.p50_s IS 'Seconds, half were faster.';
COMMENT ON COLUMN audit.lateness.p95_s IS 'Seconds, 95 of 100 were faster.';
COMMENT ON COLUMN audit.lateness.max_s IS 'Seconds, the latest.';
COMMENT ON COLUMN audit.lateness.ahead IS 'Events that happened more than a minute after their receipt: clocks differ.';
