//! What tests share.

pub(crate) mod app;
pub(crate) mod browser;
pub(crate) mod crash;
pub(crate) mod database;
pub(crate) mod source;
pub(crate) mod workbook;

/// A number in the environment that makes a test longer or repeats it.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of pushbox")]
pub(crate) fn knob(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}
