-- Replays that are asked for twice by mistake run once.

ALTER TABLE pushbox.replays ADD COLUMN request uuid UNIQUE;
COMMENT ON COLUMN pushbox.replays.request IS 'Chosen by whoever asked, so that asking again does nothing twice; null for replays older than this column.';
