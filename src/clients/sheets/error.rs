//! What Google's refusals mean. Google tells most of them apart by status and text.

use std::time::Duration;

/// Why a call failed, by what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SheetsError {
    /// Not done: the minute's budget is used up.
    #[error("too many calls to Google Sheets")]
    RateLimited {
        /// How long to wait, where Google says so; else the budget is back within a minute.
        retry_after: Option<Duration>,
    },
    /// Not done, and nothing will be until a person acts.
    #[error("{message}; {remedy}")]
    Configuration {
        /// What is wrong.
        message: String,
        /// What the person has to do.
        remedy: String,
    },
    /// Not done: the tab was renamed or deleted. Read the tabs again.
    #[error("the tab is not there: {message}")]
    TabGone {
        /// Google's words.
        message: String,
    },
    /// Not done: the tab is there already. Read the tabs again.
    #[error("the tab is there already: {message}")]
    TabExists {
        /// Google's words.
        message: String,
    },
    /// Not done: beyond the last row or column. Append first.
    #[error("beyond the end of the tab: {message}")]
    GridExceeded {
        /// Google's words.
        message: String,
    },
    /// A read that failed, or a write that was certainly not done. It may work later.
    #[error("Google Sheets did not do it: {message}")]
    Unavailable {
        /// What happened.
        message: String,
    },
    /// A write that may have been done. Read back before writing again, or rows appear twice.
    #[error("not known whether it was written: {message}")]
    Unclear {
        /// What happened.
        message: String,
    },
    /// Not done, and never will be as asked: a fault of ours.
    #[error("refused: {message}")]
    Rejected {
        /// Google's words.
        message: String,
    },
}

impl SheetsError {
    /// A word for metrics.
    pub fn class(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::Configuration { .. } => "configuration",
            Self::TabGone { .. } | Self::TabExists { .. } | Self::GridExceeded { .. } => "moved",
            Self::Unavailable { .. } => "unavailable",
            Self::Unclear { .. } => "uncertain",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// Whether the same call may be made again later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable { .. } | Self::Unclear { .. })
    }

    /// Whether a person has to act; rows should wait, not fail.
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::Configuration { .. })
    }

    /// Whether the rows may have been written although the call failed.
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unclear { .. })
    }

    /// How long to wait before the next call, where Google said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => *retry_after,
            _ => None,
        }
    }
}

/// Whether a call changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

impl Kind {
    /// A failure after which nobody knows whether the call was carried out.
    pub(super) fn unclear(self, message: impl Into<String>) -> SheetsError {
        match self {
            Self::Read => SheetsError::Unavailable { message: message.into() },
            Self::Write => SheetsError::Unclear { message: message.into() },
        }
    }
}

/// A refusal as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal<'a> {
    pub(super) http: u16,
    /// `error.status`, for example `PERMISSION_DENIED`; empty where the answer was not JSON.
    pub(super) status: &'a str,
    pub(super) message: &'a str,
    pub(super) retry_after: Option<Duration>,
}

/// What a refusal means. `client_email` is the account that the remedies name.
pub(super) fn classify(refusal: Refusal<'_>, kind: Kind, client_email: &str) -> SheetsError {
    let text = refusal.message.to_lowercase();
    let says = |words: &str| text.contains(words);
    let said = || match refusal.message {
        "" => format!("HTTP {} from Google Sheets", refusal.http),
        message => message.chars().take(300).collect(),
    };
    let person = |remedy: String| SheetsError::Configuration { message: said(), remedy };

    if refusal.http == 429 || refusal.status == "RESOURCE_EXHAUSTED" {
        return SheetsError::RateLimited { retry_after: refusal.retry_after };
    }
    match refusal.http {
        401 => person("check GOOGLE_CREDENTIALS_JSON: the key may have been deleted".to_owned()),
        403 if says("has not been used in project") || says("is disabled") => {
            person("enable the Google Sheets API in the Cloud project of the service account".to_owned())
        }
        403 if says("scope") => {
            person("check GOOGLE_CREDENTIALS_JSON: its tokens may not use Sheets".to_owned())
        }
        403 => person(format!("share the spreadsheet with {client_email} as Editor")),
        404 => person(format!(
            "check SPREADSHEET_ID (and GOOGLE_SHEETS_URL), and share the spreadsheet with {client_email} as Editor"
        )),
        400 if says("unable to parse range") || says("no grid with id") => {
            SheetsError::TabGone { message: said() }
        }
        400 if says("already exists") => SheetsError::TabExists { message: said() },
        400 if says("above the limit of") && says("cells") => {
            person("the spreadsheet is full; start a new one and set SPREADSHEET_ID".to_owned())
        }
        400 if says("exceeds grid limits") || says("beyond the last requested") => {
            SheetsError::GridExceeded { message: said() }
        }
        400 if says("protected cell or object") => {
            person(format!("allow {client_email} to edit the protected cells"))
        }
        400 if says("not supported for this document") => {
            person("the file is no Google spreadsheet; open it and save it as Google Sheets".to_owned())
        }
        408 | 409 | 499 | 500.. => kind.unclear(said()),
        300..=399 => person("check GOOGLE_SHEETS_URL: it leads elsewhere".to_owned()),
        _ => SheetsError::Rejected { message: said() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(http: u16, status: &str, message: &str, kind: Kind) -> SheetsError {
        classify(Refusal { http, status, message, retry_after: None }, kind, "bot@project.iam")
    }

    #[test]
    fn every_known_refusal_has_its_meaning() {
        for (http, status, message, expected) in [
            (400, "INVALID_ARGUMENT", "Unable to parse range: 'Orders'!A1", "TabGone"),
            (400, "INVALID_ARGUMENT", "Invalid requests[0].updateCells: No grid with id: 7", "TabGone"),
            (
                400,
                "INVALID_ARGUMENT",
                "Range ('Orders'!A2000) exceeds grid limits. Max rows: 1000",
                "GridExceeded",
            ),
            (
                400,
                "INVALID_ARGUMENT",
                "Attempting to write column: 26, beyond the last requested column of: 25",
                "GridExceeded",
            ),
            (
                400,
                "INVALID_ARGUMENT",
                "This action would increase the number of cells in the workbook above the limit of 10000000 cells.",
                "Configuration",
            ),
            (400, "INVALID_ARGUMENT", "You are trying to edit a protected cell or object.", "Configuration"),
            (
                400,
                "FAILED_PRECONDITION",
                "This operation is not supported for this document",
                "Configuration",
            ),
            (
                400,
                "INVALID_ARGUMENT",
                "Invalid requests[0].addSheet: A sheet with the name \"Orders\" already exists.",
                "TabExists",
            ),
            (400, "INVALID_ARGUMENT", "Invalid JSON payload received.", "Rejected"),
            (401, "UNAUTHENTICATED", "Request had invalid authentication credentials", "Configuration"),
            (403, "PERMISSION_DENIED", "The caller does not have permission", "Configuration"),
            (404, "NOT_FOUND", "Requested entity was not found.", "Configuration"),
            (429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric", "RateLimited"),
            (403, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric", "RateLimited"),
            (500, "INTERNAL", "Internal error encountered.", "Unclear"),
            (503, "UNAVAILABLE", "The service is currently unavailable.", "Unclear"),
            (502, "", "", "Unclear"),
        ] {
            let error = error(http, status, message, Kind::Write);
            let name = format!("{error:?}");
            assert_eq!(name.split(' ').next(), Some(expected), "{http} {message}");
        }
    }

    #[test]
    fn a_failed_read_is_never_unclear() {
        assert!(!error(503, "UNAVAILABLE", "x", Kind::Read).may_have_happened());
    }

    #[test]
    fn remedies_say_what_to_do() {
        for (http, message, remedy) in [
            (
                403,
                "The caller does not have permission",
                "share the spreadsheet with bot@project.iam as Editor",
            ),
            (
                403,
                "Google Sheets API has not been used in project 1 before or it is disabled.",
                "enable the Google",
            ),
            (403, "Request had insufficient authentication scopes.", "may not use Sheets"),
            (404, "Requested entity was not found.", "SPREADSHEET_ID"),
        ] {
            let text = error(http, "PERMISSION_DENIED", message, Kind::Write).to_string();
            assert!(text.contains(remedy), "{text}");
        }
    }
}
