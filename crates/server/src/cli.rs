//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod serve;

/// Switchboard: every conversation between an organisation and the people it serves.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server (also without any command).
    Serve(ServeArgs),
}

/// Where the configuration comes from; also understood from the environment.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServeArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The database: sqlite:… or postgres://…
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Address and port of API and console.
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Address and port for SMPP binds.
    #[arg(long, value_name = "ADDR")]
    pub smpp: Option<String>,
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Serve(ServeArgs::default())) {
        Command::Serve(args) => serve::run(&args),
    }
}
