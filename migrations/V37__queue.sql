-- A job is suspected later.

COMMENT ON COLUMN pushbox.jobs.crashes IS 'How often in a row a worker vanished with it; from 2 on a job runs alone, and 12 end it as poison.';
COMMENT ON COLUMN pushbox.jobs.started_at IS 'When a job that runs alone because workers vanished with it was last begun; other jobs do not pay for a write at their start.';
