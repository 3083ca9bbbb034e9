//! Signature Version 4 of AWS: who asks, for what, at which moment, signed with a key of the day, region and service.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use types::Timestamp;
use zeroize::Zeroizing;

/// The algorithm's name.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whose key signs, and for where.
#[derive(Clone, Copy)]
pub struct Signing<'a> {
    /// The access key's id.
    pub access_key_id: &'a str,
    /// The secret access key.
    pub secret: &'a str,
    /// The region, such as `eu-west-3`.
    pub region: &'a str,
    /// The service: `kms`.
    pub service: &'a str,
}

/// A request to be signed.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, as it stands in the request line.
    pub path: &'a str,
    /// Its query, encoded, its parameters in their order by name.
    pub query: &'a str,
    /// Its headers in lower case, in their order by name; `host` and `x-amz-date` among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// Its body.
    pub body: &'a [u8],
}

/// A moment as requests name it: `20150830T123600Z`.
pub fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let seconds = text.split('.').next().unwrap_or_default().trim_end_matches('Z');
    format!("{}Z", seconds.replace(['-', ':'], ""))
}

/// The value of `authorization` for a request of a moment.
pub fn authorization(signing: Signing<'_>, request: Request<'_>, moment: &str) -> String {
    let Signing { access_key_id, secret, region, service } = signing;
    let day = moment.get(..8).unwrap_or_default();
    let mut canonical = format!("{}\n{}\n{}\n", request.method, request.path, request.query);
    for (name, value) in request.headers {
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        // Writing to a String cannot fail.
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let signed: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    let signed = signed.join(";");
    let _ = write!(canonical, "\n{signed}\n{}", hex(&Sha256::digest(request.body)));
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let to_sign = format!("{ALGORITHM}\n{moment}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let signature = hex(&*mac(&*key(secret, day, region, service), to_sign.as_bytes()));
    format!("{ALGORITHM} Credential={access_key_id}/{scope}, SignedHeaders={signed}, Signature={signature}")
}

/// The key of a day, a region and a service.
fn key(secret: &str, day: &str, region: &str, service: &str) -> Zeroizing<[u8; 32]> {
    let first = Zeroizing::new(format!("AWS4{secret}"));
    let day = mac(first.as_bytes(), day.as_bytes());
    let region = mac(&*day, region.as_bytes());
    let service = mac(&*region, service.as_bytes());
    mac(&*service, b"aws4_request")
}

fn mac(key: &[u8], text: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(text);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const MOMENT: &str = "20150830T123600Z";

    fn signature(service: &str, method: &str, query: &str, headers: &[(&str, &str)]) -> String {
        let signing = Signing { access_key_id: "AKIDEXAMPLE", secret: SECRET, region: "us-east-1", service };
        let request = Request { method, path: "/", query, headers, body: b"" };
        authorization(signing, request, MOMENT).rsplit('=').next().unwrap().to_owned()
    }

    #[test]
    fn the_published_examples_come_out() {
        assert_eq!(
            hex(&*key(SECRET, "20150830", "us-east-1", "iam")),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
        let list_users = signature(
            "iam",
            "GET",
            "Action=ListUsers&Version=2010-05-08",
            &[
                ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
                ("host", "iam.amazonaws.com"),
                ("x-amz-date", MOMENT),
            ],
        );
        assert_eq!(list_users, "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
        let plain: &[(&str, &str)] = &[("host", "example.amazonaws.com"), ("x-amz-date", MOMENT)];
        assert_eq!(
            signature("service", "GET", "", plain),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        assert_eq!(
            signature("service", "POST", "", plain),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
    }

    #[test]
    fn a_moment_has_no_marks() {
        assert_eq!(moment(Timestamp::parse("2015-08-30T12:36:00.123Z").unwrap()), MOMENT);
    }
}
