CREATE TABLE pushbox.shops (
    platform           text        NOT NULL,
    shop_id            text        NOT NULL,
    state              text        NOT NULL DEFAULT 'active',
    state_reason       text,
    access_token       text,
    refresh_token      text,
    access_expires_at  timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (platform, shop_id),
    CONSTRAINT shops_state_check CHECK (state IN ('active', 'reauthorize', 'disabled'))
);
COMMENT ON TABLE pushbox.shops IS 'Shops we may call the platform for, with their tokens.';
COMMENT ON COLUMN pushbox.shops.platform IS 'Platform, for example shopee.';
COMMENT ON COLUMN pushbox.shops.shop_id IS 'The platform''s shop id.';
COMMENT ON COLUMN pushbox.shops.state IS 'active, reauthorize (the seller must authorize again) or disabled.';
COMMENT ON COLUMN pushbox.shops.state_reason IS 'Why it is not active.';
COMMENT ON COLUMN pushbox.shops.access_token IS 'Access token, sealed with ENCRYPTION_KEY (v1:...) or, without one, plain (plain:...).';
COMMENT ON COLUMN pushbox.shops.refresh_token IS 'Refresh token, kept like access_token.';
COMMENT ON COLUMN pushbox.shops.access_expires_at IS 'When the access token ends; null: unknown.';
COMMENT ON COLUMN pushbox.shops.created_at IS 'When the shop was added.';
COMMENT ON COLUMN pushbox.shops.updated_at IS 'When the row last changed.';
