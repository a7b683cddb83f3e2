//! Options that several commands have, said and understood the same everywhere.

use crate::cli::show::moment;

/// One filter of the admin API: its name and its value, which is empty when it was not given.
pub(super) type Filter = (&'static str, String);

/// A filter as a person gave it, or did not.
pub(super) fn filter(name: &'static str, value: Option<&String>) -> Filter {
    (name, value.cloned().unwrap_or_default())
}

/// A span of time.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Period {
    /// Only those received, or for orders last changed, since: a time ago such as 90m, 2h or 3d, or a time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<String>,

    /// Only those before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<String>,
}

impl Period {
    pub(super) fn filters(&self) -> [Filter; 2] {
        [filter("since", self.since.as_ref()), filter("until", self.until.as_ref())]
    }
}

/// How long a list may be.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Limit {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
}

impl Limit {
    pub(super) fn filter(&self) -> Filter {
        ("limit", self.limit.to_string())
    }
}

/// Which jobs.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct JobFilter {
    /// Only of this queue: enrich, sheet, notify or forward
    #[arg(long)]
    queue: Option<String>,

    /// Only of this kind, for example `upsert_sheet_row`
    #[arg(long)]
    kind: Option<String>,

    /// Only with this coalescing key
    #[arg(long)]
    key: Option<String>,
}

impl JobFilter {
    pub(super) fn filters(&self) -> [Filter; 3] {
        [
            filter("queue", self.queue.as_ref()),
            filter("kind", self.kind.as_ref()),
            filter("key", self.key.as_ref()),
        ]
    }
}
