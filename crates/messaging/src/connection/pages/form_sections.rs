//! The form of a connection, section by section.

use crate::pages::{Kind, Section, Setting};

const fn setting(name: &'static str, label: &'static str, hint: &'static str, kind: Kind) -> Setting {
    Setting { name, label, hint, kind }
}

const SENDER_RATE: Setting = setting(
    "sender_per_second",
    "Parts a second of one sender",
    "What is faster waits, and others pass it; 0 for no limit.",
    Kind::Number("0", "10000"),
);
const PHONE_REST: Setting = setting(
    "recipient_every_ms",
    "Rest between two messages to one phone",
    "Milliseconds; 0 for none.",
    Kind::Number("0", "60000"),
);

/// Where, binds, pace, dialect.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        title: "Where",
        hint: Some("As the carrier's letter says."),
        settings: &[
            setting(
                "protocol",
                "Protocol",
                "What the carrier speaks.",
                Kind::Choice(&[
                    ("smpp", "SMPP"),
                    ("ucp", "UCP/EMI"),
                    ("cimd2", "CIMD2"),
                    ("mail", "Mail (SMTP)"),
                ]),
            ),
            setting("host", "Host", "Name or address, without a port.", Kind::Code),
            setting("port", "Port", "2775 when left empty.", Kind::Number("1", "65535")),
            setting(
                "system_id",
                "System id",
                "The name that we bind with: large account of UCP, user of CIMD2; of mail the user, empty for no sign-in.",
                Kind::Code,
            ),
            setting("system_type", "System type", "Mostly empty; at most 12 characters.", Kind::Code),
        ],
    },
    Section {
        title: "More hosts",
        hint: Some("For a carrier with several. Binds are dealt out over all of them but those on standby."),
        settings: &[
            setting("hosts", "More hosts", "Each with its port, such as smsc2.example:2775.", Kind::List),
            setting(
                "standby_hosts",
                "On standby",
                "Used while no bind to any of the others can send.",
                Kind::List,
            ),
            setting(
                "standby",
                "Binds on standby",
                "",
                Kind::Choice(&[("cold", "Made when they are needed"), ("warm", "There all the time")]),
            ),
            setting(
                "standby_after_ms",
                "Needed after",
                "Milliseconds without another bind.",
                Kind::Number("100", "3600000"),
            ),
            setting(
                "rebalance_ms",
                "Look for a host that was down",
                "Milliseconds; 0 for never.",
                Kind::Number("0", "86400000"),
            ),
        ],
    },
    Section {
        title: "Encryption",
        hint: Some("The carrier must offer TLS, mostly on a port of its own."),
        settings: &[
            setting("tls", "Encrypt with TLS", "", Kind::Flag),
            setting("tls_server_name", "Name in the certificate", "The host when left empty.", Kind::Code),
            setting(
                "tls_ca",
                "Trusted issuers",
                "Certificates as PEM; the machine's own roots when left empty.",
                Kind::Lines,
            ),
        ],
    },
    Section {
        title: "Binds",
        hint: None,
        settings: &[
            setting(
                "bind",
                "Kind of bind",
                "One session for both directions, or one for each.",
                Kind::Choice(&[
                    ("transceiver", "Transceiver"),
                    ("transmitter_receiver", "Transmitter and receiver"),
                    ("transmitter", "Transmitter only"),
                    ("receiver", "Receiver only"),
                ]),
            ),
            setting(
                "binds",
                "Binds",
                "Sessions held at once, as the carrier allows.",
                Kind::Number("1", "100"),
            ),
            setting(
                "version",
                "SMPP version",
                "Nearly every carrier speaks 3.4.",
                Kind::Choice(&[("3.4", "3.4"), ("5.0", "5.0")]),
            ),
            setting(
                "address_range",
                "Address range",
                "Mostly empty: the numbers to receive for.",
                Kind::Code,
            ),
            setting("addr_ton", "Its type of number", "0 to 255.", Kind::Number("0", "255")),
            setting("addr_npi", "Its numbering plan", "0 to 255.", Kind::Number("0", "255")),
            setting("enquire_link_ms", "Ask after silence", "Milliseconds.", Kind::Number("100", "3600000")),
            setting(
                "enquire_missed_max",
                "Unanswered questions",
                "The bind is given up after so many.",
                Kind::Number("1", "100"),
            ),
            setting("response_timeout_ms", "Await an answer", "Milliseconds.", Kind::Number("100", "600000")),
            setting(
                "connect_timeout_ms",
                "Await a connection",
                "Milliseconds.",
                Kind::Number("100", "120000"),
            ),
            setting(
                "reconnect_min_ms",
                "First pause before binding again",
                "Milliseconds; it doubles.",
                Kind::Number("10", "3600000"),
            ),
            setting(
                "reconnect_max_ms",
                "Longest pause before binding again",
                "Milliseconds.",
                Kind::Number("10", "3600000"),
            ),
        ],
    },
    Section {
        title: "Pace",
        hint: None,
        settings: &[
            setting("window", "Window", "Unanswered requests of each bind.", Kind::Number("1", "10000")),
            setting(
                "throughput",
                "Parts a second",
                "Over all binds; 0 for no limit of ours.",
                Kind::Number("0", "1000000"),
            ),
            SENDER_RATE,
            PHONE_REST,
            setting(
                "throttle_min_ms",
                "First pause when too fast",
                "Milliseconds; it doubles.",
                Kind::Number("10", "600000"),
            ),
            setting(
                "throttle_max_ms",
                "Longest pause when too fast",
                "Milliseconds.",
                Kind::Number("10", "600000"),
            ),
        ],
    },
    Section {
        title: "Dialect",
        hint: Some(
            "What the specification leaves open, or the carrier does in its own way. The defaults fit most.",
        ),
        settings: &[
            setting(
                "default_alphabet",
                "Default alphabet",
                "What data_coding 0 means to the carrier.",
                Kind::Choice(&[
                    ("gsm7", "GSM 7 bit, unpacked"),
                    ("gsm7_packed", "GSM 7 bit, packed"),
                    ("latin1", "Latin 1"),
                    ("ucs2", "UCS-2"),
                ]),
            ),
            setting(
                "national_tables",
                "National tables",
                "Languages whose tables its phones know, such as turkish; fewer parts than UCS-2.",
                Kind::List,
            ),
            setting(
                "smart_replace",
                "Replace typographic characters",
                "Where that keeps a text out of UCS-2.",
                Kind::Flag,
            ),
            setting(
                "long_messages",
                "Long messages",
                "How several parts are handed over.",
                Kind::Choice(&[
                    ("udh8", "Header with an 8-bit reference"),
                    ("udh16", "Header with a 16-bit reference"),
                    ("sar", "SAR parameters"),
                    ("payload", "Whole, in message_payload"),
                ]),
            ),
            setting(
                "receipt_ids",
                "Ids in receipts",
                "How they relate to those in responses.",
                Kind::Choice(&[
                    ("auto", "Find out"),
                    ("same", "The same"),
                    ("hex_to_decimal", "Hexadecimal, then decimal"),
                    ("decimal_to_hex", "Decimal, then hexadecimal"),
                ]),
            ),
            setting(
                "receipt_states",
                "States of its own",
                "What the carrier writes and what it means, such as ACCEPTD=delivered.",
                Kind::List,
            ),
            setting(
                "keep_pdus",
                "Keep what goes over the wire",
                "PDUs, bind, answer times and receipts, with each message.",
                Kind::Flag,
            ),
            setting(
                "query_after_s",
                "Ask for a receipt after",
                "Seconds without a receipt, after which query_sm asks for it; 0 is never.",
                Kind::Number("0", "604800"),
            ),
            setting(
                "query_every_s",
                "Ask again after",
                "Seconds between two questions.",
                Kind::Number("1", "604800"),
            ),
            setting("query_times", "Ask so often", "Questions for one message.", Kind::Number("1", "100")),
            setting(
                "query_per_second",
                "Questions a second",
                "Over the whole connection.",
                Kind::Number("1", "1000"),
            ),
            setting(
                "source_ton",
                "Sender's type of number",
                "As the sender's form tells when left empty.",
                Kind::Number("0", "255"),
            ),
            setting(
                "source_npi",
                "Sender's numbering plan",
                "As the sender's form tells when left empty.",
                Kind::Number("0", "255"),
            ),
            setting(
                "registered_delivery",
                "registered_delivery",
                "As each message asks when left empty.",
                Kind::Number("0", "255"),
            ),
            setting("service_type", "Service type", "Mostly empty; at most 5 characters.", Kind::Code),
            setting(
                "dest_ton",
                "Recipient's type of number",
                "As it was submitted when left empty.",
                Kind::Number("0", "255"),
            ),
            setting(
                "dest_npi",
                "Recipient's numbering plan",
                "As it was submitted when left empty.",
                Kind::Number("0", "255"),
            ),
            setting("dest_strip", "Taken from recipients", "Digits at the front, such as 33.", Kind::Code),
            setting(
                "dest_prefix",
                "Put before recipients",
                "In place of those: digits or +, such as 0.",
                Kind::Code,
            ),
            setting(
                "validity_format",
                "Validity is written as",
                "Where a sender chose one.",
                Kind::Choice(&[
                    ("absolute", "An instant"),
                    ("relative", "A time from now"),
                    ("none", "Nothing"),
                ]),
            ),
            setting(
                "protocol_id",
                "protocol_id",
                "As it was submitted when left empty.",
                Kind::Number("0", "255"),
            ),
            setting("replace_if_present", "replace_if_present_flag", "With every message.", Kind::Flag),
            setting(
                "priority_otp",
                "Priority of one-time codes",
                "priority_flag of those that name none.",
                Kind::Number("0", "255"),
            ),
            setting(
                "priority_transactional",
                "Priority of transactional messages",
                "",
                Kind::Number("0", "255"),
            ),
            setting("priority_marketing", "Priority of marketing", "", Kind::Number("0", "255")),
            setting(
                "extra",
                "Parameters with every message",
                "Tag and octets, such as 0x1401=0a0b, separated by commas.",
                Kind::Parameters,
            ),
        ],
    },
    Section {
        title: "Errors",
        hint: Some(
            "What the carrier's numbers mean, and what is done about them. The first line that fits counts.",
        ),
        settings: &[
            setting(
                "errors",
                "Error table",
                "A line each: answer or receipt, code, class, then pauses in seconds, meaning and words if you like. \
                 Such as: answer 0x400-0x4FF temporary 60/300 filtered by the firewall",
                Kind::Errors,
            ),
            setting(
                "error_convention",
                "Behind it",
                "A ready table for codes in receipts.",
                Kind::Choice(&[
                    ("standard", "Nothing more"),
                    ("gsm_map", "The errors of MAP"),
                    ("aggregator", "The short list of aggregators"),
                ]),
            ),
            setting(
                "unanswered",
                "Left and not answered",
                "What becomes of such a message.",
                Kind::Choice(&[
                    ("by_intent", "As its intent says"),
                    ("wait", "It waits for its receipt"),
                    ("resend", "It is sent again, and marked"),
                ]),
            ),
        ],
    },
    Section {
        title: "UCP",
        hint: Some(
            "For carriers that speak UCP/EMI. Without a password no session is opened by operation 60.",
        ),
        settings: &[
            setting("oton", "OTON", "6 is abbreviated.", Kind::Number("0", "9")),
            setting("onpi", "ONPI", "5 is private.", Kind::Number("0", "9")),
            setting("alert_pid", "PID of operation 31", "0539 is a computer over TCP/IP.", Kind::Code),
            setting("notification_address", "NAdC", "Mostly empty: where notifications go.", Kind::Code),
            setting("notification_pid", "NPID", "Mostly empty: the kind of that address.", Kind::Code),
            setting(
                "utc_offset_minutes",
                "Carrier's clock before UTC",
                "Minutes, for validity periods.",
                Kind::Number("-720", "840"),
            ),
        ],
    },
    Section {
        title: "CIMD2",
        hint: Some("For carriers that speak CIMD2."),
        settings: &[
            setting(
                "subaddress",
                "Subaddress",
                "Mostly empty: which of the user's connections this is.",
                Kind::Code,
            ),
            setting("announce_window", "Name the window at login", "First versions refuse that.", Kind::Flag),
            setting("checksum", "Checksum", "Nearly every carrier takes one.", Kind::Flag),
        ],
    },
    Section {
        title: "Mail",
        hint: Some(
            "For messages that leave as mail. {to} is the recipient's digits, {from} the sender, {text} the text.",
        ),
        settings: &[
            setting(
                "starttls",
                "TLS begins with STARTTLS",
                "With encryption on; otherwise TLS comes first.",
                Kind::Flag,
            ),
            setting("mail_to", "To", "Such as {to}@sms.example.", Kind::Code),
            setting("mail_from", "From", "The address of the configuration when left empty.", Kind::Code),
            setting("mail_subject", "Subject", "Mostly empty.", Kind::Text),
            setting("mail_body", "Body", "{text} when left empty.", Kind::Lines),
            setting(
                "mail_receipts",
                "A message is delivered",
                "Notifications need our SMTP server, and a mail server that knows them.",
                Kind::Choice(&[
                    ("accepted", "When the mail server takes it"),
                    ("notification", "When a notification says so"),
                ]),
            ),
        ],
    },
];

/// The form of a connection over HTTP.
pub(super) const HTTP_SECTIONS: &[Section] = &[
    Section {
        title: "Where",
        hint: None,
        settings: &[
            setting("url", "Address", "Where the provider is, such as https://api.example.com.", Kind::Code),
            setting("system_id", "User", "Account or user, where the provider gives one.", Kind::Code),
        ],
    },
    Section {
        title: "Pace",
        hint: None,
        settings: &[
            setting(
                "window",
                "Requests under way",
                "Unanswered requests at once.",
                Kind::Number("1", "10000"),
            ),
            setting(
                "throughput",
                "Requests a second",
                "0 for no limit of ours.",
                Kind::Number("0", "1000000"),
            ),
            SENDER_RATE,
            PHONE_REST,
            setting("response_timeout_ms", "Await an answer", "Milliseconds.", Kind::Number("100", "600000")),
            setting(
                "connect_timeout_ms",
                "Await a connection",
                "Milliseconds.",
                Kind::Number("100", "120000"),
            ),
            setting(
                "throttle_min_ms",
                "First pause when too fast",
                "Milliseconds; it doubles.",
                Kind::Number("10", "600000"),
            ),
            setting(
                "throttle_max_ms",
                "Longest pause when too fast",
                "Milliseconds.",
                Kind::Number("10", "600000"),
            ),
            setting(
                "reconnect_min_ms",
                "First pause before asking again",
                "After the provider could not be reached; milliseconds, it doubles.",
                Kind::Number("10", "3600000"),
            ),
            setting(
                "reconnect_max_ms",
                "Longest pause before asking again",
                "Milliseconds.",
                Kind::Number("10", "3600000"),
            ),
            setting(
                "long_messages",
                "Long messages",
                "Whether the provider splits long texts itself.",
                Kind::Choice(&[
                    ("payload", "Whole: the provider splits"),
                    ("udh8", "Parts, header with an 8-bit reference"),
                    ("udh16", "Parts, header with a 16-bit reference"),
                ]),
            ),
        ],
    },
    Section {
        title: "Description",
        hint: Some("As JSON. The paper on HTTP connections tells what each part may hold."),
        settings: &[
            setting("parameters", "Parameters", "Values of your own for the templates.", Kind::Lines),
            setting("auth", "Authentication", "How we prove who we are.", Kind::Lines),
            setting("request", "Request", "What is asked for each message.", Kind::Lines),
            setting("answers", "Answers", "How answers are read; the first that fits decides.", Kind::Lines),
            setting(
                "signature",
                "Signature of hooks",
                "How what comes proves where it is from.",
                Kind::Lines,
            ),
            setting("receipts", "Receipts", "How receipts are read.", Kind::Lines),
            setting("inbound", "Messages from phones", "How they are read.", Kind::Lines),
            setting("reply", "Reply of hooks", "What is answered when all is kept.", Kind::Lines),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::ConnectionSettings;
    use crate::settings;

    #[test]
    fn every_setting_is_in_the_form_once() {
        let mut shown: Vec<_> =
            SECTIONS.iter().flat_map(|section| section.settings).map(|setting| setting.name).collect();
        let members = settings::members(&ConnectionSettings::default()).unwrap();
        let mut known: Vec<_> = members.keys().map(String::as_str).collect();
        shown.sort_unstable();
        known.sort_unstable();
        assert_eq!(shown, known);
    }
}
