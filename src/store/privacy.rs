//! Finding and erasing the data of a buyer. Only whoever erases changes events; the receiver only adds them.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::event::received_at_of;
use crate::domain::order::OrderRef;
use crate::domain::privacy;

/// Words of one pattern; a buyer with more orders is looked for in several passes.
const WORDS_AT_ONCE: usize = 200;

/// An order and the name of its buyer.
#[derive(Debug, Clone)]
pub struct OrderOfBuyer {
    /// The order.
    pub order: OrderRef,
    /// The buyer's name; none when it was erased, or never known.
    pub buyer: Option<String>,
}

/// A message about an event that was found.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ToldMessage {
    /// The chat.
    pub chat_id: i64,
    /// The message in it; none where Telegram never said.
    pub message_id: Option<i32>,
}

/// The orders with this number, or of a buyer with exactly this name; of one shop or all.
pub async fn list_orders(
    executor: impl PgExecutor<'_>,
    order_sn: Option<&str>,
    buyer: Option<&str>,
    shop: Option<&str>,
) -> sqlx::Result<Vec<OrderOfBuyer>> {
    let rows: Vec<(String, String, String, Option<String>)> = sqlx::query_as(
        "SELECT platform, shop_id, order_sn, buyer FROM pushbox.orders
         WHERE ($1::text IS NULL OR order_sn = $1) AND ($2::text IS NULL OR buyer = $2)
           AND ($3::text IS NULL OR shop_id = $3) AND ($1::text IS NOT NULL OR $2::text IS NOT NULL)
         ORDER BY platform, shop_id, order_sn",
    )
    .bind(order_sn)
    .bind(buyer)
    .bind(shop)
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(platform, shop_id, order_sn, buyer)| OrderOfBuyer {
            order: OrderRef { platform, shop_id, order_sn },
            buyer,
        })
        .collect())
}

/// The first day, by receipt, that has events at or after `from`; none when there are no more.
pub async fn next_day(
    executor: impl PgExecutor<'_>,
    from: Option<DateTime<Utc>>,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar(
        "SELECT date_trunc('day', min(received_at), 'UTC') FROM pushbox.events
         WHERE received_at >= coalesce($1, '-infinity')",
    )
    .bind(from)
    .fetch_one(executor)
    .await
}

/// The events of one day that carry one of these words as a whole value, and were not erased. Reads every event of
/// the day.
///
/// # Errors
/// When the database refuses.
pub async fn find_events(
    connection: &mut PgConnection,
    day: DateTime<Utc>,
    words: &[String],
    shop: Option<&str>,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut found = Vec::new();
    for words in words.chunks(WORDS_AT_ONCE) {
        let bytes: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        let some: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM pushbox.events
             WHERE received_at >= $1 AND received_at < $1 + interval '1 day' AND erased_at IS NULL
               AND ($5::text IS NULL OR account = $5)
               AND (subject = ANY ($2) OR payload::text ~ $3
                    OR EXISTS (SELECT FROM unnest($4::bytea[]) AS word WHERE position(word IN body) > 0))",
        )
        .bind(day)
        .bind(words)
        .bind(pattern(words))
        .bind(bytes)
        .bind(shop)
        .fetch_all(&mut *connection)
        .await?;
        found.extend(some);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Matches a JSON document that has one of the words as a value, also within a document that is text in it.
fn pattern(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| literal(&json_text(word))).collect();
    format!(r#"[\\"]({})[\\"]"#, words.join("|"))
}

/// As it stands between the quotes of a JSON document.
fn json_text(word: &str) -> String {
    let quoted = serde_json::Value::from(word).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut done, c| {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_' {
            done.push('\\');
        }
        done.push(c);
        done
    })
}

/// Takes the people out of the payloads of these events, and `words` wherever they are a whole value; bodies that are
/// no JSON are emptied, what forwards answered is forgotten. Keys, hashes and times stay. Returns how many events.
///
/// # Errors
/// When the database refuses.
pub async fn erase_events(
    transaction: &mut PgConnection,
    ids: &[Uuid],
    words: &[String],
) -> Result<u64, sqlx::Error> {
    let times: Vec<DateTime<Utc>> = ids.iter().filter_map(|id| received_at_of(*id)).collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Ok(0) };
    let rows: Vec<(Uuid, DateTime<Utc>, Option<Json<serde_json::Value>>)> = sqlx::query_as(
        "SELECT id, received_at, payload FROM pushbox.events
         WHERE received_at >= $2 AND received_at < $3 + interval '1 millisecond' AND id = ANY ($1) FOR UPDATE",
    )
    .bind(ids)
    .bind(first)
    .bind(last)
    .fetch_all(&mut *transaction)
    .await?;
    let (mut keys, mut at, mut payloads) = (Vec::new(), Vec::new(), Vec::new());
    for (id, received_at, payload) in rows {
        keys.push(id);
        at.push(received_at);
        payloads.push(payload.map(|Json(mut payload)| {
            privacy::erase(&mut payload, words);
            payload.to_string()
        }));
    }
    let done = sqlx::query(
        "UPDATE pushbox.events e
         SET payload = t.payload::jsonb, body = CASE WHEN t.payload IS NULL THEN ''::bytea END, erased_at = now()
         FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS t(id, received_at, payload)
         WHERE e.received_at = t.received_at AND e.id = t.id",
    )
    .bind(&keys)
    .bind(at)
    .bind(payloads)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "UPDATE pushbox.deliveries SET response = NULL WHERE event_id = ANY ($1) AND response IS NOT NULL",
    )
    .bind(&keys)
    .execute(transaction)
    .await?;
    Ok(done.rows_affected())
}

/// Takes the buyer out of an order, for good: it is not stored again with the order's next state.
///
/// # Errors
/// When the database refuses.
pub async fn erase_order(transaction: &mut PgConnection, order: &OrderRef) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH income AS (
             UPDATE pushbox.order_income SET snapshot = '{}' WHERE platform = $1 AND shop_id = $2 AND order_sn = $3
         )
         UPDATE pushbox.orders
         SET buyer = NULL, recipient = NULL, message_to_seller = NULL, note = NULL, snapshot = '{}',
             erased_at = coalesce(erased_at, now())
         WHERE platform = $1 AND shop_id = $2 AND order_sn = $3",
    )
    .bind(&order.platform)
    .bind(&order.shop_id)
    .bind(&order.order_sn)
    .execute(transaction)
    .await?;
    Ok(())
}

/// The spreadsheets that have a row of the order.
pub async fn list_spreadsheets(executor: impl PgExecutor<'_>, order: &OrderRef) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "SELECT spreadsheet_id FROM pushbox.sheet_rows WHERE platform = $1 AND shop_id = $2 AND order_sn = $3
         ORDER BY 1",
    )
    .bind(&order.platform)
    .bind(&order.shop_id)
    .bind(&order.order_sn)
    .fetch_all(executor)
    .await
}

/// The Telegram messages that announced these events.
pub async fn list_messages(executor: impl PgExecutor<'_>, events: &[Uuid]) -> sqlx::Result<Vec<ToldMessage>> {
    sqlx::query_as(
        "SELECT DISTINCT chat_id, message_id FROM pushbox.telegram_messages
         WHERE event_id = ANY ($1) AND state <> 'intended' ORDER BY 1, 2",
    )
    .bind(events)
    .fetch_all(executor)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_the_words_and_nothing_else() {
        let words = ["tan.ah(kow)".to_owned(), "a\"b\\c".to_owned(), "李小龍_1".to_owned()];
        assert_eq!(
            pattern(&words),
            r#"[\\"](tan\.ah\(kow\)|a\\\"b\\\\c|李小龍_1)[\\"]"#,
            "quotes and backslashes as JSON writes them, then literally"
        );
    }
}
