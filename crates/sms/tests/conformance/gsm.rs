use serde_json::Value;
use sms::gsm::{self, Alphabet, Language};
use sms::{Encoding, udh};

use crate::{judge, number, octets, same, string};

const WRONG: &[(&str, &str)] = &[
    ("gsm-056", "ISO 8859-15 has no data_coding"),
    ("gsm-067", "telephone numbers in half-octets belong to the TPDU"),
    ("gsm-068", "telephone numbers in half-octets belong to the TPDU"),
    ("gsm-099", "0x00 of the Hindi table is the Devanagari sign U+0901; the source has the Bengali U+0981"),
    ("gsm-141", "the source writes with the locking table under the element of the single shift"),
    ("gsm-145", "UTF-8 has no data_coding"),
];

#[test]
fn charset_vectors() {
    judge("gsm_charset.json", WRONG, check);
}

fn check(entry: &Value) -> Result<(), String> {
    let (input, expected) = (&entry["input"], &entry["expected"]);
    let text = string(&input["text"]);
    match string(&entry["op"]) {
        "gsm7_packed" => gsm7_packed(input, expected),
        "gsm7_unpacked" => both_ways(Encoding::GSM7, text, &octets(&expected["hex"])),
        "gsm7_unpacked_lossy" => same("octets", Encoding::GSM7.encode_lossy(text), octets(&expected["hex"])),
        "latin1" => both_ways(Encoding::Latin1, text, &octets(&expected["hex"])),
        "latin1_lossy" => same("octets", Encoding::Latin1.encode_lossy(text), octets(&expected["hex"])),
        "iso8859_5" => both_ways(Encoding::Cyrillic, text, &octets(&expected["hex"])),
        "iso8859_8" => both_ways(Encoding::Hebrew, text, &octets(&expected["hex"])),
        "ucs2" => both_ways(Encoding::Ucs2, text, &octets(&expected["hex"])),
        "is_gsm7" => same(
            "representable",
            gsm::encode(text, Alphabet::DEFAULT).is_ok(),
            expected["representable"] == Value::Bool(true),
        ),
        "gsm7_unpacked_decode_strict" => refused(Encoding::GSM7, input),
        "ucs2_decode_strict" => refused(Encoding::Ucs2, input),
        "gsm7_unpacked_decode_lenient" => {
            same("text", Encoding::GSM7.decode(&octets(&input["hex"])), string(&expected["text"]).to_owned())
        }
        "pack_septets" => pack_septets(input, expected),
        "unpack_septets" => unpack_septets(input, expected),
        "national_locking" => table(input, expected, false),
        "national_single_shift" => table(input, expected, true),
        "national_decode" => {
            let alphabet = Alphabet { single: language(&input["single_shift_nli"]), ..Alphabet::DEFAULT };
            let text = gsm::decode(&octets(&input["hex"]), alphabet);
            same("text", text.as_str(), string(&expected["text"]))
        }
        "udh_national_decode" => {
            let message = octets(&input["short_message_hex"]);
            let (header, body) = udh::split(&message).map_err(|error| error.to_string())?;
            same("text", gsm::decode(body, header.alphabet()), string(&expected["text"]).to_owned())
        }
        "split_udh" => split_udh(input, expected),
        "detect_encoding" => detect_encoding(input, expected),
        other => Err(format!("no check for {other}")),
    }
}

fn gsm7_packed(input: &Value, expected: &Value) -> Result<(), String> {
    let text = string(&input["text"]);
    let septets = gsm::encode(text, Alphabet::DEFAULT).map_err(|error| error.to_string())?;
    let packed = octets(&expected["hex"]);
    same("packed", gsm::pack(&septets, 0), packed.clone())?;
    let mut unpacked = gsm::unpack(&packed, 0);
    unpacked.truncate(septets.len());
    same("unpacked", gsm::decode(&unpacked, Alphabet::DEFAULT), text.to_owned())
}

fn pack_septets(input: &Value, expected: &Value) -> Result<(), String> {
    let (septets, fill) = (octets(&input["septets_hex"]), fill_bits(input));
    let packed = octets(&expected["packed_hex"]);
    same("packed", gsm::pack(&septets, fill), packed.clone())?;
    let mut unpacked = gsm::unpack(&packed, fill);
    unpacked.truncate(septets.len());
    same("unpacked", unpacked, septets)
}

fn unpack_septets(input: &Value, expected: &Value) -> Result<(), String> {
    // Seven bits left over are a septet to some sources and nothing to others.
    let wanted = octets(&expected["septets_hex"]);
    let mut unpacked = gsm::unpack(&octets(&input["packed_hex"]), fill_bits(input));
    let surplus = unpacked.split_off(wanted.len().min(unpacked.len()));
    same("surplus", surplus.iter().any(|&septet| septet > 1), false)?;
    same("unpacked", unpacked, wanted)
}

fn split_udh(input: &Value, expected: &Value) -> Result<(), String> {
    let message = octets(&input["hex"]);
    match udh::split(&message) {
        Ok((header, body)) if expected["error"].is_null() => {
            same("header", header.octets(), &octets(&expected["udh_hex"])[1..])?;
            same("body", body, &octets(&expected["data_hex"]))
        }
        Err(_) if expected["error"].is_string() => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

fn detect_encoding(input: &Value, expected: &Value) -> Result<(), String> {
    let text = string(&input["text"]);
    let options = sms::analysis::Options { latin1: true, ..Default::default() };
    let name = match sms::count(text, &options).encoding {
        Encoding::GSM7 => "GSM-7",
        Encoding::Latin1 => "LATIN1",
        Encoding::Ucs2 => "UCS2",
        other => return Err(format!("{other:?}")),
    };
    same("encoding", name, string(&expected["encoding"]))
}

fn both_ways(encoding: Encoding, text: &str, octets: &[u8]) -> Result<(), String> {
    let encoded = encoding.encode(text).map_err(|error| error.to_string())?;
    same("octets", encoded.as_slice(), octets)?;
    same("text", encoding.decode(octets).as_str(), text)?;
    same("strict text", encoding.decode_strict(octets), Ok(text.to_owned()))?;
    same("data_coding", Encoding::from_data_coding(encoding.data_coding(), encoding), encoding)
}

fn refused(encoding: Encoding, input: &Value) -> Result<(), String> {
    same("refused", encoding.decode_strict(&octets(&input["hex"])).is_err(), true)
}

/// The characters at given septets, and of a locking shift table their number; for the single shift tables
/// the sources do not agree whether CR and ESC count.
fn table(input: &Value, expected: &Value, shifted: bool) -> Result<(), String> {
    let language = language(&input["nli"]);
    let alphabet = if shifted {
        Alphabet { single: language, ..Alphabet::DEFAULT }
    } else {
        Alphabet { locking: language, ..Alphabet::DEFAULT }
    };
    for (septet, ch) in expected["map"].as_object().into_iter().flatten() {
        let septet = u8::from_str_radix(septet, 16).map_err(|error| error.to_string())?;
        let octets = if shifted { vec![gsm::ESC, septet] } else { vec![septet] };
        same(&format!("{septet:#04x}"), gsm::decode(&octets, alphabet).as_str(), string(ch))?;
    }
    if shifted {
        return Ok(());
    }
    // The sources count ESC as a character.
    let size = (0..128_u8).filter(|&septet| gsm::decode_strict(&[septet], alphabet).is_ok()).count() + 1;
    same("size", size, number(&expected["table_size"]))
}

fn language(value: &Value) -> Language {
    u8::try_from(number(value)).map_or(Language::Default, Language::from_id)
}

fn fill_bits(input: &Value) -> u8 {
    u8::try_from(number(&input["fill_bits"])).unwrap_or_default()
}
