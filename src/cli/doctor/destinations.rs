//! What the workers have found out about the destinations: which are paused, and why.

use sqlx::PgPool;

use super::Check;
use crate::store::destination_lists::{Destination, list};

const NAME: &str = "destinations";

pub(super) async fn look(pool: &PgPool) -> Vec<Check> {
    match list(pool, &[], None).await {
        Ok(all) => all.iter().filter_map(finding).collect(),
        Err(error) => {
            vec![Check::failed(NAME, error.to_string(), "Check DATABASE_URL and the server's log.")]
        }
    }
}

fn finding(one: &Destination) -> Option<Check> {
    let Destination { kind, name, state, .. } = one;
    if one.paused_at.is_some() {
        let why = one.paused_reason.as_deref().unwrap_or_default();
        let remedy = format!("`pushbox destinations resume {kind} {name}` when it may be used again.");
        return Some(Check::warning(NAME, format!("{kind} {name} is paused by a person: {why}"), remedy));
    }
    (state != "closed").then(|| {
        let why = one.reason.as_ref().or(one.last_error.as_ref()).map_or("", String::as_str);
        Check::failed(
            NAME,
            format!("{kind} {name} is {state}: {why}"),
            "Do what the finding says; it is tried again by itself, or at once after a reset on the dashboard.",
        )
    })
}
