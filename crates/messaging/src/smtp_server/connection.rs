//! One connection, from its first octet to its last.

use std::net::SocketAddr;
use std::time::Duration;

use runtime::tls::{self, server::TlsStream};
use smtp::{Asked, Code, Offers, Reply, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::Hub;
use super::desk::Desk;
use crate::sessions::Peer;

/// Octets that one read takes.
const READ_OCTETS: usize = 16 * 1024;
/// How long the last words may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A connection, encrypted or not.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    async fn read(&mut self, octets: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(octets).await,
            Self::Tls(stream) => stream.read(octets).await,
        }
    }

    async fn write(&mut self, octets: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(octets).await,
            Self::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
        }
    }

    async fn close(&mut self) {
        // Whoever is gone misses nothing.
        drop(match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        });
    }
}

/// Why a connection ended, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Lost,
    Handshake,
    Said,
    TimedOut,
    Stopping,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "connection lost",
            Self::Handshake => "no TLS",
            Self::Said => "closed",
            Self::TimedOut => "timed out",
            Self::Stopping => "stopping",
        }
    }
}

/// Tells a client that there is no place for it.
pub(super) async fn refuse(mut socket: TcpStream) {
    let text = b"421 4.3.2 Too many connections; try again later\r\n";
    drop(timeout(LAST_WORDS, socket.write_all(text)).await);
}

/// Serves a connection to its end; `at_once` where TLS comes first.
pub(super) async fn run(hub: Hub, socket: TcpStream, address: SocketAddr, at_once: bool) {
    drop(socket.set_nodelay(true));
    let local = socket.local_addr().ok();
    let config = &hub.engine.runtime().config.smtp;
    let by = Instant::now() + Duration::from_millis(config.session_ms);
    let mut stream = Stream::Plain(socket);
    if at_once {
        stream = match encrypted(&hub, stream).await {
            Some(stream) => stream,
            None => return ended(End::Handshake),
        };
    }
    let offers = Offers {
        host: config.domain.clone(),
        starttls: hub.certificate.is_some(),
        plain_auth: config.plain_auth,
        dsn: hub.engine.runtime().config.mail.is_on(),
        mail_bytes_max: config.mail_bytes_max,
        recipients_max: config.recipients_max,
        errors_max: config.errors_max,
    };
    let mut session = Session::new(offers, at_once);
    let desk = Desk::new(hub.clone(), Peer { address, local, encrypted: at_once });
    ended(serve(&hub, &mut session, stream, desk, by).await);
}

fn ended(end: End) {
    metrics::counter!("switchboard_smtp_connections_ended_total", "reason" => end.as_str()).increment(1);
}

async fn encrypted(hub: &Hub, stream: Stream) -> Option<Stream> {
    let (Some(certificate), Stream::Plain(socket)) = (&hub.certificate, stream) else { return None };
    let within = Duration::from_millis(hub.engine.runtime().config.smtp.command_timeout_ms);
    match timeout(within, certificate.accept(socket)).await {
        Ok(Ok(stream)) => Some(Stream::Tls(Box::new(stream))),
        Ok(Err(tls::Failure { why, .. })) => {
            tracing::info!(%why, "no TLS with an SMTP client");
            None
        }
        Err(_) => None,
    }
}

async fn serve(hub: &Hub, session: &mut Session, mut stream: Stream, mut desk: Desk, by: Instant) -> End {
    let runtime = hub.engine.runtime();
    let within = Duration::from_millis(runtime.config.smtp.command_timeout_ms);
    let stopping = runtime.tasks.stopping();
    let mut out = Vec::new();
    let mut octets = vec![0; READ_OCTETS];
    session.greet(&mut out);
    loop {
        while let Some(asked) = session.next(&mut out) {
            match asked {
                Asked::Close => {
                    last_words(&mut stream, &out).await;
                    return End::Said;
                }
                Asked::StartTls => {
                    if write(&mut stream, &mut out, within).await.is_err() {
                        return End::Lost;
                    }
                    stream = match encrypted(hub, stream).await {
                        Some(stream) => stream,
                        None => return End::Handshake,
                    };
                    desk.encrypted();
                    session.encrypted();
                }
                asked => {
                    let reply = desk.decide(asked).await;
                    if reply.counts {
                        session.blame(&reply.reply, &mut out);
                    } else {
                        session.answer(&reply.reply, &mut out);
                    }
                    // What was promised is told at once, not when the client's next words come.
                    if write(&mut stream, &mut out, within).await.is_err() {
                        return End::Lost;
                    }
                }
            }
        }
        if session.is_closed() {
            last_words(&mut stream, &out).await;
            return End::Said;
        }
        if write(&mut stream, &mut out, within).await.is_err() {
            return End::Lost;
        }
        let until = (Instant::now() + within).min(by);
        let read = tokio::select! {
            () = stopping.cancelled() => {
                goodbye(&mut stream, &mut out, "The server is stopping").await;
                return End::Stopping;
            }
            () = desk.ended() => {
                goodbye(&mut stream, &mut out, "The account was changed; sign in again").await;
                return End::Said;
            }
            read = timeout_at(until, stream.read(&mut octets)) => read,
        };
        match read {
            Ok(Ok(0) | Err(_)) => return End::Lost,
            Ok(Ok(read)) => session.feed(&octets[..read]),
            Err(_) => {
                goodbye(&mut stream, &mut out, "You took too long").await;
                return End::TimedOut;
            }
        }
    }
}

async fn write(stream: &mut Stream, out: &mut Vec<u8>, within: Duration) -> Result<(), ()> {
    if out.is_empty() {
        return Ok(());
    }
    let written = timeout(within, stream.write(out)).await;
    out.clear();
    if matches!(written, Ok(Ok(()))) { Ok(()) } else { Err(()) }
}

async fn goodbye(stream: &mut Stream, out: &mut Vec<u8>, why: &str) {
    Reply::new(Code::CLOSING, format!("{why}; closing")).write(out);
    last_words(stream, out).await;
}

async fn last_words(stream: &mut Stream, out: &[u8]) {
    let saying = async {
        drop(stream.write(out).await);
        stream.close().await;
    };
    drop(timeout(LAST_WORDS, saying).await);
}
