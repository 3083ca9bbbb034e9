//! The generator against the simulated centre, with nothing between: what the two themselves cost.
//!
//! `cargo run --release -p simulator --example raw -- [MESSAGES [BINDS [WINDOW [RATE]]]]` runs both in one
//! process. To measure each by itself, `raw smsc [INBOX]` runs the centre on port 2775 with phones that
//! remember so many messages, and `raw bench ADDRESS MESSAGES BINDS WINDOW RATE PID` the generator.

use std::process::ExitCode;

use runtime::{Clock, Tasks};
use simulator::bench::{self, Options};
use simulator::{Settings, Smsc};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return fail(&why),
    };
    let alone = arguments.first().cloned();
    let outcome = runtime.block_on(async {
        match alone.as_deref() {
            Some("smsc") => smsc(arguments.get(1)).await,
            Some("bench") => {
                let target = arguments.remove(1);
                generator(target, &arguments[1..]).await
            }
            _ => both(&arguments).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

fn fail(why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

async fn smsc(inbox_max: Option<&String>) -> types::Result<()> {
    let inbox_max = inbox_max.and_then(|argument| argument.parse().ok()).unwrap_or(0);
    let settings = Settings { inbox_max, ..settings(2_775) };
    let smsc = Smsc::start(settings, &Tasks::new(), Clock::system()).await?;
    eprintln!("{} pid {}", smsc.address(), std::process::id());
    std::future::pending().await
}

async fn both(arguments: &[String]) -> types::Result<()> {
    let smsc = Smsc::start(settings(0), &Tasks::new(), Clock::system()).await?;
    generator(smsc.address().to_string(), arguments).await?;
    eprintln!("{:?}", smsc.counts());
    let seen = smsc.seen();
    eprintln!("seen {} distinct {}", seen.total, seen.distinct);
    Ok(())
}

fn settings(port: u16) -> Settings {
    Settings { listen: ([127, 0, 0, 1], port).into(), inbox_max: 0, ..Settings::default() }
}

async fn generator(target: String, arguments: &[String]) -> types::Result<()> {
    let number = |at: usize, default: u64| {
        arguments.get(at).and_then(|argument| argument.parse().ok()).unwrap_or(default)
    };
    let options = Options {
        target,
        count: Some(number(0, 500_000)),
        binds: usize::try_from(number(1, 2)).unwrap_or(1),
        window: usize::try_from(number(2, 100)).unwrap_or(100),
        rate: u32::try_from(number(3, 0)).unwrap_or(0),
        pid: u32::try_from(number(4, 0)).ok().filter(|pid| *pid > 0),
        ..Options::default()
    };
    let report = bench::smpp(options, &Tasks::new()).await?;
    eprint!("{report}");
    Ok(())
}
