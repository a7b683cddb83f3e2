//! The outside services, each behind the few calls we make: sign, call, classify the answer.
//!
//! Only this module speaks HTTP outwards. It keeps no state beyond connections and tokens of Google, reads no
//! database, counts no attempts and does not wait and try again: every error says what may be done about it
//! ([`error::ClientError`], [`telegram::TelegramError`], [`sheets::SheetsError`]), and the job decides. No error,
//! log line or `Debug` output holds a token, a key or a URL with its query.
//!
//! Base URLs come from the settings, so that the simulator is a setting and not a code path.
//!
//! Start at [`shopee::ShopeeClient`], [`telegram::TelegramClient`], [`sheets::SheetsClient`] and
//! [`forward::ForwardClient`].

pub mod error;
pub mod forward;
pub mod http;
pub mod push;
pub mod sheets;
pub mod shopee;
pub mod shopery;
pub mod shoplazza;
pub mod telegram;

#[cfg(test)]
mod stub;
