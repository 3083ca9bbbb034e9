//! How an account wants to be told: the form of ids and of receipts.

use serde::{Deserialize, Serialize};
use types::{Error, MessageId, Result};

use super::AccountSettings;
use crate::fault::{Fault, Reason};
use crate::settings;

/// How message ids are written towards a customer's system: in responses, receipts and what it asks by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdForm {
    /// 13 digits and letters, as everywhere else.
    #[default]
    Native,
    /// A decimal number of at most 19 digits.
    Decimal,
    /// A hexadecimal number of at most 16 digits.
    Hex,
}

/// Characters of an id in its native form, which neither number has: they begin with the time, and are longer.
const NATIVE_CHARS: usize = 13;

impl IdForm {
    /// An id as the customer sees it.
    #[must_use]
    pub fn write(self, id: MessageId) -> String {
        match self {
            Self::Native => id.bare(),
            Self::Decimal => id.raw().to_string(),
            Self::Hex => format!("{:x}", id.raw()),
        }
    }

    /// An id as the customer wrote it, in this form or the native one.
    ///
    /// # Errors
    /// [`types::Code::NotFound`]: no message has it.
    pub fn read(self, text: &str) -> Result<MessageId> {
        let unknown = || Error::not_found("message");
        if self == Self::Native || text.len() == NATIVE_CHARS {
            return text.parse().map_err(|_| unknown());
        }
        let radix = if self == Self::Hex { 16 } else { 10 };
        let number = i64::from_str_radix(text, radix).ok().filter(|number| *number > 0);
        number.map(MessageId::from_raw).ok_or_else(unknown)
    }
}

/// What a receipt consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptFormat {
    /// The text of SMPP v3.4 appendix B, and the optional parameters.
    #[default]
    Both,
    /// The text alone.
    Text,
    /// The optional parameters alone; a peer of 3.3, which knows none, gets the text.
    Tlvs,
}

/// How many digits the dates of a receipt have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptDates {
    /// Ten, as appendix B says.
    #[default]
    Minutes,
    /// Twelve, as many centres write.
    Seconds,
}

/// What `err` of a receipt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptErrors {
    /// The carrier's own code.
    #[default]
    Carrier,
    /// Our number for what it means, the same for every carrier.
    Fault,
}

/// The operation that brings a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptsIn {
    /// deliver_sm, which every client takes.
    #[default]
    DeliverSm,
    /// data_sm.
    DataSm,
}

/// A code of the account's own for one of our faults: `filtered=045`.
fn own_code(text: &str) -> Option<(Fault, &str)> {
    let (fault, code) = text.split_once('=')?;
    let fault = Fault::ALL.iter().find(|known| known.as_str() == fault.trim())?;
    let code = code.trim();
    let fits = (1..=3).contains(&code.len()) && code.bytes().all(|octet| octet.is_ascii_alphanumeric());
    fits.then_some((*fault, code))
}

const CODES_MAX: usize = 64;

/// Refuses codes that cannot be written.
pub(super) fn check(codes: &[String]) -> Result<()> {
    settings::at_most("settings.receipt_codes", codes, CODES_MAX)?;
    match codes.iter().find(|code| own_code(code).is_none()) {
        None => Ok(()),
        Some(wrong) => {
            let why = format!(
                "{wrong:?} is not a fault of ours and 1 to 3 letters or digits, such as filtered=045"
            );
            Err(Error::invalid("settings.receipt_codes", why))
        }
    }
}

impl AccountSettings {
    /// `err` for a reason, where the account does not want the carrier's own; three characters.
    pub(crate) fn code_of(&self, reason: Reason<'_>) -> Option<String> {
        let fault = reason.meaning();
        let own = self
            .receipt_codes
            .iter()
            .filter_map(|code| own_code(code))
            .find(|(known, _)| Some(*known) == fault);
        match (own, self.receipt_errors) {
            (Some((_, code)), _) => Some(format!("{code:0>3}")),
            (None, ReceiptErrors::Fault) => Some(format!("{:03}", fault.unwrap_or(Fault::Unknown).number())),
            (None, ReceiptErrors::Carrier) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_in_the_form_that_it_was_written_in() {
        let id = MessageId::from_raw(1_234_567_890_123_456_789);
        for form in [IdForm::Native, IdForm::Decimal, IdForm::Hex] {
            assert_eq!(form.read(&form.write(id)).unwrap(), id);
            assert_eq!(form.read(&id.bare()).unwrap(), id, "what was written before the form was changed");
            assert!(form.read("-5").is_err() && form.read("").is_err() && form.read("no id").is_err());
        }
        assert_eq!(IdForm::Decimal.write(id), "1234567890123456789");
    }

    #[test]
    fn err_is_the_accounts_own_code_then_our_number_then_the_carriers() {
        let mut settings = AccountSettings::default();
        let reason = Reason::read("0x402 [filtered]");
        assert_eq!(settings.code_of(reason), None);
        settings.receipt_errors = ReceiptErrors::Fault;
        assert_eq!(settings.code_of(reason).as_deref(), Some("013"));
        assert_eq!(settings.code_of(Reason::read("???")).as_deref(), Some("099"));
        settings.receipt_codes = vec!["filtered=45".to_owned()];
        assert_eq!(settings.code_of(reason).as_deref(), Some("045"));
        assert!(check(&settings.receipt_codes).is_ok());
        for wrong in ["filtered", "spam=1", "filtered=", "filtered=0123"] {
            assert!(check(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
