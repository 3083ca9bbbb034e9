//! A connection over HTTP: a request for each message or part, described in data.
//!
//! - [`Description`] says what is asked, how answers are read, and how receipts and messages from phones come back; [`dialects`]
//!   has ready ones of well-known providers.
//! - [`Link`] sends, with the window, rate and pauses that all links have. There is no session: the connection counts as bound
//!   when the provider's host answers anything at all, and is asked again after it could not be reached or refused our
//!   credentials.
//! - [`Hooks`] reads what the provider sends by itself. Who listens for it is the owner's business.
//!
//! A message whose request was not written at all is [`Answer::NotSent`](crate::Answer::NotSent); from its first octet on, only an answer that the
//! description reads tells what became of it.

mod answer;
mod description;
pub mod dialects;
mod hook;
mod link;
mod plan;
mod request;
mod sign;
mod source;
mod template;
mod token;
mod values;

use std::fmt;

use runtime::Clock;
use runtime::outbound::Outbound;
use smpp::SmRef;

pub use description::{
    Auth, Body, Description, Escape, HookReply, Inbound, Meaning, Method, Receipts, Request, Rule, Signature,
    Standing,
};
pub use hook::{Hooks, Refused, Request as HookRequest};
pub use link::Link;
pub use request::Prepared;
pub use sign::{Coding, Hash};
pub use source::fields as form_fields;

use plan::Plan;
use values::{Fixed, Message};

/// A connection over HTTP. All times are milliseconds.
#[derive(Clone)]
pub struct Settings {
    /// The connection's name, for logs.
    pub name: String,
    /// What is said and heard.
    pub description: Description,
    /// Who we are.
    pub user: String,
    /// What proves it.
    pub password: String,
    /// Where the provider posts receipts.
    pub receipts_url: String,
    /// Where the provider posts messages from phones.
    pub inbound_url: String,
    /// Requests under way at once.
    pub window: u16,
    /// Requests per second, 0 for no limit of ours.
    pub throughput: u32,
    /// First pause before a host that cannot be reached is asked again.
    pub reconnect_min_ms: u64,
    /// Longest such pause.
    pub reconnect_max_ms: u64,
    /// First pause after "too fast".
    pub throttle_min_ms: u64,
    /// Longest pause after "too fast".
    pub throttle_max_ms: u64,
    /// How long an answer is awaited.
    pub response_timeout_ms: u64,
    /// The client, with the connection's own time-outs and pool, and without redirects: what is sent elsewhere than was said
    /// would be sent by GET, or twice.
    pub outbound: Outbound,
}

/// Secrets do not belong in a log, so `Debug` leaves them out.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("url", &self.description.url)
            .field("dialect", &self.description.dialect)
            .field("user", &self.user)
            .field("window", &self.window)
            .field("throughput", &self.throughput)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a description, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The place, such as `request.body.form.To`.
    pub at: String,
    /// What is wrong, in words.
    pub why: String,
}

/// Judges a description.
///
/// # Errors
/// [`Flaw`].
pub fn check(description: &Description) -> Result<(), Flaw> {
    Plan::read(description)?;
    Hooks::read(description, "").map(drop)
}

/// Whether a description's request carries user data headers, and with them the parts of long messages.
pub fn carries_headers(description: &Description) -> bool {
    Plan::read(description).is_ok_and(|plan| plan.names("udh"))
}

impl Settings {
    fn fixed(&self) -> Fixed {
        Fixed {
            url: self.description.url.trim_end_matches('/').to_owned(),
            user: self.user.clone(),
            password: self.password.clone(),
            receipts_url: self.receipts_url.clone(),
            inbound_url: self.inbound_url.clone(),
            parameters: self.description.parameters.clone(),
        }
    }

    /// The request for a part, for people: its secrets are hidden.
    ///
    /// # Errors
    /// What the description cannot carry, in words.
    pub fn preview(&self, clock: &Clock, named: (&str, u8), sm: &SmRef<'_>) -> Result<Prepared, String> {
        let plan = Plan::read(&self.description).map_err(|flaw| format!("{}: {}", flaw.at, flaw.why))?;
        let fixed = self.fixed().masked();
        let now_ms = clock.now().unix_ms();
        let message = Message::read(&fixed, sm, named, now_ms)?;
        let mut prepared = plan.request(&fixed, &message)?;
        plan.prove(&mut prepared, &fixed, values::MASK, now_ms / 1_000)?;
        Ok(prepared)
    }
}

#[cfg(test)]
mod tests;
