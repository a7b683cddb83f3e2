//! The queues that are compared. Each fills its table with no-op jobs of the same payload, works them off in
//! one or more processes, and says when nothing is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub mod apalis;
pub mod graphile;
pub mod plain;
pub mod pushbox;

/// 230 bytes of JSON, the size of a small job.
pub fn payload(n: usize) -> serde_json::Value {
    serde_json::json!({ "n": n, "text": "x".repeat(210) })
}

/// What the handlers of one process have seen.
#[derive(Default)]
pub struct Seen {
    pub jobs: AtomicU64,
    /// Microseconds since 1970 at the first job.
    pub first: AtomicI64,
    /// Microseconds since 1970 at the last job.
    pub last: AtomicI64,
}

impl Seen {
    pub fn job(&self, count: u64) {
        if self.jobs.fetch_add(count, Ordering::Relaxed) == 0 {
            self.first.store(now_micros(), Ordering::Relaxed);
        }
        self.last.fetch_max(now_micros(), Ordering::Relaxed);
    }
}

pub fn now_micros() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_micros()).expect("before the year 294,000")
}

/// One queue.
#[async_trait]
pub trait Engine: Send + Sync {
    fn name(&self) -> &'static str;
    /// Makes the schema.
    async fn prepare(&self, url: &str) -> anyhow::Result<()>;
    /// Puts so many jobs there, as fast as the engine can.
    async fn fill(&self, pool: &PgPool, jobs: usize) -> anyhow::Result<()>;
    /// Works until stopped.
    async fn work(&self, url: &str, seen: Arc<Seen>, stop: CancellationToken) -> anyhow::Result<()>;
    /// Whether nothing is left to do.
    async fn is_empty(&self, pool: &PgPool) -> anyhow::Result<bool>;
}

pub fn all() -> Vec<Box<dyn Engine>> {
    vec![
        Box::new(pushbox::Pushbox),
        Box::new(plain::Plain),
        Box::new(graphile::Graphile),
        Box::new(apalis::Apalis { batch: 10, fixed: false }),
        Box::new(apalis::Apalis { batch: 500, fixed: true }),
    ]
}

pub fn find(name: &str) -> Option<Box<dyn Engine>> {
    all().into_iter().find(|engine| engine.name() == name)
}
