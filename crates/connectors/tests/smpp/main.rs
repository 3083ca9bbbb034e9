//! A connection against a small message centre over loopback.

mod hosts;
mod life;
mod outcomes;
mod peer;
mod queries;
mod smsc;
mod storm;

use std::sync::Arc;
use std::time::Duration;

use connectors::smpp::{Answer, BindKind, Content, Delivered, Link, Login, Places, Report, Settings, State};
use connectors::{Host, Reach};
use runtime::{Clock, Tasks};
use smpp::{Address, Sm};
use smsc::{Peer, Smsc};
use tokio::sync::mpsc;

/// A connection under test; its messages are marked with their texts.
struct Ours {
    link: Link<String>,
    reports: mpsc::Receiver<Report<String>>,
    tasks: Tasks,
}

/// Quick settings: nothing waits longer than a blink, and nothing is limited but the window.
fn settings(port: u16) -> Settings {
    Settings {
        name: "test".into(),
        host: Host { name: "localhost".into(), port },
        reach: Reach::default(),
        dial: runtime::outbound::Dial::anywhere(),
        classes: Arc::new([]),
        system_id: "gateway".into(),
        password: "secret".into(),
        bind: BindKind::Transceiver,
        binds: 1,
        window: 10,
        throughput: 0,
        enquire_link_ms: 60_000,
        enquire_missed_max: 2,
        response_timeout_ms: 5_000,
        tls: None,
        connect_timeout_ms: 2_000,
        reconnect_min_ms: 10,
        reconnect_max_ms: 40,
        throttle_min_ms: 200,
        throttle_max_ms: 400,
        pdu_bytes_max: 4_096,
        write_queue_bytes_max: 1 << 20,
        point: runtime::trace::Point::default(),
        login: Login { version: 0x34, ..Login::default() },
    }
}

impl Ours {
    fn start(settings: Settings) -> Self {
        let tasks = Tasks::new();
        let (link, reports) = Link::start(settings, &tasks, Clock::system());
        Self { link, reports, tasks }
    }

    /// A connection with one transceiver, and the peer's end of it.
    async fn bound(smsc: &Smsc, settings: Settings) -> (Self, Peer) {
        let mut ours = Self::start(settings);
        let (peer, _) = smsc.bound().await;
        assert!(matches!(ours.report().await, Report::Bound { .. }));
        (ours, peer)
    }

    async fn report(&mut self) -> Report<String> {
        let report = tokio::time::timeout(Duration::from_secs(5), self.reports.recv()).await;
        report.expect("a report in time").expect("a report before the end")
    }

    /// The next report, which is about a submit_sm.
    async fn answered(&mut self) -> (String, Answer) {
        match self.report().await {
            Report::Answered { tag, answer, .. } => (tag, answer),
            other => panic!("{other:?}"),
        }
    }

    async fn lost(&mut self) -> String {
        match self.report().await {
            Report::Lost { why, .. } => why,
            other => panic!("{other:?}"),
        }
    }

    async fn places(&self, max: usize) -> Places {
        let places = tokio::time::timeout(Duration::from_secs(5), self.link.places(max)).await;
        places.expect("places in time").expect("an open connection")
    }

    /// No place is given for so long.
    async fn no_places(&self, ms: u64) {
        let places = tokio::time::timeout(Duration::from_millis(ms), self.link.places(1)).await;
        assert!(places.is_err(), "{places:?}");
    }

    /// Hands over messages with these texts, one after the other, as there is room.
    async fn submit(&self, texts: &[&str]) {
        for text in texts {
            let mut places = self.places(1).await;
            self.link.submit(&mut places, &sm(text).view(), (*text).to_owned()).expect("a bind");
        }
    }

    async fn until(&self, state: State) {
        for _ in 0..500 {
            if self.link.status().state == state {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("not {state:?}: {:?}", self.link.status());
    }
}

/// What a delivery carries.
fn content(delivered: &Delivered) -> &[u8] {
    match &delivered.content {
        Content::Sm(sm) => sm.content(),
        Content::Receipt(receipt) => panic!("SMPP has no receipts of its own: {receipt:?}"),
    }
}

fn sm(text: &str) -> Sm {
    Sm {
        source: Address::alphanumeric("shop"),
        destination: Address::international("15550100"),
        short_message: text.into(),
        ..Sm::default()
    }
}

fn accepted(id: &str) -> Answer {
    Answer::Accepted { message_id: id.to_owned() }
}
