use super::*;

fn receipt(provider_id: &str, state: sms::MessageState) -> CarrierReceipt {
    CarrierReceipt {
        tenant: TenantId::from_raw(1),
        connection: ConnectionId::from_raw(1),
        phone: "33612345678".to_owned(),
        sender: "10000".to_owned(),
        provider_id: provider_id.to_owned(),
        state: state.number(),
        error: None,
        ids: ReceiptIds::Auto,
        retry_s: Vec::new(),
        blocks: false,
        asked: None,
        raw: None,
        ack: None,
    }
}

fn fit(message: i64, part: i64, parts: i64, open: bool) -> Match {
    Match {
        idx: 0,
        nth: 0,
        message_id: MessageId::from_raw(message),
        part,
        attempt: 0,
        tenant_id: TenantId::from_raw(1),
        state: "sent".to_owned(),
        account_id: None,
        connection_id: None,
        parts,
        attempts: 1,
        maybe_twice: false,
        registered: 1,
        sender: "10000".to_owned(),
        sender_kind: 0,
        recipient: "33612345678".to_owned(),
        recipient_kind: 0,
        options: None,
        accepted_at: Timestamp::from_unix_ms(0),
        expires_at: Timestamp::MAX,
        done_at: None,
        part_done_at: (!open).then_some(Timestamp::from_unix_ms(1)),
        sent_at: Timestamp::default(),
    }
}

/// One form of an id with what fits it.
fn of(sent: Option<Arc<Outgoing>>, rows: Vec<Match>) -> Vec<Fit> {
    vec![Fit { form: ReceiptIds::Same, key: (ConnectionId::from_raw(1), Box::from("a")), sent, rows }]
}

fn names(found: Vec<Option<Found>>) -> Vec<Option<(i64, i64)>> {
    let name = |found: Found| match found {
        Found::Row(row) => (row.message_id.raw(), row.part),
        Found::Sent(message, _) => (message.id.raw(), 0),
    };
    found.into_iter().map(|found| found.map(name)).collect()
}

#[test]
fn receipts_under_one_name_are_for_the_messages_in_their_order() {
    use sms::MessageState::{Delivered, Enroute};
    let name = "201126101500:33612345678";
    let receipts = [Enroute, Delivered, Delivered, Delivered, Delivered].map(|state| receipt(name, state));
    // The first message is at its end; of the second both parts are out.
    let fits = || {
        let ended = Match { done_at: Some(Timestamp::from_unix_ms(1)), ..fit(1, 1, 1, true) };
        vec![fit(3, 1, 1, true), fit(2, 2, 2, true), fit(2, 1, 2, true), fit(2, 3, 3, false), ended]
    };
    let found = chosen(&receipts, (0..5).map(|_| of(None, fits())).collect());
    assert_eq!(names(found), [Some((2, 1)), Some((2, 1)), Some((2, 2)), Some((3, 1)), None]);
    // Alone under its name it is meant again, as under a carrier's id.
    let again = chosen(&receipts[..1], vec![of(None, vec![fit(1, 1, 1, false)])]);
    assert_eq!(names(again), [Some((1, 1))]);
}

#[test]
fn under_a_carriers_id_the_likeliest_counts_and_memory_goes_first() {
    let receipts = [receipt("a", sms::MessageState::Delivered), receipt("b", sms::MessageState::Delivered)];
    let fits = vec![
        of(None, vec![fit(3, 1, 1, false), fit(2, 1, 1, true)]),
        of(Some(Outgoing::of_test(7)), Vec::new()),
    ];
    assert_eq!(names(chosen(&receipts, fits)), [Some((2, 1)), Some((7, 0))]);
}

#[test]
fn an_id_that_fits_two_messages_waits_unless_the_phone_tells_them_apart() {
    let receipt = receipt("10", sms::MessageState::Delivered);
    let other = |message| Match { recipient: "33600000000".to_owned(), ..fit(message, 1, 1, true) };
    let forms = |same: Match, hexadecimal: Match| {
        let form = |form, row| Fit {
            form,
            key: (ConnectionId::from_raw(1), Box::from("")),
            sent: None,
            rows: vec![row],
        };
        vec![form(ReceiptIds::Same, same), form(ReceiptIds::HexToDecimal, hexadecimal)]
    };
    let told = |mut fits: Vec<Fit>, certain| {
        unambiguous(&receipt, &mut fits, certain);
        names(chosen(std::slice::from_ref(&receipt), vec![fits]))
    };
    assert_eq!(told(forms(other(1), fit(2, 1, 1, true)), false), [Some((2, 1))]);
    assert_eq!(told(forms(fit(1, 1, 1, true), other(2)), false), [Some((1, 1))]);
    assert_eq!(told(forms(fit(1, 1, 1, true), fit(2, 1, 1, true)), false), [None]);
    assert_eq!(told(forms(other(1), other(2)), false), [None]);
}
