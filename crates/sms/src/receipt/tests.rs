use super::{Date, MessageState, Receipt, text_of};

#[test]
fn a_plain_receipt_is_read_whole() {
    let receipt = Receipt::parse(
        "id:0123456789 sub:002 dlvrd:001 submit date:1005232039 done date:1005242339 stat:DELIVRD err:012 text:This is a",
    );
    assert_eq!(receipt.id.as_deref(), Some("0123456789"));
    assert_eq!((receipt.sub, receipt.dlvrd), (Some(2), Some(1)));
    assert_eq!(receipt.submit_date, Date::new(2010, 5, 23, 20, 39, 0));
    assert_eq!(receipt.done_date, Date::new(2010, 5, 24, 23, 39, 0));
    assert_eq!(receipt.state, Some(MessageState::Delivered));
    assert_eq!((receipt.err, receipt.text), (Some("012"), Some("This is a")));
    assert!(receipt.is_recognised());
    assert_eq!(receipt.missing(), None);
}

#[test]
fn the_message_cannot_pose_as_fields() {
    let receipt = Receipt::parse("id:1 stat:UNDELIV err:1 text:id:2 stat:DELIVRD\nerr:0 x");
    assert_eq!(receipt.id.as_deref(), Some("1"));
    assert_eq!((receipt.stat, receipt.err), (Some("UNDELIV"), Some("1")));
    assert_eq!(receipt.text, Some("id:2 stat:DELIVRD\nerr:0 x"));
    assert_eq!(Receipt::parse("id:1 id:2 stat:EXPIRED stat:DELIVRD").state, Some(MessageState::Expired));
}

#[test]
fn a_message_in_the_middle_ends_at_the_next_field() {
    let receipt = Receipt::parse("id:1 Text: Hello you  stat:DELIVRD err:0");
    assert_eq!((receipt.text, receipt.stat, receipt.err), (Some("Hello you"), Some("DELIVRD"), Some("0")));
}

#[test]
fn spellings_and_separators_vary() {
    let receipt =
        Receipt::parse("ID:1,SUB:001,Dlvrd: 000;done_date:2024-02-29 23:59:58,STAT:undeliv\nErr:0A1");
    assert_eq!(receipt.id.as_deref(), Some("1"));
    assert_eq!((receipt.sub, receipt.dlvrd), (Some(1), Some(0)));
    assert_eq!(receipt.done_date, Date::new(2024, 2, 29, 23, 59, 58));
    assert_eq!((receipt.state, receipt.err), (Some(MessageState::Undeliverable), Some("0A1")));
    assert_eq!(Receipt::parse("id:1 err:EC:000 stat:X").err, Some("EC:000"));
}

#[test]
fn absent_values_do_not_take_the_next_field() {
    let receipt = Receipt::parse("id: sub: dlvrd:1 stat: err:");
    assert_eq!((receipt.id.as_deref(), receipt.sub, receipt.dlvrd), (Some(""), None, Some(1)));
    assert_eq!((receipt.stat, receipt.err), (None, None));
    assert!(!receipt.is_recognised());
    assert_eq!(receipt.missing(), Some("sub"));
}

#[test]
fn tlvs_win() {
    let receipt = Receipt::parse("id:5000 stat:DELIVRD").with_tlvs(Some(b"6000\0"), Some(6));
    assert_eq!((receipt.id.as_deref(), receipt.text_id), (Some("6000"), Some("5000")));
    assert_eq!((receipt.state, receipt.stat), (Some(MessageState::Accepted), Some("DELIVRD")));
    let receipt = Receipt::parse("id:5000 stat:DELIVRD").with_tlvs(Some(b"\0"), None);
    assert_eq!((receipt.id.as_deref(), receipt.state), (Some("5000"), Some(MessageState::Delivered)));
    let unknown = Receipt::parse("").with_tlvs(Some(b"1"), Some(77));
    assert_eq!(unknown.state, Some(MessageState::Other(77)));
}

#[test]
fn ordinary_messages_are_no_receipts() {
    for text in ["", "hello", "My id: 5 and my stat: fine", "did:5 restat:DELIVRD", "id 5 stat DELIVRD"] {
        assert!(!Receipt::parse(text).is_recognised(), "{text}");
    }
}

#[test]
fn dates_are_read_in_every_width() {
    let full = Date::new(2011, 3, 14, 18, 15, 34);
    for text in [
        "110314181534",
        "20110314181534",
        "110314181534000+",
        "2011-03-14T18:15:34",
        "2011-03-14T18:15:34Z",
        "2011-03-14 18:15:34.250+02:00",
        "20110314T181534",
    ] {
        assert_eq!(Date::parse(text), full, "{text}");
    }
    let minute = Date::new(2015, 6, 20, 16, 41, 0);
    for text in ["1506201641", "201506201641", "2015-06-20T16:41"] {
        assert_eq!(Date::parse(text), minute, "{text}");
    }
    for text in
        ["", "0000000000", "000000000000", "1302291200", "1313011200", "1506202401", "foo", "150620", "-"]
    {
        assert_eq!(Date::parse(text), None, "{text}");
    }
}

#[test]
fn states_are_known_by_number_and_text() {
    for number in 0..=255 {
        let state = MessageState::from_number(number);
        assert_eq!(state.number(), number);
        assert!(state.text().len() == 7);
        if number < 10 {
            assert_eq!(MessageState::from_text(state.text()), Some(state));
        }
    }
    let finals: Vec<u8> = (0..=255).filter(|&number| MessageState::from_number(number).is_final()).collect();
    assert_eq!(finals, [2, 3, 4, 5, 8, 9]);
    assert_eq!(MessageState::from_text("dnd_rejected"), Some(MessageState::Rejected));
    assert_eq!(MessageState::from_text("0"), None);
    assert_eq!(MessageState::from_text("DELIVRDX"), None);
}

#[test]
fn the_text_of_a_receipt_is_found_in_any_coding() {
    assert_eq!(text_of(b"id:1", 0), "id:1");
    assert_eq!(text_of(&[0, b'i', 0, b'd', 0, b':'], 8), "id:");
    assert_eq!(text_of(&[b'i', b'd', b':', 0xE9], 3), "id:é");
    assert!(matches!(text_of(b"id:1", 0), std::borrow::Cow::Borrowed(_)));
}

#[test]
fn what_is_sent_is_appendix_b_to_the_letter() {
    let receipt = Receipt {
        id: Some("77".into()),
        sub: Some(1),
        done_date: Date::new(2026, 1, 2, 3, 4, 5),
        state: Some(MessageState::Rejected),
        text: Some("ééééé ééééé ééééé ééééé"),
        ..Receipt::default()
    };
    assert_eq!(
        receipt.to_string(),
        "id:77 sub:001 dlvrd:000 submit date:0000000000 done date:2601020304 stat:REJECTD err:000 text:ééééé ééééé ééééé éé"
    );
}
