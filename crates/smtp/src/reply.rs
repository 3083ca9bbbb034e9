//! Replies (RFC 5321 §4.2) with enhanced status codes (RFC 2034, 3463).

/// A reply code with its enhanced status code, such as `Code(550, "5.1.1")`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u16, pub &'static str);

impl Code {
    /// Done.
    pub const OK: Self = Self(250, "2.0.0");
    /// The command cannot be read.
    pub const UNREADABLE: Self = Self(500, "5.5.2");
    /// Its parameters cannot be read.
    pub const BAD_ARGUMENT: Self = Self(501, "5.5.4");
    /// It is known and not spoken here.
    pub const NOT_HERE: Self = Self(502, "5.5.1");
    /// It comes at the wrong moment.
    pub const WRONG_ORDER: Self = Self(503, "5.5.1");
    /// A parameter is not spoken here.
    pub const BAD_PARAMETER: Self = Self(555, "5.5.4");
    /// Try later: the channel closes.
    pub const CLOSING: Self = Self(421, "4.3.2");
    /// Try later: something broke on our side.
    pub const LATER: Self = Self(451, "4.3.0");

    /// Whether it says yes.
    pub const fn is_yes(self) -> bool {
        self.0 < 400
    }
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The code.
    pub code: Code,
    /// The text; what is no printable ASCII is shown as `?` when it is written.
    pub text: String,
}

/// Octets of a line's text: with code, enhanced code and CR LF it stays below 512 (RFC 5321 §4.5.3.1.5).
const TEXT_OCTETS_MAX: usize = 450;
/// Lines that a text is cut into at most.
const LINES_MAX: usize = 4;

impl Reply {
    /// A reply.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// Writes it, as several lines where the text is long.
    pub fn write(&self, out: &mut Vec<u8>) {
        let printable = |ch: char| if matches!(ch, ' '..='~') { ch } else { '?' };
        let text: String = self.text.chars().map(printable).take(TEXT_OCTETS_MAX * LINES_MAX).collect();
        let mut rest = text.as_str();
        loop {
            let (line, more) = match rest.len() {
                0..=TEXT_OCTETS_MAX => (rest, ""),
                // Every character is one octet here.
                _ => rest.split_at(TEXT_OCTETS_MAX),
            };
            let Code(code, enhanced) = self.code;
            let mark = if more.is_empty() { ' ' } else { '-' };
            out.extend_from_slice(format!("{code}{mark}{enhanced} {line}").trim_end().as_bytes());
            out.extend_from_slice(b"\r\n");
            if more.is_empty() {
                return;
            }
            rest = more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_text_cannot_end_its_line() {
        let reply = Reply::new(Code(550, "5.1.1"), "no \r\n250 such é");
        assert_eq!(written(&reply), "550 5.1.1 no ??250 such ?\r\n");
    }

    #[test]
    fn a_long_text_has_several_lines() {
        let text = written(&Reply::new(Code::OK, "x".repeat(1_000)));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("250-2.0.0 x") && lines[2].starts_with("250 2.0.0 x"));
        assert!(lines.iter().all(|line| line.len() <= 510));
        assert!(written(&Reply::new(Code::OK, "x".repeat(100_000))).lines().count() <= LINES_MAX);
    }
}
