//! Letters that look like others: what a name is taken for at a glance.
//!
//! Not the whole table of Unicode's confusables (UTS #39): of those, the Latin, Cyrillic and Greek letters and the digits
//! that senders' names are forged with.

/// What a name looks like: lower case, marks and look-alikes replaced, everything that separates left out. Two names with
/// the same skeleton can be taken for each other.
pub(super) fn skeleton(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for ch in name.chars().flat_map(char::to_lowercase) {
        plain.push_str(looks_like(ch));
        if looks_like(ch).is_empty() && ch.is_alphanumeric() {
            plain.push(ch);
        }
    }
    // Pairs that run together on a small screen.
    let plain = plain.replace("rn", "m").replace("vv", "w").replace("cl", "d");
    // An i, an l and a 1 are one stroke.
    plain.replace('i', "l")
}

/// The plain letters that a lower-case one looks like; empty for one that looks like itself, or like nothing.
fn looks_like(ch: char) -> &'static str {
    match ch {
        '0' | 'о' | 'ο' | 'ö' | 'ó' | 'ò' | 'ô' | 'õ' | 'ø' | 'ō' | 'ő' | 'σ' | 'օ' => "o",
        '1' | '|' | '!' | 'ı' | 'í' | 'ì' | 'î' | 'ï' | 'ī' | 'і' | 'ї' | 'ι' | 'ł' | 'ӏ' => "l",
        '3' | 'е' | 'ё' | 'є' | 'ε' | 'é' | 'è' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' | 'ė' => "e",
        '4' | '@' | 'а' | 'α' | 'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' | 'ā' | 'ą' | 'ă' => "a",
        '5' | '$' | 'ѕ' | 'ś' | 'š' | 'ş' | 'ș' => "s",
        '6' | 'б' => "b",
        '7' | 'т' | 'τ' | 'ť' | 'ţ' | 'ț' => "t",
        '8' | 'в' | 'β' | 'ß' => "b",
        '9' | 'ğ' | 'ġ' | 'ģ' => "g",
        'с' | 'ç' | 'ć' | 'č' | 'ċ' | '(' | 'ϲ' => "c",
        'ԁ' | 'đ' | 'ď' => "d",
        'һ' | 'н' | 'ħ' => "h",
        'ј' => "j",
        'к' | 'κ' | 'ķ' => "k",
        'м' | 'μ' => "m",
        'ñ' | 'ń' | 'ň' | 'ņ' | 'η' | 'п' => "n",
        'р' | 'ρ' => "p",
        'ԛ' => "q",
        'г' | 'ř' | 'ŕ' => "r",
        'υ' | 'ü' | 'ú' | 'ù' | 'û' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'ν' | 'ѵ' => "v",
        'ԝ' | 'ω' | 'ŵ' => "w",
        'х' | 'χ' | '×' => "x",
        'у' | 'γ' | 'ý' | 'ÿ' | '¥' => "y",
        '2' | 'ž' | 'ź' | 'ż' | 'ζ' => "z",
        '€' => "e",
        '&' => "and",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_names_look_like_the_real_one() {
        for forged in ["PayPal", "PAYPA1", "Pay-Pal", "РауРаl", "p4ypal", "PayPaI", "Ρaypal", "pay pal."]
        {
            assert_eq!(skeleton(forged), skeleton("paypal"), "{forged}");
        }
        assert_eq!(skeleton("AMAZ0N"), skeleton("Amazon"));
        assert_eq!(skeleton("Arnazon"), skeleton("Amazon"));
        assert_eq!(skeleton("VVise"), skeleton("Wise"));
        for other in ["PayPals", "Parcel", "33612345678", ""] {
            assert_ne!(skeleton(other), skeleton("paypal"), "{other}");
        }
    }
}
