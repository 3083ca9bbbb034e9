//! One connection: from its first octet to its last.

use std::sync::Arc;
use std::time::Duration;

use runtime::wire::Outlet;
use smpp::session::refusal;
use smpp::{Bind, BindResp, CommandId, Framer, HEADER_LEN, Header, Mode, Pdu, Role, State, Status, Version};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::ancillary;
use super::centre::Centre;
use super::receipt::is_answer;
use super::settings::Settings;
use super::submit::{Flow, Origin, encode};
use crate::phones::Arrival;

/// Octets that are read at once.
const READ_ROOM: usize = 16 * 1024;
/// Octets that wait to be sent above which nothing more is read.
const OUTLET_MAX: usize = 1 << 20;
/// How long a connection may stay without a bind.
const BIND_WITHIN: Duration = Duration::from_secs(10);

/// Serves a connection until one of the two sides ends it.
pub(super) async fn serve(shared: Arc<Shared>, socket: TcpStream) {
    // Without it a lone response waits for the acknowledgement of the one before.
    drop(socket.set_nodelay(true));
    let (mut reader, writer) = socket.into_split();
    let outlet = Outlet::new(OUTLET_MAX);
    shared.tasks.spawn("simulator writer", outlet.clone().pump(writer));
    let mut framer = Framer::new(smpp::DEFAULT_MAX_PDU);
    let mut session = Session::new(outlet.clone(), shared.tasks.stopping().child_token());
    let bind_by = tokio::time::Instant::now() + BIND_WITHIN;
    loop {
        let bound = session.state.is_bound();
        let read = tokio::select! {
            read = reader.read_buf(framer.buffer(READ_ROOM)) => read,
            () = tokio::time::sleep_until(bind_by), if !bound => break,
            () = session.cut.cancelled() => break,
        };
        if !matches!(read, Ok(1..)) || session.take(&shared, &mut framer) == Flow::Close {
            break;
        }
        if outlet.room().await.is_err() {
            break;
        }
    }
    session.end(&shared);
}

struct Session {
    outlet: Outlet,
    /// Done when the connection is to end, or the program.
    cut: CancellationToken,
    state: State,
    /// Number and account, once bound.
    link: Option<(u64, u32)>,
    version: Version,
    /// PDUs that were taken.
    pdus: u64,
    /// What is being written.
    out: Vec<u8>,
    /// What phones are about to receive.
    arrivals: Vec<Arrival>,
}

impl Session {
    fn new(outlet: Outlet, cut: CancellationToken) -> Self {
        let (out, arrivals) = (Vec::new(), Vec::new());
        Self { outlet, cut, state: State::Open, link: None, version: Version::V3_4, pdus: 0, out, arrivals }
    }

    /// Takes all whole PDUs that were read, under one lock and with one write.
    fn take(&mut self, shared: &Shared, framer: &mut Framer) -> Flow {
        let settings = shared.settings();
        let now_ms = shared.clock.now().unix_ms();
        let mut centre = shared.centre();
        let mut flow = Flow::Go;
        while flow == Flow::Go {
            flow = match framer.next_pdu() {
                Ok(Some(octets)) => self.pdu(&mut centre, &settings, now_ms, octets),
                Ok(None) => break,
                Err(error) => {
                    centre.counts.unreadable += 1;
                    smpp::encode_header(CommandId::GENERIC_NACK, error.status(), 0, &mut self.out);
                    Flow::Close
                }
            };
        }
        // Within the lock: a receipt must not overtake the response that stands in `out`.
        let out = &mut self.out;
        let open = self.outlet.write(|pending| pending.append(out)).is_ok();
        // What is due at once need not wake the agenda's task: the receipt travels with the response.
        while centre.step(&settings, &mut self.arrivals) {}
        if centre.agenda.take_ring() {
            shared.earlier.notify_one();
        }
        drop(centre);
        shared.screens.receive(self.arrivals.drain(..));
        if open { flow } else { Flow::Close }
    }

    fn pdu(&mut self, centre: &mut Centre, settings: &Settings, now_ms: i64, octets: &[u8]) -> Flow {
        let Some(header) = Header::read(octets) else { return Flow::Close };
        self.pdus += 1;
        if settings.drop_every > 0 && self.pdus.is_multiple_of(settings.drop_every) {
            return Flow::Close;
        }
        let (command, sequence) = (header.command_id, header.sequence);
        if let Some(status) = refusal(Role::Esme, self.state, command) {
            let answer = command.response().unwrap_or(CommandId::GENERIC_NACK);
            smpp::encode_header(answer, status, sequence, &mut self.out);
            return Flow::Go;
        }
        match (command, self.link) {
            (CommandId::SUBMIT_SM, Some((link, account))) => {
                match smpp::decode_sm(&octets[HEADER_LEN..], Mode::Strict) {
                    Ok(sm) => {
                        let origin = Origin { link, account, now_ms };
                        centre.submit(origin, command, sequence, &sm, settings, &mut self.out)
                    }
                    Err((status, _)) => {
                        centre.counts.unreadable += 1;
                        smpp::encode_header(CommandId::SUBMIT_SM_RESP, status, sequence, &mut self.out);
                        Flow::Go
                    }
                }
            }
            (answer, Some((link, _))) if is_answer(answer) => {
                centre.answered(link, sequence, header.status, settings);
                Flow::Go
            }
            _ => self.rare(centre, settings, now_ms, octets),
        }
    }

    /// Everything but submit_sm and the answers to deliveries.
    fn rare(&mut self, centre: &mut Centre, settings: &Settings, now_ms: i64, octets: &[u8]) -> Flow {
        let (header, pdu) = match smpp::decode(octets, Mode::Strict) {
            Ok(decoded) => decoded,
            Err(error) => {
                centre.counts.unreadable += 1;
                error.encode_answer(&mut self.out);
                return Flow::Go;
            }
        };
        let (sequence, out) = (header.sequence, &mut self.out);
        match (pdu, self.link) {
            (Pdu::EnquireLink, _) => encode(&Pdu::EnquireLinkResp, sequence, out),
            (Pdu::Unbind, _) => {
                encode(&Pdu::UnbindResp, sequence, out);
                return Flow::Close;
            }
            (Pdu::BindTransmitter(bind) | Pdu::BindReceiver(bind) | Pdu::BindTransceiver(bind), _) => {
                return self.bind(centre, settings, &header, &bind);
            }
            (Pdu::DataSm(data), Some((link, account))) => {
                let origin = Origin { link, account, now_ms };
                return centre.submit_data(origin, sequence, &data, settings, out);
            }
            (Pdu::SubmitMulti(multi), Some((link, account))) => {
                let origin = Origin { link, account, now_ms };
                centre.submit_multi(origin, sequence, &multi, settings, out);
            }
            (pdu, Some((_, account))) => {
                ancillary::answer(centre, account, now_ms, &pdu, sequence, settings, out);
            }
            (_, None) => {}
        }
        Flow::Go
    }

    fn bind(&mut self, centre: &mut Centre, settings: &Settings, header: &Header, bind: &Bind) -> Flow {
        let refused = refused(settings, bind);
        let account = match refused {
            None => centre.account(&bind.system_id).ok_or(Status::RBINDFAIL),
            Some(status) => Err(status),
        };
        let command = CommandId(header.command_id.0 | 0x8000_0000);
        let account = match account {
            Ok(account) => account,
            Err(status) => {
                smpp::encode_header(command, status, header.sequence, &mut self.out);
                return Flow::Close;
            }
        };
        let name = settings.system_id.as_bytes();
        let name = &name[..name.iter().take(15).take_while(|&&octet| octet != 0).count()];
        let mut response = BindResp { system_id: name.into(), ..BindResp::default() };
        self.version = bind.interface_version;
        if settings.version != 0 && self.version.has_tlvs() {
            response.tlvs.set_sc_interface_version(settings.version);
        }
        let response = match header.command_id {
            CommandId::BIND_TRANSMITTER => Pdu::BindTransmitterResp(response),
            CommandId::BIND_RECEIVER => Pdu::BindReceiverResp(response),
            _ => Pdu::BindTransceiverResp(response),
        };
        encode(&response, header.sequence, &mut self.out);
        // The response goes out before what waits for this bind.
        let out = &mut self.out;
        if self.outlet.write(|pending| pending.append(out)).is_err() {
            return Flow::Close;
        }
        self.state = self.state.after(Role::Mc, command, Status::ROK);
        let number = centre.bind((self.outlet.clone(), self.cut.clone()), account, self.state, self.version);
        self.link = Some((number, account));
        centre.drain(account, settings);
        Flow::Go
    }

    fn end(self, shared: &Shared) {
        self.outlet.close();
        if let Some((number, _)) = self.link {
            let settings = shared.settings();
            shared.centre().unbind(number, &settings);
        }
    }
}

/// Why a bind is refused, if it is.
fn refused(settings: &Settings, bind: &Bind) -> Option<Status> {
    if settings.accounts.is_empty() {
        return None;
    }
    let known = settings.accounts.iter().find(|account| bind.system_id == account.system_id.as_str());
    match known {
        None => Some(Status::RINVSYSID),
        Some(account) if bind.password == account.password.as_str() => None,
        Some(_) => Some(Status::RINVPASWD),
    }
}
