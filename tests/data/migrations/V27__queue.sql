UPDATE pushbox.destinations SET probe_job = 1, probe_claim = '0198c2f0-5d3e-4c37-9f0e-0a7d3c1b2e4f' WHERE state = 'half_open';
