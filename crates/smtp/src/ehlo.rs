//! What a server says that it can do (RFC 5321 §4.1.1.1).

use crate::Offers;

/// The reply to EHLO. `encrypted` and `known` say where the session stands: what is over is offered no more.
pub(crate) fn write(offers: &Offers, encrypted: bool, known: bool, out: &mut Vec<u8>) {
    let mut lines = vec![
        offers.host.clone(),
        format!("SIZE {}", offers.mail_bytes_max),
        "8BITMIME".to_owned(),
        "SMTPUTF8".to_owned(),
        "PIPELINING".to_owned(),
        "ENHANCEDSTATUSCODES".to_owned(),
    ];
    if offers.dsn {
        lines.push("DSN".to_owned());
    }
    if offers.starttls && !encrypted {
        lines.push("STARTTLS".to_owned());
    }
    if (encrypted || offers.plain_auth) && !known {
        lines.push("AUTH PLAIN LOGIN".to_owned());
    }
    let last = lines.len() - 1;
    for (at, line) in lines.iter().enumerate() {
        let mark = if at == last { ' ' } else { '-' };
        out.extend_from_slice(format!("250{mark}{line}\r\n").as_bytes());
    }
}
