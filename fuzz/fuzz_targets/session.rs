//! The session machine, fed with a peer's octets and any times: state table, refusals, windows and timers, each against a
//! simpler account of what must hold.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use smpp::{
    CommandId, Enquire, EnquireAction, Framer, Header, Role, Sequence, State, Status, Window,
    session::{self, MAX_SEQUENCE},
};

const PDU_MAX: usize = 1024;
const CAPACITY: usize = 4;
const TIMEOUT_MS: i64 = 100;
const MISSED_MAX: u32 = 2;

/// One side of a connection as our servers and clients are made of it, and the same told more simply.
struct Side {
    role: Role,
    state: State,
    sequence: Sequence,
    window: Window<u64>,
    /// What must be in the window, by sequence number: the mark and the deadline.
    open: BTreeMap<u32, (u64, i64)>,
    enquire: Enquire,
    /// Questions since the peer was last heard.
    asked: u32,
    given_up: bool,
    marks: u64,
    now_ms: i64,
}

impl Side {
    fn new(role: Role) -> Self {
        Self {
            role,
            state: State::Open,
            sequence: Sequence::starting_at(MAX_SEQUENCE - 2),
            window: Window::new(CAPACITY),
            open: BTreeMap::new(),
            enquire: Enquire::new(300, 70, MISSED_MAX, 0),
            asked: 0,
            given_up: false,
            marks: 0,
            now_ms: 0,
        }
    }

    /// The peer's PDU comes, and what we say to it goes.
    fn hears(&mut self, header: &Header) {
        let peer = if self.role == Role::Mc { Role::Esme } else { Role::Mc };
        let (before, command) = (self.state, header.command_id);
        let allowed = session::allowed(peer, before, command);
        let refusal = session::refusal(peer, before, command);
        assert_eq!(refusal.is_some(), !allowed && !command.is_response(), "{command} in {before:?}");
        assert!(refusal.is_none_or(|status| !status.is_ok()));
        self.state = before.after(peer, command, header.status);
        self.check_step(before, peer, command, header.status);
        if command.is_response() {
            assert_eq!(
                self.window.complete(header.sequence),
                self.open.remove(&header.sequence).map(|(mark, _)| mark)
            );
        } else if let Some(response) = command.response() {
            let before = self.state;
            let status = refusal.unwrap_or(Status::ROK);
            self.state = before.after(self.role, response, status);
            self.check_step(before, self.role, response, status);
        }
        self.enquire.heard(self.now_ms);
        (self.asked, self.given_up) = (0, false);
    }

    /// A session moves by the words of the specification and by no others.
    fn check_step(&self, before: State, sender: Role, command: CommandId, status: Status) {
        let after = self.state;
        if before == after {
            return;
        }
        assert!(session::allowed(sender, before, command), "{command} moved {before:?} to {after:?}");
        let awaits = matches!(before, State::Open | State::Outbound);
        match after {
            State::BoundTx => assert_eq!((command, awaits), (CommandId::BIND_TRANSMITTER_RESP, true)),
            State::BoundRx => assert_eq!((command, awaits), (CommandId::BIND_RECEIVER_RESP, true)),
            State::BoundTrx => assert_eq!((command, awaits), (CommandId::BIND_TRANSCEIVER_RESP, true)),
            State::Unbound => assert!(command == CommandId::UNBIND_RESP && before.is_bound()),
            State::Outbound => assert!(command == CommandId::OUTBIND && before == State::Open),
            State::Open | State::Closed => panic!("{command} moved {before:?} to {after:?}"),
        }
        assert!(
            after == State::Outbound || (status.is_ok() && command.is_response()),
            "{command} with {status:?}"
        );
    }

    /// Time passes: requests without an answer expire, a silent peer is asked and at last given up.
    fn waits(&mut self, ms: i64) {
        self.now_ms += ms;
        let due: BTreeMap<u64, u32> = self
            .open
            .iter()
            .filter(|(_, (_, deadline))| *deadline <= self.now_ms)
            .map(|(sequence, (mark, _))| (*mark, *sequence))
            .collect();
        assert!(due.is_empty() || self.window.next_deadline().is_some_and(|next| next <= self.now_ms));
        let expired: Vec<(u64, u32)> =
            self.window.expired(self.now_ms).into_iter().map(|(sequence, mark)| (mark, sequence)).collect();
        assert!(expired.iter().copied().eq(due), "in the order they were sent, and all of them");
        self.open.retain(|_, (_, deadline)| *deadline > self.now_ms);
        match self.enquire.poll(self.now_ms) {
            EnquireAction::Wait { until_ms } => assert!(until_ms > self.now_ms && !self.given_up),
            EnquireAction::Send => {
                self.asked += 1;
                assert!(self.asked <= MISSED_MAX && !self.given_up);
            }
            EnquireAction::Dead => {
                assert_eq!(self.asked, MISSED_MAX);
                self.given_up = true;
            }
        }
    }

    /// We ask something, where there is room.
    fn asks(&mut self) {
        let sequence = self.sequence.take();
        assert!((1..=MAX_SEQUENCE).contains(&sequence));
        let deadline = self.now_ms + TIMEOUT_MS;
        let taken = self.window.insert(sequence, self.marks, deadline).is_ok();
        assert_eq!(taken, self.open.len() < CAPACITY && !self.open.contains_key(&sequence));
        if taken {
            self.open.insert(sequence, (self.marks, deadline));
        }
        self.marks += 1;
    }

    fn check(&self) {
        assert_eq!(self.window.len(), self.open.len());
        assert!(self.window.len() <= CAPACITY);
        for sequence in self.open.keys() {
            assert!(self.window.contains(*sequence));
        }
    }
}

// What happens: octets come, time passes, we ask.
fuzz_target!(|input: (bool, Vec<(u8, u16, &[u8])>)| {
    let (centre, steps) = input;
    let mut side = Side::new(if centre { Role::Mc } else { Role::Esme });
    let mut framer = Framer::new(PDU_MAX);
    for (kind, number, octets) in steps {
        match kind % 4 {
            0 => side.waits(i64::from(number)),
            1 => side.asks(),
            // A header and a body whose length is true, so that more than one in a million gets past the framer.
            2 => {
                let known = [0x01, 0x02, 0x09, 0x04, 0x05, 0x06, 0x15, 0x0B, 0x103, 0x21, 0x00, 0x99];
                let command =
                    known[usize::from(number & 0xFF) % known.len()] | (u32::from(number & 0x100) << 23);
                let status = u32::from(number >> 12);
                let sequence =
                    side.open.keys().nth(usize::from(number >> 9) & 3).copied().unwrap_or(u32::from(number));
                let body = &octets[..octets.len().min(PDU_MAX - 16)];
                framer.feed(&(16 + body.len() as u32).to_be_bytes());
                for word in [command, status, sequence] {
                    framer.feed(&word.to_be_bytes());
                }
                framer.feed(body);
            }
            _ => framer.feed(octets),
        }
        loop {
            match framer.next_pdu() {
                Ok(Some(pdu)) => {
                    let header = Header::read(pdu).expect("a PDU has its header");
                    side.hears(&header);
                }
                Ok(None) => break,
                // Nobody can say where the next PDU would begin: the session is over.
                Err(_) => return side.check(),
            }
        }
        side.check();
    }
    let left = side.window.drain();
    assert_eq!(left.len(), side.open.len());
    assert!(
        left.iter().all(|(sequence, mark)| side.open.get(sequence).is_some_and(|(open, _)| open == mark))
    );
});
