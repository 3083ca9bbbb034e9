//! The fields of the operations outside of the 5x-series (EMI/UCP 5.2 §4 and §6).

use crate::hex;

/// Declares a body of text fields in the order of the wire.
macro_rules! body {
    ($(#[$doc:meta])+ $body:ident { $($(#[$of_field:meta])+ $name:ident,)+ }) => {
        $(#[$doc])+
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $body {
            $($(#[$of_field])+ pub $name: String,)+
        }

        impl $body {
            pub(crate) fn read<'a>(mut fields: impl Iterator<Item = &'a str>) -> Self {
                Self { $($name: fields.next().unwrap_or_default().to_owned(),)+ }
            }

            pub(crate) fn fields(&self) -> Vec<&str> {
                vec![$(&self.$name),+]
            }
        }
    };
}

body! {
    /// 01, call input.
    Call {
        /// Address code of the recipient.
        adc,
        /// Address code of the originator.
        oadc,
        /// Authentication code of the originator.
        oac,
        /// 2 numeric, 3 alphanumeric.
        mt,
        /// Digits, or text in IRA hex, by `mt`.
        msg,
    }
}

body! {
    /// 30, SMS message transfer.
    Transfer {
        /// Address code of the recipient.
        adc,
        /// Address code of the originator.
        oadc,
        /// Authentication code of the originator.
        ac,
        /// 1 asks for notifications.
        nrq,
        /// Where notifications go.
        nad,
        /// Protocol of `nad`.
        npid,
        /// 1 asks for deferred delivery.
        dd,
        /// When to deliver, `DDMMYYHHMM`.
        ddt,
        /// Until when, `DDMMYYHHMM`.
        vp,
        /// Text in IRA hex.
        amsg,
    }
}

body! {
    /// 31, SMT alert.
    Alert {
        /// Who is there.
        adc,
        /// What kind of terminal: 0539 is a computer over TCP/IP.
        pid,
    }
}

body! {
    /// 60 and 61, session and list management.
    Session {
        /// Who opens the session.
        oadc,
        /// Type of number of `oadc`: 1 international, 2 national, 6 abbreviated.
        oton,
        /// Numbering plan of `oadc`: 1 E.164, 5 private.
        onpi,
        /// 1 opens a session, 3 changes the password; of 61 what is done to the list.
        styp,
        /// Password in IRA hex.
        pwd,
        /// New password in IRA hex.
        npwd,
        /// Version: 0100.
        vers,
        /// Address for the list.
        ladc,
        /// Type of number of `ladc`.
        lton,
        /// Numbering plan of `ladc`.
        lnpi,
        /// What opens the session: 39 is an application; of 61 reserved.
        opid,
        /// Reserved.
        res1,
    }
}

impl Session {
    /// Opens a session for a short number of an application, as nearly all centres want it.
    #[must_use]
    pub fn open(oadc: &str, password: &str) -> Self {
        Self {
            oadc: oadc.to_owned(),
            oton: "6".to_owned(),
            onpi: "5".to_owned(),
            styp: "1".to_owned(),
            pwd: hex::encode(password.as_bytes()),
            vers: "0100".to_owned(),
            ..Self::default()
        }
    }

    /// The password as text; `None` where it is no hexadecimal, or not text.
    #[must_use]
    pub fn password(&self) -> Option<String> {
        hex::decode(&self.pwd).and_then(|octets| String::from_utf8(octets).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_opens_with_its_password_in_hex() {
        let session = Session::open("10000", "Password");
        assert_eq!(session.pwd, "50617373776F7264");
        assert_eq!(session.password().as_deref(), Some("Password"));
        assert_eq!(session.fields().len(), 12);
        assert_eq!(Session { pwd: "FF".into(), ..session }.password(), None);
    }
}
