//! CIMD2 (CIMD2 3-0 §3 to §5): numbered parameters between tabs.

use cimd::parameter;

use super::{Dissected, Field, Kind, printable};

fn name(code: u16) -> &'static str {
    match code {
        parameter::USER => "user identity",
        parameter::PASSWORD => "password",
        parameter::SUBADDRESS => "subaddress",
        parameter::WINDOW_SIZE => "window size",
        parameter::DESTINATION => "destination address",
        parameter::ORIGINATOR => "originating address",
        parameter::ORIGINATING_IMSI => "originating IMSI",
        parameter::ALPHANUMERIC_ORIGINATOR => "alphanumeric originating address",
        parameter::VISITED_MSC => "originated visited MSC",
        parameter::DATA_CODING => "data coding scheme",
        parameter::USER_DATA_HEADER => "user data header",
        parameter::USER_DATA => "user data",
        parameter::USER_DATA_BINARY => "user data binary",
        parameter::MORE_MESSAGES => "more messages to send",
        parameter::VALIDITY_RELATIVE => "validity period relative",
        parameter::VALIDITY_ABSOLUTE => "validity period absolute",
        parameter::PROTOCOL_ID => "protocol identifier",
        parameter::FIRST_DELIVERY_RELATIVE => "first delivery time relative",
        parameter::FIRST_DELIVERY_ABSOLUTE => "first delivery time absolute",
        parameter::REPLY_PATH => "reply path",
        parameter::STATUS_REPORT_REQUEST => "status report request",
        parameter::CANCEL_ENABLED => "cancel enabled",
        parameter::CANCEL_MODE => "cancel mode",
        parameter::TIME_STAMP => "service centre time stamp",
        parameter::STATUS => "status code",
        parameter::STATUS_ERROR => "status error code",
        parameter::DISCHARGE_TIME => "discharge time",
        parameter::TARIFF_CLASS => "tariff class",
        parameter::SERVICE_DESCRIPTION => "service description",
        parameter::MESSAGE_COUNT => "message count",
        parameter::PRIORITY => "priority",
        parameter::DELIVERY_REQUEST_MODE => "delivery request mode",
        parameter::SERVICE_CENTRE => "service centre address",
        parameter::GET_PARAMETER => "get parameter",
        parameter::CENTRE_TIME => "MC time",
        parameter::ERROR => "error code",
        parameter::ERROR_TEXT => "error text",
        _ => "parameter",
    }
}

fn kind(code: u16) -> Kind {
    match code {
        parameter::PASSWORD => Kind::Password,
        parameter::USER_DATA | parameter::USER_DATA_BINARY => Kind::Text,
        parameter::DESTINATION | parameter::ORIGINATOR | parameter::ALPHANUMERIC_ORIGINATOR => Kind::Address,
        _ => Kind::Plain,
    }
}

fn words(operation: u8) -> &'static str {
    match operation {
        1 => "login",
        2 => "logout",
        3 => "submit message",
        4 => "enquire message status",
        5 => "delivery request",
        6 => "cancel message",
        8 => "set parameter",
        9 => "get parameter",
        20 => "deliver message",
        23 => "deliver status report",
        40 => "alive",
        98 => "general error",
        99 => "nack",
        _ => "",
    }
}

pub(super) fn dissect(octets: &[u8]) -> Dissected {
    let start = usize::from(octets.first() == Some(&super::STX));
    let end = octets.len() - usize::from(octets.len() > start && octets.last() == Some(&super::ETX));
    let mut at = start;
    let mut dissected = Dissected::default();
    let mut error = None;
    for (n, piece) in octets[start..end].split(|octet| *octet == b'\t').enumerate() {
        let began = at;
        at += piece.len() + 1;
        if n == 0 {
            let text = printable(piece);
            let (operation, number) = text.split_once(':').unwrap_or((&text, ""));
            let code: u8 = operation.parse().unwrap_or(0);
            dissected.response = code >= 50;
            let of = if (51..98).contains(&code) { code - 50 } else { code };
            let response = if (51..98).contains(&code) { " response" } else { "" };
            dissected.name = format!("{operation} {}{response}", words(of));
            dissected.sequence = number.parse().unwrap_or(0);
            dissected.fields.push(Field {
                name: "header".to_owned(),
                value: text.clone(),
                at: began..began + piece.len(),
                kind: Kind::Plain,
            });
            continue;
        }
        let code = piece.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok());
        let (Some(code), Some(b':')) = (code, piece.get(3)) else {
            if !piece.is_empty() {
                dissected.fields.push(Field {
                    name: if piece.len() == 2 { "checksum" } else { "unread" }.to_owned(),
                    value: printable(piece),
                    at: began..began + piece.len(),
                    kind: if piece.len() == 2 { Kind::Plain } else { Kind::Text },
                });
            }
            continue;
        };
        let value = &piece[4..];
        let number = || std::str::from_utf8(value).ok()?.parse().ok();
        let shown = match (kind(code), code) {
            (Kind::Password, _) => "*".repeat(value.len()),
            (_, parameter::ERROR) => {
                let words = number().map(|code| cimd::ErrorCode(code).to_string());
                error.clone_from(&words);
                words.unwrap_or_else(|| printable(value))
            }
            _ => printable(value),
        };
        dissected.fields.push(Field {
            name: format!("{code:03} {}", name(code)),
            value: shown,
            at: began + 4..began + piece.len(),
            kind: kind(code),
        });
    }
    dissected.status = dissected.response.then(|| error.unwrap_or_else(|| "accepted".to_owned()));
    dissected
}
