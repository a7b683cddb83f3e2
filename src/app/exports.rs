//! The files that the admin API hands out.

use async_trait::async_trait;
use chrono_tz::Tz;
use futures_util::StreamExt as _;
use futures_util::stream;
use sqlx::PgPool;

use crate::admin::exports::{FileKind, NoFile, OrderExports, Pieces, WantedFile};
use crate::clock::SharedClock;
use crate::jobs::sheet::file::{FileError, FileFormat, Selection, Table, export};

/// Files of the orders in Postgres.
#[derive(Debug)]
pub(super) struct Exports {
    pub(super) pool: PgPool,
    pub(super) clock: SharedClock,
    /// `DISPLAY_TIMEZONE`.
    pub(super) zone: Tz,
}

#[async_trait]
impl OrderExports for Exports {
    async fn begin(&self, wanted: WantedFile) -> Result<Pieces, NoFile> {
        let today = self.clock.now().with_timezone(&self.zone).date_naive();
        let to = wanted.to.unwrap_or(today);
        let unusable = |why: &str| NoFile::Unusable(why.to_owned());
        if to < wanted.from {
            let given = wanted.to.is_some();
            return Err(unusable(if given { "to: must not be before from" } else { "from: is after today" }));
        }
        let days = Selection::days(wanted.from, to, self.zone)
            .ok_or_else(|| unusable("from, to: must be days of the calendar"))?;
        let format = match wanted.kind {
            FileKind::CsvOrders => FileFormat::Csv(Table::Orders),
            FileKind::CsvItems => FileFormat::Csv(Table::Items),
            FileKind::Xlsx => FileFormat::Xlsx,
        };
        let selection = Selection { shop_id: wanted.shop_id, unmasked: wanted.unmasked, ..days };
        let mut pieces = export(self.pool.clone(), selection, format, self.zone).pieces;
        // What fails at once is said as an answer; afterwards only a file that ends before its time can say it.
        let first = match pieces.recv().await {
            Some(Ok(first)) => first,
            Some(Err(error @ FileError::TooMany(_))) => return Err(NoFile::Unusable(error.to_string())),
            Some(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an export failed");
                return Err(NoFile::Failed);
            }
            None => return Err(NoFile::Failed),
        };
        let rest = stream::unfold(pieces, |mut pieces| async {
            let piece = pieces.recv().await?.map_err(|error| {
                tracing::error!(error = &error as &dyn std::error::Error, "an export broke off");
                std::io::Error::other("the export failed")
            });
            Some((piece, pieces))
        });
        Ok(stream::once(async { Ok(first) }).chain(rest).boxed())
    }
}
