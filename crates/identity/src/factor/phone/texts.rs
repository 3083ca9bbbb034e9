//! What the message with a code says. The code stands behind the first twenty characters, which carriers repeat in their
//! receipts, and once more in the last line in the form that phones fill in by themselves on the console's own host and
//! nowhere else (origin-bound one-time codes: `@host #code`).

/// The text in a language; English for one that has none.
pub(super) fn written(language: &str, code: &str, minutes: u32, console: &str) -> String {
    let text = match language {
        "fr" => format!("Votre code de connexion : {code}. Il sert {minutes} min. Ne le donnez à personne."),
        "ar" => {
            format!("رمز تسجيل الدخول إلى حسابك: {code}. يعمل {minutes} دقائق. لا تعطه لأحد.")
        }
        _ => format!("Your code to sign in is {code}. It works for {minutes} min. Give it to nobody."),
    };
    match host(console) {
        Some(host) => format!("{text}\n\n@{host} #{code}"),
        None => text,
    }
}

/// The console's host, where it is a name: codes are bound to names.
fn host(console: &str) -> Option<String> {
    match url::Url::parse(console).ok()?.host()? {
        url::Host::Domain(name) => Some(name.to_owned()),
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_binds_the_code_to_the_host() {
        for language in ["en", "fr", "ar"] {
            let text = written(language, "482913", 5, "https://desk.example.org:8443");
            assert_eq!(text.lines().last(), Some("@desk.example.org #482913"));
            let first: String = text.chars().take(20).collect();
            assert!(!first.contains('4'), "receipts repeat the beginning: {first}");
            assert_eq!(
                text.replace("482913", "000000"),
                written(language, "000000", 5, "https://desk.example.org")
            );
            assert!(
                !written(language, "482913", 5, "http://192.0.2.1:8080").contains('@'),
                "an address is no name"
            );
        }
    }

    #[test]
    fn it_is_one_part_where_the_alphabet_allows_it() {
        for language in ["en", "fr"] {
            let text = written(language, "482913", 10, "https://console.a-long-name.example.org");
            assert!(text.chars().count() <= 160, "{text}");
        }
    }
}
