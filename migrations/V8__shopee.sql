CREATE TABLE pushbox.alerts (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key              text        NOT NULL,
    severity         text        NOT NULL,
    title            text        NOT NULL,
    remedy           text        NOT NULL,
    raised_at        timestamptz NOT NULL DEFAULT now(),
    last_seen_at     timestamptz NOT NULL DEFAULT now(),
    resolved_at      timestamptz,
    raised_told_at   timestamptz,
    resolved_told_at timestamptz,
    uncertain_sends  smallint    NOT NULL DEFAULT 0,
    CONSTRAINT alerts_severity_check CHECK (severity IN ('warning', 'critical'))
);
COMMENT ON TABLE pushbox.alerts IS 'What a person should know: raised once, told once, told again when it is over.';
COMMENT ON COLUMN pushbox.alerts.id IS 'Number of the alert.';
COMMENT ON COLUMN pushbox.alerts.key IS 'What it is about; at most one alert of a key is open.';
COMMENT ON COLUMN pushbox.alerts.severity IS 'warning or critical.';
COMMENT ON COLUMN pushbox.alerts.title IS 'What is wrong.';
COMMENT ON COLUMN pushbox.alerts.remedy IS 'What a person can do about it.';
COMMENT ON COLUMN pushbox.alerts.raised_at IS 'When it was raised.';
COMMENT ON COLUMN pushbox.alerts.last_seen_at IS 'When it was last found to be still so.';
COMMENT ON COLUMN pushbox.alerts.resolved_at IS 'When it was over; null: it is open.';
COMMENT ON COLUMN pushbox.alerts.raised_told_at IS 'When people were told of it; null: not yet, or it was over before.';
COMMENT ON COLUMN pushbox.alerts.resolved_told_at IS 'When people were told that it is over.';
COMMENT ON COLUMN pushbox.alerts.uncertain_sends IS 'How often it was sent without anybody knowing whether it arrived.';
CREATE UNIQUE INDEX alerts_open_key_idx ON pushbox.alerts (key) WHERE resolved_at IS NULL;
CREATE INDEX alerts_untold_idx ON pushbox.alerts (id) WHERE raised_told_at IS NULL OR resolved_told_at IS NULL;

ALTER TABLE pushbox.schedules
    ADD COLUMN current_run bigint,
    ADD COLUMN run_asked_at timestamptz,
    ADD COLUMN paused_reason text;
COMMENT ON COLUMN pushbox.schedules.current_run IS 'Number of the run in schedule_runs that holds the lease; null: none.';
COMMENT ON COLUMN pushbox.schedules.run_asked_at IS 'When a person, or another part of pushbox, asked for a run at once; null: nobody waits for one.';
COMMENT ON COLUMN pushbox.schedules.paused_reason IS 'Why it does not run, in the words of whoever paused it.';
ALTER TABLE pushbox.schedule_runs ADD COLUMN asked boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN pushbox.schedule_runs.asked IS 'Whether it was asked for, and not due by the clock.';

ALTER TABLE pushbox.shops
    ADD COLUMN token_version integer NOT NULL DEFAULT 0,
    ADD COLUMN refresh_lease uuid,
    ADD COLUMN refresh_lease_until timestamptz,
    ADD COLUMN refresh_intent_at timestamptz,
    ADD COLUMN refresh_failures integer NOT NULL DEFAULT 0,
    ADD COLUMN refresh_after timestamptz,
    ADD COLUMN refreshed_at timestamptz,
    ADD COLUMN authorized_at timestamptz,
    ADD COLUMN authorization_expires_at timestamptz,
    ADD COLUMN region text;
COMMENT ON COLUMN pushbox.shops.token_version IS 'Grows with each new pair of tokens; a pair is stored only over the version it was made from.';
COMMENT ON COLUMN pushbox.shops.refresh_lease IS 'Whoever refreshes the pair now.';
COMMENT ON COLUMN pushbox.shops.refresh_lease_until IS 'Until when nobody else may refresh; past: the refresher has vanished.';
COMMENT ON COLUMN pushbox.shops.refresh_intent_at IS 'The refresh token was about to be spent at this time, and nobody knows yet whether it was; null: it was not.';
COMMENT ON COLUMN pushbox.shops.refresh_failures IS 'Failed refreshes since the last that succeeded.';
COMMENT ON COLUMN pushbox.shops.refresh_after IS 'No refresh before this time, after a failure.';
COMMENT ON COLUMN pushbox.shops.refreshed_at IS 'When the pair was last renewed.';
COMMENT ON COLUMN pushbox.shops.authorized_at IS 'When the seller authorized, as the platform says or as the code was exchanged.';
COMMENT ON COLUMN pushbox.shops.authorization_expires_at IS 'When the seller''s authorization ends, as the platform says; null: not known.';
COMMENT ON COLUMN pushbox.shops.region IS 'The shop''s market.';

ALTER TABLE pushbox.destinations
    ADD COLUMN rate_factor double precision,
    ADD COLUMN rate_cut_at timestamptz,
    ADD COLUMN in_flight timestamptz[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN pushbox.destinations.rate_factor IS 'Share of the configured rate that was left after the last refusal for too many calls; grows back with time. Null: all of it.';
COMMENT ON COLUMN pushbox.destinations.rate_cut_at IS 'When the rate was last cut.';
COMMENT ON COLUMN pushbox.destinations.in_flight IS 'Leases of the calls under way, of all processes.';

CREATE TABLE pushbox.reconciliations (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    platform    text        NOT NULL,
    shop_id     text        NOT NULL,
    kind        text        NOT NULL,
    time_from   timestamptz NOT NULL,
    time_to     timestamptz NOT NULL,
    state       text        NOT NULL DEFAULT 'asked',
    listed      integer     NOT NULL DEFAULT 0,
    found       integer     NOT NULL DEFAULT 0,
    refreshed   integer     NOT NULL DEFAULT 0,
    known       integer     NOT NULL DEFAULT 0,
    error       text,
    asked_at    timestamptz NOT NULL DEFAULT now(),
    started_at  timestamptz,
    finished_at timestamptz,
    CONSTRAINT reconciliations_kind_check CHECK (kind IN ('orders', 'deep', 'income', 'manual')),
    CONSTRAINT reconciliations_state_check CHECK (state IN ('asked', 'running', 'done', 'failed'))
);
COMMENT ON TABLE pushbox.reconciliations IS 'Comparisons with what the platform says, one row per shop and range of time.';
COMMENT ON COLUMN pushbox.reconciliations.id IS 'Number of the comparison.';
COMMENT ON COLUMN pushbox.reconciliations.platform IS 'Platform of the shop.';
COMMENT ON COLUMN pushbox.reconciliations.shop_id IS 'Shop that was compared.';
COMMENT ON COLUMN pushbox.reconciliations.kind IS 'orders (since the last), deep (once more over days), income (money that was released), manual (asked for by a person).';
COMMENT ON COLUMN pushbox.reconciliations.time_from IS 'Changes from this time on.';
COMMENT ON COLUMN pushbox.reconciliations.time_to IS 'Changes up to this time.';
COMMENT ON COLUMN pushbox.reconciliations.state IS 'asked, running, done, failed.';
COMMENT ON COLUMN pushbox.reconciliations.listed IS 'Orders that the platform listed.';
COMMENT ON COLUMN pushbox.reconciliations.found IS 'Changes that we had not heard of; each became an event.';
COMMENT ON COLUMN pushbox.reconciliations.refreshed IS 'Orders read again without an event: the same status with newer details, or released income.';
COMMENT ON COLUMN pushbox.reconciliations.known IS 'Orders that were as we had them, or whose event was on its way.';
COMMENT ON COLUMN pushbox.reconciliations.error IS 'Why it failed.';
COMMENT ON COLUMN pushbox.reconciliations.asked_at IS 'When it was asked for.';
COMMENT ON COLUMN pushbox.reconciliations.started_at IS 'When it began.';
COMMENT ON COLUMN pushbox.reconciliations.finished_at IS 'When it ended.';
CREATE INDEX reconciliations_shop_kind_idx ON pushbox.reconciliations (platform, shop_id, kind, time_to) WHERE state = 'done';
CREATE INDEX reconciliations_open_idx ON pushbox.reconciliations (id) WHERE state IN ('asked', 'running');

CREATE TABLE pushbox.push_rhythms (
    source       text        NOT NULL,
    account      text        NOT NULL,
    code         text        NOT NULL,
    events       bigint      NOT NULL,
    first_at     timestamptz NOT NULL,
    last_at      timestamptz NOT NULL,
    longest_gaps jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (source, account, code)
) WITH (fillfactor = 70);
COMMENT ON TABLE pushbox.push_rhythms IS 'How often pushes usually come, per shop and code: what silence is judged by.';
COMMENT ON COLUMN pushbox.push_rhythms.source IS 'Source of the pushes.';
COMMENT ON COLUMN pushbox.push_rhythms.account IS 'Shop; empty: the app as a whole.';
COMMENT ON COLUMN pushbox.push_rhythms.code IS 'Event code.';
COMMENT ON COLUMN pushbox.push_rhythms.events IS 'Pushes so far.';
COMMENT ON COLUMN pushbox.push_rhythms.first_at IS 'When the first came.';
COMMENT ON COLUMN pushbox.push_rhythms.last_at IS 'When the last came.';
COMMENT ON COLUMN pushbox.push_rhythms.longest_gaps IS 'The longest wait for the next push in seconds, by the day on which it ended; two weeks of them.';

CREATE TABLE pushbox.watermarks (
    name text        PRIMARY KEY,
    at   timestamptz NOT NULL
);
COMMENT ON TABLE pushbox.watermarks IS 'How far scheduled tasks that read events have read.';
COMMENT ON COLUMN pushbox.watermarks.name IS 'What was read up to here.';
COMMENT ON COLUMN pushbox.watermarks.at IS 'Everything received before this time was read.';
