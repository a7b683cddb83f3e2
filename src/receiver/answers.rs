//! Counts of answers until they are written down, as the platform counts them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;

use crate::store::push_rhythms::Answered;

/// Counts by source. Only sources that are configured are counted, so it stays small.
#[derive(Debug, Default)]
pub struct Answers(Mutex<BTreeMap<String, Answered>>);

impl Answers {
    /// A push of this source was answered so.
    pub(super) fn count(&self, source: &str, status: StatusCode) {
        let one = match status.as_u16() {
            200..=299 => Answered { accepted: 1, ..Answered::default() },
            500.. => Answered { failed: 1, ..Answered::default() },
            // A throttled address is somebody who tries keys; the platform is never throttled.
            429 => return,
            _ => Answered { refused: 1, ..Answered::default() },
        };
        self.add([Answered { source: source.to_owned(), ..one }]);
    }

    /// What was counted since it was last taken.
    pub fn take(&self) -> Vec<Answered> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *counted).into_values().collect()
    }

    /// Counts what could not be written down.
    pub fn give_back(&self, answers: Vec<Answered>) {
        self.add(answers);
    }

    fn add(&self, answers: impl IntoIterator<Item = Answered>) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in answers {
            let sum = counted.entry(one.source.clone()).or_default();
            sum.source = one.source;
            sum.accepted += one.accepted;
            sum.refused += one.refused;
            sum.failed += one.failed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_gone_and_can_be_given_back() {
        let answers = Answers::default();
        for status in [200, 204, 401, 503, 429] {
            answers.count("shopee", StatusCode::from_u16(status).unwrap());
        }
        let taken = answers.take();
        let expected = Answered { source: "shopee".into(), accepted: 2, refused: 1, failed: 1 };
        assert_eq!((taken.clone(), answers.take()), (vec![expected], Vec::new()));
        answers.give_back(taken.clone());
        assert_eq!(answers.take(), taken);
    }
}
