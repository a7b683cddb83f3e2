//! Times and durations in words.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use maud::{Markup, html};

/// A duration in its one or two largest units: `0.45 s`, `12 s`, `3 min`, `2 h 5 min`, `4 d`.
pub(super) fn duration(length: TimeDelta) -> String {
    let milliseconds = length.num_milliseconds().max(0);
    let (seconds, minutes, hours) = (milliseconds / 1000, milliseconds / 60_000, milliseconds / 3_600_000);
    match seconds {
        0..10 => format!("{}.{:02} s", seconds, milliseconds % 1000 / 10),
        10..120 => format!("{seconds} s"),
        120..3600 => format!("{minutes} min"),
        3600..86_400 if minutes % 60 == 0 => format!("{hours} h"),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d", hours / 24),
    }
}

/// The same for what is only known to the second.
pub(super) fn seconds(seconds: i64) -> String {
    match seconds {
        0..10 => format!("{seconds} s"),
        _ => duration(TimeDelta::try_seconds(seconds).unwrap_or_default()),
    }
}

/// How long ago, with the instant itself for whoever points at it.
pub(super) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    let words = match now - at {
        future if future < TimeDelta::zero() => format!("in {}", duration(-future)),
        short if short < TimeDelta::seconds(10) => "just now".to_owned(),
        past => format!("{} ago", duration(past)),
    };
    html! { time datetime=(at.to_rfc3339_opts(SecondsFormat::Millis, true)) title=(stamp(at)) { (words) } }
}

/// The instant in full; a script shows it in the zone of whoever looks.
pub(super) fn full(at: DateTime<Utc>) -> Markup {
    let exact = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    html! { time datetime=(exact) title=(stamp(at)) data-show="full" { (at.format("%Y-%m-%d %H:%M:%S UTC")) } }
}

/// The time of day; a script shows it in the zone of whoever looks.
pub(super) fn clock(at: DateTime<Utc>) -> Markup {
    let exact = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    html! { time datetime=(exact) title=(stamp(at)) data-show="clock" { (at.format("%H:%M UTC")) } }
}

/// The instant for people.
pub(super) fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_matters() {
        let cases = [
            (-5, "0.00 s"),
            (452, "0.45 s"),
            (9_999, "9.99 s"),
            (12_000, "12 s"),
            (119_000, "119 s"),
            (180_000, "3 min"),
            (7_200_000, "2 h"),
            (7_500_000, "2 h 5 min"),
            (400_000_000, "4 d"),
        ];
        for (milliseconds, words) in cases {
            assert_eq!(duration(TimeDelta::milliseconds(milliseconds)), words);
        }
    }
}
