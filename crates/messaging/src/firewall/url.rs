//! Web addresses in a text.

use std::sync::LazyLock;

use regex::Regex;

/// What phones turn into links: with a scheme, with `www.`, before a path, or with an ending that people know.
///
/// A bare name with another ending is left alone, because "ready.Please" is a missing blank and no address.
static URLS: LazyLock<Regex> = LazyLock::new(|| {
    let host = r"((?:[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?\.)+\p{L}[\p{L}\p{N}-]*\p{L})";
    let endings = "com|net|org|info|biz|io|co|ly|gl|me|tv|cc|eu|uk|fr|de|es|it|nl|be|ch|at|pt|ie|us|ca|mx|br|ar|ru|cn|in|jp|kr|au|za|ng|ke|ma|tn|dz|eg|sa|ae|xyz|top|site|online|shop|store|app|dev|link|click|live|club|vip|win|page|cloud|tech|money|bank|work|zip|mov";
    let bare = r"(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?\.)+";
    let text = format!(
        r"(?:https?://(?:[^\s/@]*@)?|www\.){host}|https?://(\d{{1,3}}(?:\.\d{{1,3}}){{3}})|\b{host}(?::\d+)?/|\b({bare}(?:{endings}))\b"
    );
    Regex::new(&text).expect("the pattern is ours, and a test compiles it")
});

/// The hosts of the web addresses in a text that is in lower case, without `www.`.
pub(super) fn urls(text: &str) -> impl Iterator<Item = &str> {
    // Most messages hold neither a dot between letters nor a slash; looking for the dot is cheap.
    let text = if text.contains('.') { text } else { "" };
    URLS.captures_iter(text).filter_map(|found| {
        let host = found.iter().skip(1).flatten().next()?.as_str();
        Some(host.strip_prefix("www.").unwrap_or(host))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_and_sentences_are_not() {
        for (text, hosts) in [
            ("pay at https://evil.example/login now", vec!["evil.example"]),
            ("http://user@bank.example:8080/x", vec!["bank.example"]),
            ("see www.shop.example.", vec!["shop.example"]),
            ("bit.ly/3xyz and t.co/abc", vec!["bit.ly", "t.co"]),
            ("go to paypal-login.com!", vec!["paypal-login.com"]),
            ("at http://192.0.2.7/x", vec!["192.0.2.7"]),
            ("à voir: https://münchen.example/", vec!["münchen.example"]),
            ("your table is ready.please come", vec![]),
            ("it costs 3.50 or 4.20, i.e. not much...", vec![]),
            ("nothing here", vec![]),
        ] {
            assert_eq!(urls(text).collect::<Vec<_>>(), hosts, "{text}");
        }
    }
}
