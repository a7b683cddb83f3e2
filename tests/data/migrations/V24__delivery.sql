INSERT INTO pushbox.spreadsheets VALUES ('sheet-1', 2, now());
