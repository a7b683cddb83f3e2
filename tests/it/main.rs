//! Everything that needs more than one module: structure, a real Postgres, and flows over HTTP.

mod postgres;
mod support;
