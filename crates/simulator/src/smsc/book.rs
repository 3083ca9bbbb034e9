//! The messages the centre has taken, by number.

use std::collections::VecDeque;

use smpp::{Address, COctetString, MessageState};

use crate::phones::Arrival;

/// A message that was taken.
#[derive(Debug)]
pub(super) struct Message {
    /// The number its response gave it: that of its submit_multi, where it came in one.
    pub(super) id: u64,
    pub(super) account: u32,
    /// The connection that submitted it.
    pub(super) link: u64,
    pub(super) source: Address,
    pub(super) destination: Address,
    /// The first characters of its text, for the receipt.
    pub(super) excerpt: COctetString,
    pub(super) submitted_ms: i64,
    /// When it reaches, or reached, its final state.
    pub(super) done_ms: i64,
    /// The final state.
    pub(super) state: MessageState,
    /// Whether a receipt is to be sent when it is settled.
    pub(super) receipt: bool,
    /// What a phone will show.
    pub(super) arrival: Option<Box<Arrival>>,
    /// Events and receipts that still need it.
    pub(super) open: u8,
}

/// Messages by their consecutive numbers. Settled ones are forgotten from the oldest on when there are more
/// than the book remembers, and any when there are more than it can hold.
#[derive(Debug)]
pub(super) struct Book {
    messages: VecDeque<Message>,
    /// The number of the front.
    first: u64,
    /// Messages that were forgotten before they were settled.
    pub(super) forgotten: u64,
}

impl Book {
    pub(super) fn new(first: u64) -> Self {
        Self { messages: VecDeque::new(), first, forgotten: 0 }
    }

    /// The number that the next message will have.
    pub(super) fn next(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    pub(super) fn add(&mut self, message: Message, remembered: usize, held: usize) {
        self.messages.push_back(message);
        while self.messages.len() > remembered
            && let Some(oldest) = self.messages.front()
            && (oldest.open == 0 || self.messages.len() > held)
        {
            self.forgotten += u64::from(oldest.open > 0);
            self.messages.pop_front();
            self.first += 1;
        }
    }

    pub(super) fn get(&self, number: u64) -> Option<&Message> {
        self.messages.get(self.index(number)?)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Message> {
        let index = self.index(number)?;
        self.messages.get_mut(index)
    }

    /// One thing less needs the message.
    pub(super) fn release(&mut self, number: u64) {
        if let Some(message) = self.get_mut(number) {
            message.open = message.open.saturating_sub(1);
        }
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(open: u8) -> Message {
        Message {
            id: 0,
            account: 0,
            link: 0,
            source: Address::default(),
            destination: Address::default(),
            excerpt: COctetString::EMPTY,
            submitted_ms: 0,
            done_ms: 0,
            state: MessageState::DELIVERED,
            receipt: false,
            arrival: None,
            open,
        }
    }

    #[test]
    fn settled_messages_go_first_and_open_ones_only_when_it_is_full() {
        let mut book = Book::new(100);
        for _ in 0..5 {
            book.add(message(0), 3, 10);
        }
        assert!(book.get(101).is_none() && book.get(102).is_some());
        assert_eq!((book.next(), book.forgotten), (105, 0));
        for _ in 0..20 {
            book.add(message(1), 3, 10);
        }
        assert_eq!((book.messages.len(), book.forgotten), (10, 10));
        book.release(124);
        assert_eq!(book.get(124).map(|message| message.open), Some(0));
        assert!(book.get(125).is_none() && book.get(0).is_none());
    }
}
