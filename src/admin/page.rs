//! Pages of a list: how many, and from where on. Every list of the API goes through here, so that a page means the
//! same everywhere: the newest first, a cursor that names the last one shown, and one more row fetched than asked
//! for, which tells whether there is a next page.

use chrono::{DateTime, TimeZone, Utc};
use uuid::Uuid;

use super::error::ApiError;
use super::extract::{page_size, said};

/// A place in a list, as the text of a cursor.
pub trait Place: Sized {
    /// The cursor.
    fn write(&self) -> String;

    /// The place that a cursor names; none for a text that we did not write.
    fn read(cursor: &str) -> Option<Self>;
}

impl Place for i64 {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(cursor: &str) -> Option<Self> {
        cursor.parse().ok()
    }
}

impl Place for Uuid {
    fn write(&self) -> String {
        self.simple().to_string()
    }

    fn read(cursor: &str) -> Option<Self> {
        cursor.parse().ok()
    }
}

impl Place for String {
    fn write(&self) -> String {
        self.clone()
    }

    fn read(cursor: &str) -> Option<Self> {
        Some(cursor.to_owned())
    }
}

/// A time to the microsecond, and what tells apart things of the same time.
impl<T: Place> Place for (DateTime<Utc>, T) {
    fn write(&self) -> String {
        format!("{}-{}", self.0.timestamp_micros(), self.1.write())
    }

    fn read(cursor: &str) -> Option<Self> {
        let (micros, rest) = cursor.split_once('-')?;
        Some((Utc.timestamp_micros(micros.parse().ok()?).single()?, T::read(rest)?))
    }
}

/// What is asked for of a list.
#[derive(Debug)]
pub struct Window<P> {
    limit: u16,
    /// The last one of the page before.
    pub after: Option<P>,
}

impl<P: Place> Window<P> {
    /// The parameters `limit` and `cursor`, checked.
    ///
    /// # Errors
    /// When the limit is out of bounds, or the cursor none of ours.
    pub fn new(limit: Option<u16>, cursor: Option<String>) -> Result<Self, ApiError> {
        let strange = || ApiError::bad_request("cursor: must be `next` of a page of this list");
        let after = said(cursor).map(|cursor| P::read(&cursor).ok_or_else(strange)).transpose()?;
        Ok(Self { limit: page_size(limit)?, after })
    }

    /// How many to fetch: one more than is shown.
    pub fn fetch(&self) -> u16 {
        self.limit + 1
    }

    /// The page, and the cursor of the next one.
    pub fn cut<T, V: From<T>>(&self, mut found: Vec<T>, place: impl Fn(&T) -> P) -> (Vec<V>, Option<String>) {
        let more = found.len() > usize::from(self.limit);
        found.truncate(usize::from(self.limit));
        let next = found.last().filter(|_| more).map(|last| place(last).write());
        (found.into_iter().map(V::from).collect(), next)
    }
}

/// The page of a list whose cursor is an event: no event is cut in two, unless it alone is more than a page.
/// `found` holds one row more than `limit` when there are more.
pub fn cut_between_events<T>(
    mut found: Vec<T>,
    limit: u16,
    event_of: impl Fn(&T) -> Uuid,
) -> (Vec<T>, Option<Uuid>) {
    if found.len() <= usize::from(limit) {
        return (found, None);
    }
    let cut = found.pop().map(|last| event_of(&last));
    if found.first().map(&event_of) != cut {
        found.retain(|one| Some(event_of(one)) != cut);
    }
    let next = found.last().map(event_of);
    (found, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    type EventPlace = (DateTime<Utc>, Uuid);

    #[test]
    fn a_cursor_survives_the_round_trip() {
        let at: DateTime<Utc> = "2026-11-21T05:00:01.250123Z".parse().unwrap();
        let id: Uuid = "0198c2f0-5d3e-7c37-9f0e-0a7d3c1b2e4f".parse().unwrap();
        assert_eq!(EventPlace::read(&(at, id).write()), Some((at, id)));
        let order = (at, "25-01-A".to_owned());
        assert_eq!(<(DateTime<Utc>, String)>::read(&order.write()), Some(order));
        assert_eq!(i64::read(&4711_i64.write()), Some(4711));
    }

    #[test]
    fn a_strange_cursor_is_the_clients_fault() {
        for cursor in ["x", "-", "1-", "-0198c2f05d3e7c379f0e0a7d3c1b2e4f", "9223372036854775807-x"] {
            let refused = Window::<EventPlace>::new(None, Some(cursor.to_owned())).unwrap_err();
            assert_eq!(refused.status.as_u16(), 400, "{cursor}");
        }
        assert!(Window::<i64>::new(Some(501), None).is_err() && Window::<i64>::new(Some(0), None).is_err());
    }

    #[test]
    fn one_more_tells_of_a_next_page() {
        let window = Window::<i64>::new(Some(2), None).unwrap();
        assert_eq!(window.fetch(), 3);
        assert_eq!(window.cut(vec![9_i64, 8, 7], |one| *one), (vec![9_i64, 8], Some("8".to_owned())));
        assert_eq!(window.cut(vec![9_i64, 8], |one| *one), (vec![9_i64, 8], None));
    }

    #[test]
    fn no_event_is_cut_in_two() {
        let [a, b] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        assert_eq!(cut_between_events(vec![b, a, a], 2, |one| *one), (vec![b], Some(b)));
        assert_eq!(cut_between_events(vec![a, a, a], 2, |one| *one), (vec![a, a], Some(a)));
        assert_eq!(cut_between_events(vec![b, a], 2, |one| *one), (vec![b, a], None));
    }
}
