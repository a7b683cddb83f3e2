//! The properties of `tests/it/source_properties`, for a fuzzer to break.

#[path = "../../tests/it/source_properties/json.rs"]
mod json;
#[path = "../../tests/it/source_properties/properties.rs"]
pub mod properties;
