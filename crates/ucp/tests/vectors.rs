//! The examples of the EMI specification.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use ucp::{Body, Outcome, Pdu, Time, hex};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/ucp.json");

/// A field by the name that the examples give it.
fn field(pdu: &Pdu, name: &str) -> Option<String> {
    let text = match (&pdu.body, name) {
        (_, "trn") => return Some(format!("{:02}", pdu.trn)),
        (_, "ot") => return Some(pdu.operation().to_string()),
        (Body::Result(..), "r") => "R",
        (Body::Result(..), "o_r") => "R",
        (_, "o" | "o_r") => "O",
        (Body::Result(_, Outcome::Ack { .. }), "ack") => "A",
        (Body::Result(_, Outcome::Nack { .. }), "nack") => "N",
        (Body::Result(_, Outcome::Ack { message, .. }), "sm") => message,
        (Body::Result(_, Outcome::Nack { error, .. }), "ec") => return Some(format!("{:02}", error.0)),
        (Body::Call(call), "adc") => &call.adc,
        (Body::Call(call), "oadc") => &call.oadc,
        (Body::Call(call), "mt") => &call.mt,
        (Body::Call(call), "amsg" | "nmsg") => &call.msg,
        (Body::Alert(alert), "adc") => &alert.adc,
        (Body::Alert(alert), "pid") => &alert.pid,
        (Body::Session(_, session), _) => match name {
            "oadc" => &session.oadc,
            "oton" => &session.oton,
            "onpi" => &session.onpi,
            "styp" => &session.styp,
            "pwd" => &session.pwd,
            "pwd_utf8" => return session.password(),
            "vers" => &session.vers,
            _ => return None,
        },
        (Body::Message(_, message), _) => match name {
            "adc" => &message.adc,
            "oadc" => &message.oadc,
            "nrq" => &message.nrq,
            "nadc" => &message.nadc,
            "nt" => &message.nt,
            "npid" => &message.npid,
            "lrq" => &message.lrq,
            "lrad" => &message.lrad,
            "lpid" => &message.lpid,
            "dd" => &message.dd,
            "ddt" => &message.ddt,
            "vp" => &message.vp,
            "scts" => &message.scts,
            "dst" => &message.dst,
            "rsn" => &message.rsn,
            "dscts" => &message.dscts,
            "mt" => &message.mt,
            "nb" => &message.nb,
            "amsg" | "tmsg" | "nmsg" => &message.msg,
            "dcs" => &message.dcs,
            "mcls" => &message.mcls,
            _ => return None,
        },
        _ => return None,
    };
    Some(text.to_owned())
}

/// Expectations that describe another one in words, or are checked by the codec itself.
fn is_derived(name: &str) -> bool {
    name.ends_with("_description")
        || name.ends_with("_binary")
        || name.ends_with("_addr")
        || matches!(name, "len" | "checksum" | "sm_adc")
}

fn check(pdu: &Pdu, name: &str, expected: &str) -> bool {
    if let Some(of) = name.strip_suffix("_datetime") {
        let text = if of == "sm_scts" { field(pdu, "sm") } else { field(pdu, of) }.unwrap();
        let Time { year, month, day, hour, minute, second } =
            Time::parse(text.rsplit(':').next().unwrap()).unwrap();
        assert_eq!(format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"), expected);
    } else if name == "sm_scts" {
        assert!(field(pdu, "sm").unwrap().ends_with(expected));
    } else if name == "amsg_utf8" {
        let octets = hex::decode(&field(pdu, "amsg").unwrap()).unwrap();
        assert_eq!(String::from_utf8(octets).unwrap(), expected);
    } else if is_derived(name) {
        return false;
    } else {
        assert_eq!(field(pdu, name).as_deref(), Some(expected), "{name}");
    }
    true
}

#[test]
fn the_specifications_examples_are_read_and_written_again() {
    let Ok(text) = std::fs::read_to_string(PATH) else {
        eprintln!("{PATH} is not here: not tested");
        return;
    };
    let vectors: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(vectors.len() >= 24);
    let mut checked = 0;
    for vector in vectors {
        let frame = hex::decode(vector["input"]["frame_hex"].as_str().unwrap()).unwrap();
        let pdu = Pdu::decode(&frame[1..frame.len() - 1]).unwrap();
        for (name, expected) in vector["expected"].as_object().unwrap() {
            checked += usize::from(check(&pdu, name, expected.as_str().unwrap()));
        }
        let mut again = Vec::new();
        pdu.encode(&mut again).unwrap();
        assert_eq!(again, frame, "{}", vector["id"]);
    }
    assert!(checked > 150, "only {checked} expectations were looked at");
}
