//! The log: where it goes, what of other crates it may show, and panics in it.
//!
//! Some of our libraries write secrets at their finer levels: `yup_oauth2` the signed assertion and the
//! access token, `h2` and `hyper` the headers, `reqwest` whole URLs (Shopee's carry the access token).
//! [`CAPS`] is therefore a second filter behind the one that people set: no setting can lift it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::{FilterExt, LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::otlp::{self, Exporting};
use crate::config::LogSettings;

/// The finest level that each target (with everything that begins with its name) may log at.
pub const CAPS: [(&str, Level); 10] = [
    ("opentelemetry", Level::WARN),
    ("yup_oauth2", Level::INFO),
    ("google", Level::INFO),
    ("hyper", Level::INFO),
    ("h2", Level::INFO),
    ("reqwest", Level::INFO),
    ("rustls", Level::INFO),
    ("teloxide_core", Level::INFO),
    ("tokio_postgres", Level::INFO),
    ("sqlx", Level::WARN),
];

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `LOG_LEVEL` is not a filter.
    #[error("LOG_LEVEL is not a filter such as `info` or `info,pushbox=debug`")]
    Filter(#[source] ParseError),
    /// Nothing can be sent to `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[error("traces cannot be sent to OTEL_EXPORTER_OTLP_ENDPOINT")]
    Export(#[source] opentelemetry_otlp::ExporterBuildError),
    /// This process has a subscriber already.
    #[error("logging is set up already")]
    Installed(#[source] TryInitError),
}

/// Sends logs to standard error as `settings` say, panics to the log, and traces where they are wanted. Once per
/// process. Keep what is returned until everything else has ended: dropping it, outside of a runtime's threads, sends
/// the last traces.
pub fn init(settings: &LogSettings) -> Result<Option<Exporting>, LoggingError> {
    let export = settings.otlp.as_ref().map(otlp::layer).transpose().map_err(LoggingError::Export)?;
    let (traces, exporting) = export.unzip();
    tracing_subscriber::registry()
        .with(layer(settings, std::io::stderr, std::io::stderr().is_terminal())?)
        .with(traces)
        .try_init()
        .map_err(LoggingError::Installed)?;
    log_panics();
    Ok(exporting)
}

/// The same into a file, for a command whose terminal shows something else. Once per process.
pub fn init_file(settings: &LogSettings, file: std::fs::File) -> Result<(), LoggingError> {
    tracing_subscriber::registry()
        .with(layer(settings, std::sync::Mutex::new(file), false)?)
        .try_init()
        .map_err(LoggingError::Installed)?;
    log_panics();
    Ok(())
}

/// The layer that formats, behind both filters; `colours` only where a terminal may show them.
fn layer<W>(
    settings: &LogSettings,
    writer: W,
    colours: bool,
) -> Result<impl Layer<Registry> + use<W>, LoggingError>
where
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let wanted = EnvFilter::try_new(&settings.filter).map_err(LoggingError::Filter)?;
    let caps = Targets::new().with_default(LevelFilter::TRACE).with_targets(CAPS);
    let format = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(writer);
    let format =
        if settings.json { format.json().flatten_event(true).boxed() } else { format.compact().boxed() };
    Ok(format.with_filter(wanted.and(caps)))
}

/// Writes panics to the log, with their place, in place of the default message on standard error.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        tracing::error!(
            place = panic.location().map(tracing::field::display),
            backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string()),
            "panic: {}",
            panic.payload_as_str().unwrap_or("a value that is not text"),
        );
    }));
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Collects what is written.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, json: bool, speak: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let settings = LogSettings { filter: filter.to_owned(), json, otlp: None };
        let layer = layer(&settings, move || writer.clone(), true).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), speak);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_setting_lifts_a_cap() {
        let text = logged("trace,yup_oauth2::service_account=trace,hyper_util=debug", false, || {
            tracing::debug!(target: "yup_oauth2::service_account", "ya29.secret");
            tracing::debug!(target: "hyper_util::client", "authorization secret");
            tracing::info!(target: "sqlx::query", "values secret");
            tracing::trace!(target: "pushbox::receiver", "ours");
        });
        assert!(text.contains("ours"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn a_cap_does_not_make_a_quiet_setting_louder() {
        let text = logged("error", false, || tracing::info!(target: "hyper", "chatter"));
        assert_eq!(text, "");
    }

    #[test]
    fn json_has_the_fields_at_the_top() {
        let text = logged("info", true, || tracing::info!(shop.id = 7, "token refreshed"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "token refreshed");
        assert_eq!(line["shop.id"], 7);
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn a_wrong_filter_names_the_setting() {
        let settings = LogSettings { filter: "pushbox=loud".to_owned(), json: false, otlp: None };
        let error = layer(&settings, io::stderr, true).err().unwrap();
        assert!(error.to_string().contains("LOG_LEVEL"));
    }
}
