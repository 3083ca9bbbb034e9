//! `switchboard bench`: load generators that account for every message.

use clap::{Subcommand, ValueEnum};
use runtime::Tasks;
use simulator::bench::{self, BindType, HttpOptions, Options};

use super::client::Client;
use super::failure::Failure;
use super::set;
use super::show::Out;
use super::{ConfigFlags, ReachFlags};

/// What to load.
#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Bind to any SMPP gateway, submit, wait for the receipts, and account for every message.
    ///
    /// Texts are marked ID0, ID1, ID2 …, so that the carrier behind the gateway can be asked what it saw. The exit code
    /// is 1 when anything was lost, doubled, refused or left open.
    Smpp(Box<SmppArgs>),
    /// Submit single messages over the HTTP API, and account for every answer.
    ///
    /// Server and key are those of --url and --key, as for other commands. Texts are marked as by `bench smpp`. The exit code is 1 when anything was refused, doubled or left open.
    Http(Box<HttpArgs>),
}

/// The load over HTTP, and how it is offered.
#[derive(Debug, clap::Args)]
pub(super) struct HttpArgs {
    /// Connections, each with one request under way, 1 to 10,000
    #[arg(long, value_name = "N", default_value_t = HttpOptions::default().connections)]
    connections: usize,
    /// Messages in all; 10,000 where neither a count nor a duration is given
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Seconds to submit, after the warm-up
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u64>,
    /// Messages a second over all connections, by a plan that does not wait for the gateway; 0 for as fast as it takes them
    #[arg(long, value_name = "N", default_value_t = HttpOptions::default().rate)]
    rate: u32,
    /// The text, with {n} where the number goes
    #[arg(long, default_value_t = HttpOptions::default().text)]
    text: String,
    /// Who sends: a number, or a name of at most 11 characters
    #[arg(long, default_value_t = HttpOptions::default().source)]
    source: String,
    /// The digits before the last eight of the recipients' numbers
    #[arg(long, value_name = "DIGITS", default_value_t = HttpOptions::default().destination)]
    destination: String,
    /// Different recipients
    #[arg(long, value_name = "N", default_value_t = HttpOptions::default().destinations)]
    destinations: u32,
    /// The first message's number
    #[arg(long, value_name = "N", default_value_t = HttpOptions::default().first_id)]
    first_id: u64,
    /// Give each request an Idempotency-Key
    #[arg(long)]
    keyed: bool,
    /// Milliseconds after which a request counts as never answered
    #[arg(long, value_name = "MS", default_value_t = HttpOptions::default().response_timeout_ms)]
    response_timeout_ms: u64,
    /// Milliseconds at the start that do not count for latencies, rates and CPU
    #[arg(long, value_name = "MS", default_value_t = HttpOptions::default().warm_up_ms)]
    warm_up_ms: u64,
    /// The process under test, on this machine: its CPU and memory are measured
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
}

impl HttpArgs {
    fn options(&self, client: &Client) -> Result<HttpOptions, Failure> {
        let count = match (self.count, self.duration) {
            (None, None) => HttpOptions::default().count,
            (count, _) => count,
        };
        Ok(HttpOptions {
            target: client.base().to_string(),
            key: client.key()?.to_owned(),
            connections: self.connections,
            count,
            duration_s: self.duration,
            rate: self.rate,
            text: self.text.clone(),
            source: self.source.clone(),
            destination: self.destination.clone(),
            destinations: self.destinations,
            first_id: self.first_id,
            keyed: self.keyed,
            response_timeout_ms: self.response_timeout_ms,
            warm_up_ms: self.warm_up_ms,
            pid: self.pid,
        })
    }
}

/// The load, and how it is offered.
#[derive(Debug, clap::Args)]
pub(super) struct SmppArgs {
    /// Address and port of the gateway
    #[arg(long, value_name = "HOST:PORT", default_value_t = Options::default().target)]
    target: String,
    /// The name to bind with, at most 15 characters
    #[arg(long, default_value_t = Options::default().system_id)]
    system_id: String,
    /// The password to bind with; - reads it from standard input
    #[arg(long, default_value = "")]
    password: String,
    /// Binds that submit, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = Options::default().binds)]
    binds: usize,
    /// How they bind
    #[arg(long, value_enum, default_value_t = Bind::Transceiver)]
    bind_type: Bind,
    /// Unanswered submits on each bind
    #[arg(long, value_name = "N", default_value_t = Options::default().window)]
    window: usize,
    /// Messages in all; 10,000 where neither a count nor a duration is given
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Seconds to send, after the warm-up
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u64>,
    /// Messages a second over all binds, by a plan that does not wait for the gateway; 0 for as fast as it takes them
    #[arg(long, value_name = "N", default_value_t = Options::default().rate)]
    rate: u32,
    /// The text, with {n} where the number goes; it must fit one part
    #[arg(long, default_value_t = Options::default().text)]
    text: String,
    /// Percent of the messages that are made long enough for two parts
    #[arg(long, value_name = "PERCENT", default_value_t = Options::default().long_percent)]
    long_percent: u32,
    /// Who sends: a number, or a name of at most 11 characters
    #[arg(long, default_value_t = Options::default().source)]
    source: String,
    /// The digits before the last eight of the recipients' numbers
    #[arg(long, value_name = "DIGITS", default_value_t = Options::default().destination)]
    destination: String,
    /// Different recipients
    #[arg(long, value_name = "N", default_value_t = Options::default().destinations)]
    destinations: u32,
    /// The first message's number
    #[arg(long, value_name = "N", default_value_t = Options::default().first_id)]
    first_id: u64,
    /// Neither ask nor wait for receipts
    #[arg(long)]
    no_receipts: bool,
    /// Milliseconds without any response or receipt after which no more receipts are waited for
    #[arg(long, value_name = "MS", default_value_t = Options::default().receipt_timeout_ms)]
    receipt_timeout_ms: u64,
    /// Milliseconds after which a submit counts as never answered
    #[arg(long, value_name = "MS", default_value_t = Options::default().response_timeout_ms)]
    response_timeout_ms: u64,
    /// Milliseconds at the start that do not count for latencies, rates and CPU
    #[arg(long, value_name = "MS", default_value_t = Options::default().warm_up_ms)]
    warm_up_ms: u64,
    /// Milliseconds for which a lost connection is tried again
    #[arg(long, value_name = "MS", default_value_t = Options::default().reconnect_ms)]
    reconnect_ms: u64,
    /// Milliseconds to listen for surplus receipts, when all have come
    #[arg(long, value_name = "MS", default_value_t = Options::default().settle_ms)]
    settle_ms: u64,
    /// The process under test, on this machine: its CPU and memory are measured
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
}

/// How the generator binds.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Bind {
    /// One connection both ways
    Transceiver,
    /// A transmitter and a receiver for each bind
    Pair,
}

impl SmppArgs {
    fn options(&self) -> Result<Options, Failure> {
        let count = match (self.count, self.duration) {
            (None, None) => Options::default().count,
            (count, _) => count,
        };
        Ok(Options {
            target: self.target.clone(),
            system_id: self.system_id.clone(),
            password: set::secret(Some(&self.password))?.unwrap_or_default(),
            binds: self.binds,
            bind_type: match self.bind_type {
                Bind::Transceiver => BindType::Transceiver,
                Bind::Pair => BindType::Pair,
            },
            window: self.window,
            count,
            duration_s: self.duration,
            rate: self.rate,
            text: self.text.clone(),
            long_percent: self.long_percent,
            source: self.source.clone(),
            destination: self.destination.clone(),
            destinations: self.destinations,
            first_id: self.first_id,
            receipts: !self.no_receipts,
            receipt_timeout_ms: self.receipt_timeout_ms,
            response_timeout_ms: self.response_timeout_ms,
            warm_up_ms: self.warm_up_ms,
            reconnect_ms: self.reconnect_ms,
            settle_ms: self.settle_ms,
            pid: self.pid,
        })
    }
}

/// Carries the command out.
///
/// # Errors
/// Options that make no sense, a gateway that does not take the first connection, or a run that was not clean.
pub(super) async fn run(
    command: &BenchCommand,
    config: &ConfigFlags,
    reach: &ReachFlags,
    out: &Out,
) -> Result<(), Failure> {
    let tasks = Tasks::new();
    match command {
        BenchCommand::Smpp(args) => {
            let help = "the first bind failed: check --target, --system-id and --password.";
            let report = bench::smpp(args.options()?, &tasks).await;
            let report = report.map_err(|error| refused("smpp", help, error))?;
            show(&report, report.is_clean(), out)
        }
        BenchCommand::Http(args) => {
            let report = bench::http(args.options(&Client::new(config, reach)?)?, &tasks).await;
            let report = report.map_err(|error| refused("http", "check --url.", error))?;
            show(&report, report.is_clean(), out)
        }
    }
}

/// Why a run did not begin.
fn refused(bench: &str, unreachable: &str, error: types::Error) -> Failure {
    match error.code() {
        types::Code::InvalidValue => {
            let flag = error.place().map(|place| format!("--{}: ", place.replace('_', "-")));
            Failure::usage(
                format!("{}{}", flag.unwrap_or_default(), error.message()),
                format!("`switchboard bench {bench} --help` tells what each flag takes."),
            )
        }
        types::Code::Unavailable => Failure::unreachable(error.message(), unreachable),
        _ => Failure::from(error),
    }
}

fn show(report: &(impl serde::Serialize + ToString), clean: bool, out: &Out) -> Result<(), Failure> {
    if out.json() {
        out.value(&serde_json::to_value(report).map_err(types::Error::internal)?);
    } else {
        out.text(&report.to_string());
    }
    if clean { Ok(()) } else { Err(Failure::shown()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Bench {
        #[command(flatten)]
        args: SmppArgs,
    }

    fn options(words: &[&str]) -> Options {
        Bench::try_parse_from([&["bench"], words].concat()).unwrap().args.options().unwrap()
    }

    #[test]
    fn without_flags_the_options_are_the_defaults() {
        assert_eq!(options(&[]), Options::default());
    }

    #[test]
    fn a_duration_alone_has_no_count() {
        let timed = options(&["--duration", "5", "--no-receipts", "--bind-type", "pair", "--pid", "7"]);
        assert_eq!((timed.count, timed.duration_s, timed.receipts), (None, Some(5), false));
        assert_eq!((timed.bind_type, timed.pid), (BindType::Pair, Some(7)));
        let both = options(&["--duration", "5", "--count", "9"]);
        assert_eq!((both.count, both.duration_s), (Some(9), Some(5)));
    }
}
