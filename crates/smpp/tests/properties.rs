//! What must hold for all PDUs and all octets.

use proptest::collection::vec;
use proptest::prelude::*;
use smpp::{
    Address, AlertNotification, Bind, BindResp, BroadcastSm, COctetString, CancelBroadcastSm, CancelSm,
    CommandId, DataCoding, DataSm, Destination, EsmClass, Framer, MessageIdResp, MessageState, Mode, Npi,
    Outbind, Pdu, QueryBroadcastSm, QuerySm, QuerySmResp, RegisteredDelivery, ReplaceSm, Sm, SmppTime,
    Status, SubmitMulti, SubmitMultiResp, Tag, Tlvs, Ton, Unsuccessful, Version, decode,
};

const MAX: usize = smpp::DEFAULT_MAX_PDU;

/// A C-octet string of at most `max` octets, NUL not counted, and not UTF-8 as a rule.
fn c_octets(max: usize) -> impl Strategy<Value = COctetString> {
    vec(1u8.., 0..=max).prop_map(|octets| COctetString::new(&octets))
}

fn address(max: usize) -> impl Strategy<Value = Address> {
    (any::<u8>(), any::<u8>(), c_octets(max))
        .prop_map(|(ton, npi, addr)| Address::new(Ton(ton), Npi(npi), addr))
}

/// Unknown tags with any value, known tags with a value of a length they may have.
fn tlvs() -> impl Strategy<Value = Tlvs> {
    let value = |octets: Vec<u8>, tag: Tag| {
        let lengths = tag.lengths().unwrap_or(0..=65535);
        let len = octets.len().clamp(*lengths.start(), *lengths.end());
        octets.into_iter().chain(std::iter::repeat(7)).take(len).collect::<Vec<u8>>()
    };
    let tag = prop_oneof![any::<u16>().prop_map(Tag), proptest::sample::select(Tag::ALL)];
    vec((tag, vec(any::<u8>(), 0..40)), 0..5).prop_map(move |list| {
        let mut tlvs = Tlvs::new();
        for (tag, octets) in list {
            tlvs.push(tag, &value(octets, tag)).expect("a short value");
        }
        tlvs
    })
}

fn time() -> impl Strategy<Value = COctetString> {
    let absolute = (946_684_800_000i64 / 100..4_102_444_800_000 / 100)
        .prop_map(|tenths| SmppTime::Absolute { unix_ms: tenths * 100 });
    let relative =
        proptest::array::uniform6(0u8..=99).prop_map(|[years, months, days, hours, minutes, seconds]| {
            SmppTime::Relative { years, months, days, hours, minutes, seconds }
        });
    prop_oneof![
        Just(COctetString::EMPTY),
        prop_oneof![absolute, relative].prop_map(|time| time.format().expect("in range")),
    ]
}

prop_compose! {
    fn sm()(
        service_type in c_octets(5), source in address(20), destination in address(20),
        octets in any::<[u8; 7]>(), schedule_delivery_time in time(), validity_period in time(),
        short_message in vec(any::<u8>(), 0..=255), tlvs in tlvs(),
    ) -> Sm {
        let [esm_class, protocol_id, priority_flag, registered, replace_if_present_flag, coding, sm_default_msg_id] = octets;
        Sm {
            service_type, source, destination, esm_class: EsmClass(esm_class), protocol_id, priority_flag,
            schedule_delivery_time, validity_period, registered_delivery: RegisteredDelivery(registered),
            replace_if_present_flag, data_coding: DataCoding(coding), sm_default_msg_id, short_message, tlvs,
        }
    }
}

prop_compose! {
    fn bind()(
        system_id in c_octets(15), password in c_octets(8), system_type in c_octets(12), version in any::<u8>(),
        ton in any::<u8>(), npi in any::<u8>(), address_range in c_octets(40),
    ) -> Bind {
        Bind {
            system_id, password, system_type, interface_version: Version(version), addr_ton: Ton(ton),
            addr_npi: Npi(npi), address_range,
        }
    }
}

fn bind_resp() -> impl Strategy<Value = BindResp> {
    (c_octets(15), tlvs()).prop_map(|(system_id, tlvs)| BindResp { system_id, tlvs })
}

fn message_id_resp() -> impl Strategy<Value = MessageIdResp> {
    (c_octets(64), tlvs()).prop_map(|(message_id, tlvs)| MessageIdResp { message_id, tlvs })
}

prop_compose! {
    fn data_sm()(
        service_type in c_octets(5), source in address(64), destination in address(64), octets in any::<[u8; 3]>(),
        tlvs in tlvs(),
    ) -> DataSm {
        DataSm {
            service_type, source, destination, esm_class: EsmClass(octets[0]),
            registered_delivery: RegisteredDelivery(octets[1]), data_coding: DataCoding(octets[2]), tlvs,
        }
    }
}

fn submit_multi() -> impl Strategy<Value = SubmitMulti> {
    let destination =
        prop_oneof![address(20).prop_map(Destination::Address), c_octets(20).prop_map(Destination::List),];
    (vec(destination, 0..6), sm()).prop_map(|(destinations, message)| SubmitMulti {
        destinations,
        message: Sm { destination: Address::default(), ..message },
    })
}

fn submit_multi_resp() -> impl Strategy<Value = SubmitMultiResp> {
    let failed = (address(20), any::<u32>())
        .prop_map(|(address, status)| Unsuccessful { address, status: Status(status) });
    (c_octets(64), vec(failed, 0..4), tlvs()).prop_map(|(message_id, unsuccessful, tlvs)| SubmitMultiResp {
        message_id,
        unsuccessful,
        tlvs,
    })
}

prop_compose! {
    fn replace_sm()(
        message_id in c_octets(64), source in address(20), schedule_delivery_time in time(), validity_period in time(),
        registered in any::<u8>(), sm_default_msg_id in any::<u8>(), short_message in vec(any::<u8>(), 0..=255),
        tlvs in tlvs(),
    ) -> ReplaceSm {
        ReplaceSm {
            message_id, source, schedule_delivery_time, validity_period,
            registered_delivery: RegisteredDelivery(registered), sm_default_msg_id, short_message, tlvs,
        }
    }
}

prop_compose! {
    fn broadcast_sm()(
        service_type in c_octets(5), source in address(20), message_id in c_octets(64), octets in any::<[u8; 4]>(),
        schedule_delivery_time in time(), validity_period in time(), tlvs in tlvs(),
    ) -> BroadcastSm {
        let [priority_flag, replace_if_present_flag, coding, sm_default_msg_id] = octets;
        BroadcastSm {
            service_type, source, message_id, priority_flag, schedule_delivery_time, validity_period,
            replace_if_present_flag, data_coding: DataCoding(coding), sm_default_msg_id, tlvs,
        }
    }
}

fn managing() -> impl Strategy<Value = Pdu> {
    prop_oneof![
        (c_octets(64), address(20))
            .prop_map(|(message_id, source)| Pdu::QuerySm(QuerySm { message_id, source })),
        (c_octets(64), time(), any::<u8>(), any::<u8>()).prop_map(
            |(message_id, final_date, state, error_code)| {
                let message_state = MessageState(state);
                Pdu::QuerySmResp(QuerySmResp { message_id, final_date, message_state, error_code })
            }
        ),
        (c_octets(5), c_octets(64), address(20), address(20)).prop_map(
            |(service_type, message_id, source, destination)| {
                Pdu::CancelSm(CancelSm { service_type, message_id, source, destination })
            }
        ),
        replace_sm().prop_map(Pdu::ReplaceSm),
        (address(64), address(64), tlvs()).prop_map(|(source, esme, tlvs)| Pdu::AlertNotification(
            AlertNotification { source, esme, tlvs }
        )),
        broadcast_sm().prop_map(Pdu::BroadcastSm),
        message_id_resp().prop_map(Pdu::BroadcastSmResp),
        (c_octets(64), address(20), tlvs()).prop_map(|(message_id, source, tlvs)| {
            Pdu::QueryBroadcastSm(QueryBroadcastSm { message_id, source, tlvs })
        }),
        message_id_resp().prop_map(Pdu::QueryBroadcastSmResp),
        (c_octets(5), c_octets(64), address(20), tlvs()).prop_map(
            |(service_type, message_id, source, tlvs)| {
                Pdu::CancelBroadcastSm(CancelBroadcastSm { service_type, message_id, source, tlvs })
            }
        ),
    ]
}

/// Any PDU that can be sent.
fn pdu() -> impl Strategy<Value = Pdu> {
    let bodiless = proptest::sample::select(vec![
        Pdu::Unbind,
        Pdu::UnbindResp,
        Pdu::EnquireLink,
        Pdu::EnquireLinkResp,
        Pdu::GenericNack,
        Pdu::CancelSmResp,
        Pdu::ReplaceSmResp,
        Pdu::CancelBroadcastSmResp,
    ]);
    let outbind = (c_octets(15), c_octets(8))
        .prop_map(|(system_id, password)| Pdu::Outbind(Outbind { system_id, password }));
    let binding = prop_oneof![
        bind().prop_map(Pdu::BindTransmitter),
        bind().prop_map(Pdu::BindReceiver),
        bind().prop_map(Pdu::BindTransceiver),
        bind_resp().prop_map(Pdu::BindTransmitterResp),
        bind_resp().prop_map(Pdu::BindReceiverResp),
        bind_resp().prop_map(Pdu::BindTransceiverResp),
        outbind,
    ];
    let sending = prop_oneof![
        sm().prop_map(Pdu::SubmitSm),
        sm().prop_map(Pdu::DeliverSm),
        data_sm().prop_map(Pdu::DataSm),
        submit_multi().prop_map(Pdu::SubmitMulti),
        message_id_resp().prop_map(Pdu::SubmitSmResp),
        message_id_resp().prop_map(Pdu::DeliverSmResp),
        message_id_resp().prop_map(Pdu::DataSmResp),
        submit_multi_resp().prop_map(Pdu::SubmitMultiResp),
    ];
    prop_oneof![bodiless, binding, sending, managing()]
}

fn encoded(pdu: &Pdu, sequence: u32) -> Vec<u8> {
    let mut out = Vec::new();
    pdu.encode(sequence, Status::ROK, &mut out).expect("it fits");
    out
}

/// Octets that look like a PDU: a true command_length, mostly a known command_id, and any body.
fn nearly_a_pdu() -> impl Strategy<Value = Vec<u8>> {
    let command = prop_oneof![
        9 => (0u32..0x120, any::<bool>()).prop_map(|(id, response)| id | (u32::from(response) << 31)),
        1 => any::<u32>(),
    ];
    // NULs are frequent in bodies; without them nearly nothing would get past the first string.
    let octet = prop_oneof![2 => Just(0u8), 3 => any::<u8>(), 1 => 0u8..4];
    let status = prop_oneof![Just(0u32), any::<u32>()];
    (command, status, any::<u32>(), vec(octet, 0..120)).prop_map(|(command, status, sequence, body)| {
        let len = (smpp::HEADER_LEN + body.len()) as u32;
        let words = [len, command, status, sequence];
        words.iter().flat_map(|word| word.to_be_bytes()).chain(body).collect()
    })
}

/// Feeds the stream cut at the given places and gives all PDUs.
fn framed(stream: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut framer = Framer::new(MAX);
    let mut pdus = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([stream.len()]) {
        framer.feed(&stream[from..to]);
        from = to;
        while let Some(pdu) = framer.next_pdu().expect("true lengths") {
            pdus.push(pdu.to_vec());
        }
    }
    assert_eq!(framer.pending(), 0);
    pdus
}

proptest! {
    #[test]
    fn what_is_written_is_read(pdu in pdu(), sequence in any::<u32>()) {
        let octets = encoded(&pdu, sequence);
        for mode in [Mode::Strict, Mode::Lenient] {
            let (header, read) = decode(&octets, mode).expect("well-formed");
            prop_assert_eq!(&read, &pdu);
            prop_assert_eq!(header.sequence, sequence);
            prop_assert_eq!(header.command_id, pdu.command_id());
            prop_assert_eq!(header.command_length as usize, octets.len());
        }
    }

    #[test]
    fn whatever_is_read_is_judged_without_panic(octets in prop_oneof![nearly_a_pdu(), vec(any::<u8>(), 0..60)]) {
        for mode in [Mode::Strict, Mode::Lenient] {
            match decode(&octets, mode) {
                Ok((header, pdu)) => {
                    prop_assert_eq!(header.command_id, pdu.command_id());
                    // What a lenient reader took may not fit what we write; then it says so and leaves the buffer alone.
                    let mut out = vec![1, 2, 3];
                    if pdu.encode_with_body(header.sequence, header.status, &mut out).is_err() {
                        prop_assert_eq!(out, [1, 2, 3]);
                    } else {
                        let again = decode(&out[3..], Mode::Lenient).map(|(_, pdu)| pdu);
                        prop_assert_eq!(again, Ok(pdu));
                    }
                }
                Err(error) => {
                    prop_assert_ne!(error.status, Status::ROK);
                    prop_assert_eq!(error.answer().is_none(), error.header.command_id.is_response());
                }
            }
        }
    }

    #[test]
    fn strict_takes_no_more_than_lenient(octets in nearly_a_pdu()) {
        if let Ok(strict) = decode(&octets, Mode::Strict) {
            prop_assert_eq!(decode(&octets, Mode::Lenient), Ok(strict));
        }
    }

    #[test]
    fn a_damaged_pdu_is_alone_in_its_damage(
        before in pdu(), after in pdu(), damage in any::<proptest::sample::Index>(), value in any::<u8>(),
    ) {
        let mut first = encoded(&before, 1);
        if first.len() > 4 {
            let at = 4 + damage.index(first.len() - 4);
            first[at] = value;
        }
        let second = encoded(&after, 2);
        let pdus = framed(&[first, second].concat(), &[]);
        prop_assert_eq!(pdus.len(), 2);
        let _ = decode(&pdus[0], Mode::Lenient);
        prop_assert_eq!(decode(&pdus[1], Mode::Strict).map(|(_, pdu)| pdu), Ok(after));
    }

    #[test]
    fn every_split_gives_the_same_pdus(
        pdus in vec(nearly_a_pdu(), 1..5), cuts in vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let stream = pdus.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(framed(&stream, &cuts), pdus);
    }

    #[test]
    fn a_framer_never_panics(octets in vec(any::<u8>(), 0..200), max in 0usize..100) {
        let mut framer = Framer::new(max);
        framer.feed(&octets);
        while let Ok(Some(pdu)) = framer.next_pdu() {
            prop_assert!((smpp::HEADER_LEN..=max).contains(&pdu.len()));
        }
    }

    #[test]
    fn too_long_fields_are_refused_and_leave_no_trace(mut sm in sm(), which in 0..5, sequence in any::<u32>()) {
        let long = COctetString::new(&[b'1'; 66]);
        match which {
            0 => sm.source.addr = long,
            1 => sm.destination.addr = "12\x003".into(),
            2 => sm.service_type = long,
            3 => sm.short_message = vec![0; 256],
            _ => sm.validity_period = long,
        }
        let mut out = b"kept".to_vec();
        prop_assert!(Pdu::SubmitSm(sm).encode(sequence, Status::ROK, &mut out).is_err());
        prop_assert_eq!(out, b"kept");
    }

    #[test]
    fn times_there_and_back(unix_ms in 946_684_800_000i64..4_102_444_800_000, quarters in -48i8..=48) {
        let unix_ms = unix_ms / 100 * 100;
        if let Ok(text) = smpp::time::format_absolute(unix_ms, quarters) {
            prop_assert_eq!(SmppTime::parse(text.as_bytes()), Ok(SmppTime::Absolute { unix_ms }));
        }
    }

    #[test]
    fn any_octets_are_a_time_or_none(text in vec(any::<u8>(), 0..20), digits in "[0-9]{15}[+R-]", now in any::<i64>()) {
        for text in [&text[..], digits.as_bytes()] {
            if let Ok(time) = SmppTime::parse(text) {
                let _ = time.resolve(now);
                if matches!(time, SmppTime::Relative { .. }) {
                    prop_assert_eq!(time.format().map(|written| written == *digits), Ok(true));
                }
            }
        }
    }
}

#[test]
fn a_stream_octet_by_octet() {
    let pdu = encoded(&Pdu::SubmitSmResp(MessageIdResp::new("abc")), 7);
    let stream = [pdu.clone(), pdu.clone(), pdu.clone()].concat();
    let cuts: Vec<usize> = (0..stream.len()).collect();
    assert_eq!(framed(&stream, &cuts), [pdu.clone(), pdu.clone(), pdu]);
}

#[test]
fn the_frequent_pdus_have_the_same_octets_either_way() {
    let sm = Sm {
        source: Address::alphanumeric("ACME"),
        destination: Address::international("447700900123"),
        short_message: b"hello".to_vec(),
        ..Sm::default()
    };
    let mut fast = Vec::new();
    smpp::encode_submit_sm(1, &sm.view(), &mut fast).expect("it fits");
    smpp::encode_deliver_sm(1, &sm.view(), &mut fast).expect("it fits");
    smpp::encode_submit_sm_resp(1, Status::ROK, b"abc", &mut fast).expect("it fits");
    smpp::encode_submit_sm_resp(1, Status::RTHROTTLED, b"abc", &mut fast).expect("it fits");
    smpp::encode_submit_sm_resp_congested(1, Status::ROK, b"abc", 42, &mut fast).expect("it fits");
    smpp::encode_submit_sm_resp_congested(1, Status::RTHROTTLED, b"abc", 42, &mut fast).expect("it fits");
    smpp::encode_deliver_sm_resp(1, Status::ROK, &mut fast);
    smpp::encode_deliver_sm_resp(1, Status::RX_T_APPN, &mut fast);
    let mut whole = Vec::new();
    let mut congested = MessageIdResp::new("abc");
    congested.tlvs.set_congestion_state(42);
    for (pdu, status) in [
        (Pdu::SubmitSm(sm.clone()), Status::ROK),
        (Pdu::DeliverSm(sm.clone()), Status::ROK),
        (Pdu::SubmitSmResp(MessageIdResp::new("abc")), Status::ROK),
        (Pdu::SubmitSmResp(MessageIdResp::new("abc")), Status::RTHROTTLED),
        (Pdu::SubmitSmResp(congested.clone()), Status::ROK),
        (Pdu::SubmitSmResp(congested), Status::RTHROTTLED),
        (Pdu::DeliverSmResp(MessageIdResp::default()), Status::ROK),
        (Pdu::DeliverSmResp(MessageIdResp::default()), Status::RX_T_APPN),
    ] {
        pdu.encode(1, status, &mut whole).expect("it fits");
    }
    assert_eq!(fast, whole);
}

#[test]
fn a_wrong_field_is_blamed_in_the_operations_own_response() {
    let sm = Sm { destination: Address::international("1"), short_message: b"hi".to_vec(), ..Sm::default() };
    let good = encoded(&Pdu::SubmitSm(sm), 9);
    // service_type NUL, then ton npi NUL, ton npi '1' NUL, esm_class pid priority, schedule.
    let schedule = 16 + 1 + 3 + 4 + 3;
    let mut octets = [&good[..schedule], b"20250101000000000000", &good[schedule..]].concat();
    let len = octets.len() as u32;
    octets[..4].copy_from_slice(&len.to_be_bytes());
    let error = decode(&octets, Mode::Strict).expect_err("20 characters are no time");
    assert_eq!(error.answer(), Some((CommandId::SUBMIT_SM_RESP, Status::RINVSCHED)));
    assert_eq!(error.field, "schedule_delivery_time");
    let mut answer = Vec::new();
    assert!(error.encode_answer(&mut answer));
    assert_eq!(answer, [0, 0, 0, 16, 0x80, 0, 0, 4, 0, 0, 0, 0x61, 0, 0, 0, 9]);
}

#[test]
fn an_outbind_that_cannot_be_read_is_nacked() {
    let octets = [&[0, 0, 0, 18, 0, 0, 0, 0x0B, 0, 0, 0, 0, 0, 0, 0, 1][..], b"ab"].concat();
    let error = decode(&octets, Mode::Strict).expect_err("no NUL");
    assert_eq!(error.answer(), Some((CommandId::GENERIC_NACK, Status::RINVSYSID)));
}
