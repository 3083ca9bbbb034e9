//! Transaction reference numbers 00 to 99 (EMI/UCP 5.2 §3.2).

/// How many there are, and so how many operations can be unanswered in one direction.
pub const TRNS: u8 = 100;

/// Gives the numbers in turn, leaving out those in use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trns {
    next: u8,
}

impl Trns {
    /// The next number that is free; `None` where all are in use.
    pub fn take(&mut self, in_use: impl Fn(u8) -> bool) -> Option<u8> {
        for _ in 0..TRNS {
            let trn = self.next;
            self.next = (trn + 1) % TRNS;
            if !in_use(trn) {
                return Some(trn);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_round_and_leave_out_the_busy() {
        let mut trns = Trns::default();
        assert_eq!(trns.take(|trn| trn == 0), Some(1));
        for _ in 2..TRNS {
            trns.take(|_| false);
        }
        assert_eq!(trns.take(|_| false), Some(0));
        assert_eq!(trns.take(|_| true), None);
    }
}
