//! `switchboard sim`: the simulated carrier alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use runtime::{Clock, Tasks};
use serde_json::{Map, Value, json};
use simulator::provider::{self, Provider};
use simulator::text_centre::{self, Protocol, TextCentre};
use simulator::{Settings, Smsc};

use super::failure::Failure;
use super::serve::wait_for_signal;
use super::set::Members;
use super::show::Out;

/// Where the carrier listens when nobody says otherwise: beside the server's own SMPP port.
const LISTEN: &str = "127.0.0.1:2776";
/// The largest file of settings.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// How long sessions may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// How the carrier behaves. Without any flag it is fast and faithful, and anybody may bind.
///
/// Shares are percent, 0 to 100, fractions allowed. On SIGINT or SIGTERM it stops and prints what it did.
#[derive(Debug, Default, clap::Args)]
pub(super) struct SimArgs {
    /// Settings as JSON, every name as --set has it; flags win over the file
    #[arg(long, value_name = "FILE.json")]
    settings: Option<PathBuf>,
    /// Where it listens; port 0 takes a free one [default: 127.0.0.1:2776]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Who may bind; repeat it for more. Anybody when not given
    #[arg(long = "account", value_name = "SYSTEM_ID:PASSWORD")]
    accounts: Vec<String>,
    /// Milliseconds until a submit is answered
    #[arg(long, value_name = "MS")]
    latency_ms: Option<u64>,
    /// Milliseconds by which that varies to either side
    #[arg(long, value_name = "MS")]
    latency_jitter_ms: Option<u64>,
    /// Milliseconds from the response to the receipt
    #[arg(long, value_name = "MS")]
    receipt_delay_ms: Option<u64>,
    /// Milliseconds by which that varies to either side
    #[arg(long, value_name = "MS")]
    receipt_jitter_ms: Option<u64>,
    /// A share of submits refused with a command_status, e.g. 8:2.5 or 0x58:1; repeat it for more
    #[arg(long = "error", value_name = "STATUS:PERCENT")]
    errors: Vec<String>,
    /// Submits a second and account above which the answer is ESME_RTHROTTLED; 0 for no limit
    #[arg(long, value_name = "N")]
    throughput: Option<u32>,
    /// Share of submits that are taken, and the connection closed without an answer
    #[arg(long, value_name = "PERCENT")]
    drop_after_accept: Option<f64>,
    /// PDUs after which a connection is closed
    #[arg(long, value_name = "N")]
    drop_every: Option<u64>,
    /// Share of responses that others overtake
    #[arg(long, value_name = "PERCENT")]
    out_of_order: Option<f64>,
    /// Share of messages whose receipt comes before their response
    #[arg(long, value_name = "PERCENT")]
    receipt_first: Option<f64>,
    /// Share of messages that are reported as undelivered
    #[arg(long, value_name = "PERCENT")]
    undelivered: Option<f64>,
    /// Share of receipts that are never sent
    #[arg(long, value_name = "PERCENT")]
    no_receipt: Option<f64>,
    /// Share of receipts that are sent twice
    #[arg(long, value_name = "PERCENT")]
    duplicate_receipt: Option<f64>,
    /// Share of responses in whose place nonsense is sent
    #[arg(long, value_name = "PERCENT")]
    nonsense: Option<f64>,
    /// What receipts look like: standard, text_only, tlv_only, ucs2, no_class, seconds, full_year, terse, spelling, reordered, payload, data_sm, mixed
    #[arg(long, value_name = "STYLE")]
    receipt_style: Option<String>,
    /// Which bind receipts take: any, same, receiver
    #[arg(long, value_name = "PATH")]
    receipt_path: Option<String>,
    /// How responses write ids: decimal, decimal_padded, hex, hex_upper, hex_padded, uuid
    #[arg(long, value_name = "FORM")]
    id_form: Option<String>,
    /// How receipts write ids
    #[arg(long, value_name = "FORM")]
    receipt_id_form: Option<String>,
    /// A UCP/EMI centre beside it, on this address
    #[arg(long, value_name = "ADDR")]
    ucp: Option<SocketAddr>,
    /// A CIMD2 centre beside it, on this address
    #[arg(long, value_name = "ADDR")]
    cimd2: Option<SocketAddr>,
    /// Providers over HTTP beside it, on this address: Twilio, Infobip, Vonage and Kannel, each by its own path
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Makes chance repeatable
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Any other setting, by name: --set connections_max=5 --set inbound_sar=true
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl SimArgs {
    /// The settings that file and flags make together.
    fn settings(&self) -> Result<Settings, Failure> {
        let mut members = match &self.settings {
            Some(path) => read(path)?,
            None => Map::new(),
        };
        if !members.contains_key("listen") {
            members.insert("listen".to_owned(), LISTEN.into());
        }
        delay(&mut members, "latency", self.latency_ms, self.latency_jitter_ms);
        delay(&mut members, "receipt_delay", self.receipt_delay_ms, self.receipt_jitter_ms);
        let flags = Members::default()
            .with("listen", self.listen.clone())
            .with(
                "accounts",
                pairs(&self.accounts, "account", |system_id, password| {
                    Some(json!({ "system_id": system_id, "password": password }))
                })?,
            )
            .with("errors", pairs(&self.errors, "error", error_share)?)
            .with("throughput", self.throughput)
            .with("drop_after_accept_percent", self.drop_after_accept)
            .with("drop_every", self.drop_every)
            .with("out_of_order_percent", self.out_of_order)
            .with("receipt_first_percent", self.receipt_first)
            .with("undelivered_percent", self.undelivered)
            .with("no_receipt_percent", self.no_receipt)
            .with("duplicate_receipt_percent", self.duplicate_receipt)
            .with("nonsense_percent", self.nonsense)
            .with("receipt_style", self.receipt_style.clone())
            .with("receipt_path", self.receipt_path.clone())
            .with("id_form", self.id_form.clone())
            .with("receipt_id_form", self.receipt_id_form.clone())
            .with("seed", self.seed)
            .with_set(&self.set)?;
        members.extend(flags.object());
        for (name, value) in &members {
            let percent = value.as_f64().filter(|_| name.ends_with("_percent"));
            if percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
                return Err(unusable(&format!("{name}: {value} is not from 0 to 100")));
            }
        }
        serde_json::from_value(Value::Object(members)).map_err(|error| unusable(&error.to_string()))
    }
}

/// A text centre that behaves as the carrier does, as far as it can.
fn text_settings(protocol: Protocol, listen: SocketAddr, carrier: &Settings) -> text_centre::Settings {
    text_centre::Settings {
        listen,
        accounts: carrier
            .accounts
            .iter()
            .map(|account| (account.system_id.clone(), account.password.clone()))
            .collect(),
        latency_ms: carrier.latency.ms,
        receipt_delay_ms: carrier.receipt_delay.ms,
        throughput: carrier.throughput,
        undelivered_percent: carrier.undelivered_percent,
        unanswered_percent: carrier.drop_after_accept_percent,
        connections_max: carrier.connections_max,
        ..text_centre::Settings::of(protocol)
    }
}

/// The providers behave as the carrier does.
fn provider_settings(listen: SocketAddr, carrier: &Settings) -> provider::Settings {
    let account =
        |account: &simulator::smsc::Credentials| (account.system_id.clone(), account.password.clone());
    provider::Settings {
        listen,
        accounts: carrier.accounts.iter().map(account).collect(),
        latency_ms: carrier.latency.ms,
        receipt_delay_ms: carrier.receipt_delay.ms,
        throughput: carrier.throughput,
        refused_percent: carrier.errors.iter().map(|error| error.percent).sum(),
        unanswered_percent: carrier.drop_after_accept_percent,
        undelivered_percent: carrier.undelivered_percent,
        connections_max: carrier.connections_max,
        ..provider::Settings::default()
    }
}

fn unusable(why: &str) -> Failure {
    Failure::usage(why, "`switchboard sim --help` tells what each takes.")
}

fn read(path: &std::path::Path) -> Result<Map<String, Value>, Failure> {
    use std::io::Read as _;
    let failure = |why: String| {
        Failure::usage(format!("{}: {why}", path.display()), "name a readable file with one JSON object.")
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| failure(error.to_string()))?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| failure(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failure(error.to_string()))
}

/// Changes the given halves of a delay; the other stays as the file has it.
fn delay(members: &mut Map<String, Value>, name: &str, ms: Option<u64>, jitter_ms: Option<u64>) {
    let given = Members::default().with("ms", ms).with("jitter_ms", jitter_ms).object();
    if given.is_empty() {
        return;
    }
    match members.get_mut(name) {
        Some(Value::Object(present)) => present.extend(given),
        _ => drop(members.insert(name.to_owned(), Value::Object(given))),
    }
}

fn pairs(
    flags: &[String],
    flag: &str,
    member: impl Fn(&str, &str) -> Option<Value>,
) -> Result<Option<Value>, Failure> {
    let read = |text: &String| text.split_once(':').and_then(|(left, right)| member(left, right));
    let wrong = flags.iter().find(|text| read(text).is_none());
    match wrong {
        Some(text) => Err(unusable(&format!("--{flag} {text:?} is not two values with a colon between"))),
        None => Ok((!flags.is_empty()).then(|| flags.iter().filter_map(read).collect())),
    }
}

fn error_share(status: &str, percent: &str) -> Option<Value> {
    let status = match status.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => status.parse().ok()?,
    };
    let percent: f64 = percent.parse().ok().filter(|percent| (0.0..=100.0).contains(percent))?;
    Some(json!({ "status": status, "percent": percent }))
}

/// Serves until a signal, then prints what was done.
///
/// # Errors
/// Settings that make no sense, or an address that cannot be listened on.
pub(super) async fn run(args: &SimArgs, out: &Out) -> Result<(), Failure> {
    let settings = args.settings()?;
    let tasks = Tasks::new();
    let taken = |error: types::Error| Failure::failed(error.message(), "choose another address.");
    let mut others = Vec::new();
    for (name, protocol, listen) in [("ucp", Protocol::Ucp, args.ucp), ("cimd2", Protocol::Cimd2, args.cimd2)]
    {
        if let Some(listen) = listen {
            let settings = text_settings(protocol, listen, &settings);
            others.push((name, TextCentre::start(settings, &tasks, Clock::system()).await.map_err(taken)?));
        }
    }
    let providers = match args.http {
        Some(listen) => {
            let settings = provider_settings(listen, &settings);
            Some(Provider::start(settings, &tasks, Clock::system()).await.map_err(taken)?)
        }
        None => None,
    };
    let smsc = Smsc::start(settings, &tasks, Clock::system()).await.map_err(taken)?;
    // A program that let the system choose the port reads it here.
    if out.json() {
        let mut listening = json!({ "listen": smsc.address() });
        for (name, centre) in &others {
            listening[*name] = json!(centre.address());
        }
        if let Some(providers) = &providers {
            listening["http"] = json!(providers.address());
        }
        out.line(&listening.to_string());
    }
    for (name, centre) in &others {
        out.note(&format!("A {name} centre listens on {}.", centre.address()));
    }
    if let Some(providers) = &providers {
        out.note(&format!("Providers over HTTP listen on {}.", providers.address()));
    }
    out.note(&format!(
        "The simulated carrier listens on {}. SIGINT stops it and prints what it did.",
        smsc.address()
    ));
    wait_for_signal().await;
    tasks.stop(STOP_WITHIN).await;
    told(out, &smsc, &others, providers.as_ref());
    Ok(())
}

/// Prints what was done.
fn told(out: &Out, smsc: &Smsc, others: &[(&'static str, TextCentre)], providers: Option<&Provider>) {
    let (counts, seen) = (smsc.counts(), smsc.seen());
    if out.json() {
        let mut done = json!({ "counts": counts, "seen": seen });
        for (name, centre) in others {
            done[*name] = json!({ "counts": centre.counts(), "seen": centre.seen() });
        }
        if let Some(providers) = providers {
            done["http"] = json!({ "counts": providers.counts(), "seen": providers.seen() });
        }
        out.line(&done.to_string());
    } else {
        let duplicates = seen.duplicates.len();
        out.facts(
            &json!(counts),
            &["connections", "binds", "submits", "accepted", "throttled", "refused", "receipts"],
        );
        out.heading("Texts marked ID<number>");
        out.facts(
            &json!({ "total": seen.total, "distinct": seen.distinct, "repeated": seen.repeated, "came more than once": duplicates }),
            &["total", "distinct", "repeated"],
        );
        for (name, centre) in others {
            out.heading(name);
            out.facts(
                &json!(centre.counts()),
                &["logins", "submits", "accepted", "throttled", "refused", "receipts"],
            );
        }
        if let Some(providers) = providers {
            out.heading("http");
            out.facts(
                &json!(providers.counts()),
                &["submits", "accepted", "throttled", "refused", "unanswered", "receipts"],
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_settings() {
        let args = SimArgs {
            accounts: vec!["a:b:c".to_owned()],
            errors: vec!["8:2.5".to_owned(), "0x58:1".to_owned()],
            latency_ms: Some(20),
            receipt_style: Some("tlv_only".to_owned()),
            drop_after_accept: Some(0.5),
            set: vec!["connections_max=7".to_owned()],
            ..SimArgs::default()
        };
        let settings = args.settings().unwrap();
        assert_eq!(settings.listen.to_string(), LISTEN);
        assert_eq!(
            (settings.accounts[0].system_id.as_str(), settings.accounts[0].password.as_str()),
            ("a", "b:c")
        );
        assert_eq!((settings.errors[1].status, settings.errors[0].percent), (0x58, 2.5));
        assert_eq!((settings.latency.ms, settings.latency.jitter_ms, settings.connections_max), (20, 0, 7));
        assert_eq!(settings.receipt_style, simulator::smsc::ReceiptStyle::TlvOnly);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let set = |pair: &str| SimArgs { set: vec![pair.to_owned()], ..SimArgs::default() };
        for bad in ["nothing=1", "receipt_style=pretty", "nonsense_percent=101", "listen=here"] {
            assert!(set(bad).settings().is_err(), "{bad}");
        }
        assert!(SimArgs { errors: vec!["8".to_owned()], ..SimArgs::default() }.settings().is_err());
        assert!(SimArgs { settings: Some("/nonexistent".into()), ..SimArgs::default() }.settings().is_err());
    }

    #[test]
    fn half_a_delay_leaves_the_other_half() {
        let mut members = Map::from_iter([("latency".to_owned(), json!({ "ms": 5, "jitter_ms": 1 }))]);
        delay(&mut members, "latency", None, Some(3));
        assert_eq!(members["latency"], json!({ "ms": 5, "jitter_ms": 3 }));
    }
}
