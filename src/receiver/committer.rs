//! Group commit: whatever is waiting is written by one statement while the previous commit is on its way to
//! disk. There is no artificial delay: a lone push is written at once, a flood in large groups.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::observability::metrics;
use crate::queue::{Accepted, Intake, Waker, intake};
use crate::store::{acquire, hang_up};

/// Pushes that may wait for a writer; more are answered 503 at once.
const WAITING_AT_MOST: usize = 10_000;
/// Pushes in one statement.
const GROUP_AT_MOST: usize = 256;
/// A database that takes longer is given up, so that a vanished host does not hold the writers for as long as
/// the kernel is patient. Long after every sender's patience: a late commit is absorbed by its key.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Writers: one writes while the other waits for its commit.
const WRITERS: usize = 2;

/// Why a push was not stored. The sender tries again; a late commit is absorbed by the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Too many pushes wait already, or we are stopping.
    #[error("too many pushes are waiting to be stored")]
    Full,
    /// The deadline passed without an answer from the database.
    #[error("the database did not commit in time")]
    Late,
    /// The database is away or refused.
    #[error("the database refused")]
    Refused,
}

struct Waiting {
    intake: Intake,
    answer: oneshot::Sender<Result<Accepted, CommitError>>,
}

/// Stores pushes. Cheap to clone; the writers end when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Committer {
    waiting: mpsc::Sender<Waiting>,
    deadline: Duration,
}

impl Committer {
    /// Starts the writers. The join set ends when everything accepted is answered.
    pub fn start(pool: &PgPool, waker: &Waker, deadline: Duration) -> (Self, JoinSet<()>) {
        let (waiting, queue) = mpsc::channel(WAITING_AT_MOST);
        let queue = std::sync::Arc::new(Mutex::new(queue));
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let writer = Writer { pool: pool.clone(), waker: waker.clone(), queue: queue.clone() };
            writers.spawn(writer.run());
        }
        (Self { waiting, deadline }, writers)
    }

    /// Returns once the push is durable, with its first jobs, or was known before.
    ///
    /// # Errors
    /// When that cannot be had within the deadline.
    pub async fn commit(&self, intake: Intake) -> Result<Accepted, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.waiting.try_send(Waiting { intake, answer }).map_err(|_| CommitError::Full)?;
        match tokio::time::timeout(self.deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(CommitError::Refused),
            Err(_) => Err(CommitError::Late),
        }
    }
}

struct Writer {
    pool: PgPool,
    waker: Waker,
    queue: std::sync::Arc<Mutex<mpsc::Receiver<Waiting>>>,
}

impl Writer {
    async fn run(self) {
        loop {
            let mut group = Vec::new();
            if self.queue.lock().await.recv_many(&mut group, GROUP_AT_MOST).await == 0 {
                return;
            }
            // Whose request has ended needs no commit any more: its sender tries again.
            group.retain(|waiting| !waiting.answer.is_closed());
            let (intakes, answers): (Vec<_>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.intake, waiting.answer)).unzip();
            let results = self.store(intakes).await;
            for (answer, result) in answers.into_iter().zip(results) {
                let _ = answer.send(result);
            }
        }
    }

    /// The statement is its own transaction; it returns after its commit is on disk.
    async fn store(&self, intakes: Vec<Intake>) -> Vec<Result<Accepted, CommitError>> {
        let begun = Instant::now();
        let pushes = intakes.len();
        let mut connection = match acquire(&self.pool).await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, pushes, "cannot store pushes; answering 503");
                return vec![Err(CommitError::Refused); pushes];
            }
        };
        let storing = intake::accept_each(&mut connection, intakes);
        let Ok(results) = tokio::time::timeout(ANSWER_WITHIN, storing).await else {
            let error = hang_up(connection);
            tracing::warn!(%error, pushes, "cannot store pushes; answering 503");
            return vec![Err(CommitError::Refused); pushes];
        };
        metrics::pushes_committed(pushes, begun.elapsed());
        if results.iter().any(Result::is_ok) {
            self.waker.wake();
        }
        if let Some(Err(error)) = results.iter().find(|result| result.is_err()) {
            tracing::warn!(%error, pushes, "cannot store pushes; answering 503");
        }
        results.into_iter().map(|result| result.map_err(|_| CommitError::Refused)).collect()
    }
}
