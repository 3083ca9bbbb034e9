use proptest::prelude::*;

use super::*;

fn offers() -> Offers {
    Offers {
        host: "sms.example".to_owned(),
        starttls: true,
        plain_auth: false,
        dsn: true,
        mail_bytes_max: 1_000,
        recipients_max: 2,
        errors_max: 5,
    }
}

/// A session, and what it has said.
struct Talk {
    session: Session,
    asked: Vec<Asked>,
}

impl Talk {
    fn new(encrypted: bool) -> Self {
        Self { session: Session::new(offers(), encrypted), asked: Vec::new() }
    }

    /// Says lines, agrees to everything, and gives the replies.
    fn say(&mut self, text: &str) -> String {
        let mut out = Vec::new();
        self.session.feed(text.as_bytes());
        while let Some(asked) = self.session.next(&mut out) {
            if asked != Asked::Close {
                self.session.answer(&Reply::new(Code::OK, "Yes"), &mut out);
            }
            self.asked.push(asked);
        }
        String::from_utf8(out).unwrap()
    }
}

#[test]
fn a_mail_comes_in_one_breath() {
    let mut talk = Talk::new(true);
    let said = talk.say(concat!(
        "EHLO me.example\r\nMAIL FROM:<a@b.example> SIZE=10 RET=HDRS ENVID=x1\r\n",
        "RCPT TO:<+33612345678@sms.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y.example\r\nDATA\r\n",
        "Subject: x\r\n\r\nHello\r\n.\r\nQUIT\r\n"
    ));
    let codes: Vec<&str> = said.lines().filter(|line| &line[3..4] == " ").map(|line| &line[..3]).collect();
    assert_eq!(codes, ["250", "250", "250", "354", "250", "221"]);
    assert!(
        said.contains("250-DSN\r\n") && said.contains("AUTH PLAIN LOGIN\r\n") && !said.contains("STARTTLS")
    );
    let Asked::From(sender) = &talk.asked[0] else { panic!("{:?}", talk.asked) };
    assert_eq!((sender.address.as_str(), sender.envelope_id.as_deref()), ("a@b.example", Some("x1")));
    let Asked::To(recipient) = &talk.asked[1] else { panic!("{:?}", talk.asked) };
    assert_eq!(recipient.address, "+33612345678@sms.example");
    assert_eq!(recipient.notify, Notify { success: true, failure: true, chosen: true });
    assert_eq!(talk.asked[2], Asked::Letter(Letter { content: b"Subject: x\r\n\r\nHello\r\n".to_vec() }));
    assert_eq!(talk.asked[3], Asked::Close);
}

#[test]
fn commands_have_an_order() {
    let mut talk = Talk::new(true);
    assert!(talk.say("MAIL FROM:<a@b.example>\r\n").starts_with("503"));
    assert!(talk.say("HELO me\r\n").starts_with("250 sms.example"));
    assert!(talk.say("RCPT TO:<1234567@sms.example>\r\n").starts_with("503"));
    assert!(talk.say("MAIL FROM:<>\r\n").starts_with("250"));
    assert!(talk.say("MAIL FROM:<>\r\n").starts_with("503"));
    assert!(talk.say("DATA\r\n").starts_with("554 5.5.1"));
    assert!(talk.say("RSET\r\n").starts_with("250"));
    assert!(talk.say("DATA\r\n").starts_with("503"));
}

#[test]
fn a_password_needs_tls() {
    let mut talk = Talk::new(false);
    let said = talk.say("EHLO me\r\nAUTH PLAIN AGRlbW8Ac2VjcmV0\r\n");
    assert!(said.contains("250-STARTTLS") || said.contains("250 STARTTLS"));
    assert!(!said.contains("AUTH PLAIN") && said.contains("538 5.7.11"), "{said}");
    talk.session.feed(b"STARTTLS\r\n");
    let mut out = Vec::new();
    assert_eq!(talk.session.next(&mut out), Some(Asked::StartTls));
    talk.session.encrypted();
    assert!(talk.say("AUTH PLAIN AGRlbW8Ac2VjcmV0\r\n").starts_with("503"), "EHLO comes anew");
    talk.say("EHLO me\r\n");
    assert!(talk.say("AUTH LOGIN\r\nZGVtbw==\r\nc2VjcmV0\r\n").starts_with("334 VXNlcm5hbWU6\r\n334 "));
    let login = Asked::Login { user: "demo".to_owned(), password: "secret".to_owned() };
    assert_eq!(talk.asked.last(), Some(&login));
    assert!(!talk.say("EHLO me\r\n").contains("AUTH"));
}

#[test]
fn what_follows_starttls_in_plain_text_ends_the_session() {
    let mut talk = Talk::new(false);
    let said = talk.say("EHLO me\r\nSTARTTLS\r\nRSET\r\n");
    assert!(said.ends_with("554 5.7.0 Nothing may follow STARTTLS before TLS; closing\r\n"), "{said}");
    assert_eq!(talk.asked, [Asked::Close]);
}

#[test]
fn bounds_hold() {
    let mut talk = Talk::new(true);
    talk.say("EHLO me\r\n");
    assert!(talk.say("MAIL FROM:<a@b.example> SIZE=1001\r\n").starts_with("552 5.3.4"));
    talk.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<1@x.example>\r\nRCPT TO:<2@x.example>\r\n");
    assert!(talk.say("RCPT TO:<3@x.example>\r\n").starts_with("452 4.5.3"));
    let large = format!("DATA\r\n{}\r\n.\r\n", "x".repeat(1_001));
    assert!(talk.say(&large).ends_with("552 5.3.4 A mail has at most 1000 octets\r\n"));
    assert!(
        talk.say(&format!("NOOP {}\r\n", "x".repeat(5_000))).starts_with("500 5.5.2 The line is too long")
    );
    assert!(talk.say("BDAT 3 LAST\r\nabc\r\n").starts_with("502 5.5.1"));
    let said = talk.say(&"WHAT\r\n".repeat(9));
    assert!(said.ends_with("421 4.7.0 Too many errors; closing\r\n"), "{said}");
    assert!(talk.session.is_closed());
}

#[test]
fn what_was_not_offered_is_refused() {
    let mut talk = Talk::new(true);
    talk.session.offers.dsn = false;
    talk.say("EHLO me\r\n");
    assert!(talk.say("MAIL FROM:<a@b.example> RET=HDRS\r\n").starts_with("555 5.5.4"));
    talk.say("MAIL FROM:<a@b.example> BODY=8BITMIME SMTPUTF8\r\n");
    assert!(talk.say("RCPT TO:<1@x.example> NOTIFY=NEVER\r\n").starts_with("555 5.5.4"));
}

#[test]
fn addresses_are_told_from_other_texts() {
    for address in ["a@b.example", "jos\u{e9}@b.example", "a+b@b.example"] {
        assert!(is_address(address), "{address}");
    }
    for other in ["", "a", "a@", "@b", "a@b@c", "a@b>\r\nRCPT", "a b@c", "<a@b>"] {
        assert!(!is_address(other), "{other:?}");
    }
}

proptest! {
    #[test]
    fn no_octets_break_a_session(pieces in prop::collection::vec(octets(), 0..20), answers in any::<u64>()) {
        let mut session = Session::new(offers(), answers & 1 == 1);
        let mut out = Vec::new();
        let mut turn = answers;
        for piece in pieces {
            session.feed(&piece);
            while let Some(asked) = session.next(&mut out) {
                turn = turn.rotate_right(1);
                match asked {
                    Asked::Close => prop_assert!(session.is_closed()),
                    Asked::StartTls => session.encrypted(),
                    _ if turn & 1 == 1 => session.answer(&Reply::new(Code::OK, "Yes"), &mut out),
                    _ if turn & 2 == 2 => session.answer(&Reply::new(Code::LATER, "No"), &mut out),
                    _ => drop(session.blame(&Reply::new(Code::UNREADABLE, "No"), &mut out)),
                }
            }
            prop_assert!(session.pending.len() <= RESPONSE_OCTETS_MAX + piece.len());
        }
        let said = String::from_utf8(out).unwrap();
        for line in said.split_terminator("\r\n") {
            prop_assert!(line.len() <= 510 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit), "{line:?}");
        }
    }
}

/// Commands, half commands, and noise.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let command = prop::sample::select(vec![
        "EHLO x\r\n",
        "HELO x\n",
        "MAIL FROM:<a@b.c>\r\n",
        "MAIL FROM:<> SIZE=5\r\n",
        "RCPT TO:<1@b.c>\r\n",
        "DATA\r\n",
        "a\r\n.\r\n",
        ".\r\n",
        "RSET\r\n",
        "STARTTLS\r\n",
        "AUTH PLAIN\r\n",
        "AUTH LOGIN\r\n",
        "AGEAYg==\r\n",
        "*\r\n",
        "QUIT\r\n",
        "NOOP\r\n",
        "MAIL FROM:<a@b",
        "\r",
        "\n",
    ]);
    prop_oneof![
        4 => command.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
        1 => prop::collection::vec(any::<u8>(), 4_000..6_000),
    ]
}
