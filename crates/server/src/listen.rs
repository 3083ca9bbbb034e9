//! The HTTP port: connections are counted, slow clients are cut off, and a stop lets requests finish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use runtime::tls::{self, Acceptor, Files};
use runtime::{Config, Runtime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::Service;
use types::{Code, Error, Result};

/// The pause after the system had no connection to give, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How often an HTTP/2 connection is asked whether it is still there, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Tries whether every port can be had, before anything is made: a first start that met a taken port afterwards would have
/// shown its sign-in link to nobody, and left the demo half made.
///
/// # Errors
/// [`Code::Unavailable`] for the first that cannot.
pub(crate) fn rehearse(config: &Config) -> Result<()> {
    let ports = [
        ("http.listen", Some(config.http.listen)),
        ("smpp.listen", Some(config.smpp.listen)),
        ("smpp.tls.listen", config.smpp.tls.listen.0),
        ("ucp.listen", config.ucp.enabled.then_some(config.ucp.listen)),
        ("smtp.listen", config.smtp.enabled.then_some(config.smtp.listen)),
        ("smtp.tls.listen", config.smtp.tls.listen.0.filter(|_| config.smtp.enabled)),
        ("simulator.listen", config.simulator.enabled.then_some(config.simulator.listen)),
    ];
    let mut held = Vec::new();
    for (key, address) in ports {
        let Some(address) = address else { continue };
        // All are held to the end, so that two settings of one address are found too.
        held.push(std::net::TcpListener::bind(address).map_err(|error| {
            Error::new(Code::Unavailable, format!("nobody can be heard on {address}: {error}"))
                .at(key)
                .hint(format!("another program may use this port; choose another address with {key}"))
        })?);
    }
    Ok(())
}

/// Opens the configured address and serves the routes until the program stops. Gives the address that is heard on.
///
/// # Errors
/// [`Code::Unavailable`] when the address cannot be had, or the certificate cannot be used.
pub(crate) async fn http(runtime: &Runtime, routes: Router) -> Result<SocketAddr> {
    let address = runtime.config.http.listen;
    let unavailable = |error: io::Error| {
        Error::new(Code::Unavailable, format!("nobody can be heard on {address}: {error}"))
            .hint("another program may use this port; choose another with --http or SWITCHBOARD_HTTP")
    };
    let tls = &runtime.config.http.tls;
    let certificate = match tls.is_on() {
        true => {
            let files = Files { certificate: tls.certificate.clone(), key: tls.key.clone(), client_ca: None };
            let every = Duration::from_millis(tls.reload_ms);
            let stopping = runtime.tasks.stopping();
            let (certificate, keep) = Acceptor::open(files, &["h2", "http/1.1"], every, stopping).await?;
            runtime.tasks.spawn("http-certificate", keep);
            Some(certificate)
        }
        false => None,
    };
    let listener = TcpListener::bind(address).await.map_err(unavailable)?;
    let bound = listener.local_addr().map_err(unavailable)?;
    let port = Port {
        places: Arc::new(Semaphore::new(runtime.config.http.connections_max.min(Semaphore::MAX_PERMITS))),
        header_timeout: Duration::from_millis(runtime.config.http.header_timeout_ms),
        certificate,
        runtime: runtime.clone(),
        routes,
    };
    runtime.tasks.spawn("http", port.accept(listener));
    Ok(bound)
}

#[derive(Clone)]
struct Port {
    runtime: Runtime,
    routes: Router,
    places: Arc<Semaphore>,
    header_timeout: Duration,
    /// What is shown to clients where the port speaks TLS.
    certificate: Option<Acceptor>,
}

impl Port {
    /// Accepts until the program stops. The place comes first: who finds none waits in the system's queue.
    async fn accept(self, listener: TcpListener) {
        let stopping = self.runtime.tasks.stopping();
        let next = async || {
            let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, peer)| (place, stream, peer))
        };
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => return,
                accepted = next() => accepted,
            };
            match accepted {
                Ok((place, stream, peer)) => {
                    self.runtime.tasks.spawn("http connection", self.clone().serve(place, stream, peer));
                }
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// One connection until its end, and the handshake before it. A slow client has one time for both.
    async fn serve(self, place: OwnedSemaphorePermit, stream: TcpStream, peer: SocketAddr) {
        // An answer is written whole; waiting for more to send would only delay it.
        drop(stream.set_nodelay(true));
        let by = Instant::now() + self.header_timeout;
        let Some(certificate) = &self.certificate else {
            self.converse(stream, peer, by).await;
            return drop(place);
        };
        let stopping = self.runtime.tasks.stopping();
        let shaken = tokio::select! {
            shaken = tokio::time::timeout_at(by, certificate.accept(stream)) => shaken,
            () = stopping.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.converse(stream, peer, by).await,
            Ok(Err(tls::Failure { why, .. })) => tracing::debug!(%peer, %why, "no TLS with an HTTP client"),
            Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
        }
        drop(place);
    }

    /// Requests and answers; when the program stops, until the requests in flight are answered. The first is to have begun
    /// `by` then.
    async fn converse(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        by: Instant,
    ) {
        let asked = CancellationToken::new();
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            asked.cancel();
            request.extensions_mut().insert(ConnectInfo(peer));
            self.routes.clone().call(request)
        });
        let mut server = Builder::new(TokioExecutor::new());
        server.http1().timer(TokioTimer::new()).header_read_timeout(self.header_timeout);
        server
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY);
        let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let stopping = self.runtime.tasks.stopping();
        // Before the first octets have told HTTP/1 from HTTP/2, hyper's own time limit does not run.
        let too_slow = async {
            tokio::select! {
                () = asked.cancelled() => std::future::pending().await,
                () = tokio::time::sleep_until(by) => {}
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = too_slow => Ok(()),
            () = stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, error, "an HTTP connection broke");
        }
    }
}

/// Whether accepting failed for what one peer did, which says nothing about the next.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
