//! Other people's SMPP: customers that bind to our server, carriers that our client binds to.
//!
//! Each peer is a program in `peers/` (its `README.md` says what goes in and out) that ends when its standard input does, so
//! none outlives the test process. What they need is brought by `cargo xtask install`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

mod kms;

pub use kms::{KeyService, aws_kms};

/// The number in the next message's `ID<number>`, so that no two runs of a process use the same.
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(1);

/// What a customer saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The number in the first message's text (`ID<number>`); the others follow it.
    pub first: u32,
    /// Messages submitted.
    pub sent: u64,
    /// Messages answered with an id.
    pub accepted: u64,
    /// Messages with a final receipt.
    pub receipts: u64,
    /// Final receipts beyond the first of a message.
    pub duplicates: u64,
    /// The texts of inbound messages, where the peer tells them.
    pub inbound: Vec<String>,
    /// Whatever else was not as it should be, at most twenty texts: refusals, receipts for unknown ids, an unclean unbind.
    pub errors: Vec<String>,
    /// From the bind to the last receipt and, but for Kannel, the unbind.
    pub seconds: f64,
}

impl Outcome {
    /// Asserts that each of `count` messages was accepted and reported exactly once, and that nothing else went wrong.
    ///
    /// # Panics
    /// When that is not so.
    pub fn assert_complete(&self, count: u32) {
        let counts = (self.sent, self.accepted, self.receipts, self.duplicates);
        let wanted = (u64::from(count), u64::from(count), u64::from(count), 0);
        assert!(counts == wanted && self.errors.is_empty(), "of {count} messages: {self:?}");
    }
}

/// What a carrier saw. `None` is a count that this carrier cannot tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Binds accepted.
    pub binds: Option<u64>,
    /// Connections ended by `unbind`.
    pub unbinds: Option<u64>,
    /// Messages accepted.
    pub submits: u64,
    /// Different messages among them.
    pub messages: u64,
    /// Receipts that were sent and acknowledged.
    pub receipts: Option<u64>,
    /// Whatever was not as it should be, at most twenty texts.
    pub errors: Vec<String>,
}

/// A running carrier.
#[derive(Debug)]
pub struct Smsc {
    /// Where it listens.
    pub addr: SocketAddr,
    program: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Smsc {
    /// Stops the carrier and returns what it saw.
    ///
    /// # Errors
    /// When it ended before, with its own words.
    pub async fn stop(mut self) -> Result<Seen> {
        drop(self.program.stdin.take());
        let line = last_words(&mut self.program, self.output.next_line().await?).await?;
        let count = |name: &str| line[name].as_u64();
        let counted = |name: &str| count(name).with_context(|| format!("no {name} in {line}"));
        Ok(Seen {
            binds: count("binds"),
            unbinds: count("unbinds"),
            submits: counted("submits")?,
            messages: counted("messages")?,
            receipts: count("receipts"),
            errors: texts(&line["errors"]),
        })
    }
}

/// The folder of the peers' libraries, `peers` beside this program's profile in cargo's target folder; `None` when
/// `cargo xtask install` has not run there.
pub fn folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().map(|folder| folder.join("peers")).find(|folder| folder.join("node").is_dir())
}

/// A customer made of node-smpp. Binds to `addr` as a transceiver, sends `count` messages with at most `window` unanswered,
/// waits for all receipts and unbinds.
///
/// # Errors
/// When the peer is not installed or breaks down; what goes wrong over SMPP is in the outcome.
pub async fn node_smpp_client(
    addr: SocketAddr,
    system_id: &str,
    password: &str,
    count: u32,
    window: u32,
) -> Result<Outcome> {
    let program = node("node_esme.js")?;
    customer(program, addr, system_id, password, count, window).await
}

/// A customer made of smpplib, as [`node_smpp_client`].
///
/// # Errors
/// As [`node_smpp_client`].
pub async fn smpplib_client(
    addr: SocketAddr,
    system_id: &str,
    password: &str,
    count: u32,
    window: u32,
) -> Result<Outcome> {
    customer(python("smpplib_esme.py")?, addr, system_id, password, count, window).await
}

/// A customer made of aiosmpplib, as [`node_smpp_client`]. It takes passwords of at most 8 octets.
///
/// # Errors
/// As [`node_smpp_client`].
pub async fn aiosmpplib_client(
    addr: SocketAddr,
    system_id: &str,
    password: &str,
    count: u32,
    window: u32,
) -> Result<Outcome> {
    customer(python("aiosmpplib_esme.py")?, addr, system_id, password, count, window).await
}

/// A customer made of jSMPP, as [`node_smpp_client`]. It takes passwords of at most 8 octets.
///
/// # Errors
/// As [`node_smpp_client`]; nothing installs jSMPP, see `peers/README.md`.
pub async fn jsmpp_client(
    addr: SocketAddr,
    system_id: &str,
    password: &str,
    count: u32,
    window: u32,
) -> Result<Outcome> {
    customer(jsmpp("JsmppEsme.java")?, addr, system_id, password, count, window).await
}

/// A customer made of Kannel's bearerbox and smsbox, as [`node_smpp_client`].
///
/// # Errors
/// As [`node_smpp_client`].
pub async fn kannel_client(
    addr: SocketAddr,
    system_id: &str,
    password: &str,
    count: u32,
    window: u32,
) -> Result<Outcome> {
    let mut program = Command::new("python3");
    program.arg(script("kannel_esme.py"));
    customer(program, addr, system_id, password, count, window).await
}

/// A customer made of Kannel that speaks another protocol, `emi` (UCP) or `cimd2`, and waits for `inbound` messages too.
///
/// # Errors
/// As [`node_smpp_client`].
pub async fn kannel_client_over(
    protocol: &str,
    addr: SocketAddr,
    (system_id, password): (&str, &str),
    (count, window): (u32, u32),
    inbound: u32,
) -> Result<Outcome> {
    let mut program = Command::new("python3");
    program.arg(script("kannel_esme.py"));
    let more = [protocol.to_owned(), inbound.to_string()];
    customer_with(program, addr, (system_id, password), (count, window), &more).await
}

/// Python's smtplib, which sends `count` mails one after the other over STARTTLS, each to a phone of its own and with an
/// HTML part and an attachment beside its text.
///
/// # Errors
/// As [`node_smpp_client`].
pub async fn smtplib_client(addr: SocketAddr, user: &str, password: &str, count: u32) -> Result<Outcome> {
    let mut program = Command::new(installed()?.join("venv/bin/python"));
    program.arg(script("smtplib_client.py"));
    customer(program, addr, user, password, count, 1).await
}

/// A mail server made of aiosmtpd: takes everything, and tells the return path of a mail to `full…` through `gateway` that
/// the mailbox is full.
#[derive(Debug)]
pub struct MailServer {
    /// Where it listens.
    pub addr: SocketAddr,
    program: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl MailServer {
    /// Starts it.
    ///
    /// # Errors
    /// When the peer is not installed or does not start.
    pub async fn start(gateway: SocketAddr) -> Result<Self> {
        let mut program = Command::new(installed()?.join("venv/bin/python"));
        program.arg(script("aiosmtpd_server.py")).arg(gateway.to_string());
        let (mut child, mut output) = spawn(&mut program)?;
        let Some(line) = output.next_line().await? else {
            bail!("the mail server did not start: {}", complaint(&mut child).await);
        };
        let line: Value = serde_json::from_str(&line)?;
        let addr = line["listening"].as_str().with_context(|| format!("no address in {line}"))?.parse()?;
        Ok(Self { addr, program: child, output })
    }

    /// Stops it and gives the mails that it took, as its own library reads them: `from`, `to`, `subject`, `text`.
    ///
    /// # Errors
    /// When it ended before, or a notification of its own was refused.
    pub async fn stop(mut self) -> Result<Vec<Value>> {
        drop(self.program.stdin.take());
        let line = last_words(&mut self.program, self.output.next_line().await?).await?;
        let errors = texts(&line["errors"]);
        ensure!(errors.is_empty(), "the mail server says {errors:?}");
        Ok(line["mails"].as_array().cloned().unwrap_or_default())
    }
}

/// A carrier made of node-smpp: answers each message with an id of its own and, where asked to, sends a receipt
/// (`DELIVRD`, with the optional parameters) ten milliseconds later on the session that submitted.
///
/// # Errors
/// When the peer is not installed or does not start.
pub async fn node_smpp_smsc(system_id: &str, password: &str) -> Result<Smsc> {
    carrier(node("node_smsc.js")?, system_id, password).await
}

/// A provider over HTTP made of Kannel's smsbox and bearerbox, which hands everything on to a centre over SMPP.
///
/// # Errors
/// As [`node_smpp_smsc`].
pub async fn kannel_provider(user: &str, password: &str, centre: SocketAddr) -> Result<Smsc> {
    let mut program = Command::new("python3");
    program.arg(script("kannel_provider.py")).args([centre.ip().to_string(), centre.port().to_string()]);
    carrier(program, user, password).await
}

/// A carrier made of osmo-msc: accepts everything under one message id, keeps it for a subscriber who never appears and
/// never sends a receipt.
///
/// # Errors
/// As [`node_smpp_smsc`].
pub async fn osmo_msc(system_id: &str, password: &str) -> Result<Smsc> {
    let mut program = Command::new("python3");
    program.arg(script("osmo_msc.py"));
    carrier(program, system_id, password).await
}

/// A carrier of Kannel's own tests: over `smpp` one that knows no transceivers, answers with empty ids and delivers twenty
/// receipts for a message that never was, over `cimd2` one that answers everything well.
///
/// # Errors
/// As [`node_smpp_smsc`].
pub async fn kannel_smsc(protocol: &str, system_id: &str, password: &str) -> Result<Smsc> {
    let mut program = Command::new("python3");
    program.arg(script("kannel_smsc.py"));
    carrier_with(program, &[system_id, password, protocol]).await
}

/// A carrier made of jSMPP: answers each message with an id of its own and, where asked to, sends a receipt (`DELIVRD`) at
/// once on the session that submitted, before or after the answer.
///
/// # Errors
/// As [`jsmpp_client`].
pub async fn jsmpp_smsc(system_id: &str, password: &str) -> Result<Smsc> {
    carrier(jsmpp("JsmppSmsc.java")?, system_id, password).await
}

fn installed() -> Result<PathBuf> {
    folder().context("the peers are not installed: cargo xtask install")
}

/// schemathesis, which asks every operation of the API's description for what it describes and for what it does not, and
/// holds each answer against it. `but` are paths that it leaves out.
///
/// # Errors
/// When it is not installed, or with everything that it found.
pub async fn schemathesis(address: SocketAddr, key: &str, but: &[&str]) -> Result<()> {
    const CHECKS: &str =
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let mut program = Command::new(installed()?.join("venv/bin/schemathesis"));
    program.args(["run", &format!("http://{address}/openapi.json"), "--no-color", "--seed", "1"]);
    program.args(["--header", &format!("Authorization: Bearer {key}"), "--checks", CHECKS]);
    program.args([
        "--phases",
        "examples,coverage",
        "--request-timeout",
        "20",
        "--suppress-health-check",
        "all",
    ]);
    for path in but {
        program.args(["--exclude-path", path]);
    }
    // Its caches and reports belong to no one.
    let folder = tempfile::tempdir()?;
    let output = program.current_dir(folder.path()).stdin(Stdio::null()).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

fn script(name: &str) -> String {
    format!("{}/peers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A running service that people sign in with.
#[derive(Debug)]
pub struct SignInService {
    /// Its address, as its tokens name it.
    pub issuer: String,
    /// Ends with its standard input, which goes with this.
    _program: Child,
    /// Held open, for it may say more.
    _output: Lines<BufReader<ChildStdout>>,
}

/// oidc-provider as the service that people sign in with. Whoever comes is signed in as `anna` until `/as/<name>` is asked for.
///
/// # Errors
/// When the peer is not installed or breaks down.
pub async fn oidc_provider(client_id: &str, secret: &str, redirect_uri: &str) -> Result<SignInService> {
    let mut program = node("oidc_provider.js")?;
    let (mut child, mut output) = spawn(program.args([client_id, secret, redirect_uri]))?;
    let Some(line) = output.next_line().await? else {
        bail!("the service did not start: {}", complaint(&mut child).await);
    };
    let line: Value = serde_json::from_str(&line)?;
    let address = line["listening"].as_str().with_context(|| format!("no address in {line}"))?;
    Ok(SignInService { issuer: format!("http://{address}"), _program: child, _output: output })
}

/// What jose says of an access token that it checks by the key set at this address: its claims, or `refused`.
///
/// # Errors
/// When the peer is not installed or breaks down.
pub async fn jose_verifier(keys: &str, issuer: &str, token: &str) -> Result<Value> {
    let mut program = node("jose_verifier.js")?;
    let (mut child, mut output) = spawn(program.args([keys, issuer, token]))?;
    let Some(line) = output.next_line().await? else {
        bail!("the verifier said nothing: {}", complaint(&mut child).await);
    };
    Ok(serde_json::from_str(&line)?)
}

fn node(name: &str) -> Result<Command> {
    let mut program = Command::new("node");
    program.arg(script(name)).env("NODE_PATH", installed()?.join("node/node_modules"));
    Ok(program)
}

fn python(name: &str) -> Result<Command> {
    let mut program = Command::new(installed()?.join("venv/bin/python"));
    program.arg(script(name));
    Ok(program)
}

#[expect(
    clippy::disallowed_methods,
    reason = "no registry that install asks has jSMPP, so whoever has it says where"
)]
fn jsmpp(name: &str) -> Result<Command> {
    let path = std::env::var_os("JSMPP_CLASSPATH").context("JSMPP_CLASSPATH does not say where jSMPP is")?;
    let mut program = Command::new("java");
    program.arg("-cp").arg(path).arg(script(name));
    Ok(program)
}

fn spawn(program: &mut Command) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
    // Not killed on drop: its standard input ends, and it ends what it has started itself.
    let piped = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        piped.spawn().with_context(|| format!("starting {:?}", program.as_std().get_program()))?;
    let output = child.stdout.take().context("a child without its output")?;
    Ok((child, BufReader::new(output).lines()))
}

async fn customer(
    program: Command,
    addr: SocketAddr,
    system_id: &str,
    password: &str,
    count: u32,
    window: u32,
) -> Result<Outcome> {
    customer_with(program, addr, (system_id, password), (count, window), &[]).await
}

async fn customer_with(
    mut program: Command,
    addr: SocketAddr,
    (system_id, password): (&str, &str),
    (count, window): (u32, u32),
    more: &[String],
) -> Result<Outcome> {
    let first = NEXT_NUMBER.fetch_add(count, Ordering::Relaxed);
    let (host, port) = (addr.ip().to_string(), addr.port().to_string());
    let numbers = [count, window, first].map(|number| number.to_string());
    program.args([&host, &port, system_id, password]).args(numbers).args(more);
    let (mut child, mut output) = spawn(&mut program)?;
    let line = last_words(&mut child, output.next_line().await?).await?;
    let counted = |name: &str| line[name].as_u64().with_context(|| format!("no {name} in {line}"));
    Ok(Outcome {
        first,
        sent: counted("sent")?,
        accepted: counted("accepted")?,
        receipts: counted("receipts")?,
        duplicates: counted("duplicates")?,
        inbound: texts(&line["inbound"]),
        errors: texts(&line["errors"]),
        seconds: line["seconds"].as_f64().with_context(|| format!("no seconds in {line}"))?,
    })
}

async fn carrier(program: Command, system_id: &str, password: &str) -> Result<Smsc> {
    carrier_with(program, &[system_id, password]).await
}

async fn carrier_with(mut program: Command, arguments: &[&str]) -> Result<Smsc> {
    let (mut child, mut output) = spawn(program.args(arguments))?;
    let Some(line) = output.next_line().await? else {
        bail!("the carrier did not start: {}", complaint(&mut child).await);
    };
    let line: Value = serde_json::from_str(&line)?;
    let addr = line["listening"].as_str().with_context(|| format!("no address in {line}"))?.parse()?;
    Ok(Smsc { addr, program: child, output })
}

/// The line of JSON that a peer ends with.
async fn last_words(child: &mut Child, line: Option<String>) -> Result<Value> {
    let Some(line) = line else { bail!("the peer ended early: {}", complaint(child).await) };
    // Waiting closes the standard input, which a peer takes for the end of the test.
    let held = child.stdin.take();
    let status = child.wait().await?;
    drop(held);
    ensure!(status.success(), "the peer ended with {status} after {line}");
    serde_json::from_str(&line).with_context(|| format!("reading {line}"))
}

/// What the peer wrote on standard error, at most 4 KiB.
async fn complaint(child: &mut Child) -> String {
    let mut words = String::new();
    if let Some(errors) = child.stderr.take() {
        // An unreadable complaint is an empty one.
        let _ = errors.take(4096).read_to_string(&mut words).await;
    }
    words
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or("?").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each customer against node-smpp's carrier: what both say must agree.
    async fn meet<F: Future<Output = Result<Outcome>>>(customer: impl Fn(SocketAddr, u32, u32) -> F) {
        if folder().is_none() {
            eprintln!("the peers are not installed: not tested");
            return;
        }
        let smsc = node_smpp_smsc("switchboard", "secret").await.unwrap();
        for (count, window) in [(50, 1), (200, 10), (1000, 100)] {
            customer(smsc.addr, count, window).await.unwrap().assert_complete(count);
        }
        let seen = smsc.stop().await.unwrap();
        let all = Seen {
            binds: Some(3),
            unbinds: Some(3),
            submits: 1250,
            messages: 1250,
            receipts: Some(1250),
            errors: Vec::new(),
        };
        assert_eq!(seen, all);
    }

    #[tokio::test]
    async fn node_smpp_meets_node_smpp() {
        meet(|addr, count, window| node_smpp_client(addr, "switchboard", "secret", count, window)).await;
    }

    #[tokio::test]
    async fn smpplib_meets_node_smpp() {
        meet(|addr, count, window| smpplib_client(addr, "switchboard", "secret", count, window)).await;
    }

    #[tokio::test]
    async fn aiosmpplib_meets_node_smpp() {
        meet(|addr, count, window| aiosmpplib_client(addr, "switchboard", "secret", count, window)).await;
    }

    #[tokio::test]
    async fn kannel_meets_node_smpp() {
        if !PathBuf::from("/usr/sbin/bearerbox").exists() {
            eprintln!("Kannel is not installed: not tested");
            return;
        }
        meet(|addr, count, window| kannel_client(addr, "switchboard", "secret", count, window)).await;
    }

    #[tokio::test]
    async fn a_wrong_password_is_told() {
        if folder().is_none() {
            eprintln!("the peers are not installed: not tested");
            return;
        }
        let smsc = node_smpp_smsc("switchboard", "secret").await.unwrap();
        for outcome in [
            node_smpp_client(smsc.addr, "switchboard", "wrong", 1, 1).await.unwrap(),
            smpplib_client(smsc.addr, "switchboard", "wrong", 1, 1).await.unwrap(),
            aiosmpplib_client(smsc.addr, "switchboard", "wrong", 1, 1).await.unwrap(),
        ] {
            assert_eq!((outcome.sent, outcome.errors.len()), (0, 1), "{outcome:?}");
        }
        assert_eq!(smsc.stop().await.unwrap().binds, Some(0));
    }

    #[tokio::test]
    async fn osmo_msc_starts_and_stops() {
        if !PathBuf::from("/usr/bin/osmo-msc").exists() {
            eprintln!("osmo-msc is not installed: not tested");
            return;
        }
        let smsc = osmo_msc("switchboard", "secret").await.unwrap();
        tokio::net::TcpStream::connect(smsc.addr).await.unwrap();
        let seen = smsc.stop().await.unwrap();
        assert_eq!((seen.submits, seen.messages, seen.errors), (0, 0, Vec::new()));
    }
}
