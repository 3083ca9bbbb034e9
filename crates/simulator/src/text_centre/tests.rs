use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn centre(protocol: Protocol) -> (Tasks, TextCentre) {
    let tasks = Tasks::new();
    let settings = Settings { accounts: vec![("us".into(), "secret".into())], ..Settings::of(protocol) };
    let centre = TextCentre::start(settings, &tasks, Clock::system()).await.unwrap();
    (tasks, centre)
}

/// Writes, and reads until so many frames have come.
async fn talk(socket: &mut TcpStream, octets: &[u8], frames: usize) -> String {
    socket.write_all(octets).await.unwrap();
    let mut read = Vec::new();
    while read.iter().filter(|octet| **octet == 3).count() < frames {
        let part = tokio::time::timeout(Duration::from_secs(5), socket.read_buf(&mut read)).await;
        assert!(
            part.expect("an answer in time").unwrap() > 0,
            "closed after {:?}",
            String::from_utf8_lossy(&read)
        );
    }
    String::from_utf8(read).unwrap()
}

fn ucp_pdu(trn: u8, body: ::ucp::Body) -> Vec<u8> {
    let mut out = Vec::new();
    ::ucp::Pdu::new(trn, body).encode(&mut out).unwrap();
    out
}

#[tokio::test]
async fn a_ucp_account_logs_in_submits_and_is_told() {
    let (tasks, centre) = centre(Protocol::Ucp).await;
    let mut socket = TcpStream::connect(centre.address()).await.unwrap();
    let session = |password| {
        ucp_pdu(0, ::ucp::Body::Session(::ucp::Operation::SESSION, ::ucp::Session::open("us", password)))
    };
    let mut message =
        ::ucp::ShortMessage { adc: "33612345678".into(), oadc: "10000".into(), ..Default::default() };
    message.set_content(&::ucp::Content::Text(b"ID7 hello".to_vec()));
    message.nrq = "1".into();
    let submit = ucp_pdu(1, ::ucp::Body::Message(::ucp::Operation::SUBMIT, Box::new(message)));
    assert!(talk(&mut socket, &submit, 1).await.contains("/R/51/N/07/"));
    assert!(talk(&mut socket, &session("wrong"), 1).await.contains("/R/60/N/07/"));
    assert!(talk(&mut socket, &session("secret"), 1).await.contains("/R/60/A/"));
    let told = talk(&mut socket, &submit, 2).await;
    assert!(told.contains("/R/51/A//33612345678:") && told.contains("/O/53/10000/33612345678/"), "{told}");
    assert_eq!((centre.seen().distinct, centre.screen("33612345678").len()), (1, 1));
    centre.inject_mo("+33612345678", "10000", "hi").unwrap();
    assert!(talk(&mut socket, b"", 1).await.contains("/O/52/10000/33612345678/"));
    // Neither was answered: both come again on the next session.
    drop(socket);
    let mut socket = TcpStream::connect(centre.address()).await.unwrap();
    let told = talk(&mut socket, &session("secret"), 3).await;
    assert!(told.contains("/O/53/") && told.contains("/O/52/"), "{told}");
    tasks.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_cimd2_user_logs_in_submits_and_is_told() {
    use ::cimd::{Operation, Packet, parameter};
    let (tasks, centre) = centre(Protocol::Cimd2).await;
    let mut socket = TcpStream::connect(centre.address()).await.unwrap();
    let mut login = Packet::new(Operation::LOGIN, 1);
    login.push(parameter::USER, "us").unwrap();
    assert!(talk(&mut socket, &login.encoded(), 1).await.contains("51:001\t900:100\t"));
    login.push(parameter::PASSWORD, "secret").unwrap();
    assert!(talk(&mut socket, &login.encoded(), 1).await.starts_with("\x0251:001\t"));
    let mut submit = Packet::new(Operation::SUBMIT, 3);
    submit.push(parameter::DESTINATION, "+33612345678").unwrap();
    submit.push(parameter::USER_DATA, "ID9 _Oa").unwrap();
    submit.push(parameter::STATUS_REPORT_REQUEST, "14").unwrap();
    let told = talk(&mut socket, &submit.encoded(), 2).await;
    assert!(
        told.contains("53:003\t021:+33612345678\t060:") && told.contains("23:000\t021:+33612345678\t"),
        "{told}"
    );
    assert_eq!(centre.screen("33612345678")[0].text, "ID9 @");
    assert!(talk(&mut socket, b"\x0240:005\t\x03", 1).await.starts_with("\x0290:005\t"));
    assert!(talk(&mut socket, b"\x02x\x03", 1).await.starts_with("\x0299:000\t"));
    centre.change(|settings| settings.error = (302, 100.0));
    assert!(talk(&mut socket, &submit.encoded(), 1).await.contains("53:003\t900:302\t"));
    tasks.stop(Duration::from_secs(1)).await;
}
