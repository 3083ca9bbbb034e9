//! What the protocol asks: who signs in, who may send where, and what becomes of a mail.

use std::time::Duration;

use runtime::sighting::Door;
use smpp::State;
use smtp::{Asked, Code as ReplyCode, Recipient, Reply};
use types::{Address, Code, ConnectionId, Error, Result};

use super::Hub;
use super::refusal;
use crate::account::{self, AccountForBind};
use crate::connection::Protocol;
use crate::gate;
use crate::mail::address::{self, Meaning, ReplyTo};
use crate::mail::submit::{From, To};
use crate::mail::{self, GatewaySettings, MailGateway, bounce};
use crate::sessions::{Peer, Seat};
use crate::smpp_server::bind;

/// One connection's standing.
pub(super) struct Desk {
    hub: Hub,
    peer: Peer,
    /// Who has signed in.
    known: Option<Known>,
    /// The mail that has begun.
    mail: Option<Mail>,
}

/// An account that sends, and how its mails are read.
struct Known {
    seat: Seat,
    gateway: Option<MailGateway>,
}

#[derive(Default)]
struct Mail {
    sender: String,
    envelope_id: Option<String>,
    /// The account of a gateway that needs no sign-in; the same for all of a mail's recipients.
    gateway: Option<Known>,
    phones: Vec<To>,
    replies: Vec<ReplyTo>,
    receipts: Vec<(ConnectionId, String)>,
}

/// An answer, and whether it counts as an error of the client's.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) counts: bool,
}

impl Answer {
    fn yes(text: &str) -> Self {
        Self { reply: Reply::new(ReplyCode::OK, text), counts: false }
    }

    fn of(code: ReplyCode, text: impl Into<String>) -> Self {
        Self { reply: Reply::new(code, text), counts: false }
    }

    fn refused(error: &Error) -> Self {
        if error.code() == Code::Internal {
            tracing::error!(?error, "a mail could not be taken");
        }
        let reply = refusal::reply(error);
        // Who tries names and passwords, or numbers, is sent away after some time; what passes is nobody's fault.
        let counts = reply.code.0 >= 500;
        Self { reply, counts }
    }
}

impl Desk {
    pub(super) fn new(hub: Hub, peer: Peer) -> Self {
        Self { hub, peer, known: None, mail: None }
    }

    /// TLS has begun: all that was said before counts no more.
    pub(super) fn encrypted(&mut self) {
        self.peer.encrypted = true;
        self.known = None;
        self.mail = None;
    }

    /// Done when the account that has signed in is to leave.
    pub(super) async fn ended(&self) {
        match &self.known {
            Some(known) => known.seat.ending.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Decides.
    pub(super) async fn decide(&mut self, asked: Asked) -> Answer {
        match asked {
            Asked::Login { user, password } => self.login(&user, &password).await,
            Asked::From(from) => {
                self.mail =
                    Some(Mail { sender: from.address, envelope_id: from.envelope_id, ..Mail::default() });
                Answer::yes("Go on")
            }
            Asked::To(to) => match self.recipient(to).await {
                Ok(()) => {
                    Answer { reply: Reply::new(ReplyCode(250, "2.1.5"), "It can be reached"), counts: false }
                }
                // Who may send sends to many, and some of them cannot be reached.
                Err(answer) => Answer { counts: answer.counts && self.sending().is_none(), ..answer },
            },
            Asked::Letter(letter) => {
                let answer = self.letter(&letter.content).await;
                let outcome = answer.reply.code.0.to_string();
                metrics::counter!("switchboard_smtp_mails_total", "code" => outcome).increment(1);
                answer
            }
            Asked::StartTls | Asked::Close => Answer::of(ReplyCode::NOT_HERE, "Not here"),
        }
    }

    async fn login(&mut self, user: &str, password: &str) -> Answer {
        let runtime = self.hub.engine.runtime();
        match bind::authenticate(runtime, Door::Smtp, (user, password), self.peer).await {
            Ok(account) => match self.admit(account).await {
                Ok(known) => {
                    self.known = Some(known);
                    Answer::of(ReplyCode(235, "2.7.0"), "Welcome")
                }
                Err(answer) => answer,
            },
            Err(bind::Refusal::Broken) => Answer::of(ReplyCode(454, "4.7.0"), "Try again later"),
            // Told in either case: who gets so far knows the password.
            Err(bind::Refusal::NotEncrypted) => {
                Answer { reply: Reply::new(ReplyCode(538, "5.7.11"), "The account needs TLS"), counts: true }
            }
            Err(refusal) => {
                let (peer, reason) = (self.peer, refusal.as_str());
                tracing::info!(%peer, user, reason, "a sign-in by SMTP was refused");
                tokio::time::sleep(Duration::from_millis(runtime.config.smpp.bind_failure_delay_ms)).await;
                let reply = Reply::new(ReplyCode(535, "5.7.8"), "sign_in_refused: name or password is wrong");
                Answer { reply, counts: true }
            }
        }
    }

    /// Gives an account its place among the sessions.
    async fn admit(&self, account: AccountForBind) -> Result<Known, Answer> {
        let runtime = self.hub.engine.runtime();
        let (tenant, id) = (account.tenant, account.id);
        let gateway = mail::of_account(runtime, tenant, id).await;
        let gateway = gateway.map_err(|error| Answer::refused(&error))?;
        let kind = (Protocol::Mail, State::BoundTx);
        let places = runtime.config.smpp.binds_max;
        let seat = self.hub.engine.sessions().admit(account, kind, self.peer, runtime.clock.now(), places);
        let seat = seat.map_err(|_| {
            Answer::of(
                ReplyCode(451, "4.7.1"),
                "too_many_requests: the account has all the sessions that it may have",
            )
        })?;
        Ok(Known { seat, gateway })
    }

    async fn recipient(&mut self, to: Recipient) -> Result<(), Answer> {
        let runtime = self.hub.engine.runtime().clone();
        let words = address::words(&runtime);
        let refuse = |code: Code, why: String| Answer::refused(&Error::new(code, why));
        match address::meaning(&words, &runtime.config.smtp.domain, &to.address) {
            Meaning::Elsewhere => {
                let why =
                    format!("mail is taken for phones only: write to NUMBER@{}", runtime.config.smtp.domain);
                Err(refuse(Code::Forbidden, why))
            }
            Meaning::Forged => Err(refuse(Code::NotFound, "the address is not one of ours".to_owned())),
            Meaning::Receipt { connection, provider_id } => {
                self.begun()?.receipts.push((connection, provider_id));
                Ok(())
            }
            Meaning::Reply(reply) => {
                let answerable = self.hub.engine.answerable(reply).await;
                answerable.map_err(|error| Answer::refused(&error))?;
                self.begun()?.replies.push(reply);
                Ok(())
            }
            Meaning::Phone { number, subdomain } => self.phone(&number, subdomain.as_deref(), to).await,
        }
    }

    fn begun(&mut self) -> Result<&mut Mail, Answer> {
        self.mail.as_mut().ok_or_else(|| Answer::of(ReplyCode::WRONG_ORDER, "Say MAIL first"))
    }

    async fn phone(&mut self, number: &str, subdomain: Option<&str>, to: Recipient) -> Result<(), Answer> {
        self.choose(subdomain).await?;
        let phone = Address::recipient(number).map_err(|error| Answer::refused(&error))?;
        let known = self.sending().ok_or_else(|| Answer::of(ReplyCode::WRONG_ORDER, "Say MAIL first"))?;
        if let Err(refusal) = self.reachable(known, &phone) {
            return Err(Answer::refused(&refusal));
        }
        self.begun()?.phones.push(To { phone, recipient: to });
        Ok(())
    }

    /// The account on whose behalf the mail is sent.
    fn sending(&self) -> Option<&Known> {
        self.known.as_ref().or_else(|| self.mail.as_ref().and_then(|mail| mail.gateway.as_ref()))
    }

    /// Finds out which account sends: the one that has signed in, or that of the gateway of this name.
    async fn choose(&mut self, subdomain: Option<&str>) -> Result<(), Answer> {
        let runtime = self.hub.engine.runtime().clone();
        let forbidden = |why: &str| Answer::refused(&Error::new(Code::Forbidden, why));
        let Some(name) = subdomain else {
            // The domain itself is nobody's: only who has signed in can be known there.
            let signed_in = self.known.is_some();
            let why = "unauthenticated: sign in first, or write to your gateway's own name below the domain";
            return if signed_in { Ok(()) } else { Err(Answer::of(ReplyCode(530, "5.7.0"), why)) };
        };
        let gateway = mail::by_subdomain(&runtime, name).await.map_err(|error| Answer::refused(&error))?;
        if let Some(known) = &self.known {
            let own = gateway.is_some_and(|gateway| gateway.account == known.seat.account);
            return if own { Ok(()) } else { Err(forbidden("this gateway is not the account's own")) };
        }
        let (address, sender) = (self.peer.address.ip(), self.begun()?.sender.clone());
        // Whether there is such a gateway is nobody's business who may not use it.
        let gateway = gateway.filter(|gateway| gateway.active && gateway.settings.admits(address, &sender));
        let gateway =
            gateway.ok_or_else(|| forbidden("this sender may not send from there without signing in"))?;
        if let Some(other) = &self.begun()?.gateway {
            let same = other.gateway.as_ref().is_some_and(|other| other.id == gateway.id);
            // Tried again by itself, in a mail of its own (RFC 5321 §4.5.3.1.10).
            let why = "A mail is for one gateway; send this recipient another";
            return if same { Ok(()) } else { Err(Answer::of(ReplyCode(452, "4.5.3"), why)) };
        }
        let account = account::find_for_gateway(&runtime, gateway.tenant, gateway.account).await;
        let account = account.map_err(|error| Answer::refused(&error))?;
        let account = account.filter(|account| account.active && account.tenant_active);
        let account = account.ok_or_else(|| forbidden("the gateway's account is not active"))?;
        if account.settings.require_tls && !self.peer.encrypted {
            return Err(Answer::of(
                ReplyCode(530, "5.7.0"),
                "forbidden: the account needs TLS; begin with STARTTLS",
            ));
        }
        let mut known = self.admit(account).await?;
        known.gateway = Some(gateway);
        self.begun()?.gateway = Some(known);
        Ok(())
    }

    /// Refuses what is known to be refused before there is a text: the phone, or who sends. Nothing is counted.
    fn reachable(&self, known: &Known, phone: &Address) -> Result<()> {
        let engine = &self.hub.engine;
        let sender = known.seat.sender();
        let settings = known.gateway.as_ref().map(|gateway| &gateway.settings);
        let address = self.mail.as_ref().map_or("", |mail| mail.sender.as_str());
        let own = settings.and_then(|settings| settings.sender_for(address));
        let source = own.or(sender.settings.sender_default.as_deref()).map(Address::sender).transpose()?;
        let named = source.is_some();
        let source = source.unwrap_or_else(crate::message::submit::default_sender);
        let intent = settings.and_then(|settings| settings.intent).unwrap_or(sender.settings.intent_default);
        let ask = gate::Ask {
            tenant: sender.tenant,
            account: Some(sender.account),
            key: None,
            from: sender.from,
            sender: &source,
            named,
            recipient: &phone.text,
            intent,
            text: None,
            octets: &[],
            parts: 1,
            schedule_at: None,
            expires_at: None,
        };
        let route = |source: &str| {
            let ask =
                crate::route::Ask::new(sender.tenant, Some(sender.account), source, &phone.text, intent);
            engine.queue().route_of(&ask)
        };
        let (judged, _) = engine.gates().explain(&ask, &route, engine.runtime().clock.now());
        match judged {
            Err(refusal) if is_early(refusal.code) => Err(refusal.error()),
            _ => Ok(()),
        }
    }

    async fn letter(&mut self, content: &[u8]) -> Answer {
        let Some(mail) = self.mail.take() else {
            return Answer::of(ReplyCode::WRONG_ORDER, "Say MAIL first");
        };
        match self.take(&mail, content).await {
            Ok(text) => Answer::yes(&text),
            Err(error) => {
                let mut answer = Answer::refused(&error);
                // A mail that is refused is no misuse of the protocol.
                answer.counts = false;
                answer
            }
        }
    }

    async fn take(&self, mail: &Mail, content: &[u8]) -> Result<String> {
        let engine = &self.hub.engine;
        let mut said = "Taken".to_owned();
        // What must not be refused comes first: a notification is heard though the phones of the same mail are not reached.
        for (connection, provider_id) in &mail.receipts {
            bounce::take(engine, *connection, provider_id, content).await?;
        }
        for reply in &mail.replies {
            engine.accept_reply(*reply, (&mail.sender, self.peer.address.ip()), content).await?;
        }
        if !mail.phones.is_empty() {
            let known = self.known.as_ref().or(mail.gateway.as_ref());
            let known = known.ok_or_else(|| Error::new(Code::Unauthenticated, "sign in first"))?;
            let settings = known
                .gateway
                .as_ref()
                .map_or_else(GatewaySettings::default, |gateway| gateway.settings.clone());
            let mut sender = known.seat.sender();
            if let Some(intent) = settings.intent {
                let mut own = (*sender.settings).clone();
                own.intent_default = intent;
                sender.settings = std::sync::Arc::new(own);
            }
            let from = From {
                sender,
                settings,
                address: mail.sender.clone(),
                envelope_id: mail.envelope_id.clone(),
            };
            let now = engine.runtime().clock.now();
            let may_send = |parts| known.seat.may_submit(parts, now);
            let ids = engine.accept_mail(&from, &mail.phones, content, may_send).await?;
            known.seat.asked(ids.len() as u64);
            known.seat.answered(1);
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            said = if ids.is_empty() {
                "Taken before".to_owned()
            } else {
                format!("Taken as {}", ids.join(" "))
            };
        }
        Ok(said)
    }
}

/// Refusals that do not depend on the text.
fn is_early(code: Code) -> bool {
    matches!(
        code,
        Code::RecipientBlacklisted
            | Code::RecipientOptedOut
            | Code::SenderBlacklisted
            | Code::SenderNotAllowed
            | Code::SenderNotRegistered
            | Code::SenderImpersonation
            | Code::CallerBlacklisted
    )
}
