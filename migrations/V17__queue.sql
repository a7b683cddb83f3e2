-- safe: nothing but the binary that made it ever read it, and that one only logs that it cannot write it any more.
DROP TABLE pushbox.processes;
COMMENT ON TABLE pushbox.workers IS 'Processes that run now. One that stops takes its row along; the row of one that vanished is removed by the others. A job whose lease ran out is not held against a worker that was seen since.';
