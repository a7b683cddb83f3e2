-- What people change, on record: who, from where, and in a chain in which a changed, moved or missing link shows.
ALTER TABLE pushbox.admin_actions
    ADD COLUMN actor  text NOT NULL DEFAULT 'unknown',
    ADD COLUMN origin text,
    ADD COLUMN seq    bigint,
    ADD COLUMN hash   bytea;
COMMENT ON COLUMN pushbox.admin_actions.actor IS 'Who: the name of the token, and dashboard when it was a page.';
COMMENT ON COLUMN pushbox.admin_actions.origin IS 'From which address.';
COMMENT ON COLUMN pushbox.admin_actions.seq IS 'Place in the chain, from 1 without a gap.';
COMMENT ON COLUMN pushbox.admin_actions.hash IS 'SHA-256 over the hash before and this row; pushbox audit checks all of them.';

CREATE TABLE pushbox.admin_chain (
    only_row boolean PRIMARY KEY DEFAULT true,
    seq      bigint NOT NULL,
    hash     bytea  NOT NULL,
    CONSTRAINT admin_chain_only_row_check CHECK (only_row)
);
COMMENT ON TABLE pushbox.admin_chain IS 'The end of the chain of admin_actions: one row, so that a missing end shows too.';
COMMENT ON COLUMN pushbox.admin_chain.only_row IS 'Always true.';
COMMENT ON COLUMN pushbox.admin_chain.seq IS 'Place of the last action.';
COMMENT ON COLUMN pushbox.admin_chain.hash IS 'Hash of the last action.';
INSERT INTO pushbox.admin_chain (seq, hash) VALUES (0, '');

CREATE FUNCTION pushbox.admin_action_hash(before bytea, a pushbox.admin_actions) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(before || convert_to(jsonb_build_array(
        a.seq, a.id, extract(epoch FROM a.at), a.request_id, a.actor, a.origin, a.action, a.subject, a.detail)::text, 'UTF8'))
$$;
COMMENT ON FUNCTION pushbox.admin_action_hash IS 'The hash of one action that follows the hash before.';

CREATE FUNCTION pushbox.chain_admin_action() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    before bytea;
BEGIN
    -- The lock on the row makes one action wait for the other, so that the chain has no forks.
    UPDATE pushbox.admin_chain SET seq = seq + 1 RETURNING seq, hash INTO NEW.seq, before;
    NEW.hash := pushbox.admin_action_hash(before, NEW);
    UPDATE pushbox.admin_chain SET hash = NEW.hash;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION pushbox.chain_admin_action IS 'Appends a new admin action to the chain.';

-- Actions from before the chain are its first links.
DO $$
DECLARE
    a      pushbox.admin_actions;
    last_seq  bigint := 0;
    last_hash bytea  := '';
BEGIN
    FOR a IN SELECT * FROM pushbox.admin_actions ORDER BY id LOOP
        last_seq := last_seq + 1;
        a.seq := last_seq;
        last_hash := pushbox.admin_action_hash(last_hash, a);
        UPDATE pushbox.admin_actions SET seq = last_seq, hash = last_hash WHERE id = a.id;
    END LOOP;
    UPDATE pushbox.admin_chain SET seq = last_seq, hash = last_hash;
END $$;
CREATE TRIGGER admin_actions_chain BEFORE INSERT ON pushbox.admin_actions
    FOR EACH ROW EXECUTE FUNCTION pushbox.chain_admin_action();

CREATE TABLE pushbox.bulk_operations (
    id           uuid        PRIMARY KEY,
    action       text        NOT NULL,
    filter       jsonb       NOT NULL,
    state        text        NOT NULL DEFAULT 'waiting',
    matched      bigint      NOT NULL,
    changed      bigint      NOT NULL DEFAULT 0,
    last_job_id  bigint      NOT NULL DEFAULT 0,
    up_to_job_id bigint      NOT NULL,
    requested_by text        NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    error        text,
    CONSTRAINT bulk_operations_action_check CHECK (action IN ('retry', 'cancel', 'delete')),
    CONSTRAINT bulk_operations_state_check CHECK (state IN ('waiting', 'running', 'done', 'cancelled', 'failed'))
);
COMMENT ON TABLE pushbox.bulk_operations IS 'Changes of many jobs at once, done in the background, part by part in the order of the jobs'' numbers.';
COMMENT ON COLUMN pushbox.bulk_operations.id IS 'Chosen by whoever asked, so that asking twice does it once.';
COMMENT ON COLUMN pushbox.bulk_operations.action IS 'retry dead jobs, cancel ready ones, or delete dead ones.';
COMMENT ON COLUMN pushbox.bulk_operations.filter IS 'Which jobs.';
COMMENT ON COLUMN pushbox.bulk_operations.state IS 'waiting, running, done, cancelled, or failed.';
COMMENT ON COLUMN pushbox.bulk_operations.matched IS 'Jobs that the filter matched when it was asked for.';
COMMENT ON COLUMN pushbox.bulk_operations.changed IS 'Jobs changed so far.';
COMMENT ON COLUMN pushbox.bulk_operations.last_job_id IS 'Jobs up to this number have been dealt with.';
COMMENT ON COLUMN pushbox.bulk_operations.up_to_job_id IS 'Jobs with higher numbers came later and are left alone.';
COMMENT ON COLUMN pushbox.bulk_operations.requested_by IS 'Who asked.';
COMMENT ON COLUMN pushbox.bulk_operations.requested_at IS 'When.';
COMMENT ON COLUMN pushbox.bulk_operations.finished_at IS 'When it ended.';
COMMENT ON COLUMN pushbox.bulk_operations.error IS 'Why it failed.';
CREATE INDEX bulk_operations_open_idx ON pushbox.bulk_operations (requested_at) WHERE state IN ('waiting', 'running');
CREATE INDEX bulk_operations_requested_at_idx ON pushbox.bulk_operations (requested_at, id);

CREATE TABLE pushbox.processes (
    name         text        PRIMARY KEY,
    version      text        NOT NULL,
    roles        text[]      NOT NULL,
    started_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
COMMENT ON TABLE pushbox.processes IS 'Processes of pushbox that run, by their own word every few seconds.';
COMMENT ON COLUMN pushbox.processes.name IS 'As in jobs.worker; new with each start.';
COMMENT ON COLUMN pushbox.processes.version IS 'Version of pushbox.';
COMMENT ON COLUMN pushbox.processes.roles IS 'What it does.';
COMMENT ON COLUMN pushbox.processes.started_at IS 'When it started.';
COMMENT ON COLUMN pushbox.processes.last_seen_at IS 'When it last said that it runs.';

-- What the statistics read, so that they never read the history. Written every few seconds from its last minutes.
CREATE TABLE pushbox.event_counts (
    width_s  integer     NOT NULL,
    starts   timestamptz NOT NULL,
    source   text        NOT NULL,
    code     text        NOT NULL,
    kind     text        NOT NULL,
    events   bigint      NOT NULL,
    PRIMARY KEY (width_s, starts, source, code)
);
COMMENT ON TABLE pushbox.event_counts IS 'Events received per minute (kept for a day) and per quarter of an hour (kept for a month).';
COMMENT ON COLUMN pushbox.event_counts.width_s IS 'Seconds that the row counts: 60 or 900.';
COMMENT ON COLUMN pushbox.event_counts.starts IS 'First instant that the row counts.';
COMMENT ON COLUMN pushbox.event_counts.source IS 'events.source.';
COMMENT ON COLUMN pushbox.event_counts.code IS 'events.code.';
COMMENT ON COLUMN pushbox.event_counts.kind IS 'events.kind.';
COMMENT ON COLUMN pushbox.event_counts.events IS 'How many.';

CREATE TABLE pushbox.job_counts (
    width_s  integer     NOT NULL,
    starts   timestamptz NOT NULL,
    kind     text        NOT NULL,
    bucket   smallint    NOT NULL,
    jobs     bigint      NOT NULL,
    attempts bigint      NOT NULL,
    PRIMARY KEY (width_s, starts, kind, bucket)
);
COMMENT ON TABLE pushbox.job_counts IS 'Jobs done per minute (kept for a day) and per quarter of an hour (kept for a month), by how long after their event.';
COMMENT ON COLUMN pushbox.job_counts.width_s IS 'Seconds that the row counts: 60 or 900.';
COMMENT ON COLUMN pushbox.job_counts.starts IS 'First instant that the row counts.';
COMMENT ON COLUMN pushbox.job_counts.kind IS 'job_history.kind.';
COMMENT ON COLUMN pushbox.job_counts.bucket IS 'From the event''s receipt to the end of the job it took 1.2^bucket ms to 1.2^(bucket + 1) ms.';
COMMENT ON COLUMN pushbox.job_counts.jobs IS 'How many.';
COMMENT ON COLUMN pushbox.job_counts.attempts IS 'Attempts they took; more than jobs when some failed on the way.';

CREATE TABLE pushbox.queue_samples (
    at            timestamptz NOT NULL,
    queue         text        NOT NULL,
    waiting       bigint      NOT NULL,
    running       bigint      NOT NULL,
    dead          bigint      NOT NULL,
    oldest_ready_s bigint     NOT NULL,
    PRIMARY KEY (at, queue)
);
COMMENT ON TABLE pushbox.queue_samples IS 'How full each queue was, once a minute; kept for a month.';
COMMENT ON COLUMN pushbox.queue_samples.at IS 'The minute.';
COMMENT ON COLUMN pushbox.queue_samples.queue IS 'The queue.';
COMMENT ON COLUMN pushbox.queue_samples.waiting IS 'Jobs ready, due later, or waiting for their destination.';
COMMENT ON COLUMN pushbox.queue_samples.running IS 'Jobs at work.';
COMMENT ON COLUMN pushbox.queue_samples.dead IS 'Jobs given up.';
COMMENT ON COLUMN pushbox.queue_samples.oldest_ready_s IS 'Since how many seconds the oldest due job had been due.';
