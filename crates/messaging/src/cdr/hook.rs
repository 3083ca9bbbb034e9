//! What is done with a closed file, as durable jobs: it is put where the tenant wants it, and the operator's command is run.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use db::{args, sql};
use runtime::Scope;
use runtime::job::{Handler, Outcome};
use runtime::outbound::{Answer, Method, OutboundError};
use types::{CdrFileId, Code, Error};

use super::file;

/// The kind of the jobs that upload a file.
pub const UPLOAD: &str = "cdr.upload";
/// The kind of the jobs that run the operator's command.
pub const COMMAND: &str = "cdr.command";

/// How long the operator's command may take.
const COMMAND_MAX: Duration = Duration::from_secs(600);
/// Where programs are looked for; the server's own environment holds secrets, and the command gets nothing of it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Uploads a file.
pub fn upload() -> Handler {
    Arc::new(|scope, payload, _attempt| {
        Box::pin(async move {
            match put(&scope, &payload).await {
                Ok(outcome) => outcome,
                Err(error) => not_done(&error),
            }
        })
    })
}

/// Runs the operator's command on a file.
pub fn command() -> Handler {
    Arc::new(|scope, payload, _attempt| {
        Box::pin(async move {
            match run(&scope, &payload).await {
                Ok(outcome) => outcome,
                Err(error) => not_done(&error),
            }
        })
    })
}

/// A file that is gone will not come back; everything else may.
fn not_done(error: &Error) -> Outcome {
    match error.code() {
        Code::NotFound | Code::InvalidId => Outcome::Dead(error.message().to_owned()),
        _ => Outcome::Retry(error.message().to_owned()),
    }
}

async fn put(scope: &Scope, payload: &str) -> types::Result<Outcome> {
    let id: CdrFileId = serde_json::from_str(payload).map_err(Error::internal)?;
    let Some(url) = super::get(scope).await?.settings.upload_url else { return Ok(Outcome::Done) };
    let found = super::get_file(scope, id).await?;
    let Some(path) = file::find(&scope.runtime().config, scope.tenant(), &found.name) else {
        // Registered a moment ago and not named yet, or gone.
        return Ok(Outcome::Retry("the file is not there".to_owned()));
    };
    let octets = tokio::fs::read(&path).await.map_err(Error::internal)?;
    let headers = [("content-type", "application/octet-stream"), ("x-content-sha256", found.sha256.as_str())];
    let target = behind(&url, &found.name);
    let answer = scope.runtime().outbound.send(Method::PUT, &target, &headers, octets.into()).await;
    let status = match answer {
        Ok(Answer { status, .. }) | Err(OutboundError::TooLarge { status, .. }) => status,
        Err(error) if error.is_temporary() => return Ok(Outcome::Retry(error.to_string())),
        Err(error) => return Ok(Outcome::Dead(error.to_string())),
    };
    if !(200..300).contains(&status) {
        return Ok(Outcome::Retry(format!("the receiver answered {status}")));
    }
    let mut write = scope.write().await?;
    write
        .execute(
            sql!("update cdr_file set uploaded_at = $3 where tenant_id = $1 and id = $2"),
            args![scope.tenant(), id, scope.now()],
        )
        .await?;
    write.commit(()).await?;
    Ok(Outcome::Done)
}

/// The file's name behind an address's path; a query stays where it belongs.
fn behind(url: &str, name: &str) -> String {
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let target = format!("{}/{name}", path.trim_end_matches('/'));
    query.map_or(target.clone(), |query| format!("{target}?{query}"))
}

async fn run(scope: &Scope, payload: &str) -> types::Result<Outcome> {
    let id: CdrFileId = serde_json::from_str(payload).map_err(Error::internal)?;
    let program = scope.runtime().config.cdr.command.clone();
    if program.is_empty() {
        return Ok(Outcome::Done);
    }
    let found = super::get_file(scope, id).await?;
    let Some(path) = file::find(&scope.runtime().config, scope.tenant(), &found.name) else {
        return Ok(Outcome::Retry("the file is not there".to_owned()));
    };
    let mut command = tokio::process::Command::new(&program);
    command.arg(&path).env_clear().env("PATH", PATH).kill_on_drop(true);
    command.env("CDR_TENANT", scope.tenant().to_string()).env("CDR_NUMBER", found.number.to_string());
    command.env("CDR_ROWS", found.rows.to_string()).env("CDR_SHA256", &found.sha256);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let ended = tokio::time::timeout(COMMAND_MAX, command.status()).await;
    Ok(match ended {
        Ok(Ok(status)) if status.success() => Outcome::Done,
        Ok(Ok(status)) => Outcome::Retry(format!("the command ended with {status}")),
        Ok(Err(error)) => Outcome::Retry(format!("the command cannot be run: {error}")),
        Err(_) => Outcome::Retry(format!("the command took longer than {} s", COMMAND_MAX.as_secs())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_behind_the_path_and_before_the_query() {
        assert_eq!(behind("https://h/cdr/", "a.csv"), "https://h/cdr/a.csv");
        assert_eq!(behind("https://h/cdr?sig=1", "a.csv"), "https://h/cdr/a.csv?sig=1");
    }
}
