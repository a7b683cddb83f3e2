-- A write to a spreadsheet that is under way, so that whoever comes after a vanished writer lets it end first.

ALTER TABLE pushbox.destinations
    ADD COLUMN writing_since timestamptz,
    ADD COLUMN writing_claim uuid;
COMMENT ON COLUMN pushbox.destinations.writing_since IS
    'Spreadsheets: a write began then, and nobody has said that it ended; null: none is under way.';
COMMENT ON COLUMN pushbox.destinations.writing_claim IS 'Spreadsheets: the claim of the job that it is written for.';
