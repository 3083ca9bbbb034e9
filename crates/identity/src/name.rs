//! What names and addresses look like.

use types::{Error, Result};

/// The longest name that people give to something.
const CHARS_MAX: usize = 100;
/// The longest e-mail address (RFC 5321 §4.5.3.1.3: a path of 256 octets, its brackets included).
const EMAIL_BYTES_MAX: usize = 254;
/// The longest slug; as a DNS label it may become part of a host's name (RFC 1035 §2.3.4).
const SLUG_CHARS_MAX: usize = 63;

/// A name as it was meant: trimmed.
///
/// # Errors
/// `invalid_value` at the field when nothing is left, more than 100 characters, or a control character in it.
pub fn given(field: &str, name: &str) -> Result<String> {
    let name = name.trim();
    let chars = name.chars().count();
    if !(1..=CHARS_MAX).contains(&chars) || name.chars().any(char::is_control) {
        return Err(Error::invalid(
            field,
            format!("a name has 1 to {CHARS_MAX} characters and no control characters"),
        ));
    }
    Ok(name.to_owned())
}

/// An e-mail address as it was meant: trimmed. Only its shape is checked; whether it exists, a message to it will tell.
///
/// # Errors
/// `invalid_value` at `email`.
pub fn email(text: &str) -> Result<String> {
    let text = text.trim();
    let refuse = || Error::invalid("email", "give an e-mail address such as ana@example.com");
    let (local, domain) = text.rsplit_once('@').ok_or_else(refuse)?;
    let plain = |part: &str| {
        !part.is_empty()
            && !part.chars().any(|ch| ch.is_whitespace() || ch.is_control() || "@<>,;\"".contains(ch))
    };
    if text.len() > EMAIL_BYTES_MAX || !plain(local) || !plain(domain) {
        return Err(refuse());
    }
    Ok(text.to_owned())
}

/// An e-mail address as it is looked up. The local part may be case-sensitive by the letter (RFC 5321 §2.4), but no two
/// people are told apart by it.
pub fn folded(email: &str) -> String {
    email.trim().to_lowercase()
}

/// A slug: lower-case letters, digits and inner hyphens.
///
/// # Errors
/// `invalid_value` at `slug`.
pub fn slug(text: &str) -> Result<String> {
    let plain = text.chars().all(|ch| ch.is_ascii_lowercase() || ch.is_ascii_digit() || ch == '-');
    if !plain
        || text.is_empty()
        || text.len() > SLUG_CHARS_MAX
        || text.starts_with('-')
        || text.ends_with('-')
    {
        return Err(Error::invalid(
            "slug",
            format!("a slug has 1 to {SLUG_CHARS_MAX} of a-z, 0-9 and inner hyphens"),
        ));
    }
    Ok(text.to_owned())
}

/// A slug made of a name: `Acme & Sons` becomes `acme-sons`; a name without Latin letters becomes `tenant`.
pub fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for ch in name.chars() {
        if ch.is_ascii_alphanumeric() && slug.len() < SLUG_CHARS_MAX {
            slug.push(ch.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') && slug.len() < SLUG_CHARS_MAX {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "tenant".to_owned() } else { slug.to_owned() }
}

/// A locale: a BCP 47 tag by its shape, such as `en`, `fr-MA`, `zh-Hant-TW`.
///
/// # Errors
/// `invalid_value` at `locale`.
pub fn locale(tag: &str) -> Result<String> {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    let letters = (2..=3).contains(&language.len()) && language.chars().all(|ch| ch.is_ascii_alphabetic());
    let rest =
        parts.all(|part| (1..=8).contains(&part.len()) && part.chars().all(|ch| ch.is_ascii_alphanumeric()));
    if !letters || !rest || tag.len() > 35 {
        return Err(Error::invalid("locale", "give a language tag such as en or fr-MA"));
    }
    Ok(tag.to_owned())
}

/// A time zone of the IANA database.
///
/// # Errors
/// `invalid_value` at `time_zone`.
pub fn time_zone(name: &str) -> Result<String> {
    let plain = name.chars().all(|ch| ch.is_ascii_alphanumeric() || "/_+-".contains(ch));
    if name.is_empty() || name.len() > 64 || !plain || !types::time::zone_exists(name) {
        return Err(Error::invalid("time_zone", "give a time zone such as Africa/Casablanca or UTC"));
    }
    Ok(name.to_owned())
}

/// The currencies of ISO 4217 that people are paid in: funds, metals and testing codes are none.
const CURRENCIES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD \
    CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG \
    HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT \
    MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG \
    SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF \
    XCD XCG XOF XPF YER ZAR ZMW ZWG";

/// A currency of ISO 4217, in capitals.
///
/// # Errors
/// `invalid_value` at `currency`.
pub fn currency(code: &str) -> Result<String> {
    let code = code.trim().to_ascii_uppercase();
    if CURRENCIES.split_whitespace().any(|known| known == code) {
        return Ok(code);
    }
    Err(Error::invalid("currency", "give a currency of ISO 4217 such as EUR, MAD or USD"))
}

/// The longest host (RFC 1035 §2.3.4).
const HOST_CHARS_MAX: usize = 253;

/// The name of a host as people type it: in lower case, with at least one dot. An address is no name.
///
/// # Errors
/// `invalid_value` at `host`.
pub fn host(text: &str) -> Result<String> {
    let host = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    let named =
        host.rsplit('.').next().is_some_and(|top| top.bytes().any(|octet| octet.is_ascii_alphabetic()));
    if host.len() > HOST_CHARS_MAX || !host.contains('.') || !named || !host.split('.').all(label) {
        return Err(Error::invalid(
            "host",
            "give a host's name such as sms.example.com, in its ASCII form (xn--…)",
        ));
    }
    Ok(host)
}

/// The languages that the console speaks: tag, and what their speakers call them.
pub const LANGUAGES: &[(&str, &str)] = &[("en", "English"), ("fr", "Français"), ("ar", "العربية")];

/// One of [`LANGUAGES`].
///
/// # Errors
/// `invalid_value` at `language`.
pub fn language(tag: &str) -> Result<String> {
    if LANGUAGES.iter().any(|(known, _)| *known == tag) {
        return Ok(tag.to_owned());
    }
    Err(Error::invalid("language", format!("{tag:?} is not one of en, fr, ar")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_by_their_shape() {
        assert_eq!(email(" admin@localhost ").unwrap(), "admin@localhost");
        assert_eq!(folded(" Admin@LocalHost"), "admin@localhost");
        for bad in ["", "@", "a@", "@b", "a b@c", "a@b c", "a@b,c@d", &format!("{}@x", "a".repeat(260))] {
            assert!(email(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn slugs_are_made_and_checked() {
        assert_eq!(slug_of("Acme & Sons, Ltd."), "acme-sons-ltd");
        assert_eq!(slug_of("مثال"), "tenant");
        assert!(slug(&slug_of(&"x y".repeat(80))).is_ok());
        for bad in ["", "-a", "a-", "A", "a b", "é"] {
            assert!(slug(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_locales_and_zones() {
        assert_eq!(given("name", "  Ana ").unwrap(), "Ana");
        assert!(
            given("name", " ").is_err()
                && given("name", "a\nb").is_err()
                && given("name", &"x".repeat(101)).is_err()
        );
        assert!(locale("fr-MA").is_ok() && locale("zh-Hant-TW").is_ok());
        assert!(locale("").is_err() && locale("french!").is_err() && locale("fr-").is_err());
        assert!(time_zone("UTC").is_ok() && time_zone("../../etc/passwd").is_err());
        assert!(
            currency("mad").is_ok_and(|code| code == "MAD")
                && currency("XAU").is_err()
                && currency("").is_err()
        );
        assert_eq!(host(" SMS.Example.com. ").unwrap(), "sms.example.com");
        for bad in [
            "",
            "localhost",
            "10.0.0.1",
            "a..b",
            "-a.com",
            "a_b.com",
            "x.com:80",
            "https://x.com",
            &"a.".repeat(200),
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
        assert!(language("ar").is_ok() && language("de").is_err());
    }
}
