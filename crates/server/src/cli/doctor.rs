//! `switchboard doctor`: looks at everything that usually goes wrong and says what to do.

mod machine;
mod server;

use runtime::config::Severity;
use serde::Serialize;

use super::failure::Failure;
use super::show::{self, Out, Tone};
use super::{ConfigFlags, ReachFlags, config};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// As it should be.
    Ok,
    /// Works, but is worth a look.
    Warning,
    /// Does not work.
    Error,
    /// Could not be looked at.
    Skipped,
}

/// What was looked at, what was found, and what to do.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    outcome: Outcome,
    found: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    advice: String,
}

impl Check {
    fn new(
        name: &'static str,
        outcome: Outcome,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { name, outcome, found: found.into(), advice: advice.into() }
    }

    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, Outcome::Ok, found, "")
    }

    fn skipped(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, Outcome::Skipped, found, "")
    }

    fn line(&self, out: &Out) -> String {
        let (tone, word) = match self.outcome {
            Outcome::Ok => (Tone::Good, "ok     "),
            Outcome::Warning => (Tone::Fair, "warning"),
            Outcome::Error => (Tone::Bad, "error  "),
            Outcome::Skipped => (Tone::Strong, "skipped"),
        };
        let mut text =
            format!("{}  {:<14}  {}\n", out.paint(tone, word), self.name, show::plain(&self.found));
        if !self.advice.is_empty() {
            text.push_str(&format!("{:25}do: {}\n", "", show::plain(&self.advice)));
        }
        text
    }
}

/// Carries the command out.
///
/// # Errors
/// Exit code 1 where a check came out as an error.
pub(super) async fn run(flags: &ConfigFlags, reach: &ReachFlags, out: &Out) -> Result<(), Failure> {
    let mut checks = Vec::new();
    match config::load(flags) {
        Ok(config) => {
            let findings = config.check();
            checks.extend(findings.iter().map(finding));
            if findings.is_empty() {
                checks.push(Check::ok("configuration", "no finding"));
            }
            checks.extend(machine::checks(&config).await);
        }
        Err(errors) => checks.extend(errors.0.iter().map(finding)),
    }
    checks.extend(server::checks(flags, reach).await);
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let (errors, warnings) = (count(Outcome::Error), count(Outcome::Warning));
    if out.json() {
        out.value(&serde_json::json!({ "healthy": errors == 0, "checks": checks }));
    } else {
        for check in &checks {
            out.text(&check.line(out));
        }
        out.line(&match (errors, warnings) {
            (0, 0) => "All is well.".to_owned(),
            (errors, warnings) => format!("{errors} error(s), {warnings} warning(s)."),
        });
    }
    if errors == 0 { Ok(()) } else { Err(Failure::shown()) }
}

fn finding(finding: &runtime::config::Finding) -> Check {
    let outcome = match finding.severity {
        Severity::Error => Outcome::Error,
        Severity::Warning => Outcome::Warning,
    };
    let found = format!("{} ({}): {}", finding.key, finding.origin, finding.problem);
    Check::new("configuration", outcome, found, finding.advice.clone())
}
