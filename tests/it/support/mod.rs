//! What tests share.

pub(crate) mod app;
pub(crate) mod crash;
pub(crate) mod database;
pub(crate) mod source;
