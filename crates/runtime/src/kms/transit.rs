//! The transit engine of HashiCorp Vault and OpenBao (`/v1/<mount>/encrypt/<key>`, `decrypt`; a token). Installation and key are
//! the associated data: a closed key opens for the same ones alone.

use base64::Engine as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{BASE64, Bound, Door, Keeper, KmsError, host, octets};

pub(super) struct Transit {
    door: Door,
    base: String,
}

impl Transit {
    pub(super) fn new(door: Door) -> Result<Self, KmsError> {
        let settings = &door.settings;
        let word = |text: &str| {
            !text.is_empty()
                && text.chars().all(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '-' | '_' | '.' | '/'))
        };
        if !word(&settings.key) || settings.key.contains('/') || !word(&settings.mount) {
            let problem = "kms.key and kms.mount are names of letters, digits, - _ and .".to_owned();
            return Err(KmsError::Settings { problem });
        }
        let base = format!("{}/v1/{}", settings.url.trim_end_matches('/'), settings.mount.trim_matches('/'));
        Ok(Self { base, door })
    }

    async fn ask(&self, operation: &str, body: Value) -> Result<Value, KmsError> {
        let token = self.door.demanded("token", &self.door.settings.token)?;
        let url = format!("{}/{operation}/{}", self.base, self.door.settings.key);
        let headers = [("content-type", "application/json"), ("x-vault-token", token.expose())];
        let told = self.door.ask(&url, &headers, body.to_string()).await?;
        Ok(told["data"].clone())
    }

    fn associated(bound: Bound<'_>) -> String {
        BASE64.encode(format!("switchboard/{}/{}", bound.installation, bound.key))
    }
}

impl Keeper for Transit {
    fn protocol(&self) -> &'static str {
        "vault"
    }

    fn title(&self) -> String {
        format!("Vault transit, key {}", self.door.settings.key)
    }

    fn close<'a>(&'a self, plain: &'a [u8], bound: Bound<'a>) -> BoxFuture<'a, Result<String, KmsError>> {
        async move {
            let body =
                json!({ "plaintext": BASE64.encode(plain), "associated_data": Self::associated(bound) });
            let told = self.ask("encrypt", body).await?;
            let closed = told["ciphertext"].as_str().filter(|text| !text.is_empty());
            closed.map(str::to_owned).ok_or_else(|| KmsError::Garbled { host: host(&self.base) })
        }
        .boxed()
    }

    fn open<'a>(
        &'a self,
        closed: &'a str,
        bound: Bound<'a>,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, KmsError>> {
        async move {
            let body = json!({ "ciphertext": closed, "associated_data": Self::associated(bound) });
            octets(&self.ask("decrypt", body).await?["plaintext"], &self.base)
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), KmsError>> {
        // A token that may close and open keys may seldom read about them, so a key of nobody is closed and opened.
        async move {
            let bound = Bound { installation: "check", key: "check" };
            let closed = self.close(b"check", bound).await?;
            match self.open(&closed, bound).await?.as_slice() {
                b"check" => Ok(()),
                _ => Err(KmsError::Garbled { host: host(&self.base) }),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{KmsProvider, Secret};
    use crate::{Clock, Config};

    /// One request of the transit engine, answered as its documentation says: what it gives out opens for the same associated
    /// data alone, and without the token nothing does.
    fn answer(head: &str, body: &Value) -> (u16, Value) {
        if !head.contains("x-vault-token: hvs.test") {
            return (403, json!({ "errors": ["permission denied"] }));
        }
        if head.starts_with("POST /v1/transit/encrypt/root ") {
            let closed = format!("vault:v1:{}.{}", text(&body["associated_data"]), text(&body["plaintext"]));
            return (200, json!({ "data": { "ciphertext": closed, "key_version": 1 } }));
        }
        assert!(head.starts_with("POST /v1/transit/decrypt/root "), "{head}");
        let prefix = format!("vault:v1:{}.", text(&body["associated_data"]));
        match text(&body["ciphertext"]).strip_prefix(&prefix) {
            Some(plain) => (200, json!({ "data": { "plaintext": plain } })),
            None => (400, json!({ "errors": ["cipher: message authentication failed"] })),
        }
    }

    fn text(value: &Value) -> String {
        value.as_str().unwrap().to_owned()
    }

    async fn serve(listener: TcpListener) {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let (mut said, mut octets) = (String::new(), [0; 4096]);
            let (head, body) = loop {
                let count = stream.read(&mut octets).await.unwrap();
                said.push_str(std::str::from_utf8(&octets[..count]).unwrap());
                let Some((head, body)) = said.split_once("\r\n\r\n") else { continue };
                if let Ok(body) = serde_json::from_str(body) {
                    break (head.to_owned(), body);
                }
            };
            let (status, told) = answer(&head, &body);
            let told = told.to_string();
            let reply = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{told}",
                told.len()
            );
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    }

    fn keeper(address: &str, token: &str) -> std::sync::Arc<dyn Keeper> {
        let mut config = Config::for_tests("/tmp/none");
        config.kms.provider = KmsProvider::Vault;
        config.kms.url = address.to_owned();
        config.kms.key = "root".to_owned();
        config.kms.token = Secret::new(token.to_owned());
        super::super::keeper(&config, &Clock::system()).unwrap().unwrap()
    }

    #[tokio::test]
    async fn what_is_closed_opens_for_its_installation_and_key_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(serve(listener));
        let transit = keeper(&address, "hvs.test");
        transit.check().await.unwrap();
        let bound = Bound { installation: "here", key: "0011" };
        let closed = transit.close(b"secret", bound).await.unwrap();
        assert_eq!(transit.open(&closed, bound).await.unwrap().as_slice(), b"secret");
        for other in [Bound { installation: "there", ..bound }, Bound { key: "0012", ..bound }] {
            let refused = transit.open(&closed, other).await.unwrap_err();
            assert!(refused.to_string().contains("authentication failed"), "{refused}");
        }
        let refused = keeper(&address, "wrong").close(b"secret", bound).await.unwrap_err();
        assert!(refused.to_string().contains("permission denied") && !refused.to_string().contains("wrong"));
        let none = keeper(&address, "").close(b"secret", bound).await.unwrap_err();
        assert!(matches!(none, KmsError::Settings { .. }));
        drop(tasks);
        let gone = transit.close(b"secret", bound).await.unwrap_err();
        assert!(matches!(gone, KmsError::Silent { .. }), "{gone}");
    }
}
