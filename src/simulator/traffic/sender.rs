//! One push on its way to the callback, as Shopee sends it.

use std::time::{Duration, Instant};

use anyhow::Context;
use url::Url;

use crate::simulator::Simulator;
use crate::simulator::shopee::push::PUSH_TIMEOUT;
use crate::simulator::state::shopee::ShopeeChange;

/// Seconds before each further try of a push.
const LADDER: [u32; 3] = [300, 1800, 10_800];

/// What the receiver made of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushAnswer {
    /// 2xx with an empty body.
    Accepted,
    /// 2xx with a body, which the platform counts as a failure.
    NotEmpty(u16),
    /// Another answer below 500.
    Refused(u16),
    /// No answer in time, or a 5xx.
    Unavailable(String),
}

/// Sends signed pushes of one app.
#[derive(Debug, Clone)]
pub struct PushSender {
    client: reqwest::Client,
    sim: Simulator,
    partner_id: i64,
    target: Url,
}

impl PushSender {
    /// A sender of the app's pushes, to its callback URL or elsewhere.
    pub fn new(sim: &Simulator, partner_id: i64, deliver_to: Option<Url>) -> anyhow::Result<Self> {
        let callback =
            sim.read(|world| world.shopee.apps.get(&partner_id).map(|app| app.callback_url.clone()));
        let callback = callback.with_context(|| format!("the simulator has no app {partner_id}"))?;
        let target = match deliver_to {
            Some(target) => target,
            None => callback.parse().with_context(|| format!("the callback URL {callback:?}"))?,
        };
        let client = reqwest::Client::builder()
            .timeout(PUSH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("building the client that sends pushes")?;
        Ok(Self { client, sim: sim.clone(), partner_id, target })
    }

    /// Sends a body once, rightly signed; the answer and how long it took.
    pub async fn send(&self, body: &[u8]) -> (PushAnswer, Duration) {
        let signature = self.sim.sign_push(self.partner_id, body).unwrap_or_default();
        self.post(body, &signature).await
    }

    /// Sends a body once, with this signature.
    pub async fn post(&self, body: &[u8], signature: &str) -> (PushAnswer, Duration) {
        let begun = Instant::now();
        let request = self
            .client
            .post(self.target.clone())
            .header("authorization", signature)
            .header("content-type", "application/json")
            .body(body.to_vec());
        let answer = match request.send().await {
            Err(error) => PushAnswer::Unavailable(error.to_string()),
            Ok(answer) => {
                let status = answer.status();
                match answer.bytes().await {
                    Err(error) => PushAnswer::Unavailable(error.to_string()),
                    Ok(_) if status.is_server_error() => PushAnswer::Unavailable(status.to_string()),
                    Ok(_) if !status.is_success() => PushAnswer::Refused(status.as_u16()),
                    Ok(text) if text.is_empty() => PushAnswer::Accepted,
                    Ok(_) => PushAnswer::NotEmpty(status.as_u16()),
                }
            }
        };
        (answer, begun.elapsed())
    }

    /// Sends a push with all its tries, and puts it into the lost queue when they are used up; the last
    /// answer.
    pub async fn push(&self, shop_id: Option<i64>, code: i32, body: &[u8]) -> PushAnswer {
        let mut answer = self.send(body).await.0;
        for seconds in LADDER {
            if answer == PushAnswer::Accepted {
                return answer;
            }
            let pause = u64::try_from(self.sim.shared().scaled_ms(seconds)).unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            answer = self.send(body).await.0;
        }
        if answer != PushAnswer::Accepted {
            let body = String::from_utf8_lossy(body).into_owned();
            self.sim.shared().update(|tx| {
                let (partner_id, lost_at) = (self.partner_id, tx.now());
                tx.record(ShopeeChange::PushLost { partner_id, shop_id, code, lost_at, body, action: None });
            });
        }
        answer
    }
}
