-- Spreadsheets whose tabs are replaced.

CREATE TABLE pushbox.spreadsheets (
    spreadsheet_id text        NOT NULL PRIMARY KEY,
    generation     bigint      NOT NULL DEFAULT 0,
    rebuilt_at     timestamptz
);
COMMENT ON TABLE pushbox.spreadsheets IS 'Spreadsheets that were rebuilt; others have no row.';
COMMENT ON COLUMN pushbox.spreadsheets.spreadsheet_id IS 'Google''s id.';
COMMENT ON COLUMN pushbox.spreadsheets.generation IS 'Grows when its tabs are replaced: what a worker knew of them is void.';
COMMENT ON COLUMN pushbox.spreadsheets.rebuilt_at IS 'When its tabs were last replaced.';
