//! Posts what teloxide built and reads the answer; [`crate::clients::telegram`] says why teloxide does not.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use teloxide_core::Bot;
use teloxide_core::requests::{HasPayload, JsonRequest, Payload};

use crate::clients::error::{ClientError, Outcome};
use crate::clients::http::{self, Reply};
use crate::clients::telegram::TelegramError;
use crate::clients::telegram::error::{Refusal, classify};

/// Every answer of the Bot API.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    result: Option<Box<RawValue>>,
    #[serde(default)]
    description: String,
    parameters: Option<Parameters>,
}

#[derive(Deserialize, Default)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

/// Sends the request and reads `T` from the result.
pub(super) async fn execute<P, T>(bot: &Bot, request: JsonRequest<P>) -> Result<T, TelegramError>
where
    JsonRequest<P>: HasPayload<Payload = P>,
    P: Payload + Serialize,
    T: DeserializeOwned,
{
    let mut url = bot.api_url();
    match url.path_segments_mut() {
        Ok(mut path) => path.pop_if_empty().push(&format!("bot{}", bot.token())).push(P::NAME),
        Err(()) => {
            return Err(TelegramError::Configuration {
                message: "TELEGRAM_API_URL cannot be the base of a URL".to_owned(),
                remedy: "set it to something like https://api.telegram.org".to_owned(),
            });
        }
    };
    let reply = http::fetch(bot.client().post(url).json(request.payload_ref())).await;
    let reply = reply.map_err(|error| match error {
        ClientError::Unavailable { message, outcome: Outcome::NotSent } => TelegramError::NotSent { message },
        error => TelegramError::Unknown { message: error.to_string() },
    })?;
    tracing::debug!(api.method = P::NAME, http.status = reply.status, "Telegram answered");
    read(&reply)
}

/// What an answer says. A 2xx that is visibly Telegram's means that it was done, even if the rest of it cannot
/// be read; an error page does not say whether it was done.
fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, TelegramError> {
    let Ok(answer) = serde_json::from_slice::<Answer>(&reply.body) else {
        return Err(match reply.status {
            200..=299 if says_ok(&reply.body) => {
                TelegramError::Sent { message: "the answer broke off after ok".to_owned() }
            }
            429 => TelegramError::RetryAfter(reply.retry_after.unwrap_or(UNKNOWN_WAIT)),
            300..=499 => classify(&Refusal { status: reply.status, ..Refusal::default() }),
            status => TelegramError::Unknown { message: format!("HTTP {status} without Telegram's JSON") },
        });
    };
    if answer.ok {
        return answer
            .result
            .and_then(|result| serde_json::from_str(result.get()).ok())
            .ok_or_else(|| TelegramError::Sent { message: "the result was not understood".to_owned() });
    }
    let parameters = answer.parameters.unwrap_or_default();
    Err(classify(&Refusal {
        status: reply.status,
        description: &answer.description,
        retry_after: parameters.retry_after.map(Duration::from_secs).or(reply.retry_after),
        migrate_to: parameters.migrate_to_chat_id,
    }))
}

/// How long to wait where a 429 does not say.
pub(super) const UNKNOWN_WAIT: Duration = Duration::from_secs(30);

fn says_ok(body: &[u8]) -> bool {
    let start: String =
        body.iter().take(64).map(|byte| char::from(*byte)).filter(|c| !c.is_ascii_whitespace()).collect();
    start.starts_with(r#"{"ok":true"#)
}
