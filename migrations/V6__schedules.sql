CREATE TABLE pushbox.schedules (
    name            text PRIMARY KEY,
    every_seconds   integer     NOT NULL,
    next_run_at     timestamptz NOT NULL,
    running_until   timestamptz,
    last_started_at timestamptz,
    last_success_at timestamptz,
    last_result     jsonb,
    last_error      text,
    paused_at       timestamptz
);
COMMENT ON TABLE pushbox.schedules IS 'Scheduled tasks: each tick is claimed here, so that it runs once for any number of replicas.';
COMMENT ON COLUMN pushbox.schedules.name IS 'Name of the task.';
COMMENT ON COLUMN pushbox.schedules.every_seconds IS 'Interval in seconds.';
COMMENT ON COLUMN pushbox.schedules.next_run_at IS 'When the next tick is due; missed ticks collapse into one.';
COMMENT ON COLUMN pushbox.schedules.running_until IS 'Lease of the process that runs it now.';
COMMENT ON COLUMN pushbox.schedules.last_started_at IS 'When it last began.';
COMMENT ON COLUMN pushbox.schedules.last_success_at IS 'When it last ended well.';
COMMENT ON COLUMN pushbox.schedules.last_result IS 'Counts of the last run.';
COMMENT ON COLUMN pushbox.schedules.last_error IS 'Error of the last run; null when it ended well.';
COMMENT ON COLUMN pushbox.schedules.paused_at IS 'Since when it does not run; null: it runs.';

CREATE TABLE pushbox.schedule_runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text        NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    result      jsonb,
    error       text
);
COMMENT ON TABLE pushbox.schedule_runs IS 'Runs of scheduled tasks.';
COMMENT ON COLUMN pushbox.schedule_runs.id IS 'Number of the run.';
COMMENT ON COLUMN pushbox.schedule_runs.name IS 'Name of the task.';
COMMENT ON COLUMN pushbox.schedule_runs.started_at IS 'When it began.';
COMMENT ON COLUMN pushbox.schedule_runs.finished_at IS 'When it ended; null while it runs or when its process vanished.';
COMMENT ON COLUMN pushbox.schedule_runs.result IS 'Counts.';
COMMENT ON COLUMN pushbox.schedule_runs.error IS 'Error, if it failed.';
CREATE INDEX schedule_runs_name_id_idx ON pushbox.schedule_runs (name, id);
