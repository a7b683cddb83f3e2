//! Traces to a collector, over HTTP in protobuf, where `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
//!
//! They are sent by a thread of their own, in batches; when the collector is away they are dropped after a while, and
//! nothing else waits for it.

use std::collections::HashMap;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use secrecy::ExposeSecret;
use tracing::Level;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use super::trace;
use crate::config::OtlpSettings;

/// Sends what is left when it is dropped.
#[derive(Debug)]
pub struct Exporting(SdkTracerProvider);

impl Drop for Exporting {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// The layer that sends our own spans, never those of libraries, and the guard that ends it.
pub(super) fn layer<S>(
    settings: &OtlpSettings,
) -> Result<(impl Layer<S> + use<S>, Exporting), ExporterBuildError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let headers: HashMap<String, String> = settings
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
        .collect();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(settings.traces_url())
        .with_headers(headers)
        .build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(
            Resource::builder_empty()
                .with_attributes([
                    KeyValue::new("service.name", "pushbox"),
                    KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                ])
                .build(),
        )
        .build();
    trace::exported();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("pushbox"))
        .with_location(false)
        .with_threads(false)
        .with_filter(Targets::new().with_target("pushbox", Level::DEBUG));
    Ok((layer, Exporting(provider)))
}
