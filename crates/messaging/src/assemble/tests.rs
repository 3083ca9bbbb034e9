use std::sync::Arc;

use super::*;

fn text(text: &str, encoding: Encoding, data_coding: u8) -> Outgoing {
    let mut message = Arc::try_unwrap(Outgoing::of_test(1)).unwrap();
    message.body = encoding.encode(text).unwrap();
    (message.encoding, message.data_coding) = (encoding, data_coding);
    message
}

fn written(settings: &ConnectionSettings, message: &Outgoing) -> Vec<smpp::Sm> {
    let dialect = Dialect::new(settings);
    let assembled = dialect.assemble(message, Timestamp::from_unix_ms(0)).unwrap();
    let sm = |piece| {
        let sm = dialect.sm(message, &assembled, piece);
        let mut out = Vec::new();
        smpp::encode_submit_sm(1, &sm, &mut out).unwrap();
        match smpp::decode(&out, smpp::Mode::Strict).unwrap().1 {
            smpp::Pdu::SubmitSm(sm) => sm,
            other => panic!("{other:?}"),
        }
    };
    assembled.pieces().iter().map(sm).collect()
}

#[test]
fn a_turkish_text_goes_in_its_table_where_the_carrier_knows_it() {
    let long = "Şifreniz değişti, ğüşiöç. ".repeat(4);
    let message = text(long.trim(), Encoding::Ucs2, 8);
    assert_eq!(written(&ConnectionSettings::default(), &message).len(), 2, "as UCS-2");
    let turkish = ConnectionSettings { national_tables: vec!["turkish".to_owned()], ..Default::default() };
    let sms = written(&turkish, &message);
    assert_eq!((sms.len(), sms[0].data_coding, sms[0].esm_class.udhi()), (1, DataCoding(0), true));
    assert!([0x24, 0x25].contains(&sms[0].short_message[1]), "{:02x?}", &sms[0].short_message[..4]);
    let emoji = text("güle güle 👋", Encoding::Ucs2, 8);
    assert_eq!(written(&turkish, &emoji)[0].data_coding, DataCoding(8), "no table has it");
    let sar = ConnectionSettings { long_messages: LongMessages::Sar, ..turkish };
    assert_eq!(written(&sar, &message).len(), 2, "without a header there is no place for the table's name");
}

#[test]
fn typographic_characters_are_replaced_where_that_suffices() {
    let replacing = ConnectionSettings { smart_replace: true, ..Default::default() };
    let message = text("“Your table is ready”", Encoding::Ucs2, 8);
    let sms = written(&replacing, &message);
    assert_eq!(
        (sms[0].short_message.as_slice(), sms[0].data_coding),
        (&b"\"Your table is ready\""[..], DataCoding(0))
    );
    let other = text("“Ваш стол готов”", Encoding::Ucs2, 8);
    assert_eq!(written(&replacing, &other)[0].data_coding, DataCoding(8));
    assert_eq!(written(&ConnectionSettings::default(), &message)[0].data_coding, DataCoding(8));
}

#[test]
fn recipients_and_fields_are_written_as_the_carrier_wants_them() {
    let national = ConnectionSettings {
        dest_strip: "33".to_owned(),
        dest_prefix: "0".to_owned(),
        dest_ton: Some(2),
        dest_npi: Some(8),
        protocol_id: Some(0x41),
        replace_if_present: true,
        priority_transactional: Some(1),
        validity_format: TimeFormat::Relative,
        ..Default::default()
    };
    let mut message = text("hello", Encoding::GSM7, 0);
    message.validity_chosen = true;
    message.expires_at = Timestamp::from_unix_ms(93_784_000);
    message.registered = 0x11;
    let sm = written(&national, &message).remove(0);
    assert_eq!(
        (sm.destination.addr.as_bytes(), sm.destination.ton, sm.destination.npi),
        (&b"0612345678"[..], Ton(2), Npi(8))
    );
    assert_eq!((sm.protocol_id, sm.replace_if_present_flag, sm.priority_flag), (0x41, 1, 1));
    assert_eq!(sm.validity_period.as_bytes(), b"000001020304000R");
    assert_eq!(sm.registered_delivery, RegisteredDelivery(0x11), "what comes on the way is asked for too");
    message.recipient.text = "15550100".to_owned();
    let sm = written(&national, &message).remove(0);
    assert_eq!(sm.destination.addr.as_bytes(), b"15550100", "one that does not begin so stays");
}
