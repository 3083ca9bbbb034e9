//! What a connection by mail is started with.

use connectors::mail;
use runtime::Runtime;
use runtime::config::Encryption;
use runtime::outbound::Dial;

use super::{Connection, MailReceipts, errors};
use crate::mail::address;

/// What a connection by mail is started with.
pub(super) fn settings(
    runtime: &Runtime,
    connection: &Connection,
    (password, dial): (&str, Dial),
) -> mail::Settings {
    let (settings, config) = (&connection.settings, &runtime.config);
    let hello = runtime::mail::hello(runtime);
    let from = [&settings.mail_from, &config.mail.from].into_iter().find(|from| !from.is_empty());
    let from = from.map_or_else(|| format!("switchboard@{hello}"), String::clone);
    let return_path = config.smtp.enabled.then(|| mail::ReturnPath {
        domain: config.smtp.domain.clone(),
        signer: address::words(runtime).receipts.clone(),
        connection: connection.id.raw(),
    });
    mail::Settings {
        name: connection.name.clone(),
        server: runtime::mail::Server {
            host: settings.host.clone(),
            port: settings.port,
            dial,
            encryption: match (settings.tls, settings.starttls) {
                (false, _) => Encryption::None,
                (true, true) => Encryption::Starttls,
                (true, false) => Encryption::Implicit,
            },
            server_name: settings.tls_server_name.clone(),
            ca: settings.tls_ca.clone(),
            user: settings.system_id.clone(),
            password: password.to_owned(),
            hello,
            connect_timeout_ms: settings.connect_timeout_ms,
            response_timeout_ms: settings.response_timeout_ms,
        },
        sessions: settings.binds,
        window: settings.window,
        throughput: settings.throughput,
        idle_ms: settings.enquire_link_ms,
        reconnect_min_ms: settings.reconnect_min_ms,
        reconnect_max_ms: settings.reconnect_max_ms,
        throttle_min_ms: settings.throttle_min_ms,
        throttle_max_ms: settings.throttle_max_ms,
        classes: errors::ErrorTable::new(&settings.errors, settings.error_convention).classes(),
        from,
        to: settings.mail_to.clone(),
        subject: settings.mail_subject.clone(),
        body: settings.mail_body.clone(),
        receipts: match settings.mail_receipts {
            MailReceipts::Accepted => mail::Receipts::Accepted,
            MailReceipts::Notification => mail::Receipts::Notification,
        },
        return_path,
    }
}
