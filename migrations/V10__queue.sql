CREATE TABLE pushbox.workers (
    id         text PRIMARY KEY,
    host       text        NOT NULL,
    pid        integer     NOT NULL,
    version    text        NOT NULL,
    roles      text[]      NOT NULL,
    present    boolean     NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
COMMENT ON TABLE pushbox.workers IS 'Processes that run now. One that stops takes its row along; the row of one that vanished is removed by the others.';
COMMENT ON COLUMN pushbox.workers.id IS 'Name of the process, new with each start; as in jobs.worker.';
COMMENT ON COLUMN pushbox.workers.host IS 'Host or container it runs on.';
COMMENT ON COLUMN pushbox.workers.pid IS 'Process id there.';
COMMENT ON COLUMN pushbox.workers.version IS 'Version of pushbox.';
COMMENT ON COLUMN pushbox.workers.roles IS 'receiver, worker, scheduler, admin.';
COMMENT ON COLUMN pushbox.workers.present IS 'Whether its connections carry its name, so that their end shows that it vanished; false behind a transaction pooler, where only its leases tell.';
COMMENT ON COLUMN pushbox.workers.started_at IS 'When it started.';
COMMENT ON COLUMN pushbox.workers.seen_at IS 'When it last said that it runs.';

CREATE TABLE pushbox.replays (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target       text        NOT NULL,
    filter       jsonb       NOT NULL,
    state        text        NOT NULL DEFAULT 'waiting',
    per_second   integer     NOT NULL,
    total        bigint,
    seen         bigint      NOT NULL DEFAULT 0,
    enqueued     bigint      NOT NULL DEFAULT 0,
    skipped      bigint      NOT NULL DEFAULT 0,
    until        timestamptz NOT NULL DEFAULT now(),
    cursor_at    timestamptz,
    cursor_id    text,
    requested_by text        NOT NULL,
    worker       text,
    lease_until  timestamptz,
    last_error   text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    CONSTRAINT replays_target_check CHECK (target IN ('events', 'dead_jobs', 'finished_jobs')),
    CONSTRAINT replays_state_check CHECK (state IN ('waiting', 'running', 'done', 'cancelled'))
);
COMMENT ON TABLE pushbox.replays IS 'Replays of everything that matches a filter: tasks in the background that go on where they stopped.';
COMMENT ON COLUMN pushbox.replays.id IS 'Number of the replay.';
COMMENT ON COLUMN pushbox.replays.target IS 'events (ask again for the jobs they lead to today), dead_jobs (give them another chance) or finished_jobs (run them again).';
COMMENT ON COLUMN pushbox.replays.filter IS 'What must hold for an event or a job to be replayed.';
COMMENT ON COLUMN pushbox.replays.state IS 'waiting (for a worker), running, done or cancelled.';
COMMENT ON COLUMN pushbox.replays.per_second IS 'At most so many events or jobs per second.';
COMMENT ON COLUMN pushbox.replays.total IS 'How many matched when it began; null: not counted yet.';
COMMENT ON COLUMN pushbox.replays.seen IS 'How many it went through so far.';
COMMENT ON COLUMN pushbox.replays.enqueued IS 'Jobs it made ready, those that merged into ready twins included.';
COMMENT ON COLUMN pushbox.replays.skipped IS 'Events and jobs that asked for nothing or were gone when their turn came.';
COMMENT ON COLUMN pushbox.replays.until IS 'Only what was there before this time is replayed: a replay does not follow its own work.';
COMMENT ON COLUMN pushbox.replays.cursor_at IS 'Time of the last one it went through.';
COMMENT ON COLUMN pushbox.replays.cursor_id IS 'Id or number of the last one it went through.';
COMMENT ON COLUMN pushbox.replays.requested_by IS 'Who asked for it.';
COMMENT ON COLUMN pushbox.replays.worker IS 'Process that has it in hand.';
COMMENT ON COLUMN pushbox.replays.lease_until IS 'When another process may go on with it.';
COMMENT ON COLUMN pushbox.replays.last_error IS 'Why the last page failed; it is tried again.';
COMMENT ON COLUMN pushbox.replays.created_at IS 'When it was asked for.';
COMMENT ON COLUMN pushbox.replays.started_at IS 'When it began.';
COMMENT ON COLUMN pushbox.replays.finished_at IS 'When it was done or cancelled.';
CREATE INDEX replays_open_idx ON pushbox.replays (id) WHERE state IN ('waiting', 'running');
