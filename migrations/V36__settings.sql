-- What people change while pushbox runs: settings between the environment, which pins them, and pushbox.toml.

CREATE TABLE pushbox.settings (
    name text PRIMARY KEY,
    value text NOT NULL,
    sealed boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL
);
COMMENT ON TABLE pushbox.settings IS 'Settings that people changed while pushbox ran. The environment wins over them, they win over pushbox.toml. Change them by the API, the dashboard or the command line: what is written here by hand is not checked before it is in force.';
COMMENT ON COLUMN pushbox.settings.name IS 'Name of the setting as in the environment; chats, spreadsheets and forwards are the lists of pushbox.toml, as a whole.';
COMMENT ON COLUMN pushbox.settings.value IS 'The value as it would stand in the environment; of a list JSON. Sealed where it holds a secret and ENCRYPTION_KEY is set.';
COMMENT ON COLUMN pushbox.settings.sealed IS 'Whether the value is sealed with ENCRYPTION_KEY.';
COMMENT ON COLUMN pushbox.settings.changed_at IS 'When it was last changed.';
COMMENT ON COLUMN pushbox.settings.changed_by IS 'Who changed it, as in admin_actions.';

CREATE TABLE pushbox.settings_version (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL
);
COMMENT ON TABLE pushbox.settings_version IS 'One row: how often settings were changed. Processes look at it every second; a change of settings locks it.';
COMMENT ON COLUMN pushbox.settings_version.single IS 'Keeps it at one row.';
COMMENT ON COLUMN pushbox.settings_version.version IS 'Goes up by one with each change.';
INSERT INTO pushbox.settings_version (version) VALUES (0);

ALTER TABLE pushbox.workers ADD COLUMN settings_version bigint, ADD COLUMN settings_error text;
COMMENT ON COLUMN pushbox.workers.settings_version IS 'Version of the settings that the process works with; null until it has read them.';
COMMENT ON COLUMN pushbox.workers.settings_error IS 'Why it cannot work with the newest settings; it goes on with those of before.';
