//! Every refusal that the product can give.

use std::error::Error as StdError;
use std::fmt;
use std::panic::Location;

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal $status:literal $title:literal $help:literal;)*) => {
        /// A refusal's stable name. Programs decide by it, so one is never renamed or reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* #[doc = $title] $name,)* }

        impl Code {
            /// Every code, for the page that documents them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name that programs see: `invalid_recipient`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status it travels with (RFC 9110 §15).
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What it means, in one line.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What to do about it.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }
        }
    };
}

codes! {
    BadRequest "bad_request" 400 "The request cannot be read" "Compare the request with the API reference.";
    InvalidBody "invalid_body" 400 "The body is not what the operation takes" "The detail names the place; compare with the API reference.";
    UnknownField "unknown_field" 400 "A field is not one the operation knows" "Check the spelling; unknown fields are refused so that a typing error cannot pass in silence.";
    InvalidId "invalid_id" 400 "An id is malformed" "Use ids as the API gave them, with their prefix.";
    InvalidCursor "invalid_cursor" 400 "A cursor is malformed" "Pass `next` of the page before, unchanged.";
    InvalidFilter "invalid_filter" 400 "A filter's value is not one it takes" "The detail names the values it takes.";
    Unauthenticated "unauthenticated" 401 "Nobody is known by these credentials" "Send `Authorization: Bearer <API key>`, or sign in again.";
    TokenExpired "token_expired" 401 "The access token has expired" "Ask for a new one with the refresh token or the client's secret.";
    SignInRefused "sign_in_refused" 401 "The sign-in was refused" "Check name and password; after repeated failures wait for the time given.";
    LinkUsed "link_used" 401 "The sign-in link is used or expired" "Ask for a new one: `switchboard user link`.";
    SignInExpired "sign_in_expired" 401 "The sign-in was begun too long ago, or tried too often" "Begin it again on the sign-in page.";
    CodeRefused "code_refused" 422 "The code was not accepted" "Take the newest code of the authenticator; each is good once, and the clocks must agree.";
    PasskeyRefused "passkey_refused" 422 "The passkey was not accepted" "Try again, or sign in by another way.";
    StepUpRequired "step_up_required" 403 "A fresh proof of who you are is needed" "Prove it on the page /step-up, then repeat the request within the time that the configuration gives.";
    Forbidden "forbidden" 403 "The permission is missing" "The detail names the permission; an administrator can grant it.";
    NetworkNotAllowed "network_not_allowed" 403 "The network is not one that may come in" "Come from a network that is allowed, or ask an administrator to allow this one.";
    CrossSite "cross_site" 403 "The request came from another site" "Open the console itself and try again there.";
    NotFound "not_found" 404 "There is no such thing here" "It may have been deleted, or belong to another tenant.";
    MethodNotAllowed "method_not_allowed" 405 "The path exists, this method does not" "See the Allow header and the API reference.";
    RequestTimeout "request_timeout" 408 "The request took too long" "Send it again; with the same Idempotency-Key nothing happens twice.";
    Conflict "conflict" 409 "The change clashes with the present state" "Read the record again and decide anew.";
    AlreadyExists "already_exists" 409 "The name is taken" "Choose another, or change the one that exists.";
    TenantExists "tenant_exists" 409 "The tenant of the suitcase is here already" "A tenant never lives twice: erase the one that is here first, or restore the suitcase elsewhere.";
    SuitcaseConflict "suitcase_conflict" 409 "Something of the suitcase is taken by another tenant here" "The detail names it; change it on either side, and export again where it was changed at the source.";
    SuitcaseVersion "suitcase_version" 409 "The suitcase is of another version" "Run the same version on both sides; the detail names the steps of the schema that differ.";
    StillInUse "still_in_use" 409 "Something else depends on it" "The detail names what; remove that first.";
    KeyInProgress "idempotency_in_progress" 409 "A request with this key is still being carried out" "Wait a moment and send it again unchanged.";
    TooLarge "too_large" 413 "The body is larger than the limit" "Split it; the detail gives the limit.";
    UnsupportedMediaType "unsupported_media_type" 415 "The body is not JSON" "Send `Content-Type: application/json`.";
    InvalidValue "invalid_value" 422 "A value is outside what the field takes" "The detail names the field and what it takes.";
    InvalidConfiguration "invalid_configuration" 422 "The configuration cannot be used" "Correct what the detail lists; the former configuration stays in force.";
    InvalidRecipient "invalid_recipient" 422 "The recipient is not a number we can reach" "Give an international number such as +33612345678.";
    InvalidSender "invalid_sender" 422 "The sender is not a number, short code or name" "Give a number, a short code, or at most 11 plain characters.";
    EmptyText "empty_text" 422 "There is nothing to send" "Give a text, or binary content.";
    TextTooLong "text_too_long" 422 "The text needs more parts than allowed" "Shorten it; the detail gives the parts needed and allowed.";
    InvalidBinary "invalid_binary" 422 "The binary content cannot be read" "Send it in base 64, at most what one message carries.";
    InvalidSchedule "invalid_schedule" 422 "The time to send is not one we can keep" "Give a time in the future, within the allowed horizon.";
    InvalidValidity "invalid_validity" 422 "The validity is not one we can keep" "Give seconds within the range that the detail names.";
    InvalidUrl "invalid_url" 422 "The address is not one we may call" "Give an http or https address on a public host, or have the host allowed.";
    InvalidAddress "invalid_address" 422 "This is no e-mail address" "Write it like name@example.com.";
    InvalidMail "invalid_mail" 422 "The mail cannot be read" "Send a mail by RFC 5322 with a text, at most as large as the server says.";
    MailLoop "mail_loop" 422 "The mail was sent by a machine by itself" "Automatic answers, mailing lists and notifications are not sent to phones; remove their marks if this is none.";
    ServiceTypeNotAllowed "service_type_not_allowed" 422 "The account may not use this service type" "Use one that the account may use, or have the account changed.";
    SenderNotAllowed "sender_not_allowed" 422 "This sender may not be used here" "Use a sender that the account may use, or have the senders page changed.";
    SenderNotRegistered "sender_not_registered" 422 "The sender is not approved for this country" "Register it, wait for its approval, or use one that is approved.";
    SenderBlacklisted "sender_blacklisted" 422 "The sender is on the blacklist" "Use another sender, or have the entry removed.";
    SenderImpersonation "sender_impersonation" 422 "The sender looks like a protected name" "Use a sender that cannot be taken for another's.";
    RecipientBlacklisted "recipient_blacklisted" 422 "The recipient is on the blacklist" "Do not send there; an entry made in error can be removed.";
    RecipientOptedOut "recipient_opted_out" 422 "The recipient does not want these messages" "Do not send there; the recipient can opt in again by the start word.";
    RecipientRestricted "recipient_restricted" 422 "The recipient's data may not be processed now" "Do not send there; the person has asked for restriction, or for erasure that is under way.";
    RecipientObjected "recipient_objected" 422 "The recipient has objected to these messages" "Do not send marketing there.";
    IdentityUnchecked "identity_unchecked" 409 "Nobody has checked who asks" "Note how the person's identity was checked, then carry the request out.";
    LegalHold "legal_hold" 409 "The law keeps what is asked to go" "Lift the hold of the person first, or refuse the request with its reason.";
    CallerBlacklisted "caller_blacklisted" 403 "The caller's address or key is on the blacklist" "Ask an administrator why; the entry says its reason.";
    ContentBlocked "content_blocked" 422 "The content is not let through" "The detail names the rule; change the text, or have the rule changed.";
    DuplicateMessage "duplicate_message" 422 "The recipient was sent the same just before" "Do not send it again; for a safe repetition use an Idempotency-Key.";
    RecipientLimit "recipient_limit" 422 "Too many messages for this recipient or sender" "Send less often; the detail names the rule and its limit.";
    OutsideHours "outside_hours" 422 "Messages of this kind may not be sent now" "Send it within the hours that the detail names, or schedule it.";
    RateExceeded "rate_exceeded" 429 "More message parts a second than the limit" "Send more slowly; Retry-After says when to go on.";
    KeyReused "idempotency_key_reused" 422 "The key was used for another request" "Use a new Idempotency-Key for each new request.";
    DomainNotProved "domain_not_proved" 422 "The domain is not proved to be yours" "Put the given line into the file that the domain's page names, so that anybody can read it there, then check again.";
    NoRoute "no_route" 422 "No route leads to this recipient" "Ask `why` on the routes page, then add or enable a route.";
    NoSimulator "no_simulator" 422 "A test message has no simulator to go to" "Have a route lead this recipient to the built-in simulator, or use a live key.";
    NotCancellable "not_cancellable" 409 "The message has gone too far to be stopped" "Only messages that are scheduled or queued can be cancelled or replaced.";
    SignInFailed "sign_in_failed" 401 "The sign-in with the other service failed" "Begin again; when it stays so, show the detail to your administrator.";
    DirectoryUnavailable "directory_unavailable" 503 "The directory does not answer" "Try again in a moment; people with a password of their own here still come in.";
    SuitcaseLocked "suitcase_locked" 422 "The passphrase does not open the suitcase" "Give the passphrase that it was exported with, letter for letter.";
    SuitcaseDamaged "suitcase_damaged" 422 "The suitcase is not as it was written" "The detail names the place; copy the file again, or export anew.";
    SuitcaseRights "suitcase_rights" 422 "The suitcase gives somebody rights over the platform" "Take those rights away at the source and export again; they are given here anew.";
    WeakPassword "weak_password" 422 "The password is too weak" "Use at least 12 characters.";
    TooManyRequests "too_many_requests" 429 "Too many requests" "Wait for the seconds in Retry-After.";
    QueueFull "queue_full" 429 "The queue is full" "Send more slowly, or raise the bound in the configuration.";
    Internal "internal" 500 "Something broke on our side" "Report the request id; the log has the rest.";
    Unavailable "unavailable" 503 "The service cannot do this now" "Try again in a moment.";
    DatabaseBusy "database_busy" 503 "The database did not answer in time" "Try again; if it stays so, see the operations guide.";
    StorageFull "storage_full" 503 "The disk is full" "Free space; nothing that was accepted is lost.";
    ShuttingDown "shutting_down" 503 "The server is stopping" "Send it again; another instance or the restarted one will take it.";
}

/// A refusal: what a caller may know, and what only the log may.
///
/// The message says what was wrong, `at` where, `hint` what to do; the cause stays private.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    code: Code,
    message: String,
    at: Option<String>,
    hint: Option<String>,
    retry_after_s: Option<u32>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    place: &'static Location<'static>,
}

impl Error {
    /// A refusal with its public message.
    #[track_caller]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                code,
                message: message.into(),
                at: None,
                hint: None,
                retry_after_s: None,
                cause: None,
                place: Location::caller(),
            }),
        }
    }

    /// A fault of ours: the caller learns only that there was one, the log gets the cause.
    #[track_caller]
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Code::Internal, "something broke on our side").because(cause)
    }

    /// There is no such row for this tenant; the same answer whether it never was or is another tenant's.
    #[track_caller]
    pub fn not_found(noun: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no such {noun}"))
    }

    /// A value that its field does not take.
    #[track_caller]
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidValue, message).at(field)
    }

    /// Adds where: a field's name or a JSON pointer.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.inner.at = Some(place.into());
        self
    }

    /// Adds what to do, where that is more than the code's own help.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Adds when to try again.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.inner.retry_after_s = Some(seconds);
        self
    }

    /// Adds the private cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.cause = Some(cause.into());
        self
    }

    /// The stable name.
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// What was wrong, in words for the caller.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Where: a field's name or a JSON pointer.
    pub fn place(&self) -> Option<&str> {
        self.inner.at.as_deref()
    }

    /// What to do.
    pub fn advice(&self) -> &str {
        self.inner.hint.as_deref().unwrap_or(self.inner.code.help())
    }

    /// Seconds after which a retry may succeed.
    pub fn retry_after(&self) -> Option<u32> {
        self.inner.retry_after_s
    }

    /// The source line that refused, for the log.
    pub fn raised_at(&self) -> &'static Location<'static> {
        self.inner.place
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        if let Some(at) = &self.inner.at {
            write!(f, " (at {at})")?;
        }
        Ok(())
    }
}

/// For logs: with the cause and the source line.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self} [{}]", self.inner.code.as_str(), self.inner.place)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "; because {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_complete() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!((400..=599).contains(&code.status()), "{code:?}");
            assert!(code.help().ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn the_public_text_hides_the_cause_and_the_log_shows_it() {
        let error = Error::internal("password of the database");
        assert!(!error.to_string().contains("password"));
        assert!(format!("{error:?}").contains("password of the database"));
        assert!(format!("{error:?}").contains("error.rs"));
    }
}
