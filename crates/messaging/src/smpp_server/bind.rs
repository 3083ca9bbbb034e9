//! Letting a customer's system in (SMPP v5 §4.1.1).

use db::{Tenancy, args, record, sql};
use runtime::Runtime;
use runtime::sighting::{self, Door};
use runtime::trace::Tap;
use runtime::wire::Outlet;
use smpp::{Bind, BindResp, CommandId, Header, Mode, Pdu, State, Status, Version, decode};
use tokio::time::Instant;
use types::{Result, TenantId};

use super::Hub;
use super::connection::{End, Inlet, answer_by_state, refuse, refuse_stream};
use crate::account::{self, AccountForBind};
use crate::connection::Protocol;
use crate::sessions::{NoPlace, Peer, Seat};

/// A system that is in.
pub(super) struct Admitted {
    /// Its place.
    pub(super) seat: Seat,
    /// The version it speaks.
    pub(super) version: Version,
    /// What its octets are shown to.
    pub(super) tap: Tap,
}

/// Passwords above this are wrong, and are not worth a hash.
const PASSWORD_OCTETS_MAX: usize = 64;

/// Why a bind is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    UnknownSystem,
    WrongPassword,
    Inactive,
    Address,
    /// The account may not use this kind of bind.
    Kind,
    /// All is right but the port.
    NotEncrypted,
    Place(NoPlace),
    /// The fault is ours.
    Broken,
}

impl Refusal {
    /// What the peer is told. With `hide` the first four look alike, so that nobody learns which names exist.
    fn status(self, hide: bool) -> Status {
        match self {
            Self::UnknownSystem if !hide => Status::RINVSYSID,
            Self::WrongPassword if !hide => Status::RINVPASWD,
            Self::UnknownSystem | Self::WrongPassword | Self::Inactive | Self::Address => Status::RBINDFAIL,
            // Told in either case: who gets so far knows the password.
            Self::NotEncrypted | Self::Kind => Status::RPROHIBITED,
            Self::Place(NoPlace::Account) => Status::RALYBND,
            Self::Place(NoPlace::Server) => Status::RBINDFAIL,
            Self::Broken => Status::RSYSERR,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::UnknownSystem => "unknown system_id",
            Self::WrongPassword => "wrong password",
            Self::Inactive => "not active",
            Self::Address => "address not allowed",
            Self::Kind => "kind of bind not allowed",
            Self::NotEncrypted => "TLS required",
            Self::Place(NoPlace::Account) => "account has all its binds",
            Self::Place(NoPlace::Server) => "server has all its binds",
            Self::Broken => "internal",
        }
    }
}

/// Talks to a peer until it is bound, `by` then at the latest; whatever else it says is answered by the state table.
///
/// # Errors
/// Why the connection is to be closed.
pub(super) async fn introduce(
    hub: &Hub,
    inlet: &mut Inlet,
    outlet: &Outlet,
    peer: Peer,
    by: Instant,
) -> Result<Admitted, End> {
    let runtime = hub.engine.runtime();
    let stopping = runtime.tasks.stopping();
    tokio::select! {
        admitted = talk(hub, inlet, outlet, peer) => admitted,
        () = tokio::time::sleep_until(by) => Err(End::NotBound),
        () = stopping.cancelled() => Err(End::Ended),
    }
}

async fn talk(hub: &Hub, inlet: &mut Inlet, outlet: &Outlet, peer: Peer) -> Result<Admitted, End> {
    loop {
        loop {
            let octets = match inlet.framer.next_pdu() {
                Ok(Some(octets)) => octets,
                Ok(None) => break,
                Err(error) => {
                    sighting::turned_away(hub.engine.runtime(), Door::Smpp, peer.address.ip());
                    return Err(refuse_stream(outlet, error));
                }
            };
            let Some(header) = Header::read(octets) else { break };
            if answer_by_state(outlet, &header, State::Open) || !header.command_id.is_bind() {
                continue;
            }
            match decode(octets, Mode::Lenient) {
                Ok((
                    _,
                    Pdu::BindTransmitter(bind) | Pdu::BindReceiver(bind) | Pdu::BindTransceiver(bind),
                )) => {
                    if let Some(seat) = try_bind(hub, outlet, peer, &header, &bind).await {
                        return Ok(welcome(hub, outlet, seat, &header, (octets, bind.interface_version)));
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    metrics::counter!("switchboard_smpp_malformed_total", "what" => "bind").increment(1);
                    let _ = outlet.write(|out| error.encode_answer(out));
                }
            }
        }
        inlet.more().await?;
    }
}

async fn try_bind(hub: &Hub, outlet: &Outlet, peer: Peer, header: &Header, bind: &Bind) -> Option<Seat> {
    let runtime = hub.engine.runtime();
    let config = &runtime.config.smpp;
    let state = match header.command_id {
        CommandId::BIND_TRANSMITTER => State::BoundTx,
        CommandId::BIND_RECEIVER => State::BoundRx,
        _ => State::BoundTrx,
    };
    let (system_id, password) = (bind.system_id.as_str(), bind.password.as_str());
    let kind = match state {
        State::BoundTx => "transmitter",
        State::BoundRx => "receiver",
        _ => "transceiver",
    };
    let admitted =
        authenticate(runtime, Door::Smpp, (&system_id, &password), peer).await.and_then(|account| {
            if !account.settings.may_bind(kind) {
                return Err(Refusal::Kind);
            }
            let now = runtime.clock.now();
            hub.sessions
                .admit(account, (Protocol::Smpp, state), peer, now, config.binds_max)
                .map_err(Refusal::Place)
        });
    match admitted {
        Ok(seat) => Some(seat),
        Err(refusal) => {
            metrics::counter!("switchboard_smpp_binds_total", "outcome" => refusal.as_str()).increment(1);
            tracing::info!(%peer, system_id = ?bind.system_id, reason = refusal.as_str(), "an SMPP bind was refused");
            if refusal != Refusal::Broken {
                tokio::time::sleep(std::time::Duration::from_millis(config.bind_failure_delay_ms)).await;
            }
            refuse(outlet, header, refusal.status(config.hide_bind_reason));
            None
        }
    }
}

/// Answers a bind that was let in, and shows both to whoever listens to the account.
fn welcome(
    hub: &Hub,
    outlet: &Outlet,
    seat: Seat,
    header: &Header,
    (octets, version): (&[u8], Version),
) -> Admitted {
    metrics::counter!("switchboard_smpp_binds_total", "outcome" => "bound").increment(1);
    let runtime = hub.engine.runtime();
    let tap = seat.tap(runtime);
    tap.read(octets);
    outlet.set_tap(tap.clone());
    let response = response(seat.state, version, &runtime.config.smpp.system_id);
    let _ = outlet.write(|out| response.encode(header.sequence, Status::ROK, out));
    Admitted { seat, version, tap }
}

/// The bind's own response. It names the version that both sides speak from now on; peers of 3.3 know no TLV that could.
fn response(state: State, version: Version, system_id: &str) -> Pdu {
    let mut response = BindResp { system_id: system_id.into(), ..BindResp::default() };
    if version.has_tlvs() {
        // Some 3.4 stacks refuse a centre that claims to be newer than they are.
        let common = if version >= Version::V5_0 { Version::V5_0 } else { Version::V3_4 };
        response.tlvs.set_sc_interface_version(common.0);
    }
    match state {
        State::BoundTx => Pdu::BindTransmitterResp(response),
        State::BoundRx => Pdu::BindReceiverResp(response),
        _ => Pdu::BindTransceiverResp(response),
    }
}

/// The account that a system names, when all is as it must be. It takes as long without one.
pub(crate) async fn authenticate(
    runtime: &Runtime,
    door: Door,
    (system_id, password): (&str, &str),
    peer: Peer,
) -> Result<AccountForBind, Refusal> {
    let broken = |error: types::Error| {
        tracing::error!(?error, "a bind could not be checked");
        Refusal::Broken
    };
    let password = if password.len() > PASSWORD_OCTETS_MAX { "" } else { password };
    let account = account::find_for_bind(runtime, system_id).await.map_err(broken)?;
    // Asked also without an account: the answer must take the same time.
    let right = account::password_matches(runtime, password, account.as_ref()).await.map_err(broken)?;
    let from = peer.address.ip();
    let Some(account) = account else {
        sighting::turned_away(runtime, door, from);
        return Err(Refusal::UnknownSystem);
    };
    if !right {
        sighting::guessed(runtime, door, account.tenant, system_id, from);
        return Err(Refusal::WrongPassword);
    }
    if !account.active || !is_tenant_active(runtime, account.tenant).await.map_err(broken)? {
        return Err(Refusal::Inactive);
    }
    let networks = &account.settings.allow_from;
    if !networks.is_empty() && !networks.iter().any(|network| network.contains(peer.address.ip())) {
        return Err(Refusal::Address);
    }
    if account.settings.require_tls && !peer.encrypted {
        return Err(Refusal::NotEncrypted);
    }
    Ok(account)
}

record! { struct TenantStatus { status: String } }

async fn is_tenant_active(runtime: &Runtime, tenant: TenantId) -> Result<bool> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let found: Option<TenantStatus> = tx
        .optional(
            sql!("select status from tenant where id = $1 /* every tenant: a bind names no tenant */"),
            args![tenant],
        )
        .await?;
    Ok(found.is_some_and(|tenant| tenant.status == "active"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_cannot_tell_names_from_passwords() {
        let told: Vec<Status> =
            [Refusal::UnknownSystem, Refusal::WrongPassword, Refusal::Inactive, Refusal::Address]
                .map(|refusal| refusal.status(true))
                .into();
        assert_eq!(told, [Status::RBINDFAIL; 4]);
        assert_eq!(Refusal::UnknownSystem.status(false), Status::RINVSYSID);
        assert_eq!(Refusal::WrongPassword.status(false), Status::RINVPASWD);
        assert_eq!(Refusal::Place(NoPlace::Account).status(true), Status::RALYBND);
        assert_eq!(Refusal::NotEncrypted.status(true), Status::RPROHIBITED);
    }

    #[test]
    fn the_response_names_the_version_that_both_speak() {
        let told = |version| match response(State::BoundTrx, Version(version), "us") {
            Pdu::BindTransceiverResp(response) => response.version(),
            _ => None,
        };
        assert_eq!(told(0x33), None);
        assert_eq!(told(0x00), None);
        assert_eq!(told(0x34), Some(Version::V3_4));
        assert_eq!(told(0x50), Some(Version::V5_0));
        assert_eq!(told(0xFF), Some(Version::V5_0));
        assert!(matches!(response(State::BoundRx, Version::V3_4, "us"), Pdu::BindReceiverResp(_)));
    }
}
