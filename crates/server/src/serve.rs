//! Accepting connections, and ending them in an orderly way.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;
use http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use paceline_clock::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tower::Service;

use crate::auth::caller::Peer;
use crate::{App, router, sources};

/// How long to wait when a connection cannot be accepted, for lack of descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown` ends; then what is under way gets [`crate::ServerConfig::drain_timeout`] to end: requests,
/// then the work of sources and webhooks. Runs go on: stopping them is `Engine::shutdown`.
/// A connection that fails ends alone, and a listener that cannot accept for the moment tries again.
pub async fn serve(listener: TcpListener, app: App, shutdown: impl Future<Output = ()>) {
    let (clock, config, app_vitals) = (app.clock.clone(), app.config, Arc::clone(&app.vitals));
    let mut jobs = std::pin::pin!({
        let app = app.clone();
        async move { app.work_on_jobs().await }.fuse()
    });
    let mut automatic = std::pin::pin!({
        let engine = app.engine.clone();
        async move { engine.run_automatically().await }.fuse()
    });
    let feeds = Arc::clone(&app.feeds);
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(config.idle_timeout);
    let workers = sources::start(&app);
    let (router, access) = (router(app.clone()), Arc::clone(&app.access));
    let places = Arc::new(Semaphore::new(config.connections_max.max(1)));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown.fuse());
    loop {
        let (stream, place) = tokio::select! {
            () = &mut shutdown => break,
            () = &mut jobs => continue,
            () = &mut automatic => continue,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&listener, &places, &clock) => accepted,
        };
        let Ok(peer) = stream.peer_addr() else { continue };
        let service =
            TowerToHyperService::new(FromPeer { router: router.clone(), peer: Peer(peer) });
        // Without it replies are late, and none is lost.
        let _ = stream.set_nodelay(true);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = graceful.watch(connection.into_owned());
        connections.spawn(async move {
            // A peer that breaks off is nobody's fault here.
            let _ = connection.await;
            drop(place);
        });
    }
    app_vitals.stop();
    drop(listener);
    tokio::select! {
        // A WebSocket is no connection of these any more, once it is one.
        _ = futures_util::future::join(feeds.close(), graceful.shutdown()) => {}
        () = clock.sleep(config.drain_timeout) => connections.shutdown().await,
    }
    // After the last request, which may have waited for its turn behind them.
    workers.stop(&app, config.drain_timeout).await;
    tokio::select! {
        () = access.audit.written() => {}
        () = clock.sleep(config.drain_timeout) => {}
    }
}

/// The router, told who is at the other end of the connection.
#[derive(Clone)]
struct FromPeer {
    router: Router,
    peer: Peer,
}

impl<B> Service<Request<B>> for FromPeer
where
    Router: Service<Request<B>>,
{
    type Response = <Router as Service<Request<B>>>::Response;
    type Error = <Router as Service<Request<B>>>::Error;
    type Future = <Router as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.router.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.router.call(request)
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    clock: &Clock,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there is always a place in the end.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
