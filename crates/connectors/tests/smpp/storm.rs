//! Many submitters, several binds, and a centre that does its worst: every message is reported once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use connectors::smpp::{Answer, Link, NoAnswer, Report, Settings};
use runtime::{Clock, Tasks};
use smpp::{CommandId, Pdu, Status};

use super::smsc::{Peer, Smsc};
use super::{settings, sm};

const SUBMITTERS: usize = 4;
const EACH: usize = 2_500;

/// Answers in bunches and out of order; leaves some out, refuses some, and now and then hangs up in the middle.
async fn unruly(mut peer: Peer, hang_up_after: usize) {
    let mut open = Vec::new();
    let mut seen = 0;
    while let Some((header, pdu)) = peer.try_next().await {
        match pdu {
            Pdu::SubmitSm(_) => {
                seen += 1;
                if seen == hang_up_after {
                    return;
                }
                if seen % 97 != 0 {
                    open.push(header.sequence);
                }
            }
            Pdu::Unbind => {
                peer.header(CommandId::UNBIND_RESP, Status::ROK, header.sequence).await;
                return;
            }
            _ => {}
        }
        if open.len() < 5 && !seen.is_multiple_of(7) {
            continue;
        }
        for sequence in open.drain(..).rev() {
            if sequence % 11 == 0 {
                peer.refuse(sequence, Status::RINVDSTADR).await;
            } else {
                peer.accept(sequence, &sequence.to_string()).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_reported_exactly_once() {
    let smsc = Smsc::listen().await;
    let tasks = Tasks::new();
    let stormy = Settings { binds: 3, window: 50, response_timeout_ms: 100, ..settings(smsc.port()) };
    let (link, mut reports) = Link::start(stormy, &tasks, Clock::system());
    let calm = Arc::new(AtomicBool::new(false));
    let centre_calm = Arc::clone(&calm);
    let centre_tasks = tasks.clone();
    tasks.spawn("centre", async move {
        for hang_up_after in [300, 500, 700].into_iter().cycle() {
            let (peer, _) = smsc.bound().await;
            let after = if centre_calm.load(Ordering::Relaxed) { usize::MAX } else { hang_up_after };
            centre_tasks.spawn("peer", unruly(peer, after));
        }
    });
    let left = Arc::new(AtomicUsize::new(SUBMITTERS));
    for submitter in 0..SUBMITTERS {
        let (link, left) = (link.clone(), Arc::clone(&left));
        tasks.spawn("submitter", async move {
            let message = sm("storm");
            let mut next = 0;
            while next < EACH {
                let mut places = link.places(20).await.expect("open");
                while next < EACH && !places.is_empty() {
                    // What comes back surely did not leave: the same again.
                    let tag = submitter * EACH + next;
                    next += usize::from(link.submit(&mut places, &message.view(), tag).is_ok());
                }
            }
            left.fetch_sub(1, Ordering::Relaxed);
        });
    }
    let mut outcomes: HashMap<usize, Answer> = HashMap::new();
    while outcomes.len() < SUBMITTERS * EACH {
        match reports.recv().await.expect("more reports") {
            Report::Answered { tag, answer, .. } => {
                assert_eq!(outcomes.insert(tag, answer), None, "{tag} twice");
            }
            Report::Late { tag, .. } => {
                assert_eq!(outcomes.get(&tag), Some(&Answer::NoAnswer(NoAnswer::TimedOut)));
            }
            _ => {}
        }
    }
    assert_eq!(left.load(Ordering::Relaxed), 0);
    calm.store(true, Ordering::Relaxed);
    let status = link.status();
    let counters = status.counters;
    assert_eq!(counters.submitted, (SUBMITTERS * EACH) as u64);
    assert_eq!(counters.accepted + counters.refused + counters.timed_out + counters.lost, counters.submitted);
    // What a silent peer left open ends by its time or with its session, whichever comes first.
    assert!(counters.lost + counters.timed_out > 0 && counters.refused > 0, "{counters:?}");
    assert!(status.binds.iter().all(|bind| bind.window_used == 0), "{status:?}");
}
