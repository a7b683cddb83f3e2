//! placeholder of the skeleton

pub mod health;
pub mod stats;
