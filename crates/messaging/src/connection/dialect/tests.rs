use super::*;
use types::Code;

fn valid() -> ConnectionSettings {
    ConnectionSettings {
        host: "smsc.example".to_owned(),
        system_id: "us".to_owned(),
        ..ConnectionSettings::default()
    }
}

fn refused_at(change: impl FnOnce(&mut ConnectionSettings)) -> String {
    let mut settings = valid();
    change(&mut settings);
    let error = settings.checked(&Config::for_tests("/nowhere")).unwrap_err();
    assert_eq!(error.code(), Code::InvalidValue);
    error.place().unwrap().to_owned()
}

#[test]
fn values_out_of_range_are_refused_at_their_place() {
    assert!(valid().checked(&Config::for_tests("/nowhere")).is_ok());
    assert_eq!(refused_at(|settings| settings.host = "smsc.example:2775/x".to_owned()), "settings.host");
    assert_eq!(refused_at(|settings| settings.port = 0), "settings.port");
    assert_eq!(refused_at(|settings| settings.tls_ca = "no PEM".to_owned()), "settings.tls_ca");
    assert_eq!(
        refused_at(|settings| settings.tls_server_name = "a b".to_owned()),
        "settings.tls_server_name"
    );
    assert_eq!(
        refused_at(|settings| settings.system_id = "sixteen_letters_".to_owned()),
        "settings.system_id"
    );
    assert_eq!(refused_at(|settings| settings.window = 0), "settings.window");
    assert_eq!(refused_at(|settings| settings.query_after_s = 604_801), "settings.query_after_s");
    assert_eq!(refused_at(|settings| settings.query_times = 0), "settings.query_times");
    assert_eq!(refused_at(|settings| settings.reconnect_max_ms = 999), "settings.reconnect_max_ms");
    assert_eq!(
        refused_at(|settings| settings.extra = vec![ExtraTlv { tag: 0x1401, hex: "0".to_owned() }]),
        "settings.extra"
    );
}

#[test]
fn each_protocol_takes_what_it_can_carry() {
    let of = |protocol| move |settings: &mut ConnectionSettings| settings.protocol = protocol;
    for protocol in [Protocol::Ucp, Protocol::Cimd2] {
        let mut settings = valid();
        of(protocol)(&mut settings);
        assert!(settings.checked(&Config::for_tests("/nowhere")).is_ok());
        let refused = |change: fn(&mut ConnectionSettings)| {
            refused_at(|settings| {
                of(protocol)(settings);
                change(settings);
            })
        };
        assert_eq!(refused(|settings| settings.window = 129), "settings.window");
        assert_eq!(refused(|settings| settings.query_after_s = 60), "settings.query_after_s");
        assert_eq!(refused(|settings| settings.bind = BindKind::Receiver), "settings.bind");
        assert_eq!(refused(|settings| settings.long_messages = LongMessages::Sar), "settings.long_messages");
        assert_eq!(
            refused(|settings| settings.default_alphabet = Alphabet::Latin1),
            "settings.default_alphabet"
        );
        assert_eq!(
            refused(|settings| settings.extra = vec![ExtraTlv { tag: 0x1401, hex: String::new() }]),
            "settings.extra"
        );
    }
    assert_eq!(refused_at(|settings| settings.alert_pid = "05x9".to_owned()), "settings.alert_pid");
    assert_eq!(refused_at(|settings| settings.utc_offset_minutes = 900), "settings.utc_offset_minutes");
}

#[test]
fn extra_parameters_are_octets() {
    assert_eq!(ExtraTlv { tag: 0x1401, hex: "00fF".to_owned() }.octets(), Some(vec![0x00, 0xff]));
    assert_eq!(ExtraTlv { tag: 0x1401, hex: "éé".to_owned() }.octets(), None);
}

#[test]
fn what_an_older_version_has_not_written_has_its_default() {
    let read: ConnectionSettings = settings::stored(r#"{"host":"a","system_id":"b"}"#).unwrap();
    assert_eq!((read.port, read.receipt_ids, read.version), (2775, ReceiptIds::Auto, Version::V34));
    assert_eq!((read.protocol, read.checksum), (Protocol::Smpp, true));
}
