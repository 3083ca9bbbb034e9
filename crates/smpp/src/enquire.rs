//! The enquire_link timer: asks a silent peer whether it lives (SMPP v5 §2.7).

/// When to send enquire_link, and when to give the peer up. Pure: the caller says what time it is, in milliseconds on any
/// clock that does not go back.
#[derive(Clone, Debug)]
pub struct Enquire {
    idle_ms: i64,
    response_ms: i64,
    max_missed: u32,
    /// When the peer was last heard, or when the last enquire_link was sent.
    since_ms: i64,
    /// enquire_links sent since the peer was last heard.
    unanswered: u32,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnquireAction {
    /// Nothing until that time.
    Wait {
        /// When to ask again, on the caller's clock.
        until_ms: i64,
    },
    /// Send an enquire_link. Counted as sent.
    Send,
    /// The peer has left the allowed number of enquire_links unanswered: close the connection.
    Dead,
}

impl Enquire {
    /// Asks after `idle_ms` of silence (30 000 to 60 000 is usual), again each `response_ms` without a word, and gives up
    /// when `max_missed` (at least 1) went unanswered.
    #[must_use]
    pub fn new(idle_ms: i64, response_ms: i64, max_missed: u32, now_ms: i64) -> Self {
        Self { idle_ms, response_ms, max_missed: max_missed.max(1), since_ms: now_ms, unanswered: 0 }
    }

    /// The peer sent something, be it what it may: it lives.
    pub fn heard(&mut self, now_ms: i64) {
        self.since_ms = now_ms;
        self.unanswered = 0;
    }

    /// What to do at `now_ms`.
    pub fn poll(&mut self, now_ms: i64) -> EnquireAction {
        let patience_ms = if self.unanswered == 0 { self.idle_ms } else { self.response_ms };
        let until_ms = self.since_ms.saturating_add(patience_ms);
        if now_ms < until_ms {
            return EnquireAction::Wait { until_ms };
        }
        if self.unanswered >= self.max_missed {
            return EnquireAction::Dead;
        }
        self.unanswered += 1;
        self.since_ms = now_ms;
        EnquireAction::Send
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_when_silent_and_gives_up_after_the_last_miss() {
        let mut enquire = Enquire::new(30, 10, 2, 0);
        assert_eq!(enquire.poll(29), EnquireAction::Wait { until_ms: 30 });
        assert_eq!(enquire.poll(30), EnquireAction::Send);
        assert_eq!(enquire.poll(30), EnquireAction::Wait { until_ms: 40 });
        assert_eq!(enquire.poll(40), EnquireAction::Send);
        assert_eq!(enquire.poll(49), EnquireAction::Wait { until_ms: 50 });
        assert_eq!(enquire.poll(50), EnquireAction::Dead);
        assert_eq!(enquire.poll(51), EnquireAction::Dead);
    }

    #[test]
    fn any_word_of_the_peer_counts() {
        let mut enquire = Enquire::new(30, 10, 1, 0);
        assert_eq!(enquire.poll(30), EnquireAction::Send);
        enquire.heard(35);
        assert_eq!(enquire.poll(40), EnquireAction::Wait { until_ms: 65 });
        assert_eq!(enquire.poll(65), EnquireAction::Send);
        assert_eq!(enquire.poll(75), EnquireAction::Dead);
    }
}
