//! The content of a mail (RFC 5321 §4.5.2), read to its end.

/// Where in a line the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of a line.
    Begin,
    /// Behind a dot that begins a line.
    Dot,
    /// Behind such a dot and a CR.
    DotCr,
    /// Within a line.
    Within,
    /// Behind a CR.
    Cr,
}

/// Takes octets until CR LF `.` CR LF. A bare CR or LF is content, wherever it stands: a server that took it for the end of a
/// line could be made to read a second mail out of the first.
#[derive(Debug)]
pub(crate) struct Data {
    content: Vec<u8>,
    place: Place,
    max: usize,
    too_large: bool,
}

impl Data {
    /// A mail of at most so many octets.
    pub(crate) fn new(max: usize) -> Self {
        Self { content: Vec::new(), place: Place::Begin, max, too_large: false }
    }

    /// Takes octets, and gives how many belong to the mail once its end is among them.
    pub(crate) fn take(&mut self, octets: &[u8]) -> Option<usize> {
        for (at, &octet) in octets.iter().enumerate() {
            self.place = match (self.place, octet) {
                (Place::Begin, b'.') => Place::Dot,
                (Place::Dot, b'\r') => Place::DotCr,
                (Place::DotCr, b'\n') => return Some(at + 1),
                (Place::DotCr, _) => {
                    // The dot began a longer line; it was doubled, or the client forgot to.
                    self.push(b'\r');
                    self.within(octet)
                }
                (Place::Cr, b'\n') => {
                    self.push(b'\n');
                    Place::Begin
                }
                _ => self.within(octet),
            };
        }
        None
    }

    fn within(&mut self, octet: u8) -> Place {
        self.push(octet);
        if octet == b'\r' { Place::Cr } else { Place::Within }
    }

    fn push(&mut self, octet: u8) {
        if self.content.len() < self.max {
            self.content.push(octet);
        } else {
            self.too_large = true;
            self.content = Vec::new();
            self.max = 0;
        }
    }

    /// The content, where it was not too large.
    pub(crate) fn content(self) -> Option<Vec<u8>> {
        (!self.too_large).then_some(self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> (Vec<u8>, Option<usize>) {
        let mut data = Data::new(1_000);
        let mut end = None;
        for piece in pieces {
            end = data.take(piece.as_bytes());
        }
        (data.content().unwrap(), end)
    }

    #[test]
    fn doubled_dots_become_one_and_the_last_ends_it() {
        assert_eq!(read(&["a\r\n..b\r\n.\r\nQUIT"]), (b"a\r\n.b\r\n".to_vec(), Some(11)));
        assert_eq!(read(&[".\r\n"]), (Vec::new(), Some(3)));
        assert_eq!(read(&["a\r", "\n", ".", "\r", "\n"]), (b"a\r\n".to_vec(), Some(1)));
    }

    #[test]
    fn only_cr_lf_ends_a_line() {
        for smuggled in ["a\n.\n", "a\n.\r\n", "a\r.\r\n", "a\r\n.\n", "a\r\n.\r\r\n", "a\r\n.\rb"] {
            assert_eq!(read(&[smuggled]).1, None, "{smuggled:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_read_and_not_kept() {
        let mut data = Data::new(4);
        assert_eq!(data.take(b"12345\r\n.\r\n"), Some(10));
        assert_eq!(data.content(), None);
    }
}
