use serde_json::Value;
use sms::segment::{self, Options, Part, pieces};
use sms::udh::{self, ConcatRef, Width};
use sms::{Encoding, gsm};

use crate::{judge, number, octets, same, string, strings};

#[test]
fn segmentation_vectors() {
    judge("segmentation.json", &[], check);
}

fn check(entry: &Value) -> Result<(), String> {
    let (input, expected) = (&entry["input"], &entry["expected"]);
    let text = string(&input["text"]);
    match string(&entry["op"]) {
        "gsm7_split" => cut(Encoding::GSM7, text, number(&input["septet_limit"]), expected),
        "ucs2_split" => {
            let limit = number(&input["octet_limit"]) / 2;
            cut(Encoding::Ucs2, text, limit, expected)
        }
        "binary_split" => {
            let body = octets(&input["hex"]);
            parts(&split(&body, Encoding::Binary, &options(&input["ref8"]))?, Encoding::Binary, expected)
        }
        "octet_split_udh8" => {
            // Without regard to what one message could hold, which `segment` would prefer.
            let limit = match number(&input["part_size"]) {
                0 => number(&input["max_octets_per_part_with_udh"]) - 6,
                size => size,
            };
            with_headers(&octets(&input["hex"]), limit, options(&input["ref8"]).reference, expected)
        }
        "gsm7_split_udh8" => encoded(Encoding::GSM7, text, &input["ref8"], expected),
        "split_udh8_153" => encoded(Encoding::GSM7, text, &input["ref"], expected),
        "split_udh8_ucs2_67" => encoded(Encoding::Ucs2, text, &input["ref"], expected),
        "count_septets" => {
            let septets = gsm::encode(text, gsm::Alphabet::DEFAULT).map_err(|error| error.to_string())?;
            same("septets", septets.len(), number(&expected["septets"]))
        }
        "count_auto" => count(text, expected),
        "split_auto" => {
            let encoding = encoding(&input["encoding"]);
            let counted = sms::count(text, &sms::analysis::Options::default());
            if !text.is_empty() {
                same("encoding", counted.encoding, encoding)?;
            }
            same("parts counted", counted.parts, number(&expected["segments"]))?;
            encoded(encoding, text, &Value::Null, expected)
        }
        "reassemble_ucs2" => {
            let payloads: Vec<_> = expected_octets(&input["segments_hex"]);
            let total = u8::try_from(payloads.len()).map_err(|error| error.to_string())?;
            let joined =
                segment::join(total, (1..).zip(payloads.iter().map(Vec::as_slice))).ok_or("not complete")?;
            match expected["text"].as_str() {
                Some(text) => {
                    same("text", Encoding::Ucs2.decode_strict(&joined), Ok(text.to_owned()))?;
                    same("lenient text", Encoding::Ucs2.decode(&joined), text.to_owned())
                }
                None => same("refused", Encoding::Ucs2.decode_strict(&joined).is_err(), true),
            }
        }
        "parse_udh" => parse_header(&octets(&input["hex"]), expected),
        "build_udh" => build_header(input, expected),
        other => Err(format!("no check for {other}")),
    }
}

fn parse_header(message: &[u8], expected: &Value) -> Result<(), String> {
    let (header, body) = udh::split(message).map_err(|error| error.to_string())?;
    same("body", body, &octets(&expected["data_hex"]))?;
    let found = header.concatenation().ok_or("no concatenation")?;
    let wanted = &expected["concat"];
    same(
        "concatenation",
        (usize::from(found.reference), usize::from(found.total), usize::from(found.part)),
        (number(&wanted["ref"]), number(&wanted["total"]), number(&wanted["seq"])),
    )
}

fn build_header(input: &Value, expected: &Value) -> Result<(), String> {
    let built = || {
        let reference = u16::try_from(input["ref"].as_i64()?).ok()?;
        let width = if reference > 0xFF { Width::Bits16 } else { Width::Bits8 };
        let total = u8::try_from(input["total"].as_i64()?).ok()?;
        let part = u8::try_from(input["seq"].as_i64()?).ok()?;
        ConcatRef::new(reference, width, total, part)
    };
    match (built(), expected["hex"].is_string()) {
        (Some(concatenation), true) => same(
            "header",
            udh::build(Some(concatenation), gsm::Alphabet::DEFAULT, &[]),
            octets(&expected["hex"]),
        ),
        (None, false) => Ok(()),
        (built, _) => Err(format!("got {built:?}")),
    }
}

fn cut(encoding: Encoding, text: &str, limit: usize, expected: &Value) -> Result<(), String> {
    let body = encoding.encode(text).map_err(|error| error.to_string())?;
    let pieces: Vec<_> = pieces(&body, encoding, limit).map(|piece| &body[piece]).collect();
    compare(&pieces, &pieces, encoding, expected)
}

fn with_headers(body: &[u8], limit: usize, reference: u16, expected: &Value) -> Result<(), String> {
    let pieces: Vec<_> = pieces(body, Encoding::Binary, limit).collect();
    let total = u8::try_from(pieces.len()).map_err(|error| error.to_string())?;
    let messages: Vec<_> = (1..=total)
        .zip(pieces)
        .map(|(part, piece)| {
            let concatenation = ConcatRef::new(reference, Width::Bits8, total, part);
            [&udh::build(concatenation, gsm::Alphabet::DEFAULT, &[]), &body[piece]].concat()
        })
        .collect();
    same("octets", messages, expected_octets(&expected["segments_hex"]))
}

fn encoded(encoding: Encoding, text: &str, reference: &Value, expected: &Value) -> Result<(), String> {
    let body = encoding.encode(text).map_err(|error| error.to_string())?;
    parts(&split(&body, encoding, &options(reference))?, encoding, expected)
}

fn split<'a>(body: &'a [u8], encoding: Encoding, options: &Options) -> Result<Vec<Part<'a>>, String> {
    segment::segment(body, encoding, options).map_err(|error| error.to_string())
}

fn parts(parts: &[Part<'_>], encoding: Encoding, expected: &Value) -> Result<(), String> {
    let messages: Vec<_> = parts.iter().map(Part::short_message).collect();
    let messages: Vec<_> = messages.iter().map(Vec::as_slice).collect();
    let payloads: Vec<_> = parts.iter().map(|part| part.payload).collect();
    if expected["udh"] == Value::Bool(false) {
        same("header", parts.iter().any(Part::has_header), false)?;
    }
    compare(&messages, &payloads, encoding, expected)
}

/// Compares with whatever of count, octets, texts and sizes the source asserts.
fn compare(
    messages: &[&[u8]],
    payloads: &[&[u8]],
    encoding: Encoding,
    expected: &Value,
) -> Result<(), String> {
    if expected["segments"].is_u64() {
        same("parts", messages.len().max(1), number(&expected["segments"]))?;
    }
    if expected["segments_hex"].is_array() {
        same(
            "octets",
            messages.to_vec(),
            expected_octets(&expected["segments_hex"]).iter().map(Vec::as_slice).collect(),
        )?;
    }
    if expected["segments_text"].is_array() {
        let texts: Vec<_> = payloads.iter().map(|payload| encoding.decode(payload)).collect();
        same("texts", texts, strings(&expected["segments_text"]))?;
    }
    if let Some(sizes) = expected["segment_octets_or_septets"].as_array() {
        same(
            "sizes",
            payloads.iter().map(|payload| payload.len()).collect(),
            sizes.iter().map(number).collect::<Vec<_>>(),
        )?;
    }
    Ok(())
}

fn count(text: &str, expected: &Value) -> Result<(), String> {
    let count = sms::count(text, &sms::analysis::Options::default());
    same("encoding", count.encoding, encoding(&expected["encoding"]))?;
    same("parts", count.parts, number(&expected["segments"]))?;
    if expected["message_bits"].is_u64() {
        let bits = if count.encoding == Encoding::Ucs2 { 16 } else { 7 };
        same("bits", count.units * bits, number(&expected["message_bits"]))?;
    }
    Ok(())
}

fn encoding(name: &Value) -> Encoding {
    if string(name) == "UCS-2" { Encoding::Ucs2 } else { Encoding::GSM7 }
}

fn options(reference: &Value) -> Options {
    // An 8 bit reference is the low octet, so any number will do.
    Options { reference: u16::try_from(number(reference)).unwrap_or_default(), ..Options::default() }
}

fn expected_octets(values: &Value) -> Vec<Vec<u8>> {
    values.as_array().into_iter().flatten().map(octets).collect()
}
