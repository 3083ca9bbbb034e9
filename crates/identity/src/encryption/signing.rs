//! The keys that sign access tokens, turned by hand: before their time, or all at once when one may have been seen.

use runtime::Scope;
use serde::Serialize;
use types::event::Change;
use types::{Code, Error, Event, Permission, Result, Timestamp};

use crate::token::keys::{self, PUBLISHED_BEFORE_MS};

/// A key that signs access tokens, without its private half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SigningKeyView {
    /// Its id, as tokens and the published list name it (`kid`).
    pub key: String,
    /// From when it signs.
    pub signs_from: Timestamp,
    /// `next`, `signing`, or `former`: published for as long as a token that it signed may live.
    pub state: &'static str,
}

/// The keys that sign access tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SigningKeys {
    /// The published keys, the one that signs last at the end.
    pub keys: Vec<SigningKeyView>,
    /// Where they are published (RFC 7517 §5).
    pub jwks_uri: String,
}

/// The keys that sign access tokens.
///
/// # Errors
/// Without `system.view`.
pub async fn show(scope: &Scope) -> Result<SigningKeys> {
    scope.require(Permission::SystemView)?;
    state(scope).await
}

async fn state(scope: &Scope) -> Result<SigningKeys> {
    let published = keys::times(scope.runtime()).await?;
    // Behind the reading, which makes the first key.
    let now = scope.now();
    let signing = published.iter().rposition(|(_, signs_from)| *signs_from <= now);
    let state = |at: usize| match signing {
        Some(signing) if at == signing => "signing",
        Some(signing) if at < signing => "former",
        _ => "next",
    };
    let view = |(at, (key, signs_from))| SigningKeyView { key, signs_from, state: state(at) };
    Ok(SigningKeys {
        keys: published.into_iter().enumerate().map(view).collect(),
        jwks_uri: format!("{}/.well-known/jwks.json", scope.runtime().config.public_url()),
    })
}

/// Makes the next key before its time. It is published now and signs a day later, when every reader has seen it; what the one
/// before it has signed stays good.
///
/// # Errors
/// Without `system.manage`; `step_up_required`; `conflict` when the next key is published already.
pub async fn turn(scope: &Scope) -> Result<SigningKeys> {
    scope.require(Permission::SystemManage)?;
    scope.require_fresh()?;
    let now = scope.now();
    let _alone = keys::alone(scope.runtime()).await;
    if let Some((key, from)) = keys::times(scope.runtime()).await?.into_iter().find(|(_, from)| *from > now) {
        let why = format!("the next key, {key}, is published already and signs from {from}");
        return Err(
            Error::new(Code::Conflict, why).hint("wait for it, or revoke all keys if one may be known")
        );
    }
    let mut write = scope.write_every().await?;
    let key = keys::insert(scope.runtime(), &mut write, now.plus_ms(PUBLISHED_BEFORE_MS)).await?;
    write.happened(Event::SigningKeyTurned(change(&key)));
    write.commit(()).await?;
    keys::reload(scope.runtime()).await?;
    state(scope).await
}

/// Drops all keys and makes one that signs at once: every access token is refused from now on. Programs and applications get
/// new ones by their secrets and refresh tokens. Other readers of the published list may believe the former keys for as long
/// as they keep it, which is told them as a quarter of an hour.
///
/// # Errors
/// Without `system.manage`; `step_up_required`.
pub async fn revoke(scope: &Scope) -> Result<SigningKeys> {
    scope.require(Permission::SystemManage)?;
    scope.require_fresh()?;
    let _alone = keys::alone(scope.runtime()).await;
    let mut write = scope.write_every().await?;
    keys::drop_all(&mut write).await?;
    let key = keys::insert(scope.runtime(), &mut write, scope.now()).await?;
    write.happened(Event::SigningKeysRevoked(change(&key)));
    write.commit(()).await?;
    keys::reload(scope.runtime()).await?;
    state(scope).await
}

fn change(key: &str) -> Change {
    let after = Some(serde_json::json!({ "key": key }));
    Change { id: key.to_owned(), name: "signing key".to_owned(), before: None, after }
}
