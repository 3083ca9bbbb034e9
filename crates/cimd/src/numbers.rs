//! Packet numbers (CIMD2 3-0 §3.3): the client counts 001, 003 … 255, the centre 000, 002 … 254.

/// Gives one side's numbers in turn, leaving out those in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    next: u8,
}

impl Numbers {
    /// How many one side has, and so how many of its operations can be unanswered.
    pub const COUNT: u8 = 128;

    /// The client's: odd, beginning with 1, which its login has.
    #[must_use]
    pub fn of_client() -> Self {
        Self { next: 1 }
    }

    /// The centre's: even, beginning with 0.
    #[must_use]
    pub fn of_centre() -> Self {
        Self { next: 0 }
    }

    /// The next number that is free; `None` where all are in use.
    pub fn take(&mut self, in_use: impl Fn(u8) -> bool) -> Option<u8> {
        for _ in 0..Self::COUNT {
            let number = self.next;
            self.next = number.wrapping_add(2);
            if !in_use(number) {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_keeps_to_its_own() {
        let (mut client, mut centre) = (Numbers::of_client(), Numbers::of_centre());
        let odd: Vec<_> = (0..129).filter_map(|_| client.take(|_| false)).collect();
        let even: Vec<_> = (0..129).filter_map(|_| centre.take(|_| false)).collect();
        assert_eq!((odd[0], odd[127], odd[128]), (1, 255, 1));
        assert_eq!((even[0], even[127], even[128]), (0, 254, 0));
        assert_eq!(client.take(|number| number == 3), Some(5));
        assert_eq!(client.take(|_| true), None);
    }
}
