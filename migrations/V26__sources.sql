CREATE TABLE pushbox.subscriptions (
    source      text        NOT NULL,
    topic       text        NOT NULL,
    address     text        NOT NULL,
    state       text        NOT NULL,
    platform_id text,
    error       text,
    checked_at  timestamptz NOT NULL DEFAULT now(),
    created_at  timestamptz,
    PRIMARY KEY (source, topic),
    CONSTRAINT subscriptions_state_check CHECK (state IN ('active', 'missing', 'unknown'))
);
COMMENT ON TABLE pushbox.subscriptions IS 'What a source should be subscribed to at its platform, and whether it is.';
COMMENT ON COLUMN pushbox.subscriptions.source IS 'Name of the source.';
COMMENT ON COLUMN pushbox.subscriptions.topic IS 'Event that is subscribed to.';
COMMENT ON COLUMN pushbox.subscriptions.address IS 'Where the platform pushes it.';
COMMENT ON COLUMN pushbox.subscriptions.state IS 'active; missing (the platform has none: it deletes one after its retries are used up); unknown (the platform cannot be asked).';
COMMENT ON COLUMN pushbox.subscriptions.platform_id IS 'Id at the platform.';
COMMENT ON COLUMN pushbox.subscriptions.error IS 'Why it could not be looked at or created.';
COMMENT ON COLUMN pushbox.subscriptions.checked_at IS 'When it was last looked at.';
COMMENT ON COLUMN pushbox.subscriptions.created_at IS 'When pushbox created it.';
