//! Files of orders, made by whoever knows how ([`OrderExports`], implemented in `app`).

use async_trait::async_trait;
use bytes::Bytes;
use chrono::NaiveDate;
use futures_util::stream::BoxStream;

/// Which orders, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFile {
    /// First day, in the time zone that people read.
    pub from: NaiveDate,
    /// Last day; none: today.
    pub to: Option<NaiveDate>,
    /// Only orders of this shop.
    pub shop_id: Option<String>,
    /// Whether buyers are shown.
    pub unmasked: bool,
    /// As what.
    pub kind: FileKind,
}

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// CSV, a row per order.
    CsvOrders,
    /// CSV, a row per item.
    CsvItems,
    /// XLSX, with both tables.
    Xlsx,
}

/// A file piece by piece; an error ends it before its time.
pub type Pieces = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// Why a file is not begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoFile {
    /// It cannot be asked for like this; in words for people.
    Unusable(String),
    /// It failed here; the log has the cause.
    Failed,
}

/// Makes files of orders.
#[async_trait]
pub trait OrderExports: std::fmt::Debug + Send + Sync {
    /// Begins a file; whoever drops the pieces stops it.
    ///
    /// # Errors
    /// When there is no such file, or its beginning fails.
    async fn begin(&self, wanted: WantedFile) -> Result<Pieces, NoFile>;
}
