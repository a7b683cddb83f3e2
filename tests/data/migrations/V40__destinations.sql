UPDATE pushbox.destinations SET paused_at = now(), paused_reason = 'the shop moves' WHERE kind = 'sheet';
UPDATE pushbox.shops SET refresh_error = 'HTTP 502';
