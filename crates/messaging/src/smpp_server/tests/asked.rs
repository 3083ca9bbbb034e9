//! What an account can be set to, over real sockets.

use tokio::net::TcpListener;

use super::*;
use crate::distribution::{self, NewDistributionList};

#[tokio::test]
async fn a_list_is_sent_to_and_an_unknown_one_is_named() {
    let listening = listening(json!({})).await;
    let rule = patch(json!({"members": ["+33612345678", "+33612345679"]}));
    let list = NewDistributionList { name: "friends".to_owned(), rule };
    distribution::create(&listening.house.ours, list).await.unwrap();
    let mut peer = Peer::bound(listening.address).await;
    let multi = |destinations| Pdu::SubmitMulti(SubmitMulti { destinations, message: hello() });
    let list = |name: &str| Destination::List(COctetString::from(name));
    let address = |digits: &str| Destination::Address(Address::international(digits));
    // Who stands twice gets it once.
    let (header, answer) = peer.ask(multi(vec![list("friends"), address("33612345678"), list("foes")])).await;
    let Pdu::SubmitMultiResp(answer) = answer else { panic!("{answer:?}") };
    assert_eq!(header.status, smpp::Status::ROK);
    let failed: Vec<_> =
        answer.unsuccessful.iter().map(|one| (one.address.addr.as_str().into_owned(), one.status)).collect();
    assert_eq!(failed, [("foes".to_owned(), smpp::Status::RINVDLNAME)]);
    assert_eq!(sent(&listening).await, ["33612345678", "33612345679"]);
    assert_eq!(peer.status(multi(vec![list("foes")])).await, smpp::Status::RINVDLNAME, "nobody gets it");
}

/// The recipients of all that was accepted, in their order.
async fn sent(listening: &Listening) -> Vec<String> {
    use db::{args, record, sql};
    record! { struct Sent { recipient: String } }
    let mut tx = listening.house.ours.read().await.unwrap();
    let sent: Vec<Sent> = tx
        .all(
            sql!("select recipient from message where tenant_id = $1 and direction = 'out' order by recipient limit 100"),
            args![listening.account.tenant],
        )
        .await
        .unwrap();
    sent.into_iter().map(|sent| sent.recipient).collect()
}

#[tokio::test]
async fn an_accounts_kinds_of_bind_and_service_types_are_kept_to() {
    let settings = json!({"bind_kinds": ["transceiver"], "service_types": ["CMT", "OTP"]});
    let listening = listening(settings).await;
    let mut peer = Peer::connect(listening.address).await;
    assert_eq!(peer.status(Pdu::BindTransmitter(bind(PASSWORD))).await, smpp::Status::RPROHIBITED);
    assert_eq!(peer.status(Pdu::BindTransceiver(bind(PASSWORD))).await, smpp::Status::ROK);
    let of = |service_type: &str| Pdu::SubmitSm(Sm { service_type: service_type.into(), ..hello() });
    assert_eq!(peer.status(of("OTP")).await, smpp::Status::ROK);
    assert_eq!(peer.status(of("")).await, smpp::Status::ROK);
    assert_eq!(peer.status(of("WAP")).await, smpp::Status::RINVSERTYP);
}

#[tokio::test]
async fn ids_have_the_form_that_the_account_wants_everywhere() {
    let listening = listening(json!({"id_form": "decimal"})).await;
    let mut peer = Peer::bound(listening.address).await;
    let (_, response) = peer.ask(Pdu::SubmitSm(hello())).await;
    let Pdu::SubmitSmResp(response) = response else { panic!("{response:?}") };
    let id = response.message_id.as_str().into_owned();
    assert!(id.len() > 13 && id.bytes().all(|octet| octet.is_ascii_digit()), "{id}");
    let query = QuerySm { message_id: response.message_id, source: Address::alphanumeric("ACME") };
    let (header, found) = peer.ask(Pdu::QuerySm(query)).await;
    assert!(
        header.status.is_ok() && matches!(found, Pdu::QuerySmResp(found) if found.message_id.as_str() == id)
    );
}

#[tokio::test]
async fn whoever_waits_for_a_phone_is_told_when_it_is_back() {
    let listening = listening(json!({})).await;
    let mut peer = Peer::bound(listening.address).await;
    let mut asks = hello();
    asks.tlvs.push(smpp::Tag::SET_DPF, &[1]).unwrap();
    assert!(peer.status(Pdu::SubmitSm(asks)).await.is_ok());
    let ours = listening.account.tenant;
    listening.engine.reachable(listening.house.theirs.tenant(), "33612345678");
    listening.engine.reachable(ours, "33600000000");
    listening.engine.reachable(ours, "33612345678");
    let (_, Pdu::AlertNotification(alert)) = peer.hear().await.unwrap() else { panic!("an alert") };
    assert_eq!(
        (alert.source.addr.as_bytes(), alert.esme.addr.as_bytes()),
        (&b"33612345678"[..], &b"ACME"[..])
    );
    assert!(peer.status(Pdu::EnquireLink).await.is_ok(), "nothing else came before");
}

#[tokio::test]
async fn a_system_that_wants_to_be_called_is_called_when_something_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let listening = listening(json!({ "outbind": format!("127.0.0.1:{port}") })).await;
    let quiet = tokio::time::timeout(Duration::from_millis(1_500), listener.accept()).await;
    assert!(quiet.is_err(), "nothing waits");
    store_pushes(&listening, 1).await;
    let called = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await;
    let (socket, _) = called.expect("a call in time").unwrap();
    let mut peer = Peer { socket, framer: Framer::new(smpp::DEFAULT_MAX_PDU), sequence: 0 };
    let (_, pdu) = peer.hear().await.unwrap();
    assert!(matches!(pdu, Pdu::Outbind(outbind) if !outbind.system_id.is_empty()));
    assert_eq!(peer.status(Pdu::BindReceiver(bind(PASSWORD))).await, smpp::Status::ROK);
    let (header, pdu) = peer.hear().await.unwrap();
    assert!(matches!(pdu, Pdu::DeliverSm(_)), "{pdu:?}");
    let mut answer = Vec::new();
    smpp::encode_deliver_sm_resp(header.sequence, smpp::Status::ROK, &mut answer);
    peer.socket.write_all(&answer).await.unwrap();
    assert!(peer.status(Pdu::Unbind).await.is_ok());
}

#[tokio::test]
async fn what_happens_on_the_way_is_told_to_who_asks_for_it() {
    use crate::connection::ReceiptIds;
    use crate::journal::{Answered, CarrierReceipt, Entry, Outcome};
    use crate::recover::MessageRecord;
    use db::{args, sql};
    let listening = listening(json!({})).await;
    let mut peer = Peer::bound(listening.address).await;
    let asks = Sm { registered_delivery: smpp::RegisteredDelivery(0x11), ..hello() };
    assert!(peer.status(Pdu::SubmitSm(asks)).await.is_ok());
    let mut tx = listening.house.ours.read().await.unwrap();
    let record: MessageRecord = tx
        .one(sql!("select * from message where tenant_id = $1"), args![listening.account.tenant])
        .await
        .unwrap();
    drop(tx);
    let connection = record.connection_id.unwrap();
    let journal = listening.engine.journal();
    let taken = Answered {
        message: Arc::new(record.outgoing().unwrap()),
        part: 1,
        handed_over: 1,
        connection,
        claim: 0,
        outcome: Outcome::Taken { provider_id: "abc".to_owned() },
        kept: None,
    };
    journal.write(Entry::Answered(Box::new(taken))).await.unwrap();
    let says = |state: sms::MessageState| {
        let receipt = CarrierReceipt {
            tenant: listening.account.tenant,
            connection,
            phone: "33612345678".to_owned(),
            sender: "ACME".to_owned(),
            provider_id: "abc".to_owned(),
            state: state.number(),
            error: None,
            ids: ReceiptIds::Auto,
            retry_s: Vec::new(),
            blocks: false,
            asked: None,
            raw: None,
            ack: None,
        };
        Entry::Receipt(Box::new(receipt), None)
    };
    for (state, esm_class, stat) in [
        (sms::MessageState::Enroute, 0x20, "stat:ENROUTE"),
        (sms::MessageState::Accepted, 0x20, "stat:ACCEPTD"),
        (sms::MessageState::Delivered, 0x04, "stat:DELIVRD"),
    ] {
        journal.write(says(state)).await.unwrap();
        let (header, pdu) = peer.hear().await.unwrap();
        let Pdu::DeliverSm(sm) = pdu else { panic!("{pdu:?}") };
        let text = String::from_utf8(sm.short_message).unwrap();
        assert_eq!((sm.esm_class.0, text.contains(stat)), (esm_class, true), "{text}");
        let mut answer = Vec::new();
        smpp::encode_deliver_sm_resp(header.sequence, smpp::Status::ROK, &mut answer);
        peer.socket.write_all(&answer).await.unwrap();
    }
    journal.write(says(sms::MessageState::Enroute)).await.unwrap();
    assert!(peer.status(Pdu::EnquireLink).await.is_ok(), "nothing is told after the end");
}
