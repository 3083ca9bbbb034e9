use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

fn settings(allowed: &[&str]) -> config::Outbound {
    let mut settings = config::Config::for_tests("/tmp/none").outbound;
    settings.allow_private = allowed.iter().map(|network| network.parse().unwrap()).collect();
    settings.timeout_ms = 2_000;
    settings.connect_timeout_ms = 1_000;
    settings.response_bytes_max = 1_000;
    settings
}

fn client(allowed: &[&str]) -> Outbound {
    Outbound::new(&settings(allowed)).unwrap()
}

/// A server that keeps what it was sent and gives each request the next of its answers, one connection each.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    // Dropped with the server, which ends it.
    _tasks: JoinSet<io::Result<()>>,
}

impl Server {
    async fn start(listen: &str, answers: Vec<String>) -> Server {
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await?;
                let request = read_request(&mut stream).await?;
                kept.lock().unwrap().push(request);
                if answer == "silence" {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                // A client that has read enough hangs up.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            Ok(())
        });
        Server { address, requests, _tasks: tasks }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> io::Result<String> {
    let (mut text, mut octets) = (String::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut octets).await?;
        text.push_str(&String::from_utf8_lossy(&octets[..count]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if count == 0 || body.len() >= length.unwrap_or(0) {
            return Ok(text);
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn a_post_arrives_and_its_answer_comes_back_whole() {
    let server =
        Server::start("127.0.0.1:0", vec![answer("418 Teapot", "X-Kind: tea\r\n", "short and stout")]).await;
    let headers = [("Content-Type", "application/json"), ("X-Signature", "abc")];
    let answer = client(&["127.0.0.1"]).post(&server.url("/cb?x=1"), &headers, "{\"id\":1}").await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (418, &b"short and stout"[..]));
    assert_eq!(answer.headers["x-kind"], "tea");
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /cb?x=1 HTTP/1.1\r\n") && request.ends_with("{\"id\":1}"), "{request}");
    for line in ["content-type: application/json", "x-signature: abc", "user-agent: switchboard/"] {
        assert!(request.to_ascii_lowercase().contains(line), "{request}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_never_connected() {
    let server = Server::start("127.0.0.1:0", vec![answer("200 OK", "", "")]).await;
    let port = server.address.port();
    for host in ["127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1"] {
        let error =
            client(&["10.0.0.0/8"]).post(&format!("http://{host}:{port}/"), &[], "").await.unwrap_err();
        assert!(matches!(error, OutboundError::Forbidden { .. }), "{host}: {error}");
        assert!(!error.is_temporary());
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_resolves_to() {
    use reqwest::dns::Resolve as _;
    // The name check lets every other name through; the resolver is the lock.
    let resolve = |guard: Guard| async move { guard.resolve("localhost".parse().unwrap()).await };
    let error = resolve(Guard::new(&[])).await.err().unwrap();
    assert_eq!(guard::refusal(&*error), Some("a loopback address"));
    let found: Vec<SocketAddr> =
        resolve(Guard::new(&["127.0.0.0/8".parse().unwrap()])).await.unwrap().collect();
    assert!(!found.is_empty() && found.iter().all(SocketAddr::is_ipv4), "{found:?}");
    let server = Server::start("127.0.0.1:0", vec![answer("200 OK", "", "named")]).await;
    let url = format!("http://localhost:{}/", server.address.port());
    assert_eq!(client(&["127.0.0.1"]).get(&url, &[]).await.unwrap().body, "named");
}

#[tokio::test]
async fn the_resolvers_refusal_is_told_as_such() {
    // A client whose name check is out of the way: what remains is the resolver's refusal among the causes.
    let outbound = client(&[]);
    let error = outbound.client.get("http://localhost:9/").send().await.unwrap_err();
    let told = outbound.failure("localhost", &error);
    assert_eq!(told, OutboundError::Forbidden { host: "localhost".into(), reason: "a loopback address" });
}

#[tokio::test]
async fn redirects_are_followed_judged_and_counted() {
    let last = Server::start("127.0.0.1:0", vec![answer("200 OK", "", "there")]).await;
    let to = |status: &str, url: &str| answer(status, &format!("Location: {url}\r\n"), "");
    let chain = vec![to("307 Temporary Redirect", "/again"), to("302 Found", &last.url("/last"))];
    let first = Server::start("127.0.0.1:0", chain).await;
    let headers = [("Authorization", "Bearer secret"), ("Content-Type", "text/plain")];
    let answer = client(&["127.0.0.1"]).post(&first.url("/"), &headers, "body").await.unwrap();
    assert_eq!(answer.body, "there");
    let seen = first.requests();
    assert!(
        seen[1].starts_with("POST /again") && seen[1].ends_with("body") && seen[1].contains("Bearer secret")
    );
    let abroad = last.requests().remove(0);
    assert!(
        abroad.starts_with("GET /last") && !abroad.contains("secret") && !abroad.contains("body"),
        "{abroad}"
    );

    for target in
        ["http://10.0.0.1/", "http://169.254.169.254/latest", "//[::1]/", "http://localhost.localhost/"]
    {
        let server = Server::start("127.0.0.2:0", vec![to("302 Found", target)]).await;
        let error = client(&["127.0.0.2"]).get(&server.url("/"), &[]).await.unwrap_err();
        assert!(matches!(error, OutboundError::Forbidden { .. }), "{target}: {error}");
    }
    for (target, kind) in [("file:///etc/passwd", "Scheme"), ("http://", "Redirect")] {
        let server = Server::start("127.0.0.1:0", vec![to("301 Moved", target)]).await;
        let error = client(&["127.0.0.1"]).get(&server.url("/"), &[]).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(kind), "{target}: {error:?}");
    }
    let endless = Server::start("127.0.0.1:0", vec![to("302 Found", "/"); 10]).await;
    let error = client(&["127.0.0.1"]).get(&endless.url("/"), &[]).await.unwrap_err();
    assert!(matches!(error, OutboundError::Redirect { .. }) && !error.is_temporary(), "{error}");
    assert_eq!(endless.requests().len(), 4, "the first and three redirects");
}

#[tokio::test]
async fn a_body_is_cut_at_its_bound_announced_or_not() {
    let chunked = "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    let answers = vec![
        answer("200 OK", "", &"x".repeat(1_000)),
        answer("200 OK", "", &"x".repeat(1_001)),
        format!("{chunked}{}", format!("200\r\n{}\r\n", "x".repeat(512)).repeat(1_000)),
    ];
    let server = Server::start("127.0.0.1:0", answers).await;
    let outbound = client(&["127.0.0.1"]);
    assert_eq!(outbound.get(&server.url("/"), &[]).await.unwrap().body.len(), 1_000);
    for _ in 0..2 {
        let error = outbound.get(&server.url("/"), &[]).await.unwrap_err();
        let expected = OutboundError::TooLarge { host: "127.0.0.1".into(), status: 200, limit_bytes: 1_000 };
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn silence_refusal_and_nonsense_are_temporary() {
    let server =
        Server::start("127.0.0.1:0", vec!["nonsense\r\n\r\n".to_owned(), "silence".to_owned()]).await;
    let outbound = Outbound::new(&config::Outbound { timeout_ms: 200, ..settings(&["127.0.0.1"]) }).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut told = Vec::new();
    for url in
        [server.url("/?token=hunter2"), server.url("/?token=hunter2"), format!("http://u:hunter2@{free}/")]
    {
        let error = outbound.get(&url, &[]).await.unwrap_err();
        assert!(error.is_temporary() && !format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        told.push(format!("{error:?}").split(' ').next().unwrap().to_owned());
    }
    assert_eq!(told, ["Transport", "Timeout", "Connect"]);
}

#[tokio::test]
async fn a_header_that_could_split_the_request_is_refused() {
    let outbound = client(&["127.0.0.1"]);
    for (name, value) in
        [("X-A", "b\r\nX-C: d"), ("X A", "b"), ("", "b"), ("Host", "elsewhere"), ("Content-Length", "0")]
    {
        let error = outbound.get("http://127.0.0.1:9/", &[(name, value)]).await.unwrap_err();
        assert_eq!(error, OutboundError::Header { name: name.to_owned() });
    }
}

/// Ways to write addresses that users must not reach.
const FORBIDDEN: &[&str] = &[
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://0x7f.0.0.1/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "http://①②⑦.0.0.1/",
    "http://%31%32%37.0.0.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://192.0.2.1/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:c0a8:101::1]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[2600::5efe:10.0.0.1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[fec0::1]/",
    "http://[100::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://localhost/",
    "https://LOCALHOST:8443/",
    "http://localhost./",
    "http://a.localhost/",
    "http://user@127.0.0.1/",
    "http://example.com@127.0.0.1/",
    "http:\\\\127.0.0.1\\",
    "http:127.0.0.1",
];

/// Addresses that look like forbidden ones, and plain ones.
const FINE: &[&str] = &[
    "http://example.com/",
    "https://example.com:8443/cb?x=1",
    "http://8.8.8.8/",
    "http://172.15.0.1/",
    "http://172.32.0.1/",
    "http://[2606:4700::1111]/",
    "http://[64:ff9b::808:808]/",
    "http://[2002:808:808::1]/",
    "http://11.0.0.1/",
    "http://localhost.example.com/",
    "http://notlocalhost/",
    "http://user:secret@example.com/",
    "http://[::ffff:8.8.8.8]/",
];

#[test]
fn urls_that_must_not_be_called_are_refused_when_they_are_configured() {
    let outbound = client(&[]);
    for url in FORBIDDEN {
        let judged = outbound.check_url(url);
        assert!(matches!(judged, Err(OutboundError::Forbidden { .. })), "{url}: {judged:?}");
    }
    for url in [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "unix:/run/x",
        "javascript:alert(1)",
    ] {
        assert!(matches!(outbound.check_url(url), Err(OutboundError::Scheme { .. })), "{url}");
    }
    let long = format!("http://example.com/{}", "x".repeat(URL_CHARS_MAX));
    for url in [
        "",
        "example.com",
        "/path",
        "http://",
        "http://[::1",
        "http://a b/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        &long,
    ] {
        assert!(matches!(outbound.check_url(url), Err(OutboundError::Url { .. })), "{url}");
    }
    for url in FINE {
        assert_eq!(outbound.check_url(url), Ok(()), "{url}");
    }
}

#[test]
fn what_the_operator_allows_is_allowed_in_every_form_and_no_more() {
    let outbound = client(&["10.1.0.0/16", "fd00:1::/32"]);
    for url in [
        "http://10.1.2.3/",
        "http://[::ffff:10.1.2.3]/",
        "http://[64:ff9b::10.1.2.3]/",
        "http://[fd00:1::5]/",
    ] {
        assert_eq!(outbound.check_url(url), Ok(()), "{url}");
    }
    for url in ["http://10.2.0.1/", "http://[fd00:2::5]/", "http://127.0.0.1/", "http://localhost/"] {
        let error = outbound.check_url(url).unwrap_err();
        assert!(error.to_string().contains("outbound.allow_private"), "{error}");
    }
}

#[tokio::test]
async fn https_needs_a_certificate_and_says_so() {
    let server = Server::start("127.0.0.1:0", vec!["HTTP/1.1 400 No TLS here\r\n\r\n".to_owned()]).await;
    let url = format!("https://{}/", server.address);
    let error = client(&["127.0.0.1"]).get(&url, &[]).await.unwrap_err();
    assert!(matches!(error, OutboundError::Connect { .. } | OutboundError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn connections_of_other_protocols_are_judged_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let within = Duration::from_secs(5);
    for host in ["127.0.0.1", "localhost", "ldap.localhost", "::1"] {
        let refused = Outbound::new(&settings(&[])).unwrap().connect(host, port, within).await;
        assert!(matches!(refused, Err(OutboundError::Forbidden { .. })), "{host}");
    }
    let allowed = Outbound::new(&settings(&["127.0.0.0/8"])).unwrap();
    allowed.connect("127.0.0.1", port, within).await.unwrap();
    allowed.connect("ldap.localhost", port, within).await.unwrap();
    drop(listener);
    let refused = allowed.connect("127.0.0.1", port, within).await;
    assert!(matches!(refused, Err(OutboundError::Connect { .. })));
}
