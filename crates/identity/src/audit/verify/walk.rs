//! Row by row, and what is wrong first.

use runtime::secrets::sha256_hex;

use super::super::erase;
use super::{Begin, Bound, Checkpoint, Damage, Done, End, Report, checkpoint};

/// A place that does not fit, whose cause the next rows tell.
enum Suspect {
    /// The row does not follow the one before: one of the two was changed and its hash made anew.
    Unfollowed { number: i64, hash: String, line: Option<u64> },
    /// A row comes too early: those before it are missing, or stand further down.
    Early { missing: i64, number: i64, line: Option<u64>, more: bool },
    /// A number stands twice: one of the two was put in.
    Twice { number: i64, second: String, first_line: Option<u64>, line: Option<u64> },
}

/// What the signed end says of all rows: each hash is folded into what was there before.
pub(in crate::audit) fn digest(before: &str, hash: &str) -> String {
    sha256_hex([before, hash].concat())
}

/// A walk along a trail.
pub(super) struct Walk {
    key: Option<String>,
    public_key: String,
    tenant: String,
    selection: bool,
    /// The number that must come next, and the hash that it must name.
    next: i64,
    first: i64,
    hash: String,
    last_line: Option<u64>,
    rows: u64,
    digest: String,
    checkpoint: i64,
    checkpoints: u64,
    signed_until: i64,
    suspect: Option<Suspect>,
    damage: Option<Damage>,
}

impl Walk {
    pub(super) fn new(key: Option<String>) -> Self {
        Self {
            key,
            public_key: String::new(),
            tenant: String::new(),
            selection: false,
            next: 1,
            first: 1,
            hash: String::new(),
            last_line: None,
            rows: 0,
            digest: String::new(),
            checkpoint: 0,
            checkpoints: 0,
            signed_until: 0,
            suspect: None,
            damage: None,
        }
    }

    /// Whether nothing further can change the verdict.
    pub(super) fn decided(&self) -> bool {
        self.damage.is_some()
    }

    fn damaged(&mut self, what: Done, number: Option<i64>, line: Option<u64>, detail: impl Into<String>) {
        if self.damage.is_none() {
            self.damage = Some(Damage { what, number, until: None, line, detail: detail.into() });
        }
    }

    pub(super) fn begin(&mut self, begin: &Begin) {
        self.public_key = self.key.clone().unwrap_or_else(|| begin.public_key.clone());
        self.tenant = begin.tenant.clone();
        self.selection = begin.selection.is_some();
        (self.next, self.first, self.hash) = (begin.first, begin.first, begin.previous.clone());
        (self.signed_until, self.checkpoint) = (begin.first - 1, begin.checkpoint);
        if checkpoint::key_id(&begin.public_key) != begin.key {
            self.damaged(Done::Changed, None, Some(1), "the first line's key does not have the id beside it");
        } else if self.public_key != begin.public_key {
            let id = checkpoint::key_id(&self.public_key);
            let detail = format!("it names the key {}, and the key that was given is {id}", begin.key);
            self.damaged(Done::Forged, None, Some(1), detail);
        }
    }

    /// A row of a file.
    pub(super) fn row(&mut self, line: u64, text: &str, hash: &str) {
        self.take(Some(line), text, hash);
    }

    /// A row of the database.
    pub(super) fn stored(&mut self, text: &str, hash: &str) {
        self.take(None, text, hash);
    }

    fn take(&mut self, line: Option<u64>, text: &str, hash: &str) {
        if self.decided() {
            return;
        }
        self.rows += 1;
        // What erasure has taken a person out of has another text; the key's signature says that it may.
        let right = sha256_hex(text) == hash || erase::allowed(&self.public_key, text, hash);
        let bound = serde_json::from_str::<Bound>(text).ok().filter(|_| right);
        let Some(bound) = bound.filter(|bound| bound.tenant == self.tenant) else {
            let number = self.expected();
            self.resolve(None);
            return self.damaged(Done::Changed, number, line, "its text does not have the hash beside it");
        };
        if self.selection {
            if bound.number < self.next {
                return self.damaged(Done::Reordered, Some(bound.number), line, "numbers do not rise");
            }
            (self.next, self.hash) = (bound.number + 1, hash.to_owned());
            self.digest = digest(&self.digest, hash);
            return;
        }
        if self.suspect.is_some() {
            return self.resolve(Some((&bound, line)));
        }
        if bound.number > self.next {
            let (missing, number) = (self.next, bound.number);
            self.suspect = Some(Suspect::Early { missing, number, line, more: false });
        } else if bound.number < self.next {
            self.second(&bound, line, hash);
        } else if bound.previous != self.hash {
            self.suspect = Some(Suspect::Unfollowed { number: bound.number, hash: hash.to_owned(), line });
        } else {
            (self.next, self.hash, self.last_line) = (bound.number + 1, hash.to_owned(), line);
            self.digest = digest(&self.digest, hash);
        }
    }

    /// The number that the row at hand should have.
    fn expected(&self) -> Option<i64> {
        match (&self.suspect, self.selection) {
            (_, true) => None,
            (Some(Suspect::Early { number, .. } | Suspect::Unfollowed { number, .. }), _) => Some(number + 1),
            _ => Some(self.next),
        }
    }

    fn second(&mut self, bound: &Bound, line: Option<u64>, hash: &str) {
        if bound.number == self.next - 1 {
            self.suspect = Some(Suspect::Twice {
                number: bound.number,
                second: hash.to_owned(),
                first_line: self.last_line,
                line,
            });
        } else {
            let detail = "a row of this number stands further up already";
            self.damaged(Done::Inserted, Some(bound.number), line, detail);
        }
    }

    /// Decides what a place that did not fit was, by the row behind it, or without one at the end.
    fn resolve(&mut self, next: Option<(&Bound, Option<u64>)>) {
        match self.suspect.take() {
            None => {}
            Some(Suspect::Unfollowed { number, hash, line }) => {
                let follows = next.is_none_or(|(next, _)| next.previous == hash);
                if follows && number > self.first {
                    let detail = format!(
                        "row {number} follows another one than this: it was changed, and its hash made anew"
                    );
                    self.damaged(Done::Changed, Some(number - 1), self.last_line, detail);
                } else if follows && number == self.first && next.is_some() {
                    let detail = "the first row does not follow what the trail is said to begin behind";
                    self.damaged(Done::Beheaded, Some(number), line, detail);
                } else {
                    let detail = "it does not follow the row before: it was changed, and its hash made anew";
                    self.damaged(Done::Changed, Some(number), line, detail);
                }
            }
            Some(Suspect::Early { missing, number, line, more }) => match next {
                // What comes behind one early row alone was not moved: that one was.
                Some((next, _)) if !more && (missing..number).contains(&next.number) => {
                    let detail = format!("it stands before row {}", next.number);
                    self.damaged(Done::Reordered, Some(number), line, detail);
                }
                Some((next, line)) if (missing..number).contains(&next.number) => {
                    let detail = format!("it stands behind row {number}");
                    self.damaged(Done::Reordered, Some(next.number), line, detail);
                }
                // One that was moved may stand anywhere further down.
                Some((next, _)) if next.number > number => {
                    self.suspect = Some(Suspect::Early { missing, number, line, more: true });
                }
                _ => self.missing(missing, number - 1, line),
            },
            Some(Suspect::Twice { number, second, first_line, line }) => {
                let second_is_right = next.is_some_and(|(next, _)| next.previous == second);
                let place = if second_is_right { first_line } else { line };
                self.damaged(
                    Done::Inserted,
                    Some(number),
                    place,
                    "a row of this number stands twice: this one was put in",
                );
            }
        }
    }

    fn missing(&mut self, from: i64, until: i64, line: Option<u64>) {
        let detail = match from == until {
            true => format!("row {from} is missing"),
            false => format!("rows {from} to {until} are missing"),
        };
        self.damaged(Done::Deleted, Some(from), line, detail);
        if let Some(damage) = self.damage.as_mut().filter(|_| from != until) {
            damage.until = Some(until);
        }
    }

    pub(super) fn checkpoint(&mut self, line: Option<u64>, body: &str, signature: &str) {
        if self.decided() || matches!(self.suspect, Some(Suspect::Early { .. })) {
            return;
        }
        let here = Some(self.next - 1);
        let Ok(told) = serde_json::from_str::<Checkpoint>(body) else {
            return self.damaged(Done::Changed, here, line, "the checkpoint behind this row cannot be read");
        };
        if !checkpoint::signed(&self.public_key, body, signature) {
            let detail = format!("checkpoint {} is not signed by the key", told.checkpoint);
            return self.damaged(Done::Forged, Some(told.number), line, detail);
        }
        if told.tenant != self.tenant {
            return self.damaged(Done::Inserted, here, line, "the checkpoint is of another tenant");
        }
        let before = self.checkpoint;
        if before + 1 != told.checkpoint {
            let detail = format!("checkpoint {} follows {before}", told.checkpoint);
            let what = if told.checkpoint > before { Done::Deleted } else { Done::Inserted };
            return self.damaged(what, Some(told.number), line, detail);
        }
        self.checkpoints += 1;
        self.checkpoint = told.checkpoint;
        if self.suspect.is_some() {
            // What a signature holds is right, so it tells which of two rows was changed.
            return self.resolve_by(&told);
        }
        if told.number >= self.next {
            self.missing(self.next, told.number, line);
        } else if told.number == self.next - 1 && told.hash != self.hash {
            let detail = format!(
                "checkpoint {} says that row {} had another hash: a row from {} on was changed, and all hashes behind it made anew",
                told.checkpoint,
                told.number,
                self.signed_until + 1
            );
            self.damaged(Done::Changed, Some(self.signed_until + 1), line, detail);
            if let Some(damage) = &mut self.damage {
                damage.until = Some(told.number);
            }
        } else if told.number < self.next - 1 {
            self.damaged(
                Done::Reordered,
                Some(told.number),
                line,
                "a checkpoint stands behind another row than it says",
            );
        }
        self.signed_until = told.number;
    }

    fn resolve_by(&mut self, told: &Checkpoint) {
        match self.suspect.take() {
            Some(Suspect::Unfollowed { number, hash, line }) if told.number == number => {
                let (number, line) =
                    if told.hash == hash { (number - 1, self.last_line) } else { (number, line) };
                self.damaged(
                    Done::Changed,
                    Some(number),
                    line,
                    "the checkpoint behind it says that it was changed",
                );
            }
            Some(Suspect::Twice { number, second, first_line, line }) => {
                let place = if told.hash == second { first_line } else { line };
                self.damaged(
                    Done::Inserted,
                    Some(number),
                    place,
                    "a row of this number stands twice: this one was put in",
                );
            }
            other => {
                self.suspect = other;
                self.resolve(None);
            }
        }
    }

    /// The signed last line of a file.
    pub(super) fn end(&mut self, line: u64, body: &str, signature: &str, begin: &str) {
        self.resolve(None);
        if self.decided() {
            return;
        }
        let told = serde_json::from_str::<End>(body).ok();
        let signed = checkpoint::signed(&self.public_key, body, signature);
        let Some(told) = told.filter(|_| signed) else {
            return self.damaged(Done::Forged, None, Some(line), "the last line is not signed by the key");
        };
        if told.begin != begin {
            return self.damaged(
                Done::Changed,
                None,
                Some(1),
                "the first line is not the one that was signed",
            );
        }
        if self.selection {
            if (told.rows, &told.digest) != (self.rows, &self.digest) {
                let detail = "rows of the selection are missing, were put in or stand at other places";
                self.damaged(Done::Deleted, None, Some(line), detail);
            }
            return;
        }
        if told.last > self.next - 1 {
            let from = self.next;
            self.missing(from, told.last, Some(line));
        } else if told.last < self.next - 1 {
            self.damaged(Done::Inserted, Some(told.last + 1), None, "the trail ended before this row");
        } else if told.hash != self.hash || told.digest != self.digest {
            let from = self.signed_until + 1;
            self.damaged(
                Done::Changed,
                Some(from),
                None,
                "a row from here on was changed, and all hashes behind it made anew",
            );
            if let Some(damage) = &mut self.damage {
                damage.until = Some(told.last);
            }
        } else if self.checkpoint != told.checkpoint {
            self.damaged(
                Done::Deleted,
                None,
                Some(line),
                format!("the last checkpoint was {}", told.checkpoint),
            );
        }
    }

    /// Where the database says that the trail ends.
    pub(super) fn reaches(&mut self, last: i64, hash: &str, checkpoint: i64) {
        self.resolve(None);
        if self.decided() {
            return;
        }
        if self.next <= last {
            let from = self.next;
            self.missing(from, last, None);
            if let Some(damage) = &mut self.damage {
                damage.what = Done::Truncated;
            }
        } else if self.next - 1 > last {
            self.damaged(Done::Inserted, Some(last + 1), None, "the trail ended before this row");
        } else if self.hash != hash {
            let detail = "the trail is said to end in another hash: the last row was changed, or where the trail stands";
            self.damaged(Done::Changed, Some(last), None, detail);
        } else if self.checkpoint != checkpoint {
            self.damaged(Done::Deleted, None, None, format!("the last checkpoint was {checkpoint}"));
        }
    }

    pub(super) fn beheaded(&mut self, first: i64) {
        let detail = "the trail does not tell that its beginning was cut off";
        self.damaged(Done::Beheaded, Some(first), None, detail);
    }

    /// A file that ends before its last line.
    pub(super) fn truncated(&mut self, line: u64) {
        self.resolve(None);
        let detail = "the file ends without its signed last line: rows from here on may be missing";
        self.damaged(Done::Truncated, Some(self.next), Some(line + 1), detail);
    }

    pub(super) fn changed_line(&mut self, line: u64, detail: &str) {
        let number = self.expected();
        self.resolve(None);
        self.damaged(Done::Changed, number, Some(line), detail);
    }

    pub(super) fn inserted_line(&mut self, line: u64) {
        self.damaged(Done::Inserted, None, Some(line), "lines stand behind the last one");
    }

    pub(super) fn report(mut self) -> Report {
        self.resolve(None);
        Report {
            whole: self.damage.is_none(),
            tenant: self.tenant,
            rows: self.rows,
            first: self.first,
            last: self.next - 1,
            hash: self.hash,
            checkpoints: self.checkpoints,
            signed_until: self.signed_until,
            public_key: self.public_key,
            key_given: self.key.is_some(),
            selection: self.selection,
            damage: self.damage,
        }
    }
}
