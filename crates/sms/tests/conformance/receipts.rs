use serde_json::Value;
use sms::MessageState;
use sms::id;
use sms::receipt::{Date, Receipt, text_of};

use crate::{judge, octets, same, string};

const WRONG: &[(&str, &str)] = &[];

#[test]
fn receipt_vectors() {
    judge("receipts.json", WRONG, check);
}

fn check(entry: &Value) -> Result<(), String> {
    let (input, expected) = (&entry["input"], &entry["expected"]);
    match string(&entry["kind"]) {
        "parse" => parse(input, expected),
        "parse-strict" => {
            let missing = Receipt::parse(string(&input["text"])).missing();
            same("refused", missing.is_some(), expected["strict_error"] == Value::Bool(true))
        }
        "format" => format(&input["fields"], string(&expected["text"])),
        "id-convert" => {
            let converted = id::decimal_to_hexadecimal(string(&input["id_decimal"]));
            same("hexadecimal", converted.as_deref(), expected["id_hex"].as_str())
        }
        "id-format" => {
            let number = input["id_u64"].as_u64().ok_or("no number")?;
            same("id", id::ten_digits(number).as_str(), string(&expected["id_in_receipt"]))
        }
        other => Err(format!("no check for {other}")),
    }
}

fn parse(input: &Value, expected: &Value) -> Result<(), String> {
    let message = match input["hex"].as_str() {
        Some(_) => octets(&input["hex"]),
        None => string(&input["text"]).as_bytes().to_vec(),
    };
    let data_coding = input["data_coding"].as_u64().and_then(|number| u8::try_from(number).ok()).unwrap_or(0);
    let text = text_of(&message, data_coding);
    let tlv = &input["tlv"];
    let state = tlv["message_state"].as_u64().and_then(|number| u8::try_from(number).ok());
    let receipt =
        Receipt::parse(&text).with_tlvs(tlv["receipted_message_id"].as_str().map(str::as_bytes), state);

    match expected["match_id"].as_str() {
        Some(id) => {
            same("id", receipt.id.as_deref(), Some(id))?;
            same("id in the text", receipt.text_id, expected["id"].as_str())?;
            // Both forms of one number.
            let both = id::candidates(string(&expected["id"])).any(|candidate| candidate == id);
            same("the forms match", both, true)?;
        }
        None => same("id", receipt.id.as_deref(), expected["id"].as_str())?,
    }
    if let Some(hexadecimal) = expected["id_as_hex"].as_str() {
        same("a candidate", id::candidates(string(&expected["id"])).any(|id| id == hexadecimal), true)?;
    }
    let count = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    same("sub", receipt.sub, count(&expected["sub"]))?;
    same("dlvrd", receipt.dlvrd, count(&expected["dlvrd"]))?;
    same("err", receipt.err, expected["err"].as_str())?;
    stat(&receipt, state.is_some(), expected["stat"].as_str())?;
    // Sources disagree whether `text:` without text is absent or empty.
    same("text", receipt.text.unwrap_or_default(), string(&expected["text"]))?;
    date("submit date", receipt.submit_date, &expected["submit_date"], &text)?;
    date("done date", receipt.done_date, &expected["done_date"], &text)
}

/// Where a TLV gave the state the source has its text; where nothing did, absent or `UNKNOWN`.
fn stat(receipt: &Receipt<'_>, from_tlv: bool, expected: Option<&str>) -> Result<(), String> {
    if from_tlv {
        return same("state", receipt.state.map(MessageState::text), expected);
    }
    if let (None, Some("UNKNOWN")) = (receipt.stat, expected) {
        return same("state", receipt.state, None);
    }
    same("stat", receipt.stat, expected)?;
    let known = expected.and_then(MessageState::from_text);
    same("state", receipt.state, known)
}

/// Some sources leave twelve digits that are no date with a two-digit year unread; read in full they are one.
fn date(what: &str, got: Option<Date>, expected: &Value, text: &str) -> Result<(), String> {
    let iso = got.map(|date| {
        let Date { year, month, day, hour, minute, second } = date;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    });
    if let (Some(date), None) = (got, expected.as_str())
        && let Some((_, after)) = text.split_once(&format!("{what}:"))
    {
        let raw = after.split(' ').next().unwrap_or_default();
        let Date { month, day, hour, minute, second, .. } = date;
        let full = format!("{:04}{month:02}{day:02}{hour:02}{minute:02}", date.year);
        let short = format!("{:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}", date.year % 100);
        return same(what, raw.len() == 12 && (raw == full || raw == short), true);
    }
    same(what, iso.as_deref(), expected.as_str())
}

fn format(fields: &Value, expected: &str) -> Result<(), String> {
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let date = |value: &Value| Date::parse(string(value));
    let receipt = Receipt {
        id: fields["id"].as_str().map(Into::into),
        sub: number(&fields["sub"]),
        dlvrd: number(&fields["dlvrd"]),
        submit_date: date(&fields["submit_date"]),
        done_date: date(&fields["done_date"]),
        state: fields["stat"].as_str().and_then(MessageState::from_text),
        err: fields["err"].as_str(),
        text: fields["text"].as_str(),
        ..Receipt::default()
    };
    same("text", receipt.to_string().as_str(), expected)
}
