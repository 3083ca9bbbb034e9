//! `switchboard queue`: what waits and what can be done about it; what is dead, and sending it again.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Answer, Client, PageFlags};
use super::failure::Failure;
use super::set::Members;
use super::show::{self, Out};

/// What to do with the queue.
#[derive(Debug, Subcommand)]
pub(super) enum QueueCommand {
    /// What waits, by connection, lane and account
    Show,
    /// What is paused
    Pauses,
    /// Accept and keep: a connection, an account, a route, an intent, or everything
    Pause {
        /// tenant, connection, account, route or intent
        kind: String,
        /// Its id; `api` for the API as an account; otp, transactional or marketing. None for the tenant
        target: Option<String>,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Let go on what is paused
    Resume {
        /// The pause's id
        pause: String,
    },
    /// Hold waiting messages until somebody releases them; at most 1,000 at once
    Hold(#[command(flatten)] SelectionFlags),
    /// Release messages that a person holds; at most 1,000 at once
    Release(#[command(flatten)] SelectionFlags),
    /// Take back messages that have not left; at most 1,000 at once
    Cancel(#[command(flatten)] SelectionFlags),
    /// Messages that ended without reaching a phone, the newest first
    Dead {
        #[command(flatten)]
        filter: DeadFlags,
        /// Count them by reason instead
        #[arg(long)]
        reasons: bool,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Send dead letters again, each once, as new messages
    Redrive {
        /// These messages
        ids: Vec<String>,
        #[command(flatten)]
        filter: DeadFlags,
        /// At most so many, 1 to 500
        #[arg(long, value_name = "N")]
        max: Option<u64>,
        /// For how many seconds they are worth something; as long as each was at first when not given
        #[arg(long, value_name = "S")]
        validity_s: Option<u64>,
        /// Also what may have reached the phone after all; advertising never
        #[arg(long)]
        may_have_arrived: bool,
    },
    /// Jobs that were given up, such as callbacks that no receiver took
    Jobs(#[command(flatten)] PageFlags),
    /// Run dead jobs again
    RunJobs(#[command(flatten)] JobFlags),
    /// Throw dead jobs away
    DiscardJobs(#[command(flatten)] JobFlags),
}

/// Waiting messages.
#[derive(Debug, Default, clap::Args)]
pub(super) struct SelectionFlags {
    /// These messages
    ids: Vec<String>,
    /// Routed to this connection
    #[arg(long, value_name = "ID")]
    connection: Option<String>,
    /// Submitted by this SMPP account
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// otp, transactional or marketing
    #[arg(long)]
    intent: Option<String>,
    /// To this recipient
    #[arg(long)]
    to: Option<String>,
    /// From this sender
    #[arg(long)]
    from: Option<String>,
    /// Everything that waits
    #[arg(long)]
    all: bool,
}

impl SelectionFlags {
    fn body(&self) -> Value {
        Members::default()
            .with("ids", Some(self.ids.clone()).filter(|ids| !ids.is_empty()))
            .with("connection", self.connection.clone())
            .with("account", self.account.clone())
            .with("intent", self.intent.clone())
            .with("to", self.to.clone())
            .with("from", self.from.clone())
            .with("all", self.all.then_some(true))
            .value()
    }
}

/// Dead letters.
#[derive(Debug, Default, clap::Args)]
pub(super) struct DeadFlags {
    /// refused, gave_up, undelivered, no_receipt, unknown_fate or never_left
    #[arg(long)]
    class: Option<String>,
    /// Routed to this connection
    #[arg(long, value_name = "ID")]
    connection: Option<String>,
    /// With exactly this error
    #[arg(long)]
    error: Option<String>,
    /// Accepted then or later, e.g. 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

impl DeadFlags {
    fn query(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("class", self.class.clone()),
            ("connection", self.connection.clone()),
            ("error", self.error.clone()),
            ("since", self.since.clone()),
        ]
    }

    fn body(&self) -> Value {
        let given = self.query().into_iter();
        given.fold(Members::default(), |members, (name, value)| members.with(name, value)).value()
    }
}

/// Dead jobs.
#[derive(Debug, Default, clap::Args)]
pub(super) struct JobFlags {
    /// These jobs
    ids: Vec<String>,
    /// Of this kind, such as messaging.callback
    #[arg(long)]
    kind: Option<String>,
    /// All that are dead
    #[arg(long)]
    all: bool,
}

impl JobFlags {
    fn body(&self) -> Value {
        Members::default()
            .with("ids", Some(self.ids.clone()).filter(|ids| !ids.is_empty()))
            .with("kind", self.kind.clone())
            .with("all", self.all.then_some(true))
            .value()
    }
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses; for a redrive also when a message could not be sent again.
pub(super) async fn run(command: &QueueCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        QueueCommand::Show => client.get(&["queue"], &[]).await?.show(out, |value| view(value, out)),
        QueueCommand::Pauses => {
            let columns = [
                ("ID", "/id"),
                ("KIND", "/kind"),
                ("TARGET", "/target"),
                ("BY", "/by"),
                ("SINCE", "/since"),
                ("WHY", "/reason"),
            ];
            client.get(&["pauses"], &[]).await?.show_page(out, &columns);
        }
        QueueCommand::Pause { kind, target, reason } => {
            let body = Members::default()
                .with("kind", Some(kind.clone()))
                .with("target", target.clone())
                .with("reason", Some(reason.clone()));
            let answer = client.post(&["pauses"], &body.value()).await?;
            answer.show(out, |value| out.facts(value, &["id", "kind", "target", "by", "since"]));
        }
        QueueCommand::Resume { pause } => {
            client.write(reqwest::Method::DELETE, &["pauses", pause], None).await?;
            out.note("It goes on.");
        }
        QueueCommand::Hold(flags) => told(&client.post(&["queue", "hold"], &flags.body()).await?, out),
        QueueCommand::Release(flags) => told(&client.post(&["queue", "release"], &flags.body()).await?, out),
        QueueCommand::Cancel(flags) => told(&client.post(&["queue", "cancel"], &flags.body()).await?, out),
        QueueCommand::Dead { filter, reasons, page } => dead(filter, *reasons, page, client, out).await?,
        QueueCommand::Redrive { ids, filter, max, validity_s, may_have_arrived } => {
            let named = !ids.is_empty();
            let body = Members::default()
                .with("ids", named.then(|| ids.clone()))
                .with("filter", (!named).then(|| filter.body()))
                .with("max", *max)
                .with("validity_s", *validity_s)
                .with("may_have_arrived", Some(*may_have_arrived));
            return redriven(&client.post(&["dead-letters", "redrive"], &body.value()).await?, out);
        }
        QueueCommand::Jobs(page) => {
            let columns = [
                ("ID", "/id"),
                ("KIND", "/kind"),
                ("URL", "/url"),
                ("ATTEMPTS", "/attempts"),
                ("SINCE", "/dead_since"),
                ("WHY", "/error"),
            ];
            client.get(&["dead-jobs"], &page.query()).await?.show_page(out, &columns);
        }
        QueueCommand::RunJobs(flags) => {
            told(&client.post(&["dead-jobs", "redrive"], &flags.body()).await?, out);
        }
        QueueCommand::DiscardJobs(flags) => {
            told(&client.post(&["dead-jobs", "discard"], &flags.body()).await?, out);
        }
    }
    Ok(())
}

fn told(answer: &Answer, out: &Out) {
    answer.show(out, |value| out.facts(value, &["done", "passed_over", "more"]));
}

async fn dead(
    filter: &DeadFlags,
    reasons: bool,
    page: &PageFlags,
    client: &Client,
    out: &Out,
) -> Result<(), Failure> {
    let mut query = filter.query();
    if reasons {
        let columns = [
            ("CLASS", "/class"),
            ("CONNECTION", "/connection"),
            ("MESSAGES", "/n"),
            ("SENT AGAIN", "/redriven"),
            ("ERROR", "/error"),
        ];
        let answer = client.get(&["dead-letters", "reasons"], &query).await?;
        answer.show(out, |value| out.table(value.as_array().map_or(&[][..], Vec::as_slice), &columns));
        return Ok(());
    }
    query.extend(page.query());
    let columns = [
        ("ID", "/id"),
        ("TO", "/to"),
        ("CLASS", "/class"),
        ("ENDED", "/done_at"),
        ("SENT AGAIN AS", "/redriven_as"),
        ("ERROR", "/error"),
    ];
    client.get(&["dead-letters"], &query).await?.show_page(out, &columns);
    Ok(())
}

fn redriven(answer: &Answer, out: &Out) -> Result<(), Failure> {
    let rows = |name: &str| answer.value[name].as_array().cloned().unwrap_or_default();
    let refused = rows("refused");
    answer.show(out, |_| {
        out.table(&rows("redriven"), &[("MESSAGE", "/message"), ("SENT AGAIN AS", "/new")]);
        if !refused.is_empty() {
            out.line("");
            out.table(&refused, &[("MESSAGE", "/message"), ("WHY NOT", "/error/detail")]);
        }
        if answer.value["next"].is_string() {
            out.note("More fit: do it again.");
        }
    });
    match refused.len() {
        0 => Ok(()),
        _ if out.json() => Err(Failure::shown()),
        n => Err(Failure::failed(format!("{n} messages were not sent again"), "each says why above.")),
    }
}

/// A table's columns: heading and place in the row.
type Columns = &'static [(&'static str, &'static str)];

fn view(value: &Value, out: &Out) {
    out.line(&format!(
        "{} in memory, {} in the table, {} paused, {} scheduled, {} held",
        show::words(&value["in_memory"]),
        show::words(&value["in_table"]),
        show::words(&value["paused"]),
        show::words(&value["scheduled"]),
        show::words(&value["held"])
    ));
    if value["more"] == json!(true) {
        out.note("More wait than were counted.");
    }
    let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
    let sections: [(&str, &str, Columns); 3] = [
        (
            "Connections",
            "connections",
            &[
                ("CONNECTION", "/name"),
                ("STATE", "/state"),
                ("MEMORY", "/in_memory"),
                ("TABLE", "/in_table"),
                ("PAUSED", "/paused"),
                ("SCHEDULED", "/scheduled"),
                ("HELD", "/held"),
                ("OLDEST", "/oldest_at"),
                ("ON THE WIRE", "/on_the_wire"),
                ("EMPTY IN S", "/empty_in_s"),
            ],
        ),
        (
            "Accounts",
            "accounts",
            &[("ACCOUNT", "/name"), ("MEMORY", "/in_memory"), ("TABLE", "/in_table"), ("PAUSED", "/paused")],
        ),
        (
            "Pauses",
            "pauses",
            &[("ID", "/id"), ("KIND", "/kind"), ("TARGET", "/target"), ("BY", "/by"), ("SINCE", "/since")],
        ),
    ];
    for (heading, name, columns) in sections {
        out.line("");
        out.heading(heading);
        out.table(&list(name), columns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_members_of_the_body() {
        let flags = SelectionFlags { to: Some("+336".to_owned()), all: true, ..SelectionFlags::default() };
        assert_eq!(flags.body(), json!({ "to": "+336", "all": true }));
        let flags = DeadFlags { class: Some("refused".to_owned()), ..DeadFlags::default() };
        assert_eq!(flags.body(), json!({ "class": "refused" }));
    }
}
