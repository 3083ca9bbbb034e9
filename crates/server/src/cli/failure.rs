//! Why a command was not carried out: what, where, what to do, and the exit code.

use std::io::Write as _;
use std::process::ExitCode;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::show::{self, Out, Tone};

/// Which exit code, and so who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// 1: it was understood and not done.
    Refused,
    /// 2: the command or the configuration is not one that can be used.
    Usage,
    /// 3: the server is not there.
    Unreachable,
}

/// Why a command was not carried out. Boxed: failures are rare and results are everywhere.
#[derive(Debug)]
pub(super) struct Failure(Box<Told>);

#[derive(Debug)]
struct Told {
    exit: Exit,
    what: String,
    at: Option<String>,
    hint: String,
    /// A stable name and what else the problem tells, for the first line.
    name: String,
    /// The problem as the server wrote it.
    problem: Option<String>,
    /// Everything was told by the answer; only the exit code is left to say.
    shown: bool,
}

impl Failure {
    fn new(exit: Exit, name: &str, what: String, hint: String) -> Self {
        Self(Box::new(Told {
            exit,
            what,
            at: None,
            hint,
            name: name.to_owned(),
            problem: None,
            shown: false,
        }))
    }

    /// It was understood and not done.
    pub(super) fn failed(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Refused, "failed", what.into(), hint.into())
    }

    /// The command or the configuration cannot be used.
    pub(super) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", what.into(), hint.into())
    }

    /// The server is not there.
    pub(super) fn unreachable(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, "unreachable", what.into(), hint.into())
    }

    /// What was printed already is the bad news.
    pub(super) fn shown() -> Self {
        let mut failure = Self::failed("", "");
        failure.0.shown = true;
        failure
    }

    /// What was printed already says why the configuration cannot be used.
    pub(super) fn shown_usage() -> Self {
        let mut failure = Self::usage("", "");
        failure.0.shown = true;
        failure
    }

    /// A refusal as the server wrote it: problem+json (RFC 9457), or whatever else answers there.
    pub(super) fn answered(status: StatusCode, body: String) -> Self {
        let Ok(Value::Object(problem)) = serde_json::from_str(&body) else {
            let hint = "is this the address of a Switchboard server? Give it with --url or SWITCHBOARD_URL.";
            return Self::new(Exit::Refused, "failed", format!("the answer was {status}"), hint.to_owned());
        };
        let member = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let what = match member("detail") {
            detail if detail.is_empty() => member("title"),
            detail => detail,
        };
        let name = format!("{}, {}", member("code"), status.as_u16());
        let mut failure = Self::new(Exit::Refused, &name, what, member("hint"));
        failure.0.at = problem.get("at").and_then(Value::as_str).map(str::to_owned);
        failure.0.problem = Some(body);
        failure
    }

    /// The same with other advice.
    pub(super) fn with_hint(mut self, hint: String) -> Self {
        self.0.hint = hint;
        self
    }

    /// Whether the server is not there.
    pub(super) fn is_unreachable(&self) -> bool {
        self.0.exit == Exit::Unreachable
    }

    /// Whether the server did not know the key.
    pub(super) fn is_unauthenticated(&self) -> bool {
        self.0.problem.is_some() && self.0.name.starts_with(types::Code::Unauthenticated.as_str())
    }

    /// What was wrong, in a line.
    pub(super) fn what(&self) -> &str {
        &self.0.what
    }

    /// What to do.
    pub(super) fn hint(&self) -> &str {
        &self.0.hint
    }

    /// Says it on standard error and gives the exit code.
    pub(super) fn tell(&self, out: &Out) -> ExitCode {
        if !self.0.shown {
            let text = if out.json() { self.as_json() } else { self.in_words(out) };
            // A closed terminal does not change the exit code.
            drop(std::io::stderr().write_all(text.as_bytes()));
        }
        ExitCode::from(self.code())
    }

    const fn code(&self) -> u8 {
        match self.0.exit {
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
        }
    }

    fn as_json(&self) -> String {
        match &self.0.problem {
            Some(problem) => format!("{problem}\n"),
            None => {
                format!("{}\n", json!({ "code": self.0.name, "detail": self.0.what, "hint": self.0.hint }))
            }
        }
    }

    fn in_words(&self, out: &Out) -> String {
        let (title, name) = match (self.0.exit, &self.0.problem) {
            (Exit::Refused, Some(_)) => ("refused", format!("  ({})", self.0.name)),
            (Exit::Refused, None) => ("failed", String::new()),
            (Exit::Usage, _) => ("cannot be used", String::new()),
            (Exit::Unreachable, _) => ("not reached", String::new()),
        };
        let mut text =
            format!("{}: {}{name}\n", out.paint_error(Tone::Bad, title), show::plain(&self.0.what));
        if let Some(at) = &self.0.at {
            text.push_str(&format!("  where  {}\n", show::plain(at)));
        }
        if !self.0.hint.is_empty() {
            text.push_str(&format!("  do     {}\n", show::plain(&self.0.hint)));
        }
        text
    }
}

impl From<types::Error> for Failure {
    fn from(error: types::Error) -> Self {
        let mut failure = Self::failed(error.message().to_owned(), error.advice().to_owned());
        failure.0.at = error.place().map(str::to_owned);
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBLEM: &str = r#"{"type":"/docs/errors#invalid_recipient","title":"t","status":422,
        "code":"invalid_recipient","detail":"\"x\" is no number","at":"to","hint":"Give a number."}"#;

    #[test]
    fn a_problem_says_what_where_and_what_to_do() {
        let failure = Failure::answered(StatusCode::UNPROCESSABLE_ENTITY, PROBLEM.to_owned());
        let text = failure.in_words(&Out::new(false, true));
        assert_eq!(
            text,
            "refused: \"x\" is no number  (invalid_recipient, 422)\n  where  to\n  do     Give a number.\n"
        );
        assert_eq!(failure.as_json().trim_end(), PROBLEM);
        assert_eq!(failure.code(), 1);
    }

    #[test]
    fn what_is_no_problem_is_told_as_well() {
        let failure = Failure::answered(StatusCode::BAD_GATEWAY, "<html>\u{1b}[31m".to_owned());
        assert!(failure.in_words(&Out::new(false, true)).contains("502 Bad Gateway"));
    }

    #[test]
    fn each_kind_has_its_exit_code() {
        let codes =
            [Failure::failed("", ""), Failure::usage("", ""), Failure::unreachable("", ""), Failure::shown()]
                .map(|failure| failure.code());
        assert_eq!(codes, [1, 2, 3, 1]);
    }
}
