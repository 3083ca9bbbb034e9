//! The session: which operation each side may send in which state, and what changes the state (SMPP v5 §2.3, §2.4).

use crate::{CommandId, Status};

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The external short message entity: the customer's side.
    Esme,
    /// The message centre.
    Mc,
}

/// The state of a session, the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Connected; nobody is bound yet.
    #[default]
    Open,
    /// Connected by the message centre, which has sent outbind.
    Outbound,
    /// Bound as transmitter: the ESME submits.
    BoundTx,
    /// Bound as receiver: the message centre delivers.
    BoundRx,
    /// Bound as transceiver: both.
    BoundTrx,
    /// Unbound; the connection is about to be closed.
    Unbound,
    /// No connection.
    Closed,
}

impl State {
    /// True in the three bound states.
    #[must_use]
    pub fn is_bound(self) -> bool {
        matches!(self, Self::BoundTx | Self::BoundRx | Self::BoundTrx)
    }

    /// The ESME may submit.
    #[must_use]
    pub fn can_submit(self) -> bool {
        matches!(self, Self::BoundTx | Self::BoundTrx)
    }

    /// The message centre may deliver.
    #[must_use]
    pub fn can_deliver(self) -> bool {
        matches!(self, Self::BoundRx | Self::BoundTrx)
    }

    fn awaits_bind(self) -> bool {
        matches!(self, Self::Open | Self::Outbound)
    }

    /// The state after `sender` has sent this PDU. What is not [`allowed`] changes nothing, nor does a refusal.
    #[must_use]
    pub fn after(self, sender: Role, command: CommandId, status: Status) -> Self {
        if !allowed(sender, self, command) {
            return self;
        }
        match command {
            CommandId::OUTBIND => Self::Outbound,
            CommandId::BIND_TRANSMITTER_RESP if status.is_ok() => Self::BoundTx,
            CommandId::BIND_RECEIVER_RESP if status.is_ok() => Self::BoundRx,
            CommandId::BIND_TRANSCEIVER_RESP if status.is_ok() => Self::BoundTrx,
            CommandId::UNBIND_RESP if status.is_ok() => Self::Unbound,
            _ => self,
        }
    }
}

/// Whether `sender` may send this operation in this state (SMPP v5 table 2-1).
///
/// SMPP 5.0 allows enquire_link and generic_nack before the bind and after the unbind, 3.4 only when bound; the wider rule
/// holds for both. Operations that are unknown are not allowed in any state.
#[must_use]
pub fn allowed(sender: Role, state: State, command: CommandId) -> bool {
    let esme = sender == Role::Esme;
    match command {
        CommandId::BIND_TRANSMITTER | CommandId::BIND_RECEIVER | CommandId::BIND_TRANSCEIVER => {
            esme && state.awaits_bind()
        }
        CommandId::BIND_TRANSMITTER_RESP
        | CommandId::BIND_RECEIVER_RESP
        | CommandId::BIND_TRANSCEIVER_RESP => !esme && state.awaits_bind(),
        CommandId::OUTBIND => !esme && state == State::Open,
        CommandId::SUBMIT_SM
        | CommandId::SUBMIT_MULTI
        | CommandId::QUERY_SM
        | CommandId::CANCEL_SM
        | CommandId::REPLACE_SM
        | CommandId::BROADCAST_SM
        | CommandId::QUERY_BROADCAST_SM
        | CommandId::CANCEL_BROADCAST_SM => esme && state.can_submit(),
        CommandId::SUBMIT_SM_RESP
        | CommandId::SUBMIT_MULTI_RESP
        | CommandId::QUERY_SM_RESP
        | CommandId::CANCEL_SM_RESP
        | CommandId::REPLACE_SM_RESP
        | CommandId::BROADCAST_SM_RESP
        | CommandId::QUERY_BROADCAST_SM_RESP
        | CommandId::CANCEL_BROADCAST_SM_RESP => !esme && state.can_submit(),
        CommandId::DELIVER_SM | CommandId::ALERT_NOTIFICATION => !esme && state.can_deliver(),
        CommandId::DELIVER_SM_RESP => esme && state.can_deliver(),
        // The one message that both sides send: each may where it may send any, and answers where it may receive any.
        CommandId::DATA_SM => {
            if esme {
                state.can_submit()
            } else {
                state.can_deliver()
            }
        }
        CommandId::DATA_SM_RESP => {
            if esme {
                state.can_deliver()
            } else {
                state.can_submit()
            }
        }
        CommandId::UNBIND | CommandId::UNBIND_RESP => state.is_bound(),
        CommandId::ENQUIRE_LINK | CommandId::ENQUIRE_LINK_RESP | CommandId::GENERIC_NACK => {
            state != State::Closed
        }
        _ => false,
    }
}

/// The status that refuses a request which is not [`allowed`] now: a second bind is ESME_RALYBND, an unknown operation
/// ESME_RINVCMDID, all else ESME_RINVBNDSTS. `None` for what is allowed, and for responses, which nobody answers.
#[must_use]
pub fn refusal(sender: Role, state: State, command: CommandId) -> Option<Status> {
    if command.is_response() || allowed(sender, state, command) {
        None
    } else if command.name().is_none() {
        Some(Status::RINVCMDID)
    } else if command.is_bind() && state.is_bound() {
        Some(Status::RALYBND)
    } else {
        Some(Status::RINVBNDSTS)
    }
}

/// Gives sequence numbers: 1 to 0x7FFFFFFF, then 1 again (SMPP v5 §2.6).
#[derive(Clone, Debug)]
pub struct Sequence(u32);

/// The greatest sequence number we give.
pub const MAX_SEQUENCE: u32 = 0x7FFF_FFFF;

impl Sequence {
    /// Begins with `first`; what is outside 1 to [`MAX_SEQUENCE`] begins with 1.
    #[must_use]
    pub fn starting_at(first: u32) -> Self {
        Self(if (1..=MAX_SEQUENCE).contains(&first) { first } else { 1 })
    }

    /// The next number.
    pub fn take(&mut self) -> u32 {
        let taken = self.0;
        self.0 = if taken == MAX_SEQUENCE { 1 } else { taken + 1 };
        taken
    }
}

impl Default for Sequence {
    fn default() -> Self {
        Self(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 7] = [
        State::Open,
        State::Outbound,
        State::BoundTx,
        State::BoundRx,
        State::BoundTrx,
        State::Unbound,
        State::Closed,
    ];

    /// One letter per state in the order of [`STATES`], `-` where the operation may not be sent.
    fn row(sender: Role, command: CommandId) -> String {
        let letters = STATES.into_iter().zip("OBTRXUC".chars());
        letters.map(|(state, letter)| if allowed(sender, state, command) { letter } else { '-' }).collect()
    }

    #[test]
    fn table_of_the_specification() {
        for (command, esme, mc) in [
            (CommandId::BIND_TRANSMITTER, "OB-----", "-------"),
            (CommandId::BIND_TRANSCEIVER_RESP, "-------", "OB-----"),
            (CommandId::OUTBIND, "-------", "O------"),
            (CommandId::SUBMIT_SM, "--T-X--", "-------"),
            (CommandId::SUBMIT_SM_RESP, "-------", "--T-X--"),
            (CommandId::BROADCAST_SM, "--T-X--", "-------"),
            (CommandId::DELIVER_SM, "-------", "---RX--"),
            (CommandId::DELIVER_SM_RESP, "---RX--", "-------"),
            (CommandId::DATA_SM, "--T-X--", "---RX--"),
            (CommandId::DATA_SM_RESP, "---RX--", "--T-X--"),
            (CommandId::ALERT_NOTIFICATION, "-------", "---RX--"),
            (CommandId::UNBIND, "--TRX--", "--TRX--"),
            (CommandId::UNBIND_RESP, "--TRX--", "--TRX--"),
            (CommandId::ENQUIRE_LINK, "OBTRXU-", "OBTRXU-"),
            (CommandId::GENERIC_NACK, "OBTRXU-", "OBTRXU-"),
            (CommandId(0x0001_0200), "-------", "-------"),
        ] {
            assert_eq!(row(Role::Esme, command), esme, "ESME {command}");
            assert_eq!(row(Role::Mc, command), mc, "MC {command}");
        }
    }

    #[test]
    fn a_session_from_outbind_to_unbind() {
        let steps = [
            (Role::Mc, CommandId::OUTBIND, Status::ROK, State::Outbound),
            (Role::Esme, CommandId::BIND_RECEIVER, Status::ROK, State::Outbound),
            (Role::Mc, CommandId::BIND_RECEIVER_RESP, Status::RINVPASWD, State::Outbound),
            (Role::Mc, CommandId::BIND_RECEIVER_RESP, Status::ROK, State::BoundRx),
            (Role::Mc, CommandId::BIND_TRANSMITTER_RESP, Status::ROK, State::BoundRx),
            (Role::Mc, CommandId::UNBIND, Status::ROK, State::BoundRx),
            (Role::Esme, CommandId::UNBIND_RESP, Status::ROK, State::Unbound),
        ];
        let mut state = State::default();
        for (sender, command, status, then) in steps {
            state = state.after(sender, command, status);
            assert_eq!(state, then, "{command}");
        }
    }

    #[test]
    fn refusals() {
        let refused = |state, command| refusal(Role::Esme, state, command);
        assert_eq!(refused(State::BoundTx, CommandId::BIND_RECEIVER), Some(Status::RALYBND));
        assert_eq!(refused(State::BoundRx, CommandId::SUBMIT_SM), Some(Status::RINVBNDSTS));
        assert_eq!(refused(State::Open, CommandId::SUBMIT_SM), Some(Status::RINVBNDSTS));
        assert_eq!(refused(State::BoundTx, CommandId(0x99)), Some(Status::RINVCMDID));
        assert_eq!(refused(State::BoundTx, CommandId::SUBMIT_SM), None);
        assert_eq!(refused(State::Open, CommandId::SUBMIT_SM_RESP), None);
    }

    #[test]
    fn sequence_numbers_wrap_to_one() {
        let mut sequence = Sequence::starting_at(MAX_SEQUENCE - 1);
        let taken: Vec<u32> = (0..3).map(|_| sequence.take()).collect();
        assert_eq!(taken, [MAX_SEQUENCE - 1, MAX_SEQUENCE, 1]);
        assert_eq!(Sequence::starting_at(0).take(), 1);
        assert_eq!(Sequence::starting_at(MAX_SEQUENCE + 1).take(), 1);
    }
}
