//! Key management services: what keeps the root key closed on the disk and opens it at the start.
//!
//! The root key stays in memory while the program runs, so a service that does not answer keeps nobody from working; it is
//! asked when the program starts and when a root key is turned. What it is given is bound to the installation: a service
//! that other programs use too opens nothing of ours for them.
//!
//! The address is the operator's own setting, so it may be a private one. Credentials go into requests and nowhere else.

use std::fmt;
use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::future::BoxFuture;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::config::{Kms, KmsProvider, Network, Outbound as OutboundSettings, Secret};
use crate::outbound::Outbound;
use crate::{Clock, Config};

mod aws;
pub mod sigv4;
mod transit;

/// Longest credentials file.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Longest answer that is read: a closed key has a few hundred octets.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// What is repeated of a refusal.
const REFUSAL_CHARS_MAX: usize = 300;

/// Why a service did not do what it was asked for. Holds neither credentials nor keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KmsError {
    /// It did not answer.
    Silent {
        /// Its address's host.
        host: String,
        /// What happened.
        problem: String,
    },
    /// It refused.
    Refused {
        /// Its address's host.
        host: String,
        /// What it said.
        said: String,
    },
    /// It answered something that is no answer.
    Garbled {
        /// Its address's host.
        host: String,
    },
    /// It cannot be asked as it is configured.
    Settings {
        /// What is wrong.
        problem: String,
    },
}

impl fmt::Display for KmsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { host, problem } => write!(
                f,
                "the key management service at {host} does not answer: {problem}; see that it runs and can be reached from here, \
                 and try again"
            ),
            Self::Refused { host, said } => write!(
                f,
                "the key management service at {host} refused: {said}; check kms.key, the credentials and what they may do"
            ),
            Self::Garbled { host } => {
                write!(f, "what came from {host} is no answer of a key management service; check kms.url")
            }
            Self::Settings { problem } => write!(f, "the key management service cannot be asked: {problem}"),
        }
    }
}

impl std::error::Error for KmsError {}

/// What a closed key belongs to: it opens for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound<'a> {
    /// The installation's id.
    pub installation: &'a str,
    /// The root key's id.
    pub key: &'a str,
}

/// Who closes root keys and opens them again.
pub trait Keeper: Send + Sync {
    /// The name of its protocol, as lines of a key file hold it.
    fn protocol(&self) -> &'static str;
    /// What people call it.
    fn title(&self) -> String;
    /// Closes a key: the text that only it opens.
    fn close<'a>(&'a self, plain: &'a [u8], bound: Bound<'a>) -> BoxFuture<'a, Result<String, KmsError>>;
    /// Opens what it has closed.
    fn open<'a>(
        &'a self,
        closed: &'a str,
        bound: Bound<'a>,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, KmsError>>;
    /// Whether it answers and would close keys.
    fn check(&self) -> BoxFuture<'_, Result<(), KmsError>>;
}

/// The configured service; nothing where the root key lies in its file or in the configuration.
///
/// # Errors
/// [`KmsError::Settings`].
pub fn keeper(config: &Config, clock: &Clock) -> Result<Option<std::sync::Arc<dyn Keeper>>, KmsError> {
    let door = || Door::new(config, clock);
    Ok(match config.kms.provider {
        KmsProvider::Off => None,
        KmsProvider::Aws => Some(std::sync::Arc::new(aws::Aws::new(door()?)?)),
        KmsProvider::Vault => Some(std::sync::Arc::new(transit::Transit::new(door()?)?)),
    })
}

/// How a service is reached.
struct Door {
    settings: Kms,
    outbound: Outbound,
    clock: Clock,
}

impl Door {
    fn new(config: &Config, clock: &Clock) -> Result<Self, KmsError> {
        let everywhere: Vec<Network> =
            ["0.0.0.0/0", "::/0"].iter().filter_map(|all| all.parse().ok()).collect();
        let settings = OutboundSettings {
            allow_private: everywhere,
            timeout_ms: config.kms.timeout_ms,
            redirects_max: 0,
            response_bytes_max: ANSWER_BYTES_MAX,
            ..config.outbound.clone()
        };
        let unusable = |problem: String| KmsError::Settings { problem };
        let outbound = Outbound::new(&settings).map_err(|error| unusable(error.to_string()))?;
        Ok(Self { settings: config.kms.clone(), outbound, clock: clock.clone() })
    }

    /// Asks, and gives the answer's status and its JSON.
    async fn ask(&self, url: &str, headers: &[(&str, &str)], body: String) -> Result<Value, KmsError> {
        let host = host(url);
        let answer = self
            .outbound
            .post(url, headers, body)
            .await
            .map_err(|error| KmsError::Silent { host: host.clone(), problem: error.to_string() })?;
        let told: Option<Value> = serde_json::from_slice(&answer.body).ok();
        if answer.status >= 500 && told.is_none() {
            return Err(KmsError::Silent { host, problem: format!("its answer is {}", answer.status) });
        }
        let Some(told) = told else {
            return Err(match answer.status {
                // Refused by a gate before the service, in words of its own.
                400.. => KmsError::Refused { host, said: format!("{} and not why", answer.status) },
                _ => KmsError::Garbled { host },
            });
        };
        if (200..300).contains(&answer.status) {
            return Ok(told);
        }
        Err(KmsError::Refused { host, said: refusal(answer.status, &told) })
    }

    fn credential(&self, name: &str, setting: &Secret) -> Result<Secret, KmsError> {
        let path = match self.settings.credentials_file.as_str() {
            "" => return Ok(setting.clone()),
            path => PathBuf::from(path),
        };
        let unreadable = |problem: String| KmsError::Settings {
            problem: format!("kms.credentials_file {}: {problem}", path.display()),
        };
        let text = read(&path).map_err(|error| unreadable(error.to_string()))?;
        Ok(named(&text, name).unwrap_or_else(|| setting.clone()))
    }

    /// A credential that must be there.
    fn demanded(&self, name: &'static str, setting: &Secret) -> Result<Secret, KmsError> {
        let found = self.credential(name, setting)?;
        if found.is_empty() {
            let problem =
                format!("there is no {name}; set kms.{name} by the environment, or in kms.credentials_file");
            return Err(KmsError::Settings { problem });
        }
        Ok(found)
    }
}

fn read(path: &std::path::Path) -> std::io::Result<Zeroizing<String>> {
    use std::io::Read as _;
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// A value of a file with lines `name = value`, where the name may stand behind `aws_`. A file of one word is a token.
fn named(text: &str, name: &str) -> Option<Secret> {
    let found = text.lines().find_map(|line| {
        let (known, value) = line.split_once('=')?;
        let known = known.trim();
        (known.strip_prefix("aws_").unwrap_or(known) == name).then(|| value.trim())
    });
    let word = || Some(text.trim()).filter(|word| name == "token" && !word.contains(char::is_whitespace));
    found.or_else(word).filter(|value| !value.is_empty()).map(|value| Secret::new(value.to_owned()))
}

fn host(url: &str) -> String {
    url::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "nowhere".to_owned())
}

/// What a refusal says: `{"__type", "message"}` (AWS) or `{"errors": []}` (Vault).
fn refusal(status: u16, told: &Value) -> String {
    let mut said = status.to_string();
    for member in ["__type", "message", "Message"] {
        if let Some(text) = told[member].as_str().filter(|text| !text.is_empty()) {
            // Writing to a String cannot fail.
            let _ = write!(said, " {}", text.rsplit('#').next().unwrap_or(text));
        }
    }
    for error in told["errors"].as_array().into_iter().flatten() {
        let _ = write!(said, " {}", error.as_str().unwrap_or_default().replace(['\n', '\t'], " "));
    }
    said.chars().take(REFUSAL_CHARS_MAX).collect()
}

fn octets(told: &Value, url: &str) -> Result<Zeroizing<Vec<u8>>, KmsError> {
    let garbled = || KmsError::Garbled { host: host(url) };
    let text = told.as_str().ok_or_else(garbled)?;
    BASE64.decode(text).map(Zeroizing::new).map_err(|_| garbled())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found_in_the_files_that_there_are() {
        let of = |text: &str, name: &str| named(text, name).map(|found| found.expose().to_owned());
        let aws = "[default]\naws_access_key_id = AKID\naws_secret_access_key=a=b\n";
        assert_eq!(of(aws, "access_key_id").as_deref(), Some("AKID"));
        assert_eq!(of(aws, "secret_access_key").as_deref(), Some("a=b"));
        assert_eq!(of(aws, "session_token"), None);
        assert_eq!(of("hvs.CAES\n", "token").as_deref(), Some("hvs.CAES"));
        assert_eq!(of("hvs.CAES\n", "session_token"), None);
        assert_eq!(of("\n", "token"), None);
    }

    #[test]
    fn refusals_are_told_in_one_line() {
        let aws =
            serde_json::json!({ "__type": "com.amazonaws.kms#InvalidCiphertextException", "message": null });
        assert_eq!(refusal(400, &aws), "400 InvalidCiphertextException");
        let vault = serde_json::json!({ "errors": ["1 error occurred:\n\t* permission denied\n\n"] });
        assert_eq!(refusal(403, &vault), "403 1 error occurred:  * permission denied  ");
    }
}
