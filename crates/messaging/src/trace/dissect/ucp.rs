//! UCP/EMI (EMI/UCP 5.2 §3 to §5): fields between separators, by operation.

use super::{Dissected, Field, Kind, printable};

/// The fields of the 5x-series (§5.2).
const MESSAGE: &[&str] = &[
    "AdC", "OAdC", "AC", "NRq", "NAdC", "NT", "NPID", "LRq", "LRAd", "LPID", "DD", "DDT", "VP", "RPID",
    "SCTS", "Dst", "Rsn", "DSCTS", "MT", "NB", "Msg", "MMS", "PR", "DCs", "MCLs", "RPI", "CPg", "RPLy",
    "OTOA", "HPLMN", "XSer", "RES4", "RES5",
];
/// Operations 60 and 61 (§6).
const SESSION: &[&str] =
    &["OAdC", "OTON", "ONPI", "STYP", "PWD", "NPWD", "VERS", "LAdC", "LTON", "LNPI", "OPID", "RES1"];
const CALL: &[&str] = &["AdC", "OAdC", "OAC", "MT", "Msg"];
const TRANSFER: &[&str] = &["AdC", "OAdC", "AC", "NRq", "NAd", "NPID", "DD", "DDT", "VP", "AMsg"];
const ALERT: &[&str] = &["AdC", "PID"];

fn names(operation: u8, result: Option<&str>) -> &'static [&'static str] {
    match (result, operation) {
        (Some("A"), 30 | 50..=59) => &["ack", "MVP", "SM"],
        (Some("A"), _) => &["ack", "SM"],
        (Some(_), _) => &["nack", "EC", "SM"],
        (None, 1) => CALL,
        (None, 30) => TRANSFER,
        (None, 31) => ALERT,
        (None, 60 | 61) => SESSION,
        (None, 50..=59) => MESSAGE,
        (None, _) => &[],
    }
}

fn kind(name: &str) -> Kind {
    match name {
        "PWD" | "NPWD" | "AC" => Kind::Password,
        "Msg" | "AMsg" => Kind::Text,
        "AdC" | "OAdC" => Kind::Address,
        _ => Kind::Plain,
    }
}

pub(super) fn dissect(octets: &[u8]) -> Dissected {
    let start = usize::from(octets.first() == Some(&super::STX));
    let end = octets.len() - usize::from(octets.len() > start && octets.last() == Some(&super::ETX));
    let mut at = start;
    let pieces: Vec<(usize, &[u8])> = octets[start..end]
        .split(|octet| *octet == b'/')
        .map(|piece| {
            let began = at;
            at += piece.len() + 1;
            (began, piece)
        })
        .collect();
    let text = |n: usize| pieces.get(n).map_or("", |(_, piece)| std::str::from_utf8(piece).unwrap_or(""));
    let operation: u8 = text(3).parse().unwrap_or(0);
    let response = text(2) == "R";
    let data = names(operation, response.then(|| text(4)));
    let last = pieces.len().saturating_sub(1);
    let name = |n: usize| match n {
        0 => "TRN".to_owned(),
        1 => "LEN".to_owned(),
        2 => "O/R".to_owned(),
        3 => "OT".to_owned(),
        n if n == last && n > 3 => "CK".to_owned(),
        n => data.get(n - 4).map_or_else(|| format!("field {}", n - 3), |name| (*name).to_owned()),
    };
    let field = |(n, (at, piece)): (usize, &(usize, &[u8]))| {
        let name = name(n);
        let kind = kind(&name);
        let value = match (kind, name.as_str()) {
            (Kind::Password, _) => "*".repeat(piece.len()),
            (_, "EC") => {
                let code = std::str::from_utf8(piece).ok().and_then(|digits| digits.parse().ok());
                code.map_or_else(|| printable(piece), |code| ::ucp::ErrorCode(code).to_string())
            }
            _ => printable(piece),
        };
        Field { name, value, at: *at..at + piece.len(), kind }
    };
    let status = response.then(|| match text(4) {
        "A" => "acknowledged".to_owned(),
        _ => text(5).parse().map_or_else(|_| "refused".to_owned(), |code| ::ucp::ErrorCode(code).to_string()),
    });
    Dissected {
        name: format!("{} {}", text(3), words(operation)).trim_end().to_owned(),
        sequence: text(0).parse().unwrap_or(0),
        response,
        status,
        // An empty field says nothing but for its place.
        fields: pieces.iter().enumerate().filter(|(_, (_, piece))| !piece.is_empty()).map(field).collect(),
    }
}

fn words(operation: u8) -> &'static str {
    match operation {
        1 => "call input",
        30 => "SMS transfer",
        31 => "alert",
        51 => "submit",
        52 => "deliver",
        53 => "notification",
        54 => "modify",
        55 => "inquiry",
        56 => "delete",
        57 => "inquiry response",
        58 => "delete response",
        60 => "session",
        61 => "list",
        _ => "",
    }
}
