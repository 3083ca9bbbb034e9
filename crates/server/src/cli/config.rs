//! `switchboard config`: check it, show it, read the manual; and how every other command comes to it.

use clap::Subcommand;
use runtime::Config;
use runtime::config::{ConfigErrors, Finding, MANUAL, Severity, Sources, process_environment};
use serde_json::{Value, json};

use super::ConfigFlags;
use super::failure::Failure;
use super::show::{self, Out, Tone};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Tell everything that is wrong or doubtful, each with where it was set and what to write
    Check,
    /// Show every value in force and where it comes from; secrets are masked
    Show {
        /// Only values that are not the default
        #[arg(long)]
        changed: bool,
    },
    /// Print the manual: every setting with its meaning, range and default; a file to begin with
    Default,
}

/// Variables that are about the command line and no settings of the server.
const COMMAND_LINE_VARIABLES: &[&str] = &["SWITCHBOARD_URL", "SWITCHBOARD_KEY"];

/// Where the flags, the environment and the file lead.
///
/// # Errors
/// Everything that is wrong, a line each.
pub(super) fn load(flags: &ConfigFlags) -> Result<Config, ConfigErrors> {
    Config::load(&sources(flags, process_environment()))
}

/// The same for a command that cannot go on without it.
///
/// # Errors
/// Exit code 2.
pub(super) fn usable(flags: &ConfigFlags) -> Result<Config, Failure> {
    load(flags).map_err(|errors| {
        Failure::usage(
            format!("the configuration has errors: {}", show::plain(&errors.to_string())),
            "see `switchboard config check`.",
        )
    })
}

fn sources(flags: &ConfigFlags, environment: Vec<(String, String)>) -> Sources {
    let mut overrides = Vec::new();
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            overrides.push((key.to_owned(), value));
        }
    };
    set("data_dir", flags.data.as_ref().map(|path| path.display().to_string()));
    set("database.url", flags.database.clone());
    set("http.listen", flags.http.clone());
    set("smpp.listen", flags.smpp.clone());
    set("smpp.tls.listen", flags.smpp_tls.clone());
    set("ucp.enabled", flags.ucp.as_ref().map(|_| "true".to_owned()));
    set("ucp.listen", flags.ucp.clone());
    let ours = |(name, _): &(String, String)| !COMMAND_LINE_VARIABLES.contains(&name.as_str());
    Sources { file: flags.config.clone(), env: environment.into_iter().filter(ours).collect(), overrides }
}

/// Carries the command out.
///
/// # Errors
/// Exit code 2 where the configuration has errors.
pub(super) fn run(command: &ConfigCommand, flags: &ConfigFlags, out: &Out) -> Result<(), Failure> {
    match command {
        ConfigCommand::Default if out.json() => out.value(&json!({ "manual": MANUAL })),
        ConfigCommand::Default => out.text(MANUAL),
        ConfigCommand::Check => {
            let findings = check(load(flags));
            tell(&findings, out);
            return verdict(&findings);
        }
        ConfigCommand::Show { changed } => match load(flags) {
            Ok(config) => show(&config, *changed, out),
            Err(errors) => {
                tell(&errors.0, out);
                return verdict(&errors.0);
            }
        },
    }
    Ok(())
}

fn check(loaded: Result<Config, ConfigErrors>) -> Vec<Finding> {
    loaded.map_or_else(|errors| errors.0, |config| config.check())
}

fn errors(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.severity == Severity::Error).count()
}

fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    if errors(findings) == 0 { Ok(()) } else { Err(Failure::shown_usage()) }
}

fn tell(findings: &[Finding], out: &Out) {
    let errors = errors(findings);
    if out.json() {
        out.value(&json!({ "usable": errors == 0, "findings": findings }));
    } else {
        for finding in findings {
            out.text(&in_words(finding, out));
        }
        let warnings = findings.len() - errors;
        out.line(&match (errors, warnings) {
            (0, 0) => "The configuration is fine.".to_owned(),
            (0, warnings) => format!("The configuration can be used; {warnings} warning(s)."),
            (errors, warnings) => {
                format!("The configuration cannot be used: {errors} error(s), {warnings} warning(s).")
            }
        });
    }
}

fn in_words(finding: &Finding, out: &Out) -> String {
    let (tone, word) = match finding.severity {
        Severity::Error => (Tone::Bad, "error"),
        Severity::Warning => (Tone::Fair, "warning"),
    };
    let key = if finding.key.is_empty() { "the whole layer" } else { finding.key.as_str() };
    format!(
        "{}: {}: {}\n  where  {}\n  do     {}\n",
        out.paint(tone, word),
        show::plain(key),
        show::plain(&finding.problem),
        show::plain(&finding.origin.to_string()),
        show::plain(&finding.advice)
    )
}

fn show(config: &Config, changed: bool, out: &Out) {
    let entries: Vec<_> = config
        .entries()
        .into_iter()
        .filter(|entry| !changed || entry.origin != runtime::config::Origin::Default)
        .collect();
    if out.json() {
        return out.value(&json!(entries));
    }
    let row = |entry: &runtime::config::Entry| json!({ "key": entry.key, "value": entry.value, "origin": entry.origin.to_string() });
    let rows: Vec<Value> = entries.iter().map(row).collect();
    out.table(&rows, &[("SETTING", "/key"), ("VALUE", "/value"), ("FROM", "/origin")]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(http: &str, environment: &[(&str, &str)]) -> Vec<Finding> {
        let flags = ConfigFlags { http: Some(http.to_owned()), ..ConfigFlags::default() };
        let environment =
            environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        check(Config::load(&sources(&flags, environment)))
    }

    #[test]
    fn what_is_right_has_no_findings() {
        let environment = [("SWITCHBOARD_URL", "http://127.0.0.1:1"), ("SWITCHBOARD_KEY", "x")];
        let found = findings("127.0.0.1:18080", &environment);
        assert_eq!(found, []);
        assert!(verdict(&found).is_ok());
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place() {
        let found = findings("nowhere", &[("SWITCHBOARD_SMPP", "x"), ("SWITCHBOARD_DAAT", "y")]);
        let keys: Vec<_> = found.iter().map(|finding| (finding.key.as_str(), finding.severity)).collect();
        assert!(keys.contains(&("http.listen", Severity::Error)), "{keys:?}");
        assert!(keys.contains(&("smpp.listen", Severity::Error)), "{keys:?}");
        assert!(keys.contains(&("SWITCHBOARD_DAAT", Severity::Warning)), "{keys:?}");
        assert!(verdict(&found).is_err());
        let words = in_words(&found[0], &Out::new(false, true));
        assert!(words.contains("  where  ") && words.contains("  do     "), "{words}");
    }
}
