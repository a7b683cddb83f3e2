//! Serves HTTP to whoever comes, within limits: so many connections at once, so long for the headers and so long for
//! the body of a request, and at a stop so long for what is in flight.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Pause after the system would not give us a connection, usually for want of file handles.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// What a listener puts up with.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait in the system's queue.
    pub connections: usize,
    /// How long the headers of a request may take to arrive, and then its body. A connection that idles for so long
    /// is closed as well.
    pub request: Duration,
    /// How long requests in flight may take to end at a stop. A client that sends half a request and then nothing
    /// must not hold up the stop.
    pub drain: Duration,
}

/// Serves until `stop` is cancelled, then accepts nothing more and lets what is in flight end. False when a
/// connection had to be cut.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) -> bool {
    // HTTP/1 alone, as a reverse proxy speaks it: finding out which version a client means would wait for its first
    // bytes without a limit.
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.request).keep_alive(true);
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                sleep(AFTER_REFUSAL).await;
                continue;
            }
        };
        let router = router.clone();
        let service = service_fn(move |request| answer(router.clone(), request, peer, limits.request));
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let watched = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = watched.await {
                // Broken off, not HTTP, too slow: the other side's affair, and as many lines as it likes to cause.
                tracing::trace!(%error, %peer, "a connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    let drained = tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_ok();
    connections.shutdown().await;
    drained
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

async fn answer(
    router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    limit: Duration,
) -> Result<axum::response::Response, Infallible> {
    let mut request = request.map(|body| Body::new(Timed { body, limit, late: None }));
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request).await
}

/// A body that breaks off when it takes too long.
struct Timed {
    body: Incoming,
    limit: Duration,
    /// Runs from the first time that we wait: most bodies come with their headers.
    late: Option<Pin<Box<Sleep>>>,
}

/// The rest of the body did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("the body took too long to arrive")]
struct TooSlow;

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let limit = self.limit;
        let late = self.late.get_or_insert_with(|| Box::pin(sleep(limit)));
        late.as_mut().poll(cx).map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
