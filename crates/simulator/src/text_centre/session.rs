//! One connection: from its first octet to its last.

use std::sync::Arc;
use std::time::Duration;

use runtime::wire::Outlet;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::centre::{Submit, Verdict};
use super::{Protocol, Shared, cimd, ucp};

/// Octets that are read at once.
const READ_ROOM: usize = 8 * 1024;
/// Octets that wait to be sent above which nothing more is read.
const OUTLET_MAX: usize = 1 << 20;
/// How long a connection may stay without a login.
const LOGIN_WITHIN: Duration = Duration::from_secs(10);

/// Writes the answer to a submit.
pub(super) type Answer = Box<dyn FnOnce(&Submit, Verdict) -> Vec<u8> + Send>;

/// What a peer said.
pub(super) enum Said {
    /// It wants in; the answers for both cases.
    Login { user: String, password: String, welcome: Vec<u8>, refusal: Vec<u8> },
    /// It submits; `refusal` is for a peer that is not in.
    Submit { submit: Box<Submit>, answer: Answer, refusal: Vec<u8> },
    /// It asks whether the centre is there.
    Alive(Vec<u8>),
    /// It leaves.
    Logout(Vec<u8>),
    /// It answers a delivery.
    Answer { number: u8, taken: bool },
    /// It could not be read; the answer.
    Unreadable(Vec<u8>),
    /// Anything else; the answer, empty for none.
    Other(Vec<u8>),
}

/// The reading side in either protocol.
enum Frames {
    Ucp(::ucp::Framer),
    Cimd2(::cimd::Framer),
}

impl Frames {
    fn buffer(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Ucp(framer) => framer.buffer(READ_ROOM),
            Self::Cimd2(framer) => framer.buffer(READ_ROOM),
        }
    }

    fn next(&mut self) -> Option<Said> {
        match self {
            Self::Ucp(framer) => framer.next_frame().map(ucp::read),
            Self::Cimd2(framer) => framer.next_frame().map(cimd::read),
        }
    }
}

/// Serves a connection until one of the two sides ends it.
pub(super) async fn serve(shared: Arc<Shared>, socket: TcpStream) {
    // Without it a lone answer waits for the acknowledgement of the one before.
    drop(socket.set_nodelay(true));
    let (mut reader, writer) = socket.into_split();
    let outlet = Outlet::new(OUTLET_MAX);
    shared.tasks.spawn("text centre writer", outlet.clone().pump(writer));
    let cut = shared.tasks.stopping().child_token();
    let mut frames = match shared.protocol {
        Protocol::Ucp => Frames::Ucp(::ucp::Framer::new(::ucp::DEFAULT_MAX_FRAME)),
        Protocol::Cimd2 => Frames::Cimd2(::cimd::Framer::new(::cimd::DEFAULT_MAX_FRAME)),
    };
    let mut session = None;
    let login_by = Instant::now() + LOGIN_WITHIN;
    'serving: loop {
        let read = tokio::select! {
            read = reader.read_buf(frames.buffer()) => read,
            () = tokio::time::sleep_until(login_by), if session.is_none() => break,
            () = cut.cancelled() => break,
        };
        if !matches!(read, Ok(1..)) {
            break;
        }
        while let Some(said) = frames.next() {
            let going_on = shared.with(|centre| take(centre, &mut session, (&outlet, &cut), said));
            if !going_on {
                break 'serving;
            }
        }
        if outlet.room().await.is_err() {
            break;
        }
    }
    if let Some(session) = session {
        shared.with(|centre| centre.log_out(session));
    }
    outlet.close();
}

/// Takes one thing that was said; `false` ends the connection.
fn take(
    centre: &mut super::centre::Centre,
    session: &mut Option<u64>,
    (outlet, cut): (&Outlet, &tokio_util::sync::CancellationToken),
    said: Said,
) -> bool {
    let say = |octets: &[u8]| {
        // Closed: the reader is about to see that too.
        let _ = outlet.write(|out| out.extend_from_slice(octets));
    };
    match said {
        Said::Login { user, password, welcome, refusal } => {
            if let Some(present) = *session {
                centre.log_out(present);
            }
            *session = centre.log_in((outlet.clone(), cut.clone()), &user, &password);
            match *session {
                Some(session) => {
                    say(&welcome);
                    centre.drain_for(session);
                }
                None => say(&refusal),
            }
        }
        Said::Submit { submit, answer, refusal } => {
            // Where anybody may in, some do not introduce themselves.
            if session.is_none() && centre.settings.accounts.is_empty() {
                *session = centre.log_in((outlet.clone(), cut.clone()), "", "");
            }
            match *session {
                Some(session) => centre.submit(session, *submit, answer),
                None => say(&refusal),
            }
        }
        Said::Alive(answer) => {
            centre.counts.alive += 1;
            say(&answer);
        }
        Said::Logout(answer) => {
            say(&answer);
            return false;
        }
        Said::Answer { number, taken } => {
            if let Some(session) = *session {
                centre.answered(session, number, taken);
            }
        }
        Said::Unreadable(answer) => {
            centre.counts.unreadable += 1;
            say(&answer);
        }
        Said::Other(answer) => say(&answer),
    }
    true
}
