//! From a mail to the text of a message.

use mail_parser::{Header, HeaderValue, MessageParser, PartType};

use super::{GatewaySettings, Subject};
use types::{Code, Error, Result};

/// What of a mail counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mail {
    /// Its Message-ID, without brackets.
    pub(crate) message_id: Option<String>,
    /// Its subject.
    pub(crate) subject: String,
    /// Its plain text; made of its HTML where it has none.
    pub(crate) text: String,
    /// What says that no person wrote it, such as `Auto-Submitted: auto-replied`.
    pub(crate) automatic: Option<String>,
}

/// Reads a mail (RFC 5322, MIME).
///
/// # Errors
/// [`Code::InvalidMail`].
pub(crate) fn read(content: &[u8]) -> Result<Mail> {
    let parsed = MessageParser::default().parse(content);
    let parsed = parsed.ok_or_else(|| Error::new(Code::InvalidMail, "the mail has no header"))?;
    let text = parsed.text_body.first().and_then(|at| parsed.parts.get(*at as usize)).map(|part| &part.body);
    let text = match text {
        Some(PartType::Text(text)) => text.to_string(),
        Some(PartType::Html(_)) => parsed.body_text(0).unwrap_or_default().into_owned(),
        _ => String::new(),
    };
    Ok(Mail {
        message_id: parsed.message_id().map(str::to_owned),
        subject: parsed.subject().unwrap_or_default().trim().to_owned(),
        text,
        automatic: automatic(parsed.headers()),
    })
}

/// The field by which a mail says that a machine sent it by itself (RFC 3834 §5, and what was in use before).
fn automatic(headers: &[Header<'_>]) -> Option<String> {
    headers.iter().find_map(|header| {
        let value = match &header.value {
            HeaderValue::Text(text) => text.trim().to_lowercase(),
            _ => String::new(),
        };
        let name = header.name.as_str();
        let by_itself = match name.to_ascii_lowercase().as_str() {
            "auto-submitted" => !value.is_empty() && !value.starts_with("no"),
            "precedence" => matches!(value.as_str(), "bulk" | "junk" | "list" | "auto_reply"),
            "list-id" | "x-autoreply" | "x-autorespond" => true,
            _ => false,
        };
        by_itself.then(|| format!("{name}: {value}").trim_end_matches([' ', ':']).to_owned())
    })
}

/// The text of the messages that a mail becomes.
pub(crate) fn of_mail(mail: &Mail, settings: &GatewaySettings) -> String {
    let text = cut(&mail.text, settings);
    match settings.subject {
        Subject::Prefix if !mail.subject.is_empty() && text.is_empty() => mail.subject.clone(),
        Subject::Prefix if !mail.subject.is_empty() => format!("{}: {text}", mail.subject),
        Subject::Prefix | Subject::Ignore => text,
    }
}

/// The beginnings of the lines by which mail programs head the mail that they quote, folded to lower case.
const QUOTE_HEADS: [&str; 12] = [
    "-----original message",
    "-----ursprüngliche nachricht",
    "-----message d'origine",
    "-----mensaje original",
    "-----messaggio originale",
    "-----mensagem original",
    "-----oorspronkelijk bericht",
    "----- original message",
    "----- forwarded message",
    "---------- forwarded message",
    "begin forwarded message",
    "________________________________",
];

/// Cuts off what is no message: signature, quoted mail, and what the gateway names; and smooths blanks.
fn cut(text: &str, settings: &GatewaySettings) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut end = lines.len();
    for (at, line) in lines.iter().enumerate() {
        let folded = line.trim().to_lowercase();
        let signature = settings.cut_signature && *line == "--";
        let named = settings.cut_at.iter().any(|cut| folded.starts_with(&cut.to_lowercase()));
        if signature || named {
            end = at;
            break;
        }
        if settings.cut_quotes
            && (line.starts_with('>') || QUOTE_HEADS.iter().any(|head| folded.starts_with(head)))
        {
            end = before_quote(&lines[..at], line.starts_with('>'));
            break;
        }
    }
    let mut out: Vec<&str> = Vec::with_capacity(end);
    for line in &lines[..end] {
        // One blank line says as much as several, and costs less.
        if !(line.is_empty() && out.last().is_none_or(|last| last.is_empty())) {
            out.push(line);
        }
    }
    out.join("\n").trim().to_owned()
}

/// Lines that the head of a quoted mail ("On Monday Anna wrote:") has at most.
const ATTRIBUTION_LINES_MAX: usize = 3;

/// Where the text ends before a quoted mail: with it goes the line that says whose words follow.
fn before_quote(lines: &[&str], marked: bool) -> usize {
    let mut end = lines.len();
    while end > 0 && lines[end - 1].is_empty() {
        end -= 1;
    }
    if marked && end > 0 && lines[end - 1].ends_with(':') {
        let begin = lines[..end].iter().rposition(|line| line.is_empty()).map_or(0, |blank| blank + 1);
        if end - begin <= ATTRIBUTION_LINES_MAX {
            return begin;
        }
        return end - 1;
    }
    end
}

/// The longest beginning of a text that fits so many parts.
pub(crate) fn shortened(text: &str, parts_max: u32) -> String {
    let parts = |text: &str| sms::count(text, &sms::analysis::Options::default()).parts;
    let fits = |text: &str| u32::try_from(parts(text)).is_ok_and(|parts| parts <= parts_max);
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let (mut low, mut high) = (0, ends.len() - 1);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if fits(&text[..ends[middle]]) { low = middle } else { high = middle - 1 }
    }
    text[..ends[low]].trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_by_default(text: &str) -> String {
        cut(text, &GatewaySettings::default())
    }

    #[test]
    fn signatures_and_quotes_are_cut_off() {
        assert_eq!(cut_by_default("Hello\r\n\r\n\r\n\r\nAnna  \r\n-- \r\nAnna\r\nACME"), "Hello\n\nAnna");
        let answer =
            "Yes, at eight.\n\nOn Mon, 30 Nov 2026 at 10:00 Anna\n<anna@example.com> wrote:\n> When?\n> Anna";
        assert_eq!(cut_by_default(answer), "Yes, at eight.");
        assert_eq!(cut_by_default("Ja.\n\nAm 30.11. schrieb Anna:\n\n> Wann?"), "Ja.");
        assert_eq!(cut_by_default("Oui\n\n-----Message d'origine-----\nDe : Anna"), "Oui");
        assert_eq!(cut_by_default("> only a quote"), "");
        assert_eq!(cut_by_default("1 > 0 and a -- b"), "1 > 0 and a -- b");
        let kept = GatewaySettings { cut_signature: false, cut_quotes: false, ..GatewaySettings::default() };
        assert_eq!(cut("a\n--\nb\n> c", &kept), "a\n--\nb\n> c");
        let own = GatewaySettings { cut_at: vec!["Sent from my".to_owned()], ..GatewaySettings::default() };
        assert_eq!(cut("a\n\nSENT FROM MY phone\nb", &own), "a");
    }

    #[test]
    fn a_subject_can_stand_before_the_text() {
        let mail = Mail { subject: "Alarm".to_owned(), text: "Door 3\n".to_owned(), ..Mail::default() };
        assert_eq!(of_mail(&mail, &GatewaySettings::default()), "Door 3");
        let prefix = GatewaySettings { subject: Subject::Prefix, ..GatewaySettings::default() };
        assert_eq!(of_mail(&mail, &prefix), "Alarm: Door 3");
        assert_eq!(of_mail(&Mail { text: String::new(), ..mail }, &prefix), "Alarm");
    }

    #[test]
    fn html_becomes_text_where_there_is_nothing_else() {
        let html = "Subject: =?utf-8?q?caf=C3=A9?=\r\nMessage-ID: <a@b>\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n\
                    <html><head><style>p { color: red }</style></head><body><p>Gr\u{fc}\u{df}e &amp; mehr</p></body></html>";
        let octets: Vec<u8> = html.chars().map(|ch| ch as u8).collect();
        let mail = read(&octets).unwrap();
        assert_eq!((mail.subject.as_str(), mail.message_id.as_deref()), ("café", Some("a@b")));
        assert_eq!(mail.text.trim(), "Grüße & mehr");
    }

    #[test]
    fn the_plain_part_comes_before_the_html_part() {
        let mail = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=q\r\n\r\n--q\r\n\
                    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nplain =E2=82=AC\r\n--q\r\n\
                    Content-Type: text/html\r\n\r\n<b>rich</b>\r\n--q--\r\n";
        assert_eq!(read(mail.as_bytes()).unwrap().text.trim(), "plain €");
    }

    #[test]
    fn machines_are_known_by_their_marks() {
        for mark in
            ["Auto-Submitted: auto-replied", "Precedence: bulk", "List-Id: <a.example>", "X-Autoreply: yes"]
        {
            let mail = read(format!("{mark}\r\nSubject: x\r\n\r\ntext").as_bytes()).unwrap();
            assert!(mail.automatic.is_some(), "{mark}");
        }
        for mark in ["Auto-Submitted: no", "Precedence: first-class", "X-Other: bulk"] {
            let mail = read(format!("{mark}\r\nSubject: x\r\n\r\ntext").as_bytes()).unwrap();
            assert_eq!(mail.automatic, None, "{mark}");
        }
    }

    #[test]
    fn a_text_is_shortened_to_whole_parts() {
        let text = "é".repeat(500);
        let short = shortened(&text, 2);
        assert_eq!(short.chars().count(), 306);
        assert_eq!(shortened("short", 1), "short");
        assert_eq!(shortened(&"й".repeat(100), 1).chars().count(), 70);
        assert_eq!(shortened("", 1), "");
    }
}
