//! `switchboard conversation`: what phones have written and were sent.

use clap::Subcommand;
use serde_json::json;

use super::client::{Client, PageFlags};
use super::failure::Failure;
use super::show::Out;

/// What to do with conversations.
#[derive(Debug, Subcommand)]
pub(super) enum ConversationCommand {
    /// Phones that have written, the one that wrote last first
    List {
        #[command(flatten)]
        page: PageFlags,
    },
    /// What a phone has written and was sent, newest first
    Show {
        /// The phone in international form
        phone: String,
        #[command(flatten)]
        page: PageFlags,
    },
    /// Answer a phone, from the number that it wrote to last
    Reply {
        /// The phone in international form
        phone: String,
        /// What to say
        text: String,
    },
    /// Note that somebody has read a conversation up to now
    Read {
        /// The phone in international form
        phone: String,
    },
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &ConversationCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    match command {
        ConversationCommand::List { page } => {
            let columns = [
                ("PHONE", "/phone"),
                ("UNREAD", "/unread"),
                ("WAY", "/direction"),
                ("WHEN", "/at"),
                ("TEXT", "/text"),
            ];
            client.get(&["conversations"], &page.query()).await?.show_page(out, &columns);
        }
        ConversationCommand::Show { phone, page } => {
            let columns = [
                ("WHEN", "/accepted_at"),
                ("WAY", "/direction"),
                ("FROM", "/from"),
                ("STATE", "/state"),
                ("TEXT", "/text"),
            ];
            client.get(&["conversations", phone], &page.query()).await?.show_page(out, &columns);
        }
        ConversationCommand::Reply { phone, text } => {
            let answer = client.post(&["conversations", phone, "reply"], &json!({ "text": text })).await?;
            answer.show(out, |value| out.facts(value, &["id", "state", "parts"]));
        }
        ConversationCommand::Read { phone } => {
            client.act(&["conversations", phone, "read"]).await?;
            out.note("Read.");
        }
    }
    Ok(())
}
