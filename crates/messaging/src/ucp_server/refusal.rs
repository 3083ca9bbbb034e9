//! What a refusal is on the wire.

use types::Code;
use ucp::ErrorCode;

/// The error code that tells a customer's system of a refusal.
///
/// UCP has one code for "not now", 04: who gets it slows down and sends the same again.
pub fn error_code(code: Code) -> ErrorCode {
    match code {
        Code::QueueFull
        | Code::TooManyRequests
        | Code::RateExceeded
        | Code::StorageFull
        | Code::Internal
        | Code::Unavailable
        | Code::DirectoryUnavailable
        | Code::DatabaseBusy
        | Code::ShuttingDown
        | Code::RequestTimeout => ErrorCode::NOT_ALLOWED,
        // No route is a fact about the destination.
        Code::InvalidRecipient | Code::NoRoute => ErrorCode::ADC_INVALID,
        Code::InvalidSender
        | Code::SenderNotAllowed
        | Code::SenderNotRegistered
        | Code::SenderBlacklisted
        | Code::SenderImpersonation => ErrorCode::BARRED,
        Code::EmptyText | Code::TextTooLong | Code::TooLarge | Code::InvalidBinary => ErrorCode::TOO_LONG,
        Code::InvalidSchedule | Code::InvalidValidity => ErrorCode::TIME_INVALID,
        Code::InvalidId | Code::NotFound => ErrorCode::NOT_FOUND,
        Code::NotCancellable => ErrorCode::IN_PROGRESS,
        _ => ErrorCode::SYNTAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ucp::Class;

    #[test]
    fn what_passes_is_tried_again_and_what_stays_is_not() {
        for &code in Code::ALL {
            let temporary = error_code(code).class() != Class::Permanent;
            let passing = matches!(code.status(), 408 | 429 | 500 | 503);
            assert_eq!(temporary, passing, "{}", code.as_str());
        }
    }
}
