//! `domain` and `config` stand on nothing else of pushbox (a test of it enforces that), so a fuzzer can have them
//! without building a web server, a database client and a spreadsheet's API first.

#[path = "../../src/config/mod.rs"]
pub mod config;
#[path = "../../src/domain/mod.rs"]
pub mod domain;
