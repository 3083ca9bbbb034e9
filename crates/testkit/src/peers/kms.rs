//! A key management service.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::{complaint, python, spawn};

/// A running key management service, with a key in it and a user who may close and open with it.
#[derive(Debug)]
pub struct KeyService {
    /// Its address.
    pub url: String,
    /// Its region.
    pub region: String,
    /// The key's id.
    pub key: String,
    /// The user's access key.
    pub id: String,
    /// What signs for them.
    pub secret: String,
    /// Ends with its standard input, which goes with this.
    _program: Child,
    /// Held open, for it may say more.
    _output: Lines<BufReader<ChildStdout>>,
}

/// moto as AWS KMS; it checks signatures and rights.
///
/// # Errors
/// When the peer is not installed or breaks down.
pub async fn aws_kms() -> Result<KeyService> {
    let mut program = python("aws_kms.py")?;
    let (mut child, mut output) = spawn(program.arg("0"))?;
    let Some(line) = output.next_line().await? else {
        bail!("the service did not start: {}", complaint(&mut child).await);
    };
    let line: Value = serde_json::from_str(&line)?;
    let told =
        |name: &str| line[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {line}"));
    Ok(KeyService {
        url: told("url")?,
        region: told("region")?,
        key: told("key")?,
        id: told("id")?,
        secret: told("secret")?,
        _program: child,
        _output: output,
    })
}
