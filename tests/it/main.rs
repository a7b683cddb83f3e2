//! What pushbox promises, from outside.

mod generated;
