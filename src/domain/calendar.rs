//! Days and months of a place as instants.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::domain::route::Period;

/// The first instant of a day. Where a clock jumps over midnight, it is the first that there is.
pub fn first_instant(day: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    let minutes = (0..240).filter_map(|minute| day.and_hms_opt(minute / 60, minute % 60, 0));
    let mut instants = minutes.filter_map(|local| local.and_local_timezone(zone).earliest());
    instants.next().map(|instant| instant.with_timezone(&Utc))
}

/// A month of the calendar, written `2026-04`.
pub fn month(text: &str, zone: Tz) -> Option<Period> {
    let first: NaiveDate = (text.len() == 7).then(|| format!("{text}-01").parse().ok())??;
    let next = match first.month() {
        12 => NaiveDate::from_ymd_opt(first.year() + 1, 1, 1)?,
        month => NaiveDate::from_ymd_opt(first.year(), month + 1, 1)?,
    };
    Some(Period { from: first_instant(first, zone)?, until: first_instant(next, zone)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_one_of_the_place() {
        let april = month("2026-04", Tz::Asia__Singapore).expect("a month");
        assert_eq!(april.from.to_string(), "2026-03-31 16:00:00 UTC");
        assert_eq!(april.until.to_string(), "2026-04-30 16:00:00 UTC");
        let december = month("2026-12", Tz::UTC).expect("a month");
        assert_eq!(december.until.to_string(), "2027-01-01 00:00:00 UTC");
        for wrong in ["", "2026", "2026-13", "2026-4", "2026-04-01", "april"] {
            assert_eq!(month(wrong, Tz::UTC), None, "{wrong}");
        }
    }

    #[test]
    fn a_day_without_midnight_begins_later() {
        let day = "2018-11-04".parse().expect("a day");
        let first = first_instant(day, Tz::America__Sao_Paulo).expect("an instant");
        assert_eq!(first.to_string(), "2018-11-04 03:00:00 UTC");
    }
}
