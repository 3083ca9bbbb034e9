//! `switchboard migrate`: brings the database's schema up to date and says by which steps.

use serde_json::json;

use super::ConfigFlags;
use super::config;
use super::failure::Failure;
use super::show::Out;
use crate::serve;

/// Carries the command out.
///
/// # Errors
/// When the database cannot be opened, or has steps that this version does not know.
pub(super) async fn run(flags: &ConfigFlags, out: &Out) -> Result<(), Failure> {
    let config = config::usable(flags)?;
    let db = serve::connect_database(&config).await?;
    let ran = db.migrate(&serve::migrations()).await;
    db.close().await;
    let ran = ran?;
    if out.json() {
        out.value(&json!({ "database": config.database_url(), "ran": ran }));
        return Ok(());
    }
    out.line(&format!("database  {}", config.database_url().masked()));
    for step in &ran {
        out.line(&format!("ran       {step}"));
    }
    out.line(if ran.is_empty() { "The schema was up to date." } else { "The schema is up to date now." });
    Ok(())
}
