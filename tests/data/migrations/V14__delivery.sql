INSERT INTO pushbox.batch_holds VALUES ('notify', '-1001', now() + interval '3 s', 'message budget of chat -1001');
