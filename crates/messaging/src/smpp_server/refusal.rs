//! What a refusal is on the wire.

use smpp::Status;
use types::Code;

/// The command_status that tells a customer's system of a refusal.
///
/// Three kinds of "not now" differ in what clients make of them. [`Code::QueueFull`] and [`Code::TooManyRequests`] are
/// ESME_RTHROTTLED: the whole bind slows down and sends the same message again, which is what a full journal needs.
/// [`Code::StorageFull`] is ESME_RMSGQFUL, after which clients pause longer: nothing is taken until somebody has made room.
/// What broke on our side, or stops, is ESME_RSYSERR: try again, here or at another server.
pub fn status(code: Code) -> Status {
    match code {
        Code::QueueFull | Code::TooManyRequests | Code::RateExceeded => Status::RTHROTTLED,
        Code::StorageFull => Status::RMSGQFUL,
        Code::Internal
        | Code::Unavailable
        | Code::DatabaseBusy
        | Code::DirectoryUnavailable
        | Code::ShuttingDown
        | Code::RequestTimeout => Status::RSYSERR,
        // No route is a fact about the destination, and the status that clients do not repeat.
        Code::InvalidRecipient | Code::NoRoute => Status::RINVDSTADR,
        Code::InvalidSender
        | Code::SenderNotAllowed
        | Code::SenderNotRegistered
        | Code::SenderBlacklisted
        | Code::SenderImpersonation => Status::RINVSRCADR,
        Code::EmptyText | Code::TextTooLong | Code::TooLarge | Code::InvalidBinary => Status::RINVMSGLEN,
        Code::ServiceTypeNotAllowed => Status::RINVSERTYP,
        Code::InvalidSchedule => Status::RINVSCHED,
        Code::InvalidValidity => Status::RINVEXPIRY,
        Code::InvalidId => Status::RINVMSGID,
        // Everything else that stays refused, the firewall's and the blacklist's refusals too: ESME_RSUBMITFAIL (0x45) is
        // what clients of other gateways know for those.
        _ => Status::RSUBMITFAIL,
    }
}

/// As [`status`], for an operation on a message that was submitted before: what has no status of its own is `failed`, the
/// operation's own (ESME_RQUERYFAIL, ESME_RCANCELFAIL, ESME_RREPLACEFAIL).
pub(crate) fn ancillary_status(code: Code, failed: Status) -> Status {
    match status(code) {
        Status::RSUBMITFAIL => failed,
        status => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::RetryClass;

    #[test]
    fn what_passes_is_tried_again_and_what_stays_is_not() {
        for &code in Code::ALL {
            let temporary = !matches!(status(code).class(), RetryClass::Permanent);
            let passing = matches!(code.status(), 408 | 429 | 500 | 503);
            assert_eq!(temporary, passing, "{}", code.as_str());
        }
    }

    #[test]
    fn a_message_that_is_not_there_is_the_operations_own_failure() {
        assert_eq!(ancillary_status(Code::NotFound, Status::RQUERYFAIL), Status::RQUERYFAIL);
        assert_eq!(ancillary_status(Code::NotCancellable, Status::RCANCELFAIL), Status::RCANCELFAIL);
        assert_eq!(ancillary_status(Code::InvalidId, Status::RQUERYFAIL), Status::RINVMSGID);
        assert_eq!(ancillary_status(Code::DatabaseBusy, Status::RQUERYFAIL), Status::RSYSERR);
    }
}
