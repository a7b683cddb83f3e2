//! Everything that is tested from the outside, in one binary.

mod admin;
mod openapi;
