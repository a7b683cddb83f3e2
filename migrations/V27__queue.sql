ALTER TABLE pushbox.destinations
    ADD COLUMN probe_job bigint,
    ADD COLUMN probe_claim uuid;
COMMENT ON COLUMN pushbox.destinations.probe_until IS 'Half open: until then at most whoever tries it has it for itself.';
COMMENT ON COLUMN pushbox.destinations.probe_job IS 'Half open: number of the job that tries it; when that runs no more, the next one may.';
COMMENT ON COLUMN pushbox.destinations.probe_claim IS 'Half open: the claim under which that job runs.';
