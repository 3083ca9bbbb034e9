//! A connection to a carrier, whichever protocol it speaks.
//!
//! Another way to reach a carrier joins here: a variant of [`Link`] and of [`Settings`], with the same six functions. One
//! that keeps sessions over TCP is a [`tcp::Wire`](crate::tcp::Wire) and nothing more; one that does not (HTTP, mail)
//! brings its own and makes its [`Places`] of whatever bounds it.

use std::time::Duration;

use runtime::measure::Sizes;
use runtime::{Clock, Tasks};
use smpp::{Address, SmRef};
use tokio::sync::mpsc;

use crate::tcp::{self, Adapted, Wire};
use crate::{Places, Queried, Report, Status, Stopped, cimd, http, mail, smpp as smpp_link, ucp};

/// The settings of a connection, by its protocol.
#[derive(Clone, Debug)]
pub enum Settings {
    /// SMPP 3.4 or 5.0.
    Smpp(smpp_link::Settings),
    /// UCP/EMI.
    Ucp(ucp::Settings),
    /// CIMD2.
    Cimd(cimd::Settings),
    /// Mail by SMTP.
    Mail(mail::Settings),
    /// HTTP, as a description says.
    Http(Box<http::Settings>),
}

impl Settings {
    /// A message as it goes over this connection's wire, under the number 0. Secrets in it are hidden. `named` is our name for
    /// the message, and the part's number.
    ///
    /// # Errors
    /// What does not fit its field, in words.
    pub fn written(&self, clock: &Clock, named: (&str, u8), sm: &SmRef<'_>) -> Result<Vec<u8>, String> {
        fn written<W: Wire>(
            settings: &tcp::Settings<W::Login>,
            clock: &Clock,
            sm: &SmRef<'_>,
        ) -> Result<Vec<u8>, String> {
            let mut octets = Vec::new();
            W::submit(&W::writer(settings, clock), 0, sm, &mut octets).map(|()| octets)
        }
        match self {
            Self::Smpp(settings) => written::<smpp_link::Wire>(settings, clock, sm),
            Self::Ucp(settings) => written::<ucp::Wire>(settings, clock, sm),
            Self::Cimd(settings) => written::<cimd::Wire>(settings, clock, sm),
            Self::Mail(settings) => mail::written(settings, clock, named, sm),
            Self::Http(settings) => settings.preview(clock, named, sm).map(|request| request.written()),
        }
    }
}

/// A running connection. Cloning shares it. When the last clone or the receiver of its reports is dropped, or the program
/// stops, it drains and ends by itself.
#[derive(Clone, Debug)]
pub enum Link<T: Clone + Send + 'static> {
    /// SMPP 3.4 or 5.0.
    Smpp(smpp_link::Link<T>),
    /// UCP/EMI.
    Ucp(ucp::Link<T>),
    /// CIMD2.
    Cimd(cimd::Link<T>),
    /// Mail by SMTP.
    Mail(mail::Link<T>),
    /// HTTP, as a description says.
    Http(http::Link<T>),
}

/// Does the same with whichever link it is.
macro_rules! each {
    ($link:expr, $one:ident => $does:expr) => {
        match $link {
            Link::Smpp($one) => $does,
            Link::Ucp($one) => $does,
            Link::Cimd($one) => $does,
            Link::Mail($one) => $does,
            Link::Http($one) => $does,
        }
    };
}

impl<T: Clone + Send + 'static> Link<T> {
    /// Starts the sessions as tasks. `T` is the caller's mark for each message it hands over; it is cloned only when an
    /// answer does not come in time. The receiver ends when all sessions have.
    pub fn start(settings: Settings, tasks: &Tasks, clock: Clock) -> (Self, mpsc::Receiver<Report<T>>) {
        match settings {
            Settings::Smpp(settings) => {
                let (link, reports) = smpp_link::Link::start(settings, tasks, clock);
                (Self::Smpp(link), reports)
            }
            Settings::Ucp(settings) => {
                let (link, reports) = ucp::Link::start(settings, tasks, clock);
                (Self::Ucp(link), reports)
            }
            Settings::Cimd(settings) => {
                let (link, reports) = cimd::Link::start(settings, tasks, clock);
                (Self::Cimd(link), reports)
            }
            Settings::Mail(settings) => {
                let (link, reports) = mail::Link::start(settings, tasks, clock);
                (Self::Mail(link), reports)
            }
            Settings::Http(settings) => {
                let (link, reports) = http::Link::start(*settings, tasks, clock);
                (Self::Http(link), reports)
            }
        }
    }

    /// Waits until at least one message may leave now, and gives leave for up to `max`. Cheap: take many at once.
    ///
    /// # Errors
    /// [`Stopped`]: drained or stopped, for good.
    pub async fn places(&self, max: usize) -> Result<Places, Stopped> {
        each!(self, link => link.places(max).await)
    }

    /// Leave for up to `max` of the messages that may leave now, if any may. Whoever waits by [`Link::places`] is not passed:
    /// all take from the same room.
    pub fn places_now(&self, max: usize) -> Option<Places> {
        each!(self, link => link.places_now(max))
    }

    /// Hands over one message, using one of the places. It is given in the fields of submit_sm, which has those of the other
    /// protocols, and written in the link's own; `named` is our name for the message, and the part's number. From then on the
    /// tag comes back in exactly one [`Report::Answered`].
    ///
    /// # Errors
    /// The tag: no place was left in `places`, or the sessions went away before anything was written. It surely did not
    /// leave.
    pub fn submit(&self, places: &mut Places, named: (&str, u8), sm: &SmRef<'_>, tag: T) -> Result<(), T> {
        match self {
            Self::Smpp(link) => link.submit(places, sm, tag),
            Self::Ucp(link) => link.submit(places, sm, tag),
            Self::Cimd(link) => link.submit(places, sm, tag),
            // Who has no numbers of its own for requests is told ours for messages.
            Self::Http(link) => link.submit(places, named, sm, tag),
            Self::Mail(link) => link.submit(places, named, sm, tag),
        }
    }

    /// A message as it is written to a session now, under the number 0; nothing where it does not fit, and where there are no
    /// sessions.
    pub fn written(&self, sm: &SmRef<'_>) -> Option<Vec<u8>> {
        match self {
            Self::Smpp(link) => link.written(sm),
            Self::Ucp(link) => link.written(sm),
            Self::Cimd(link) => link.written(sm),
            Self::Http(_) | Self::Mail(_) => None,
        }
    }

    /// Asks what became of a message that the peer took over, using one of the places, and waits for the answer: query_sm. The
    /// message is given by the peer's name for it and by the sender that it was sent with. Only SMPP has such a question.
    pub async fn query(&self, places: &mut Places, message: (&str, &Address)) -> Queried {
        match self {
            Self::Smpp(link) => link.query(places, message).await,
            Self::Ucp(link) => link.query(places, message).await,
            Self::Cimd(link) => link.query(places, message).await,
            Self::Http(_) | Self::Mail(_) => {
                Queried::NotAsked("its protocol has no question for it".to_owned())
            }
        }
    }

    /// What it looks like now.
    pub fn status(&self) -> Status {
        each!(self, link => link.status())
    }

    /// How long each answer took since the start, microseconds.
    pub fn round_trips(&self) -> Sizes {
        each!(self, link => link.round_trips())
    }

    /// Goes on under other settings, without ending a session that needs no end.
    pub fn adapt(&self, settings: Settings) -> Adapted {
        match (self, settings) {
            (Self::Smpp(link), Settings::Smpp(settings)) => link.adapt(settings),
            (Self::Ucp(link), Settings::Ucp(settings)) => link.adapt(settings),
            (Self::Cimd(link), Settings::Cimd(settings)) => link.adapt(settings),
            // Over HTTP and by mail there is no session that is worth keeping.
            (Self::Smpp(_) | Self::Ucp(_) | Self::Cimd(_) | Self::Http(_) | Self::Mail(_), _) => {
                Adapted::NotPossible
            }
        }
    }

    /// Ends one session, by its number from 1, when nothing is open on it; it comes back at once. False where there is none.
    pub fn renew(&self, number: u64) -> bool {
        match self {
            Self::Smpp(link) => link.renew(number),
            Self::Ucp(link) => link.renew(number),
            Self::Cimd(link) => link.renew(number),
            Self::Http(_) | Self::Mail(_) => false,
        }
    }

    /// Hands over nothing more and waits for open answers. The sessions stay, for answers, receipts and inbound messages.
    pub fn drain(&self) {
        each!(self, link => link.drain());
    }

    /// Drains, leaves, and closes, all within that time; what is open then is reported as lost. The reports must be read
    /// meanwhile, or the sessions cannot end.
    pub async fn stop(&self, within: Duration) {
        each!(self, link => link.stop(within).await);
    }
}
