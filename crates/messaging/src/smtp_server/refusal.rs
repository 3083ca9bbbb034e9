//! What a refusal is in reply codes (RFC 5321 §4.2, RFC 3463).

use smtp::{Code as Reply, Reply as Answer};
use types::{Code, Error};

/// The reply code of a refusal.
pub fn reply_code(code: Code) -> Reply {
    match code {
        Code::QueueFull => Reply(451, "4.3.2"),
        Code::StorageFull => Reply(452, "4.3.1"),
        Code::TooManyRequests | Code::RateExceeded => Reply(450, "4.7.1"),
        Code::ShuttingDown => Reply::CLOSING,
        Code::Internal
        | Code::Unavailable
        | Code::DirectoryUnavailable
        | Code::DatabaseBusy
        | Code::RequestTimeout
        | Code::KeyInProgress => Reply::LATER,
        Code::InvalidRecipient => Reply(550, "5.1.3"),
        Code::NotFound => Reply(550, "5.1.1"),
        Code::NoRoute => Reply(550, "5.4.4"),
        Code::Unauthenticated | Code::SignInRefused => Reply(535, "5.7.8"),
        Code::TooLarge | Code::TextTooLong => Reply(552, "5.3.4"),
        Code::EmptyText | Code::InvalidMail | Code::InvalidBinary => Reply(554, "5.6.0"),
        Code::MailLoop => Reply(554, "5.4.6"),
        // Everything else that stays refused: who may send what to whom.
        _ => Reply(550, "5.7.1"),
    }
}

/// A refusal in words, with its stable name.
pub(super) fn reply(error: &Error) -> Answer {
    Answer::new(reply_code(error.code()), format!("{}: {}", error.code().as_str(), error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_stays_is_not() {
        for &code in Code::ALL {
            let passing = matches!(code.status(), 408 | 429 | 500 | 503) || code == Code::KeyInProgress;
            let Reply(number, enhanced) = reply_code(code);
            assert_eq!((400..500).contains(&number), passing, "{}", code.as_str());
            assert_eq!(enhanced.starts_with("4."), passing, "{}", code.as_str());
        }
    }
}
