CREATE TABLE pushbox.admin_actions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    request_id text        NOT NULL,
    action     text        NOT NULL,
    subject    text        NOT NULL,
    detail     jsonb       NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE pushbox.admin_actions IS 'Every change that a person made through the admin API, written in the transaction of the change.';
COMMENT ON COLUMN pushbox.admin_actions.id IS 'Number of the action.';
COMMENT ON COLUMN pushbox.admin_actions.at IS 'When it was done.';
COMMENT ON COLUMN pushbox.admin_actions.request_id IS 'X-Request-Id of the request; the log has more under it.';
COMMENT ON COLUMN pushbox.admin_actions.action IS 'Operation, for example retry_job.';
COMMENT ON COLUMN pushbox.admin_actions.subject IS 'What it was done to, for example job 4711 or queue sheet.';
COMMENT ON COLUMN pushbox.admin_actions.detail IS 'What was asked for besides.';
