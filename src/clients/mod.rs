//! placeholder of the skeleton

pub mod push;
