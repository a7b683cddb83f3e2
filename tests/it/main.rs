//! Everything that needs more than one module: structure, a real Postgres, and flows over HTTP.

mod admin;
mod openapi;
mod postgres;
mod support;
