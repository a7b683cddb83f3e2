UPDATE pushbox.destinations SET writing_since = now(), writing_claim = '0198c2f0-5d3e-4c37-9f0e-0a7d3c1b2e4f' WHERE kind = 'sheet';
