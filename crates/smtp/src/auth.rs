//! AUTH PLAIN and LOGIN (RFC 4954, 4616).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// An exchange that has begun.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// PLAIN: all in one response.
    Plain,
    /// LOGIN: the name comes.
    LoginUser,
    /// LOGIN: the password comes.
    LoginPassword(String),
}

/// What follows a response.
#[derive(Debug)]
pub(crate) enum Step {
    /// Name and password.
    Done {
        /// Who.
        user: String,
        /// What proves it.
        password: String,
    },
    /// The next challenge, in base 64.
    Challenge(Exchange, &'static str),
    /// It cannot be read.
    Unreadable,
}

/// `Username:` and `Password:`.
pub(crate) const ASK_USER: &str = "VXNlcm5hbWU6";
const ASK_PASSWORD: &str = "UGFzc3dvcmQ6";

fn decoded(line: &str) -> Option<Vec<u8>> {
    // A lone `=` is an empty response (RFC 4954 §4).
    if line == "=" {
        return Some(Vec::new());
    }
    BASE64.decode(line).ok()
}

impl Exchange {
    /// Takes a response, a line without its end.
    pub(crate) fn respond(self, line: &str) -> Step {
        let Some(octets) = decoded(line) else { return Step::Unreadable };
        match self {
            Self::Plain => {
                let mut fields =
                    octets.split(|octet| *octet == 0).map(|field| String::from_utf8(field.to_vec()));
                // Whom to act as comes first; we know nobody but the one who signs in.
                match (fields.next(), fields.next(), fields.next(), fields.next()) {
                    (Some(Ok(_)), Some(Ok(user)), Some(Ok(password)), None) => Step::Done { user, password },
                    _ => Step::Unreadable,
                }
            }
            Self::LoginUser => match String::from_utf8(octets) {
                Ok(user) => Step::Challenge(Self::LoginPassword(user), ASK_PASSWORD),
                Err(_) => Step::Unreadable,
            },
            Self::LoginPassword(user) => match String::from_utf8(octets) {
                Ok(password) => Step::Done { user, password },
                Err(_) => Step::Unreadable,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_has_three_fields() {
        let respond = |text: &str| Exchange::Plain.respond(&BASE64.encode(text));
        assert!(
            matches!(respond("\0demo\0secret"), Step::Done { user, password } if user == "demo" && password == "secret")
        );
        assert!(matches!(respond("demo\0secret"), Step::Unreadable));
        assert!(matches!(respond("\0a\0b\0c"), Step::Unreadable));
        assert!(matches!(Exchange::Plain.respond("no base 64!"), Step::Unreadable));
    }

    #[test]
    fn login_asks_twice() {
        let Step::Challenge(next, ASK_PASSWORD) = Exchange::LoginUser.respond(&BASE64.encode("demo")) else {
            panic!("the password is asked for");
        };
        assert!(
            matches!(next.respond(&BASE64.encode("x")), Step::Done { user, password } if user == "demo" && password == "x")
        );
    }
}
