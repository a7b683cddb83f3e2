INSERT INTO pushbox.admin_actions (request_id, action, subject, detail)
VALUES ('3f0a2f6e-6a54-4d0e-8f5c-2f1a0f9b7c11', 'retry_job', 'job 4711', '{"kind": "notify_event"}');
