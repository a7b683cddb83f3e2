//! The words of the trade: events, orders, money, job payloads. Pure: no I/O, no clock, no settings.
//!
//! Start at [`event`], what a push becomes, and [`job`], where the receiver and the jobs meet.

pub mod calendar;
pub mod event;
pub mod job;
pub mod money;
pub mod order;
pub mod platforms;
pub mod privacy;
pub mod push;
pub mod route;
pub mod seal;
pub mod shopee;
pub mod sources;
