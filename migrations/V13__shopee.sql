-- Comparisons go on where they stopped, whoever does them.
ALTER TABLE pushbox.reconciliations
    ADD COLUMN what text NOT NULL DEFAULT 'orders',
    ADD COLUMN covered_to timestamptz,
    ADD COLUMN cursor text,
    ADD COLUMN lease uuid,
    ADD COLUMN lease_until timestamptz,
    ADD COLUMN failures integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN pushbox.reconciliations.what IS 'What is compared: orders (that changed in the range) or income (that was released in it).';
COMMENT ON COLUMN pushbox.reconciliations.covered_to IS 'Everything before this time was compared; null: nothing yet.';
COMMENT ON COLUMN pushbox.reconciliations.cursor IS 'The platform''s next page of the part of the range that is under way.';
COMMENT ON COLUMN pushbox.reconciliations.lease IS 'Whoever has it in hand.';
COMMENT ON COLUMN pushbox.reconciliations.lease_until IS 'Until when nobody else takes it; after a failure, when it is tried again.';
COMMENT ON COLUMN pushbox.reconciliations.failures IS 'Failures since the last page that was read.';

CREATE TABLE pushbox.push_answers (
    source   text        NOT NULL,
    at       timestamptz NOT NULL,
    accepted bigint      NOT NULL DEFAULT 0,
    refused  bigint      NOT NULL DEFAULT 0,
    failed   bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (source, at)
) WITH (fillfactor = 70);
COMMENT ON TABLE pushbox.push_answers IS 'How pushes were answered, per source and five minutes, of all processes; a week of it. The platform counts the same.';
COMMENT ON COLUMN pushbox.push_answers.source IS 'Source of the pushes.';
COMMENT ON COLUMN pushbox.push_answers.at IS 'Begin of the five minutes.';
COMMENT ON COLUMN pushbox.push_answers.accepted IS 'Answered 2xx.';
COMMENT ON COLUMN pushbox.push_answers.refused IS 'Answered 4xx: a wrong signature, or nothing that can be a push.';
COMMENT ON COLUMN pushbox.push_answers.failed IS 'Answered 5xx: not committed in time.';
