UPDATE pushbox.jobs SET crashes = 2 WHERE state = 'ready';
