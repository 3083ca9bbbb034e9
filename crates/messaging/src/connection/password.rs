//! A connection's password, as it lies in the database.

use db::sql;
use identity::encryption::{self, Sealed};
use runtime::{Runtime, Scope};
use types::{ConnectionId, Result};

use super::{Connection, Protocol};
use crate::settings;

/// More than SMPP allows (8), because carriers do too (SMPP v3.4 §4.1.1).
const PASSWORD_CHARS_MAX: usize = 64;
/// Room for tokens.
const HTTP_PASSWORD_CHARS_MAX: usize = 4_096;

/// Seals a password for its connection.
pub(super) async fn seal(
    scope: &Scope,
    id: ConnectionId,
    protocol: Protocol,
    password: &str,
) -> Result<String> {
    let longest = if protocol == Protocol::Http { HTTP_PASSWORD_CHARS_MAX } else { PASSWORD_CHARS_MAX };
    settings::c_octets("password", password, &(0..=longest))?;
    encryption::seal(scope, "connection", "password_sealed", &id.to_string(), password).await
}

/// The passwords of connections.
pub const SEALED: Sealed = Sealed {
    title: "Passwords at carriers",
    table: "connection",
    column: "password_sealed",
    row: |id| ConnectionId::from_raw(id).to_string(),
    count: sql!("select count(*) as n from connection where tenant_id = $1 and password_sealed like $2"),
    walk: sql!(
        "select id, password_sealed as sealed from connection where tenant_id = $1 and id > $2 order by id limit $3"
    ),
    replace: sql!(
        "update connection set password_sealed = r.new from rows(id bigint, old text, new text) r \
         where connection.tenant_id = $1 and connection.id = r.id and connection.password_sealed = r.old"
    ),
};

/// A connection's password, opened.
pub(super) async fn open(runtime: &Runtime, connection: &Connection) -> Result<String> {
    let row = connection.id.to_string();
    let sealed = &connection.password_sealed;
    let opened =
        encryption::open(runtime, connection.tenant, "connection", "password_sealed", &row, sealed).await?;
    Ok(opened.expose().to_owned())
}
