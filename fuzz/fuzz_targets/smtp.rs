//! A session asks and answers the same however its octets come, and nothing breaks it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smtp::{Asked, Code, Offers, Reply, Session};

/// What a session asks and says, when its owner agrees, refuses and blames by turns.
fn talk(stream: &[u8], piece: usize, turns: u8) -> (Vec<Asked>, Vec<u8>) {
    let offers = Offers {
        host: "sms.example".to_owned(),
        starttls: turns & 1 == 1,
        plain_auth: turns & 2 == 2,
        dsn: turns & 4 == 4,
        mail_bytes_max: 256,
        recipients_max: 3,
        errors_max: 9,
    };
    let mut session = Session::new(offers, false);
    let (mut asked, mut out) = (Vec::new(), Vec::new());
    let mut turn = turns;
    for octets in stream.chunks(piece) {
        session.feed(octets);
        while let Some(one) = session.next(&mut out) {
            turn = turn.rotate_right(1);
            match &one {
                Asked::Close => assert!(session.is_closed()),
                Asked::StartTls => session.encrypted(),
                _ if turn & 1 == 1 => session.answer(&Reply::new(Code::OK, "Yes"), &mut out),
                _ if turn & 2 == 2 => session.answer(&Reply::new(Code::LATER, "No"), &mut out),
                _ => drop(session.blame(&Reply::new(Code::UNREADABLE, "No"), &mut out)),
            }
            asked.push(one);
        }
    }
    (asked, out)
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (piece, turns, stream) = input;
    // Whether something follows STARTTLS is the one thing that depends on the pieces.
    let turns = turns & !1;
    let whole = talk(stream, stream.len().max(1), turns);
    assert_eq!(whole, talk(stream, usize::from(piece).max(1), turns));
    for line in String::from_utf8(whole.1).unwrap().split_terminator("\r\n") {
        assert!(line.len() <= 510, "{line}");
    }
    let _ = smtp::is_address(&String::from_utf8_lossy(stream));
});
