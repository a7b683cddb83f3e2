//! Secrets that must not be shown in full: a wrapper that is safe to format. What belongs to a person is hidden by
//! `domain::privacy`.

use std::fmt;

/// Shows that a secret is there and which one it is, but not enough to use it: its last four characters
/// when it is long enough for that to reveal little, else only its length.
#[derive(Clone, Copy)]
pub struct Secret<'a>(pub &'a str);

/// Below this length even a few characters of a secret are too many.
const SHOWABLE_SECRET: usize = 24;

impl fmt::Display for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.0.chars().count();
        if length < SHOWABLE_SECRET {
            return write!(f, "***({length})");
        }
        let tail: String = self.0.chars().skip(length - 4).collect();
        write!(f, "***{tail}({length})")
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_shows_only_its_length() {
        assert_eq!(Secret("").to_string(), "***(0)");
        assert_eq!(Secret("hunter2").to_string(), "***(7)");
    }

    #[test]
    fn a_long_secret_shows_its_tail() {
        assert_eq!(Secret("0123456789abcdef01234567").to_string(), "***4567(24)");
        assert_eq!(format!("{:?}", Secret("0123456789abcdef01234567")), "***4567(24)");
    }
}
