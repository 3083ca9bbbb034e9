//! TLS at every door: what is encrypted works, and what is not, or is not trusted, is refused with the reason.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use runtime::{Clock, Config, Tasks, tls};
use serde_json::json;
use server::Server;
use simulator::Smsc;
use smpp::{Address, Bind, Framer, Mode, Pdu, Sm, Status, decode};
use testkit::House;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Who issues certificates, for as long as a test runs.
struct Issuer {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: Arc<tempfile::TempDir>,
}

impl Issuer {
    fn new() -> Self {
        Self::in_folder(Arc::new(tempfile::tempdir().unwrap()))
    }

    /// Another issuer, whose certificates replace the files of the first.
    fn in_folder(folder: Arc<tempfile::TempDir>) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes `cert.pem` and `key.pem` for localhost.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) {
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(self.file("key.pem"), key.serialize_pem()).unwrap();
    }

    fn offers_smpp(&self, config: &mut Config) {
        config.smpp.tls.listen.0 = Some("127.0.0.1:0".parse().unwrap());
        config.smpp.tls.certificate = self.file("cert.pem");
        config.smpp.tls.key = self.file("key.pem");
        config.smpp.tls.reload_ms = 20;
    }
}

/// A customer's system.
struct Customer<S> {
    socket: S,
    framer: Framer,
    sequence: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Customer<S> {
    fn new(socket: S) -> Self {
        Self { socket, framer: Framer::new(smpp::DEFAULT_MAX_PDU), sequence: 0 }
    }

    async fn next(&mut self) -> (Status, u32, Pdu) {
        loop {
            if let Some(octets) = self.framer.next_pdu().unwrap() {
                let (header, pdu) = decode(octets, Mode::Lenient).unwrap();
                return (header.status, header.sequence, pdu);
            }
            let read = self.socket.read_buf(self.framer.buffer(4096));
            let read = tokio::time::timeout(Duration::from_secs(10), read).await.expect("something in time");
            assert!(read.unwrap() > 0, "the server closed the connection");
        }
    }

    async fn say(&mut self, sequence: u32, pdu: &Pdu) {
        let mut out = Vec::new();
        pdu.encode(sequence, Status::ROK, &mut out).unwrap();
        self.socket.write_all(&out).await.unwrap();
        self.socket.flush().await.unwrap();
    }

    async fn ask(&mut self, pdu: &Pdu) -> (Status, Pdu) {
        self.sequence += 1;
        self.say(self.sequence, pdu).await;
        let (status, _, answer) = self.next().await;
        (status, answer)
    }

    async fn bind(&mut self) -> Status {
        let bind = Bind { system_id: "tls".into(), password: "secret12".into(), ..Bind::default() };
        self.ask(&Pdu::BindTransceiver(bind)).await.0
    }

    async fn is_alive(&mut self) -> bool {
        self.ask(&Pdu::EnquireLink).await.0 == Status::ROK
    }
}

async fn over_tls(
    house: &House,
    issuer: &Issuer,
) -> Result<Customer<tls::client::TlsStream<TcpStream>>, String> {
    let socket = TcpStream::connect(house.server.smpp_tls.unwrap()).await.unwrap();
    tls::connect(socket, "localhost", &issuer.pem()).await.map(Customer::new).map_err(|failure| failure.why)
}

async fn account(house: &House, settings: serde_json::Value) -> String {
    let new = json!({ "system_id": "tls", "password": "secret12", "settings": settings });
    let made = house.admin.post("/api/v1/smpp-accounts", &new).await.expect(201);
    format!("/api/v1/smpp-accounts/{}", made["id"].as_str().unwrap())
}

#[tokio::test]
async fn customers_bind_submit_and_get_receipts_over_tls() {
    let issuer = Issuer::new();
    issuer.issue(|_| {});
    let house = House::start_with(|config| issuer.offers_smpp(config)).await;
    let account = account(&house, json!({ "require_tls": true })).await;

    let mut plain = Customer::new(TcpStream::connect(house.server.smpp).await.unwrap());
    assert_eq!(plain.bind().await, Status::RPROHIBITED);

    let mut customer = over_tls(&house, &issuer).await.unwrap();
    assert_eq!(customer.bind().await, Status::ROK);
    let binds = house.admin.get(&format!("{account}/binds")).await.expect(200);
    assert_eq!(binds["items"][0]["tls"], true, "{binds}");

    let sm = Sm {
        source: Address::alphanumeric("Shop"),
        destination: Address::international("33600000001"),
        registered_delivery: smpp::RegisteredDelivery(1),
        short_message: b"over TLS".to_vec(),
        ..Sm::default()
    };
    let (status, answer) = customer.ask(&Pdu::SubmitSm(sm)).await;
    assert_eq!(status, Status::ROK, "{answer:?}");
    let (_, sequence, receipt) = customer.next().await;
    let Pdu::DeliverSm(receipt) = receipt else { panic!("{receipt:?}") };
    let text = String::from_utf8_lossy(&receipt.short_message).into_owned();
    assert!(text.contains("stat:DELIVRD"), "{text}");
    customer.say(sequence, &Pdu::DeliverSmResp(smpp::MessageIdResp::default())).await;
    assert!(customer.is_alive().await);
    drop((plain, customer));
    house.stop().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_open_sessions_stay() {
    let old = Issuer::new();
    old.issue(|params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let house = House::start_with(|config| old.offers_smpp(config)).await;
    account(&house, json!({})).await;
    let why = over_tls(&house, &old).await.err().unwrap();
    assert!(why.contains("has expired"), "{why}");
    old.issue(|_| {});
    house.until("the renewed certificate is shown", async || over_tls(&house, &old).await.is_ok()).await;
    let mut customer = over_tls(&house, &old).await.unwrap();
    assert_eq!(customer.bind().await, Status::ROK);

    let new = Issuer::in_folder(Arc::clone(&old.folder));
    new.issue(|_| {});
    house.until("the other issuer's is shown", async || over_tls(&house, &new).await.is_ok()).await;
    let why = over_tls(&house, &old).await.err().unwrap();
    assert!(why.starts_with("unknown issuer"), "{why}");
    assert!(customer.is_alive().await, "a session that was open goes on");
    drop(customer);
    house.stop().await;
}

/// What is left of a connection: every octet until its end.
async fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut octets = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut octets));
    // A reset is an end too.
    let _ = read.await.expect("the server closes the connection");
    octets
}

#[tokio::test]
async fn who_speaks_no_tls_or_never_ends_the_handshake_is_closed() {
    let issuer = Issuer::new();
    issuer.issue(|_| {});
    let house = House::start_with(|config| {
        issuer.offers_smpp(config);
        config.smpp.session_init_ms = 300;
        config.smpp.unbound_max = 1;
    })
    .await;
    account(&house, json!({})).await;
    let tls = house.server.smpp_tls.unwrap();
    let mut plain = TcpStream::connect(tls).await.unwrap();
    let bind = Bind { system_id: "tls".into(), password: "secret12".into(), ..Bind::default() };
    let mut out = Vec::new();
    Pdu::BindTransceiver(bind).encode(1, Status::ROK, &mut out).unwrap();
    plain.write_all(&out).await.unwrap();
    // A TLS alert at most (content type 21, RFC 8446 section 5.1), and no PDU.
    assert!(rest(&mut plain).await.first().is_none_or(|first| *first == 21));

    house.until("the place is free again", async || over_tls(&house, &issuer).await.is_ok()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut silent = TcpStream::connect(tls).await.unwrap();
    // The first octets of a handshake record that never comes whole.
    silent.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
    let began = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(
        over_tls(&house, &issuer).await.is_err(),
        "an unfinished handshake holds the place of an unbound connection"
    );
    rest(&mut silent).await;
    assert!(began.elapsed() < Duration::from_secs(2));

    // A handshake that was quick leaves the rest of the time for the bind, and no more.
    let mut unbound = over_tls(&house, &issuer).await.unwrap();
    let mut octets = Vec::new();
    let _ =
        tokio::time::timeout(Duration::from_secs(2), unbound.socket.read_to_end(&mut octets)).await.unwrap();
    house.stop().await;
}

#[tokio::test]
async fn a_certificate_can_be_asked_of_clients() {
    let issuer = Issuer::new();
    issuer.issue(|_| {});
    let ca = issuer.file("clients.pem");
    std::fs::write(&ca, issuer.pem()).unwrap();
    let house = House::start_with(|config| {
        issuer.offers_smpp(config);
        config.smpp.tls.client_ca = ca;
    })
    .await;
    account(&house, json!({})).await;
    // TLS 1.3 tells a client without a certificate only after its own side of the handshake is done.
    let mut stranger = over_tls(&house, &issuer).await.unwrap();
    let read = stranger.socket.read_u8().await.unwrap_err();
    assert!(tls::why(&read).contains("CertificateRequired"), "{read}");

    let known = with_certificate(&house, &issuer, issuer.folder.path()).await;
    assert_eq!(Customer::new(known).bind().await, Status::ROK);
    house.stop().await;
}

/// Connects with the certificate in a folder.
async fn with_certificate(
    house: &House,
    issuer: &Issuer,
    folder: &Path,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = vec![CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(tls::roots(issuer.pem().as_bytes()).unwrap())
        .with_client_auth_cert(chain, key)
        .unwrap();
    let socket = TcpStream::connect(house.server.smpp_tls.unwrap()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect("localhost".try_into().unwrap(), socket).await.unwrap()
}

/// A carrier that speaks TLS: what comes over it goes on to the simulator.
async fn encrypted_carrier(issuer: &Issuer, tasks: &Tasks, carrier: SocketAddr) -> u16 {
    let files =
        tls::Files { certificate: issuer.file("cert.pem"), key: issuer.file("key.pem"), client_ca: None };
    let every = Duration::from_millis(20);
    let (acceptor, keep) = tls::Acceptor::open(files, &[], every, tasks.stopping()).await.unwrap();
    tasks.spawn("keep", keep);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let of_each = tasks.clone();
    tasks.spawn("carrier", async move {
        while let Ok((near, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            of_each.spawn("carried", async move {
                let Ok(mut near) = acceptor.accept(near).await else { return };
                let mut far = TcpStream::connect(carrier).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            });
        }
    });
    port
}

async fn last_error(house: &House, connection: &str) -> String {
    let shown = house.admin.get(connection).await.expect(200);
    shown["status"]["binds"][0]["last_error"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn carriers_are_reached_over_tls_or_the_reason_is_told() {
    let tasks = Tasks::new();
    let smsc = Smsc::start(simulator::smsc::Settings::default(), &tasks, Clock::system()).await.unwrap();
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    issuer.issue(|_| {});
    let port = encrypted_carrier(&issuer, &tasks, smsc.address()).await;
    let house = House::start_with(|config| config.simulator.enabled = false).await;
    let settings = json!({
        "host": "127.0.0.1", "port": port, "system_id": "us", "tls": true, "tls_ca": stranger.pem(),
        "reconnect_min_ms": 20, "reconnect_max_ms": 50, "connect_timeout_ms": 2000,
    });
    let new = json!({ "name": "Carrier", "password": "secret", "settings": settings });
    let made = house.admin.post("/api/v1/connections", &new).await.expect(201);
    let connection = format!("/api/v1/connections/{}", made["id"].as_str().unwrap());
    let change = async |settings: serde_json::Value| {
        house.admin.send("PATCH", &connection, &json!({ "settings": settings })).await.expect(200);
    };
    let told = async |why: &str| {
        house.until(why, async || last_error(&house, &connection).await.contains(why)).await;
    };
    told("no TLS: unknown issuer").await;
    change(json!({ "tls_ca": issuer.pem(), "tls_server_name": "smsc.example" })).await;
    told("no TLS: wrong name").await;
    change(json!({ "tls_server_name": null })).await;
    let route = json!({ "name": "All", "rule": { "targets": [made["id"]] } });
    house.admin.post("/api/v1/routes", &route).await.expect(201);
    let message = json!({ "to": "33600000001", "from": "Shop", "text": "over TLS" });
    let sent = house.admin.post("/api/v1/messages", &message).await.expect(202);
    let message = format!("/api/v1/messages/{}", sent["id"].as_str().unwrap());
    house
        .until("it is delivered", async || {
            house.admin.get(&message).await.expect(200)["state"] == "delivered"
        })
        .await;
    issuer.issue(|params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    // What the carrier sees in a bind makes the session anew; a window does not.
    change(json!({ "system_type": "VMA" })).await;
    told("has expired").await;
    // A carrier's port without TLS.
    change(json!({ "port": smsc.address().port() })).await;
    told("no TLS").await;
    let refused = house.admin.send("PATCH", &connection, &json!({ "settings": { "tls_ca": "none" } })).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    house.stop().await;
    tasks.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn console_and_api_speak_tls_with_hsts_and_secure_cookies() {
    let issuer = Issuer::new();
    issuer.issue(|_| {});
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::for_tests(folder.path());
    config.http.tls.certificate = issuer.file("cert.pem");
    config.http.tls.key = issuer.file("key.pem");
    config.http.tls.reload_ms = 20;
    config.http.header_timeout_ms = 500;
    config.security.argon2_memory_kib = 8;
    config.security.argon2_passes = 1;
    config.simulator.enabled = false;
    config.log.filter = "warn".to_owned();
    let server = Server::start(config, Clock::system()).await.unwrap();
    let client = |issuer: &Issuer| {
        let ca = reqwest::Certificate::from_pem(issuer.pem().as_bytes()).unwrap();
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        builder.tls_certs_only([ca]).build().unwrap()
    };
    let base = format!("https://{}", server.http);
    let health = client(&issuer).get(format!("{base}/health")).send().await.unwrap();
    assert_eq!(health.status(), 200);
    assert_eq!(health.version(), reqwest::Version::HTTP_2, "ALPN offers it");
    assert_eq!(health.headers()["strict-transport-security"], "max-age=31536000");
    let link = &server.first_start.made.as_ref().unwrap().link;
    assert!(link.url.starts_with("https://"), "{}", link.url);
    let token = link.url.rsplit_once("token=").unwrap().1;
    let signed_in = client(&issuer)
        .post(format!("{base}/sign-in/link"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={token}"))
        .send()
        .await
        .unwrap();
    let cookies = signed_in.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let session = cookies.into_iter().find(|cookie| cookie.contains("session=")).unwrap();
    assert!(session.ends_with("; Secure"), "{session}");
    // Nobody is answered without TLS, and who says nothing is not waited for.
    assert!(reqwest::get(format!("http://{}/health", server.http)).await.is_err());
    let mut silent = TcpStream::connect(server.http).await.unwrap();
    rest(&mut silent).await;
    let renewed = Issuer::in_folder(Arc::clone(&issuer.folder));
    renewed.issue(|_| {});
    let asked = async || client(&renewed).get(format!("{base}/health")).send().await.is_ok();
    for _ in 0..200 {
        if asked().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(asked().await, "the renewed certificate is not shown");
    server.stop().await;
}
