//! The protocol of AWS KMS (`Encrypt`, `Decrypt`, `DescribeKey`; JSON 1.1 over HTTPS, Signature Version 4), which others speak
//! too. Installation and key are the encryption context: a closed key opens for the same ones alone.

use base64::Engine as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{BASE64, Bound, Door, Keeper, KmsError, host, octets, sigv4};

const CONTENT: &str = "application/x-amz-json-1.1";

pub(super) struct Aws {
    door: Door,
    url: String,
}

impl Aws {
    pub(super) fn new(door: Door) -> Result<Self, KmsError> {
        let settings = &door.settings;
        let url = match settings.url.trim_end_matches('/') {
            "" => format!("https://kms.{}.amazonaws.com/", settings.region),
            url => format!("{url}/"),
        };
        Ok(Self { url, door })
    }

    async fn ask(&self, operation: &str, body: Value) -> Result<Value, KmsError> {
        let (settings, url) = (&self.door.settings, &self.url);
        let id = self.door.demanded("access_key_id", &settings.access_key_id)?;
        let secret = self.door.demanded("secret_access_key", &settings.secret_access_key)?;
        let session = self.door.credential("session_token", &settings.session_token)?;
        let parsed = url::Url::parse(url)
            .map_err(|error| KmsError::Settings { problem: format!("kms.url: {error}") })?;
        let authority = match parsed.port() {
            Some(port) => format!("{}:{port}", host(url)),
            None => host(url),
        };
        let (moment, target) = (sigv4::moment(self.door.clock.now()), format!("TrentService.{operation}"));
        let mut headers =
            vec![("content-type", CONTENT), ("host", authority.as_str()), ("x-amz-date", moment.as_str())];
        if !session.is_empty() {
            headers.push(("x-amz-security-token", session.expose()));
        }
        headers.push(("x-amz-target", target.as_str()));
        let body = body.to_string();
        let signing = sigv4::Signing {
            access_key_id: id.expose(),
            secret: secret.expose(),
            region: &settings.region,
            service: "kms",
        };
        let request = sigv4::Request {
            method: "POST",
            path: parsed.path(),
            query: "",
            headers: &headers,
            body: body.as_bytes(),
        };
        let authorization = sigv4::authorization(signing, request, &moment);
        // The client writes the host itself.
        headers.retain(|(name, _)| *name != "host");
        headers.push(("authorization", &authorization));
        self.door.ask(url, &headers, body).await
    }

    fn context(bound: Bound<'_>) -> Value {
        json!({ "switchboard:installation": bound.installation, "switchboard:root-key": bound.key })
    }
}

impl Keeper for Aws {
    fn protocol(&self) -> &'static str {
        "aws"
    }

    fn title(&self) -> String {
        format!("AWS KMS, key {}", self.door.settings.key)
    }

    fn close<'a>(&'a self, plain: &'a [u8], bound: Bound<'a>) -> BoxFuture<'a, Result<String, KmsError>> {
        async move {
            let body = json!({
                "KeyId": self.door.settings.key, "Plaintext": BASE64.encode(plain), "EncryptionContext": Self::context(bound),
            });
            let told = self.ask("Encrypt", body).await?;
            let closed = told["CiphertextBlob"].as_str().filter(|text| !text.is_empty());
            closed.map(str::to_owned).ok_or_else(|| KmsError::Garbled { host: host(&self.url) })
        }
        .boxed()
    }

    fn open<'a>(
        &'a self,
        closed: &'a str,
        bound: Bound<'a>,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, KmsError>> {
        async move {
            // No key is named: the text says under which it was closed, so a new kms.key opens what the old one has closed.
            let body = json!({ "CiphertextBlob": closed, "EncryptionContext": Self::context(bound) });
            octets(&self.ask("Decrypt", body).await?["Plaintext"], &self.url)
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), KmsError>> {
        async move {
            let told = self.ask("DescribeKey", json!({ "KeyId": self.door.settings.key })).await?;
            if told["KeyMetadata"]["Enabled"] == true {
                return Ok(());
            }
            let said = format!("the key {} is not enabled", self.door.settings.key);
            Err(KmsError::Refused { host: host(&self.url), said })
        }
        .boxed()
    }
}
