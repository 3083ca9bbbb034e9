//! `switchboard encryption`: the keys under which secrets lie in the database.

use clap::Subcommand;
use runtime::secrets::Vault;

use super::client::Client;
use super::failure::Failure;
use super::show::Out;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(super) enum EncryptionCommand {
    /// Which key seals the tenant's secrets, and how far a new one has come
    Show,
    /// Give the tenant a new data key; secrets are sealed anew beside the traffic
    Turn,
    /// The root keys, which wrap the data keys of all tenants
    Root,
    /// Make a new root key and wrap every data key anew; copy the key file again afterwards
    TurnRoot {
        /// How the keys are to lie in the file: kms, closed by the key management service, which is usual where one is
        /// configured; or file, in the clear
        #[arg(long, value_name = "kms|file")]
        to: Option<String>,
    },
    /// Drop the former root keys: backups made under them can no longer be read
    ForgetRoot {
        /// Do it without asking again
        #[arg(long)]
        yes: bool,
    },
    /// The keys that sign access tokens
    Signing,
    /// Make the next key that signs access tokens before its time; tokens stay good
    TurnSigning,
    /// Drop all keys that sign access tokens: every token is refused at once
    RevokeSigning {
        /// Do it without asking again
        #[arg(long)]
        yes: bool,
    },
    /// Print a new root key, for who hands it over by the configuration. Asks no server
    NewRootKey,
}

/// Prints a new root key.
///
/// # Errors
/// When the system gives no random octets.
pub(super) fn new_root_key(out: &Out) -> Result<(), Failure> {
    let key = Vault::new_key_text().map_err(types::Error::internal)?;
    out.line(&key);
    Ok(())
}

/// Carries the command out.
///
/// # Errors
/// What the server refuses.
pub(super) async fn run(command: &EncryptionCommand, client: &Client, out: &Out) -> Result<(), Failure> {
    let answer = match command {
        EncryptionCommand::Show => client.get(&["encryption"], &[]).await?,
        EncryptionCommand::Turn => client.act(&["encryption", "turn"]).await?,
        EncryptionCommand::Root => client.get(&["root-keys"], &[]).await?,
        EncryptionCommand::TurnRoot { to } => {
            client.act_with(&["root-keys", "turn"], &[("to", to.clone())]).await?
        }
        EncryptionCommand::ForgetRoot { yes: false } => {
            return Err(Failure::usage(
                "backups made under the former root keys could no longer be read",
                "say --yes to drop them.",
            ));
        }
        EncryptionCommand::ForgetRoot { yes: true } => client.act(&["root-keys", "forget"]).await?,
        EncryptionCommand::Signing => client.get(&["signing-keys"], &[]).await?,
        EncryptionCommand::TurnSigning => client.act(&["signing-keys", "turn"]).await?,
        EncryptionCommand::RevokeSigning { yes: false } => {
            return Err(Failure::usage(
                "every access token would be refused at once",
                "say --yes to revoke.",
            ));
        }
        EncryptionCommand::RevokeSigning { yes: true } => client.act(&["signing-keys", "revoke"]).await?,
        EncryptionCommand::NewRootKey => return new_root_key(out),
    };
    answer.show(out, |value| {
        let mut facts = value.clone();
        if let Some(facts) = facts.as_object_mut() {
            facts.retain(|name, _| !matches!(name.as_str(), "columns" | "former" | "keys"));
        }
        out.facts(&facts, &["key", "before", "cipher", "file", "service", "closed", "to_wrap", "jwks_uri"]);
        if let Some(keys) = value["keys"].as_array() {
            out.line("");
            out.table(keys, &[("KEY", "/key"), ("STATE", "/state"), ("SIGNS FROM", "/signs_from")]);
        }
        if let Some(columns) = value["columns"].as_array() {
            let shown = [
                ("WHAT", "/title"),
                ("TABLE", "/table"),
                ("COLUMN", "/column"),
                ("SECRETS", "/sealed"),
                ("CURRENT KEY", "/current"),
            ];
            out.line("");
            out.table(columns, &shown);
        }
        if let Some(former) = value["former"].as_array().filter(|former| !former.is_empty()) {
            out.line("");
            out.heading("Former keys");
            for one in former {
                out.line(one["key"].as_str().or(one.as_str()).unwrap_or_default());
            }
        }
    });
    if matches!(command, EncryptionCommand::TurnRoot { .. }) {
        out.note("Copy the key file again to where you keep it, apart from the database's backups.");
    }
    Ok(())
}
