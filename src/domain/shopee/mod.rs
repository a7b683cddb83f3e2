//! Shopee's own rules: its push signature, its codes, and the idempotency key of each.

mod canonical;
pub mod codes;
pub mod found;
pub mod push;
pub mod signature;
pub mod view;

pub use push::{ShopeeBody, read};
pub use view::View;
