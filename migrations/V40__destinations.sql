-- A destination that a person has paused: nothing is sent there until a person resumes it, whatever its breaker,
-- its probes or another success say.

ALTER TABLE pushbox.destinations
    ADD COLUMN paused_at timestamptz,
    ADD COLUMN paused_reason text;
COMMENT ON COLUMN pushbox.destinations.paused_until IS 'Nothing is sent there before this time, because of how it answered; null: nothing of the kind.';
COMMENT ON COLUMN pushbox.destinations.reason IS 'Why it is not used before paused_until, and what a person can do.';
COMMENT ON COLUMN pushbox.destinations.paused_at IS 'A person paused it then: nothing is sent there until a person resumes it; null: nobody did.';
COMMENT ON COLUMN pushbox.destinations.paused_reason IS 'Why that person paused it.';

-- Why the last refresh of a shop's tokens failed, for whoever looks at the shop.
ALTER TABLE pushbox.shops ADD COLUMN refresh_error text;
COMMENT ON COLUMN pushbox.shops.refresh_error IS 'Why the last refresh failed; null: it did not.';
