//! Each dialect with what its provider documents: a request, answers, receipts and messages from phones.

use serde_json::{Value, json};
use smpp::Sm;
use sms::MessageState;

use super::named;
use crate::http::answer::Heard;
use crate::http::plan::Plan;
use crate::http::sign::{Coding, Hash};
use crate::http::tests::{body, headers, hook, made, settings, text};
use crate::http::{HookRequest, Hooks, Refused, Signature};
use crate::report::{Answer, Class};

const FORM: &str = "application/x-www-form-urlencoded";

/// The request of a dialect for a message.
fn asked(dialect: &str, sm: &Sm) -> crate::http::Prepared {
    made(&settings(named(dialect).unwrap()), sm).unwrap()
}

/// The fields of a request's form.
fn form(dialect: &str, sm: &Sm) -> Vec<(String, String)> {
    let said = body(&asked(dialect, sm));
    let fields = crate::http::form_fields(said.as_bytes());
    fields.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect()
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The first message of a request in JSON.
fn first(dialect: &str, sm: &Sm) -> Value {
    let said: Value = serde_json::from_slice(&asked(dialect, sm).body).unwrap();
    said["messages"][0].clone()
}

fn binary() -> Sm {
    Sm { data_coding: smpp::DataCoding(4), short_message: vec![0x0F, 0xC2, 0x4A], ..text("") }
}

/// Binary content to a port, and a text that is a part.
fn with_headers() -> (Sm, Sm) {
    let to_port = Sm {
        esm_class: smpp::EsmClass(0x40),
        short_message: vec![6, 5, 4, 0x15, 0x81, 0x15, 0x81, 0xFF],
        ..binary()
    };
    let part =
        Sm { esm_class: smpp::EsmClass(0x40), short_message: vec![5, 0, 3, 9, 2, 1, b'a'], ..text("") };
    (to_port, part)
}

fn lasting(period: &str) -> Sm {
    Sm { validity_period: period.into(), ..text("hello") }
}

fn means(dialect: &str, status: u16, body: &str) -> Answer {
    let plan = Plan::read(&named(dialect).unwrap()).unwrap();
    plan.read_answer(&Heard { status, headers: &[], body: body.as_bytes(), reference: "abc.1" }).answer
}

fn class(answer: &Answer) -> Class {
    match answer {
        Answer::Refused { class, .. } => *class,
        other => panic!("{other:?}"),
    }
}

fn accepted(id: &str) -> Answer {
    Answer::Accepted { message_id: id.to_owned() }
}

fn hooks(dialect: &str) -> Hooks {
    Hooks::read(&named(dialect).unwrap(), "token").unwrap()
}

/// What receipts in a form say: states and reasons.
fn told(hooks: &Hooks, form: &str) -> (MessageState, Option<String>) {
    let sent = headers(&[("content-type", FORM)]);
    let read = hooks.receipts(&hook(&sent, form.as_bytes())).unwrap();
    assert_eq!(read.len(), 1);
    (read[0].state, read[0].error.clone())
}

#[test]
fn twilio_is_asked_within_its_bounds() {
    // A day is more than Twilio queues a message for, and would be refused.
    let fields = form("twilio", &lasting("000001000000000R"));
    assert_eq!(field(&fields, "ValidityPeriod"), Some("36000"));
    let fields = form("twilio", &lasting("000000000500000R"));
    assert_eq!(field(&fields, "ValidityPeriod"), Some("300"));
    assert_eq!(field(&form("twilio", &text("hello")), "ValidityPeriod"), None);
}

#[test]
fn twilios_answers_are_told_apart() {
    let queued = json!({ "sid": "SM0123", "status": "queued", "error_code": null, "num_segments": "1" });
    assert_eq!(means("twilio", 201, &queued.to_string()), accepted("SM0123"));
    let refused = |status: u16, code: u32| {
        let said = json!({ "code": code, "message": "no", "more_info": "https://…", "status": status });
        class(&means("twilio", status, &said.to_string()))
    };
    assert_eq!(refused(429, 20429), Class::Throttled);
    assert_eq!(refused(400, 21611), Class::QueueFull);
    assert_eq!(refused(401, 20003), Class::Reconnect);
    // The account, not the message.
    assert_eq!((refused(403, 20403), refused(403, 20005)), (Class::Reconnect, Class::Reconnect));
    assert_eq!((refused(400, 21211), refused(400, 21610)), (Class::Permanent, Class::Permanent));
    assert_eq!(refused(503, 20503), Class::Temporary);
}

#[test]
fn twilios_status_callbacks_are_read() {
    let hooks = hooks("twilio");
    let read = |status: &str, error: &str| {
        let fields = format!(
            "AccountSid=AC1&ApiVersion=2010-04-01&{error}From=%2B15005550006&MessageSid=SM0123&MessageStatus={status}&\
             SmsSid=SM0123&SmsStatus={status}&To=%2B33612345678"
        );
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let mut sorted = crate::http::form_fields(fields.as_bytes());
        sorted.sort();
        let over = sorted.into_iter().fold(url.as_bytes().to_vec(), |over, (name, value)| {
            [over.as_slice(), name.as_bytes(), value.as_slice()].concat()
        });
        let signature = Hash::Sha1.signed("token", &over, Coding::Base64);
        let sent = headers(&[("content-type", FORM), ("x-twilio-signature", &signature)]);
        let read = hooks.receipts(&hook(&sent, fields.as_bytes())).unwrap();
        assert_eq!((read[0].message_id.as_str(), read[0].phone.as_str()), ("SM0123", "+33612345678"));
        (read[0].state, read[0].error.clone())
    };
    assert_eq!(read("sent", ""), (MessageState::Enroute, None));
    assert_eq!(read("delivered", ""), (MessageState::Delivered, None));
    assert_eq!(read("read", ""), (MessageState::Delivered, None));
    assert_eq!(
        read("undelivered", "ErrorCode=30005&"),
        (MessageState::Undeliverable, Some("30005".to_owned()))
    );
    assert_eq!(read("failed", "ErrorCode=30001&").0, MessageState::Undeliverable);
    assert_eq!(read("canceled", "").0, MessageState::Deleted);
}

#[test]
fn infobip_is_asked_for_texts_and_for_octets() {
    let said = first("infobip", &text("Ж"));
    assert_eq!(said["content"], json!({ "text": "Ж" }));
    assert_eq!(
        said["webhooks"],
        json!({ "delivery": { "url": "https://sms.example/hooks/connections/t/receipts" },
            "contentType": "application/json" })
    );
    assert_eq!(first("infobip", &binary())["content"], json!({ "hex": "0f c2 4a", "dataCoding": 4 }));
    let (to_port, part) = with_headers();
    for sm in [to_port, part] {
        assert!(made(&settings(named("infobip").unwrap()), &sm).is_err(), "its header would be lost");
    }
}

#[test]
fn infobips_answers_are_told_apart() {
    let said = |group: &str, name: &str| {
        let status = json!({ "groupId": 1, "groupName": group, "id": 26, "name": name, "description": "…" });
        json!({ "bulkId": "b", "messages": [
            { "messageId": "abc.1", "status": status, "destination": "33612345678", "details": { "messageCount": 1 } }
        ] })
        .to_string()
    };
    assert_eq!(means("infobip", 200, &said("PENDING", "PENDING_ACCEPTED")), accepted("abc.1"));
    // Ours is the only message of this name: an earlier request for it arrived.
    assert_eq!(means("infobip", 200, &said("REJECTED", "REJECTED_DUPLICATE_MESSAGE_ID")), accepted("abc.1"));
    let refused = |name: &str| class(&means("infobip", 200, &said("REJECTED", name)));
    assert_eq!(refused("REJECTED_NOT_ENOUGH_CREDITS"), Class::Temporary);
    assert_eq!(refused("REJECTED_PREPAID_PACKAGE_EXPIRED"), Class::Temporary);
    assert_eq!((refused("REJECTED_SENDER"), refused("MISSING_TO")), (Class::Permanent, Class::Permanent));
    let new = json!({ "errorCode": "E401", "description": "Not known.", "violations": [] }).to_string();
    let old = json!({ "requestError": { "serviceException": { "messageId": "UNAUTHORIZED", "text": "Not known." } } });
    for said in [new, old.to_string()] {
        let answer = means("infobip", 401, &said);
        assert_eq!(class(&answer), Class::Reconnect);
        assert!(
            matches!(&answer, Answer::Refused { refusal, .. } if refusal.to_string().contains("Not known."))
        );
    }
}

#[test]
fn infobips_reports_are_read_by_their_finer_words() {
    let status = |group: &str, name: &str| json!({ "groupId": 0, "groupName": group, "id": 0, "name": name, "description": "…" });
    let error = |name: &str| json!({ "groupId": 1, "groupName": "HANDSET_ERRORS", "id": 1, "name": name, "permanent": true });
    let report = |id: &str, status: Value, error: Value| {
        json!({ "bulkId": "b", "messageId": id, "to": "33612345678", "sender": "ACME", "sentAt": "…", "doneAt": "…",
            "messageCount": 1, "price": { "pricePerMessage": 0.01, "currency": "EUR" }, "status": status, "error": error })
    };
    let said = json!({ "results": [
        report("a", status("DELIVERED", "DELIVERED_TO_OPERATOR"), error("NO_ERROR")),
        report("a", status("DELIVERED", "DELIVERED_TO_HANDSET"), error("NO_ERROR")),
        report("b", status("UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED"), error("EC_ABSENT_SUBSCRIBER")),
        report("c", status("EXPIRED", "EXPIRED_EXPIRED"), error("EC_UNKNOWN_ERROR")),
        report("d", status("REJECTED", "MISSING_TO"), error("NO_ERROR")),
        report("e", status("PENDING", "PENDING_ENROUTE"), error("NO_ERROR")),
    ] });
    let sent = headers(&[("content-type", "application/json")]);
    let read = hooks("infobip").receipts(&hook(&sent, said.to_string().as_bytes())).unwrap();
    let states: Vec<_> = read.iter().map(|receipt| receipt.state).collect();
    // What the operator has is not yet on the phone, though its group says so.
    assert_eq!(
        states,
        [
            MessageState::Enroute,
            MessageState::Delivered,
            MessageState::Undeliverable,
            MessageState::Expired,
            MessageState::Rejected,
            MessageState::Enroute
        ]
    );
    assert_eq!(read[2].error.as_deref(), Some("EC_ABSENT_SUBSCRIBER"));
    assert_eq!((read[0].phone.as_str(), read[0].sender.as_str()), ("33612345678", "ACME"));
}

#[test]
fn infobips_messages_from_phones_are_read() {
    let said = json!({ "messageCount": 1, "pendingMessageCount": 0, "results": [
        { "messageId": "817790313235066447", "from": "33612345678", "to": "20000", "text": "STOP now",
            "cleanText": "now", "keyword": "STOP", "receivedAt": "…", "smsCount": 1 }
    ] });
    let sent = headers(&[("content-type", "application/json")]);
    let read = hooks("infobip").inbound(&hook(&sent, said.to_string().as_bytes())).unwrap();
    assert_eq!((read.len(), read[0].short_message.as_slice()), (1, b"STOP now".as_slice()));
    assert_eq!(read[0].source.addr.as_str(), "33612345678");
    assert_eq!(read[0].destination.addr.as_str(), "20000");
}

#[test]
fn vonage_is_asked_within_its_bounds() {
    let fields = form("vonage", &lasting("000000000001000R"));
    assert_eq!(field(&fields, "ttl"), Some("20000"));
    let fields = form("vonage", &lasting("000008000000000R"));
    assert_eq!(field(&fields, "ttl"), Some("604800000"));
    assert_eq!((field(&fields, "client-ref"), field(&fields, "type")), (Some("abc.1"), Some("text")));
    let flash = Sm { data_coding: smpp::DataCoding(0x10), ..text("hello") };
    assert_eq!(field(&form("vonage", &flash), "message-class"), Some("0"));
    let (to_port, part) = with_headers();
    let fields = form("vonage", &to_port);
    assert_eq!((field(&fields, "udh"), field(&fields, "body")), (Some("06050415811581"), Some("ff")));
    assert_eq!((field(&fields, "type"), field(&fields, "text")), (Some("binary"), None));
    // Headers go with binary content only.
    assert!(made(&settings(named("vonage").unwrap()), &part).unwrap_err().contains("user data header"));
}

#[test]
fn vonages_answers_are_told_apart() {
    let said = |status: &str| {
        json!({ "message-count": "1", "messages": [{ "to": "33612345678", "message-id": "0A00", "status": status,
            "error-text": "no", "remaining-balance": "3.14", "message-price": "0.03", "network": "20801" }] })
        .to_string()
    };
    assert_eq!(means("vonage", 200, &said("0")), accepted("0A00"));
    let kinds: [(&[&str], Class); 4] = [
        (&["1"], Class::Throttled),
        (&["4", "8", "11", "14", "32"], Class::Reconnect),
        (&["5", "9", "10"], Class::Temporary),
        (&["2", "3", "6", "7", "12", "15", "22", "23", "29", "33"], Class::Permanent),
    ];
    for (statuses, wanted) in kinds {
        for status in statuses {
            assert_eq!(class(&means("vonage", 200, &said(status))), wanted, "{status}");
        }
    }
}

#[test]
fn vonages_receipts_come_as_forms_queries_and_json_and_can_be_signed() {
    let plain = hooks("vonage");
    let form = "msisdn=33612345678&to=ACME&network-code=20801&messageId=0A00&price=0.03&status=delivered&scts=2001011400&\
                err-code=0&api-key=abcd1234&message-timestamp=2020-01-01+14%3A00%3A00";
    assert_eq!(told(&plain, form), (MessageState::Delivered, None));
    let said = json!({ "msisdn": "33612345678", "to": "ACME", "messageId": "0A00", "status": "failed", "err-code": "6",
        "nonce": "aa-bb", "timestamp": "1000", "client-ref": "a=b&c" });
    let sent = headers(&[("content-type", "application/json")]);
    let read =
        plain.receipts(&HookRequest { query: "", ..hook(&sent, said.to_string().as_bytes()) }).unwrap();
    assert_eq!((read[0].state, read[0].error.as_deref()), (MessageState::Undeliverable, Some("6")));

    // Sorted, each with & before it, & and = in values written as _, without sig itself.
    let over = "&client-ref=a_b_c&err-code=6&messageId=0A00&msisdn=33612345678&nonce=aa-bb&status=failed&timestamp=1000&to=ACME";
    let signature = Signature::Hmac {
        hash: Hash::Sha512,
        over: "{pairs}".to_owned(),
        at: "sig".to_owned(),
        prefix: String::new(),
        coding: Coding::Hex,
        timestamp: "timestamp".to_owned(),
        tolerance_s: 300,
    };
    let described = crate::http::Description { signature, ..named("vonage").unwrap() };
    let signing = Hooks::read(&described, "secret").unwrap();
    let mut signed = said;
    assert!(matches!(
        signing.receipts(&HookRequest { query: "", ..hook(&sent, signed.to_string().as_bytes()) }),
        Err(Refused::Unproven(_))
    ));
    signed["sig"] = Hash::Sha512.signed("secret", over.as_bytes(), Coding::Hex).into();
    let asked = signed.to_string();
    assert!(signing.receipts(&HookRequest { query: "", ..hook(&sent, asked.as_bytes()) }).is_ok());
}

#[test]
fn vonages_binary_messages_from_phones_are_read() {
    let said = json!({ "api-key": "abcd1234", "msisdn": "33612345678", "to": "20000", "messageId": "0A00",
        "type": "binary", "data": "0fc24a", "udh": "06050415811581", "message-timestamp": "2020-01-01 12:00:00" });
    let sent = headers(&[("content-type", "application/json")]);
    let read = hooks("vonage").inbound(&hook(&sent, said.to_string().as_bytes())).unwrap();
    assert_eq!(read[0].short_message, [6, 5, 4, 0x15, 0x81, 0x15, 0x81, 0x0F, 0xC2, 0x4A]);
    assert!(read[0].esm_class.udhi() && read[0].data_coding.0 == 4);
}

#[test]
fn kannels_answers_are_told_apart() {
    for (status, said) in [
        (202, "0: Accepted for delivery"),
        (202, "3: Queued for later delivery"),
        // With immediate-sendsms-reply.
        (202, "Sent."),
        (202, "Sent. Message splits: 2"),
        (200, "Sent."),
    ] {
        assert_eq!(means("kannel", status, said), accepted("abc.1"), "{status} {said}");
    }
    for (status, said, wanted) in [
        (503, "Temporal failure, try again later.", Class::Temporary),
        (500, "Sending failed.", Class::Temporary),
        (403, "Authorization failed for sendsms", Class::Reconnect),
        (403, "Not routable. Do not try again.", Class::Permanent),
        (400, "Empty receiver number not allowed, rejected", Class::Permanent),
    ] {
        assert_eq!(class(&means("kannel", status, said)), wanted, "{said}");
    }
}

#[test]
fn kannel_is_asked_within_its_bounds() {
    let urgent = Sm { priority_flag: 4, ..text("hello") };
    let url = asked("kannel", &urgent).url;
    assert!(url.contains("&priority=3&"), "{url}");
    // A name's escapes would be filled in as Kannel's own, so that it fills the sender in by itself.
    let accented = Sm { source: smpp::Address::alphanumeric("CAF\u{c9}"), ..text("hello") };
    let url = asked("kannel", &accented).url;
    assert!(url.contains("from%3D%25P") && !url.contains("%25C3"), "{url}");
}

#[test]
fn kannels_messages_from_phones_are_read_in_each_coding() {
    let hooks = hooks("kannel");
    let read = |query: &str| {
        let query = format!("from=%2B33612345678&to=20000&{query}");
        let mut read = hooks.inbound(&HookRequest { query: &query, ..hook(&[], b"") }).unwrap();
        let one = read.remove(0);
        (one.data_coding.0, one.short_message.clone())
    };
    assert_eq!(read("text=%40&charset=0&udh="), (0, vec![0]));
    assert_eq!(read("text=%04%16&charset=2&udh="), (8, vec![4, 0x16]));
    assert_eq!(read("text=%FF%00%26&charset=1&udh="), (4, vec![0xFF, 0, b'&']));
    assert_eq!(
        read("text=%FF&charset=1&udh=%06%05%04%15%81%15%81"),
        (4, vec![6, 5, 4, 0x15, 0x81, 0x15, 0x81, 0xFF])
    );
}

#[test]
fn jasmin_is_asked_in_its_own_words() {
    let fields = form("jasmin", &text("é"));
    assert_eq!((field(&fields, "content"), field(&fields, "coding")), (Some("é"), Some("0")));
    assert_eq!(field(&fields, "hex-content"), None, "one of both is all that it takes");
    let fields = form("jasmin", &text("Ж"));
    assert_eq!((field(&fields, "hex-content"), field(&fields, "coding")), (Some("0416"), Some("8")));
    assert_eq!(field(&fields, "content"), None);
    let fields = form("jasmin", &binary());
    assert_eq!((field(&fields, "hex-content"), field(&fields, "coding")), (Some("0fc24a"), Some("4")));
    assert_eq!(
        (field(&fields, "dlr"), field(&fields, "dlr-level"), field(&fields, "dlr-method")),
        (Some("yes"), Some("3"), Some("POST"))
    );
    let urgent = Sm { priority_flag: 4, ..lasting("000001000000000R") };
    let fields = form("jasmin", &urgent);
    assert_eq!((field(&fields, "priority"), field(&fields, "validity-period")), (Some("3"), Some("1440")));
}

#[test]
fn jasmins_answers_are_told_apart() {
    assert_eq!(means("jasmin", 200, "Success \"07033084-5cfd\""), accepted("07033084-5cfd"));
    for (status, said, wanted) in [
        (403, "Error \"User throughput exceeded\"", Class::Throttled),
        (403, "Error \"Authentication failure for username:us\"", Class::Reconnect),
        (403, "Error \"Authorization failed for username:us\"", Class::Permanent),
        (403, "Error \"Cannot charge submit_sm, check RouterPB log file for details\"", Class::Temporary),
        (412, "Error \"No route found\"", Class::Temporary),
        (
            500,
            "Error \"Cannot send submit_sm, check SMPPClientManagerPB log file for details\"",
            Class::Temporary,
        ),
        (503, "Error \"InterceptorPB not connected !\"", Class::Temporary),
        (400, "Error \"Argument [to] has an invalid value: [x].\"", Class::Permanent),
    ] {
        assert_eq!(class(&means("jasmin", status, said)), wanted, "{said}");
    }
}

#[test]
fn jasmins_receipts_of_both_levels_are_read() {
    let hooks = hooks("jasmin");
    let first =
        |status: &str| told(&hooks, &format!("id=07033084&level=1&message_status={status}&connector=c"));
    assert_eq!(first("ESME_ROK"), (MessageState::Enroute, None));
    // The centre refused it, and no other receipt follows.
    assert_eq!(first("ESME_RINVDSTADR"), (MessageState::Rejected, Some("ESME_RINVDSTADR".to_owned())));
    // Jasmin tries these again by itself.
    assert_eq!(first("ESME_RTHROTTLED").0, MessageState::Unknown);
    let last = |status: &str, error: &str| {
        let more = "id_smsc=2567&sub=001&dlvrd=001&subdate=2001011400&donedate=2001011401&text=hello";
        told(&hooks, &format!("id=07033084&level=2&message_status={status}&err={error}&{more}&connector=c"))
    };
    assert_eq!(last("DELIVRD", "000"), (MessageState::Delivered, None));
    assert_eq!(last("UNDELIV", "27"), (MessageState::Undeliverable, Some("27".to_owned())));
    assert_eq!(last("REJECTD", "000"), (MessageState::Rejected, None));
    assert_eq!(hooks.reply().body, "ACK/Jasmin");
}

#[test]
fn jasmins_messages_from_phones_are_read_by_their_octets() {
    let hooks = hooks("jasmin");
    let sent = headers(&[("content-type", FORM)]);
    let read = |more: &str| {
        let said = format!("id=16fd&from=%2B33612345678&to=20000&origin-connector=c&priority=1&{more}");
        let mut read = hooks.inbound(&hook(&sent, said.as_bytes())).unwrap();
        let one = read.remove(0);
        (one.data_coding.0, one.short_message.clone())
    };
    // The text is in the centre's alphabet, where @ is 0.
    assert_eq!(read("coding=0&content=%00a&binary=0061"), (0, vec![0, b'a']));
    assert_eq!(read("content=a&binary=61"), (0, vec![b'a']));
    assert_eq!(read("coding=8&content=%04%16&binary=0416"), (8, vec![4, 0x16]));
    assert_eq!(read("coding=%08&content=%04%16&binary=0416"), (8, vec![4, 0x16]), "as its releases send it");
    assert_eq!(read("coding=4&content=%FF&binary=FF"), (4, vec![0xFF]));
    let wrong = b"from=336&to=20000&coding=many&binary=61";
    assert!(matches!(hooks.inbound(&hook(&sent, wrong)), Err(Refused::Unreadable(_))));
}
