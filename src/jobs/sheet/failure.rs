//! Why a spreadsheet could not be brought up to date, and the budget of calls that keeps Google from refusing.

use std::time::Duration;

use sqlx::PgPool;

use crate::clients::sheets::{SheetsClient, SheetsError};
use crate::jobs::sheet::{DESTINATION, SheetOptions};
use crate::queue::settle::CompleteError;
use crate::store::destinations;

/// Why a spreadsheet could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Google refused, or did not answer.
    #[error(transparent)]
    Sheets(#[from] SheetsError),
    /// The database failed us.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// Others have the jobs by now.
    #[error(transparent)]
    NotOurs(CompleteError),
    /// A write of somebody who vanished may still be under way.
    #[error("an interrupted write to be over")]
    Unsettled(Duration),
    /// This minute's calls are spent; nothing was written.
    #[error("the budget of calls to Google Sheets")]
    Budget(Duration),
    /// A person has paused the spreadsheet meanwhile; this call was not made.
    #[error("{0}")]
    Paused(String, Duration),
}

/// The two kinds of calls that Google counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    Read,
    Write,
}

/// How many calls may come at once after a pause. With it a minute never sees more than Google's 60 of a kind.
const BURST: u32 = 10;
/// A shorter wait for the budget is waited for: giving hundreds of jobs back for a second costs more than that.
const PATIENCE: Duration = Duration::from_secs(5);

/// Google's quota of one service account, shared by all its spreadsheets and all our processes.
#[derive(Debug)]
pub(super) struct Budget {
    pub pool: PgPool,
    /// The account.
    pub account: String,
    /// Time between calls of one kind.
    pub interval: Duration,
}

impl Budget {
    /// The budget of the account that `client` uses.
    pub(super) fn new(pool: PgPool, client: &SheetsClient, options: &SheetOptions) -> Self {
        let interval = Duration::from_mins(1) / options.calls_per_minute.max(1);
        Self { pool, account: client.client_email().to_owned(), interval }
    }

    /// Waits for its turn to make one call for a spreadsheet, unless that was paused meanwhile.
    pub(super) async fn take(&self, call: Call, spreadsheet: &str) -> Result<(), Failure> {
        let name = self.name(call);
        let mut waited = Duration::ZERO;
        loop {
            let wait = {
                let mut connection = self.pool.acquire().await?;
                if let Some(paused) =
                    destinations::find_pause_by_hand(&mut connection, DESTINATION, spreadsheet).await?
                {
                    return Err(Failure::Paused(paused.reason, paused.remaining));
                }
                destinations::take_budget(&mut connection, "google", &name, self.interval, BURST).await?
            };
            let Some(wait) = wait else { return Ok(()) };
            waited += wait;
            if waited > PATIENCE {
                return Err(Failure::Budget(wait));
            }
            tokio::time::sleep(wait).await;
        }
    }

    fn name(&self, call: Call) -> String {
        match call {
            Call::Read => format!("{} reads", self.account),
            Call::Write => format!("{} writes", self.account),
        }
    }

    /// Google refused although we kept the budget: somebody else uses the account, or the quota is smaller than
    /// we think. All processes slow down, and speed up again little by little.
    pub(super) async fn slow_down(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        for call in [Call::Read, Call::Write] {
            let name = self.name(call);
            destinations::slow_down(&mut connection, "google", &name, self.interval, BURST).await?;
        }
        Ok(())
    }
}
