//! A bound session: every operation by the book, and the timers (SMPP v5 §2.4, §2.7).

use std::sync::Arc;
use std::time::Duration;

use runtime::config::Smpp;
use runtime::trace::Tap;
use runtime::wire::Outlet;
use smpp::{CommandId, Enquire, EnquireAction, Header, Mode, Pdu, Status, decode, encode_header};
use tokio::time::Instant;
use types::Event;
use types::event::Link;

use super::bind::Admitted;
use super::connection::{End, Inlet, answer_by_state, refuse, refuse_stream};
use super::submit::Submits;
use super::{Hub, ancillary};
use crate::deliver::{Deliver, Form};
use crate::engine::Engine;
use crate::sessions::Session;

/// What the operations of a session work with.
pub(super) struct Bound {
    pub(super) engine: Engine,
    pub(super) session: Arc<Session>,
    pub(super) outlet: Outlet,
    pub(super) submits: Submits,
    tap: Tap,
    deliver: Option<Arc<Deliver>>,
}

/// The session's timers, in milliseconds since it began.
struct Timers {
    began: Instant,
    enquire: Enquire,
    /// 0: never.
    inactivity_ms: i64,
    active_ms: i64,
    /// We have sent an unbind for this reason and wait until then for its answer.
    parting: Option<(End, i64)>,
}

/// What is due.
enum Due {
    Wait(Duration),
    Enquire,
    Part(End),
    End(End),
}

impl Timers {
    fn new(config: &Smpp) -> Self {
        let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        Self {
            began: Instant::now(),
            enquire: Enquire::new(
                ms(config.enquire_link_ms),
                ms(config.response_timeout_ms),
                config.enquire_missed_max,
                0,
            ),
            inactivity_ms: ms(config.inactivity_ms),
            active_ms: 0,
            parting: None,
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// What is due at `now_ms`. An enquire_link that is due counts as sent.
    fn due(&mut self, now_ms: i64) -> Due {
        if let Some((end, until_ms)) = self.parting {
            return if now_ms >= until_ms { Due::End(end) } else { wait(until_ms - now_ms) };
        }
        let mut until_ms = i64::MAX;
        if self.inactivity_ms > 0 {
            until_ms = self.active_ms.saturating_add(self.inactivity_ms);
            if now_ms >= until_ms {
                return Due::Part(End::Inactive);
            }
        }
        match self.enquire.poll(now_ms) {
            EnquireAction::Wait { until_ms: ask_ms } => wait(until_ms.min(ask_ms) - now_ms),
            EnquireAction::Send => Due::Enquire,
            EnquireAction::Dead => Due::End(End::Silent),
        }
    }
}

fn wait(ms: i64) -> Due {
    Due::Wait(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

/// Serves a bound session to its end.
pub(super) async fn serve(hub: &Hub, inlet: &mut Inlet, outlet: &Outlet, admitted: Admitted) -> End {
    let Admitted { seat, version, tap } = admitted;
    let tasks = &hub.engine.runtime().tasks;
    let session = Arc::clone(&seat);
    session.served_by(outlet);
    let bound = Bound {
        engine: hub.engine.clone(),
        submits: Submits::start(&hub.engine, &session, outlet, version),
        deliver: session
            .state
            .can_deliver()
            .then(|| Deliver::start(&hub.engine, Arc::clone(&session), outlet.clone(), Form::Smpp(version))),
        outlet: outlet.clone(),
        tap,
        session,
    };
    seat.speaks(version);
    let bind = Event::AccountBound(link(&seat, seat.kind()));
    Box::pin(hub.engine.happened(seat.tenant, bind)).await;
    let stopping = tasks.stopping();
    let end = bound.converse(inlet, stopping.cancelled()).await;
    if let Some(deliver) = &bound.deliver {
        deliver.finish();
    }
    // The place is free before anything more is waited for: the customer may be binding again already.
    drop(seat);
    bound.session.note(hub.engine.runtime().clock.now(), "lost", Some(end.as_str().to_owned()));
    let unbound = Event::AccountUnbound(link(&bound.session, end.as_str()));
    Box::pin(hub.engine.happened(bound.session.tenant, unbound)).await;
    end
}

fn link(session: &Session, detail: &str) -> Link {
    Link {
        id: session.account.to_string(),
        name: session.name.clone(),
        peer: session.peer.to_string(),
        detail: detail.to_owned(),
    }
}

impl Bound {
    async fn converse(&self, inlet: &mut Inlet, stopping: impl Future<Output = ()>) -> End {
        let config = &self.engine.runtime().config.smpp;
        let mut timers = Timers::new(config);
        tokio::pin!(stopping);
        loop {
            loop {
                let octets = match inlet.framer.next_pdu() {
                    Ok(Some(octets)) => {
                        self.tap.read(octets);
                        octets
                    }
                    Ok(None) => break,
                    Err(error) => return refuse_stream(&self.outlet, error),
                };
                if let Err(end) = self.take(octets, &mut timers).await {
                    return end;
                }
            }
            let pause = match timers.due(timers.now_ms()) {
                Due::Wait(pause) => pause,
                Due::Enquire => {
                    self.ask(CommandId::ENQUIRE_LINK);
                    continue;
                }
                Due::Part(end) => {
                    self.part(&mut timers, end);
                    continue;
                }
                Due::End(end) => return end,
            };
            tokio::select! {
                () = self.session.ending.cancelled(), if timers.parting.is_none() => self.part(&mut timers, End::Ended),
                () = &mut stopping, if timers.parting.is_none() => self.part(&mut timers, End::Ended),
                read = inlet.more() => match read {
                    Ok(()) => timers.enquire.heard(timers.now_ms()),
                    Err(end) => return end,
                },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Sends a request that has no body.
    fn ask(&self, command: CommandId) {
        let sequence = self.session.next_sequence();
        // Closed: the reader is about to see that too.
        let _ = self.outlet.write(|out| encode_header(command, Status::ROK, sequence, out));
    }

    /// Sends an unbind. Nothing more is given; what is under way both ways may still be answered.
    fn part(&self, timers: &mut Timers, end: End) {
        if let Some(deliver) = &self.deliver {
            deliver.stop();
        }
        let patience = self.engine.runtime().config.smpp.unbind_timeout_ms;
        timers.parting = Some((end, timers.now_ms().saturating_add_unsigned(patience)));
        self.ask(CommandId::UNBIND);
    }

    /// Takes one PDU.
    async fn take(&self, octets: &[u8], timers: &mut Timers) -> Result<(), End> {
        let Some(header) = Header::read(octets) else { return Ok(()) };
        let command = header.command_id;
        if !matches!(command, CommandId::ENQUIRE_LINK | CommandId::ENQUIRE_LINK_RESP) {
            timers.active_ms = timers.now_ms();
        }
        if command == CommandId::SUBMIT_SM && self.session.state.can_submit() {
            return self.submit_sm(&header, octets).await;
        }
        match command {
            CommandId::DELIVER_SM_RESP | CommandId::DATA_SM_RESP | CommandId::GENERIC_NACK => {
                if let Some(deliver) = &self.deliver {
                    deliver.answered(header.sequence, answer_of(&header)).await;
                }
                Ok(())
            }
            CommandId::UNBIND => {
                self.drained().await;
                refuse(&self.outlet, &header, Status::ROK);
                Err(End::Unbound)
            }
            CommandId::UNBIND_RESP => match timers.parting {
                Some((end, _)) => {
                    self.drained().await;
                    Err(end)
                }
                None => Ok(()),
            },
            // The rest of the responses answer nothing that we ask.
            _ if command.is_response() || answer_by_state(&self.outlet, &header, self.session.state) => {
                Ok(())
            }
            // On the heap while it lasts: an idle session need not hold the room that the rarest operation takes.
            _ => Box::pin(self.operation(&header, octets)).await,
        }
    }

    /// Waits until what was submitted is answered, as long as an answer may take.
    async fn drained(&self) {
        let patience = Duration::from_millis(self.engine.runtime().config.smpp.response_timeout_ms);
        drop(tokio::time::timeout(patience, self.session.room(|| 1)).await);
    }

    /// Carries out an operation that is allowed now and is not among the frequent ones.
    async fn operation(&self, header: &Header, octets: &[u8]) -> Result<(), End> {
        let pdu = match decode(octets, Mode::Strict) {
            Ok((_, pdu)) => pdu,
            Err(error) => {
                metrics::counter!("switchboard_smpp_malformed_total", "what" => "pdu").increment(1);
                let _ = self.outlet.write(|out| error.encode_answer(out));
                return Ok(());
            }
        };
        match pdu {
            Pdu::DataSm(data) => self.data_sm(header, &data).await,
            Pdu::SubmitMulti(multi) => self.submit_multi(header, &multi).await,
            Pdu::QuerySm(query) => ancillary::query(self, header, &query).await,
            Pdu::CancelSm(cancel) => ancillary::cancel(self, header, &cancel).await,
            Pdu::ReplaceSm(replace) => ancillary::replace(self, header, &replace).await,
            // Cell broadcast: read, so that a wrong field is named, and not offered.
            Pdu::BroadcastSm(_) | Pdu::QueryBroadcastSm(_) | Pdu::CancelBroadcastSm(_) => {
                refuse(&self.outlet, header, Status::RPROHIBITED);
                Ok(())
            }
            _ => {
                refuse(&self.outlet, header, Status::RINVCMDID);
                Ok(())
            }
        }
    }
}

/// The status of an answer to a deliver_sm. A generic_nack without an error is no acceptance.
fn answer_of(header: &Header) -> Status {
    if header.command_id == CommandId::GENERIC_NACK && header.status.is_ok() {
        Status::RUNKNOWNERR
    } else {
        header.status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timers(inactivity_ms: i64) -> Timers {
        Timers {
            began: Instant::now(),
            enquire: Enquire::new(100, 50, 1, 0),
            inactivity_ms,
            active_ms: 0,
            parting: None,
        }
    }

    #[test]
    fn a_silent_peer_is_asked_and_then_given_up() {
        let mut timers = timers(0);
        assert!(matches!(timers.due(40), Due::Wait(pause) if pause == Duration::from_millis(60)));
        assert!(matches!(timers.due(100), Due::Enquire));
        assert!(matches!(timers.due(150), Due::End(End::Silent)));
    }

    #[test]
    fn a_peer_that_only_lives_is_unbound_when_inactivity_says_so() {
        let mut timers = timers(250);
        timers.enquire.heard(200);
        assert!(matches!(timers.due(200), Due::Wait(pause) if pause == Duration::from_millis(50)));
        assert!(matches!(timers.due(250), Due::Part(End::Inactive)));
        timers.parting = Some((End::Inactive, 300));
        assert!(matches!(timers.due(299), Due::Wait(_)));
        assert!(matches!(timers.due(300), Due::End(End::Inactive)));
    }

    #[test]
    fn a_generic_nack_never_accepts() {
        let header = |command_id, status| Header { command_length: 16, command_id, status, sequence: 1 };
        assert_eq!(answer_of(&header(CommandId::GENERIC_NACK, Status::ROK)), Status::RUNKNOWNERR);
        assert_eq!(answer_of(&header(CommandId::DELIVER_SM_RESP, Status::ROK)), Status::ROK);
    }
}
