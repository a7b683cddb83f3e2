//! Everything that needs more than one module: structure, a real Postgres, and flows over HTTP.

mod layers;
mod migrations;
mod postgres;
mod queue;
mod support;
mod tidy;
