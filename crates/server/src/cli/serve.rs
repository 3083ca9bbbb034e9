//! `switchboard serve`: starts, says where, and stops on a signal.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use runtime::{Clock, Config};
use tokio::signal::unix::{SignalKind, signal};

use super::ConfigFlags;
use crate::Server;

/// Runs the server until a signal ends it.
pub(super) fn run(flags: &ConfigFlags) -> ExitCode {
    let config = match super::config::load(flags) {
        Ok(config) => config,
        Err(errors) => {
            say(&format!("the configuration cannot be used:\n{errors}\n"));
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("no threads can be had: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> ExitCode {
    for finding in config.check() {
        say(&format!("{finding}\n"));
    }
    let server = match Server::start(config, Clock::system()).await {
        Ok(server) => server,
        Err(error) => {
            say(&format!("Switchboard cannot start: {error}\n{}\n", error.advice()));
            tracing::debug!(?error, "start failed");
            return ExitCode::FAILURE;
        }
    };
    say(&greeting(&server));
    tokio::select! {
        () = wait_for_signal() => {}
        () = reload_on_hangup(&server) => {}
    }
    say("Stopping; what is open drains first. A second signal ends at once.\n");
    tokio::select! {
        () = server.stop() => ExitCode::SUCCESS,
        () = wait_for_signal() => ExitCode::FAILURE,
    }
}

/// What a person must know after the start.
fn greeting(server: &Server) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(text, "\n  Switchboard {} is running.\n", env!("CARGO_PKG_VERSION"));
    let scheme = if server.runtime.config.http.tls.is_on() { "https" } else { "http" };
    let base = format!("{scheme}://{}", server.http);
    let _ = writeln!(text, "  Console and API  {base}");
    let _ = writeln!(text, "  SMPP             {}", server.smpp);
    if let Some(tls) = server.smpp_tls {
        let _ = writeln!(text, "  SMPP over TLS    {tls}");
    }
    if let Some(ucp) = server.ucp {
        let _ = writeln!(text, "  UCP              {ucp}");
    }
    if let Some(smtp) = &server.smtp {
        let _ = writeln!(
            text,
            "  SMTP             {}  (mail to NUMBER@{})",
            smtp.address, server.runtime.config.smtp.domain
        );
        if let Some(tls) = smtp.tls {
            let _ = writeln!(text, "  SMTP over TLS    {tls}");
        }
    }
    if let Some(simulator) = &server.simulator {
        let _ = writeln!(text, "  Simulator        {}  (the built-in carrier)", simulator.address());
    }
    let _ = writeln!(text, "  Data             {}", server.runtime.config.data_dir.display());
    match &server.first_start.made {
        Some(made) => {
            let _ = writeln!(text, "\n  Sign in once with  {base}{}", made.link.path);
        }
        None => {
            let _ = writeln!(text, "\n  A new sign-in link: switchboard user link admin@localhost");
        }
    }
    if let Some(demo) = &server.demo {
        let _ =
            writeln!(text, "  SMPP account       system_id {}  password {}", demo.system_id, demo.password);
    }
    text
}

/// Reads the configuration again at each SIGHUP, for as long as the program runs.
async fn reload_on_hangup(server: &Server) {
    let Ok(mut hangups) = signal(SignalKind::hangup()) else { return std::future::pending().await };
    while hangups.recv().await.is_some() {
        match crate::system::reread(&server.runtime) {
            Ok(told) => say(&format!(
                "The configuration was read again: {} settings are in force, {} need a restart.\n",
                told.applied.len(),
                told.after_restart.len()
            )),
            Err(mistakes) => {
                say("The configuration is wrong; the former one stays in force:\n");
                for finding in mistakes {
                    say(&format!("{finding}\n"));
                }
            }
        }
    }
    std::future::pending::<()>().await;
}

/// Waits for SIGINT or SIGTERM.
pub(super) async fn wait_for_signal() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

/// Says something on standard error; standard output is for answers.
fn say(text: &str) {
    // A closed terminal is no reason to stop serving.
    drop(std::io::stderr().write_all(text.as_bytes()));
}
