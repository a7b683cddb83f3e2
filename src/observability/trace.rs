//! The way of one event through the log and, where they are exported, through traces.
//!
//! Every line about an event carries its id: in `event.ids` of the line itself, or in `event.id` of a span around
//! it. A request to the receiver has `request.id`, a job `job.id`, and the jobs that were claimed together and share
//! a call have one `claim.id`. The lines of the usual way are at the level debug: `LOG_LEVEL=info,pushbox=debug`.
//!
//! The id of a trace is the id of the event, so all processes write to the same trace without telling each other.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::{Span, debug_span, field, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

/// Whether somebody takes traces; without it no context is made.
static EXPORTED: AtomicBool = AtomicBool::new(false);

pub(super) fn exported() {
    EXPORTED.store(true, Ordering::Relaxed);
}

/// Ids as a log line shows them.
#[derive(Debug, Clone, Copy)]
pub struct Ids<'a>(pub &'a [Uuid]);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, id) in self.0.iter().enumerate() {
            write!(f, "{}{id}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Whether an id that somebody else chose can stand in a log.
pub fn is_harmless_id(id: &str) -> bool {
    (8..=64).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
}

/// A request to the webhook.
pub fn request(request_id: &str, source: &str) -> Span {
    info_span!("push", request.id = request_id, source)
}

/// The storing of one push, which became this event or repeats one.
pub fn storing(event: Uuid) -> Span {
    belonging(debug_span!("store", event.id = %event), event)
}

/// A call to an outside service.
pub fn call(service: &'static str, endpoint: &'static str) -> Span {
    debug_span!("call", service, endpoint)
}

/// One job as it is traced.
#[derive(Debug)]
pub struct TracedJob {
    /// Its number.
    pub id: i64,
    /// The events that it serves.
    pub events: Vec<Uuid>,
}

/// Jobs that run together, and the span that their handler runs in.
#[derive(Debug)]
pub struct Running {
    span: Span,
    jobs: Vec<(TracedJob, Span)>,
}

impl Running {
    /// Begins them now.
    pub fn begin(
        queue: &'static str,
        kind: &'static str,
        batch_key: &str,
        claim: Uuid,
        jobs: impl ExactSizeIterator<Item = TracedJob>,
    ) -> Self {
        let span = info_span!("run", queue, kind, batch.key = batch_key, claim.id = %claim, jobs = jobs.len(),
            job.id = field::Empty, event.id = field::Empty);
        // Whoever does not look at each job does not pay for each of them.
        let each = tracing::enabled!(tracing::Level::DEBUG);
        let mut running = Self { span, jobs: Vec::new() };
        let alone = jobs.len() == 1;
        for job in jobs {
            if alone {
                running.span.record("job.id", job.id);
                if let Some(event) = job.events.first() {
                    running.span.record("event.id", field::display(event));
                    running.span = belonging(running.span, *event);
                }
            }
            if each {
                running.span.in_scope(|| {
                    tracing::debug!(job.id = job.id, event.ids = %Ids(&job.events), "begun");
                });
                let of_job = if alone { Span::none() } else { running.of_one(queue, kind, &job) };
                running.jobs.push((job, of_job));
            }
        }
        running
    }

    /// A span of its own in the trace of the job's event, with a link to what it shared.
    fn of_one(&self, queue: &'static str, kind: &'static str, job: &TracedJob) -> Span {
        let span =
            debug_span!(parent: None, "job", queue, kind, job.id = job.id, event.ids = %Ids(&job.events));
        if EXPORTED.load(Ordering::Relaxed)
            && let Some(event) = job.events.first()
        {
            span.add_link(self.span.context().span().span_context().clone());
            return belonging(span, *event);
        }
        span
    }

    /// What the handler runs in.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Says what came of each job; `outcome` names it by the job's number.
    pub fn end(self, outcome: impl Fn(i64) -> &'static str) {
        let _entered = self.span.entered();
        for (job, span) in self.jobs {
            let outcome = outcome(job.id);
            tracing::debug!(job.id = job.id, event.ids = %Ids(&job.events), outcome, "ended: {outcome}");
            drop(span);
        }
    }
}

/// Puts a span that was not entered yet into the trace of an event.
fn belonging(span: Span, event: Uuid) -> Span {
    if EXPORTED.load(Ordering::Relaxed) {
        let [_, _, _, _, _, _, _, _, tail @ ..] = *event.as_bytes();
        let parent = SpanContext::new(
            TraceId::from_bytes(*event.as_bytes()),
            SpanId::from_bytes(tail),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        // Fails for a span that nobody exports, which is in no trace then.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_one_text() {
        let ids = [Uuid::nil(), Uuid::max()];
        assert_eq!(
            Ids(&ids).to_string(),
            "00000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff"
        );
        assert_eq!(Ids(&[]).to_string(), "");
    }
}
