//! Mail on both sides of the program: a server that it hands mail to, and a client that says its lines one by one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::Tasks;
use smtp::{Asked, Code, Offers, Reply, Session};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A mail that the server took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its return path.
    pub from: String,
    /// Its recipients.
    pub to: Vec<String>,
    /// Header and body.
    pub content: String,
}

impl Taken {
    /// A header field's value, unfolded; empty where there is none.
    pub fn header(&self, name: &str) -> String {
        let head = self.content.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
        let field = head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        field.unwrap_or_default()
    }

    /// The address in angle brackets of a header field.
    pub fn address(&self, name: &str) -> String {
        let field = self.header(name);
        let inner = field.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        inner.map_or_else(|| field.clone(), |(address, _)| address.to_owned())
    }
}

/// A mail server. A recipient whose address begins with `nobody` is refused for good, with `later` for now; with `silent` the
/// connection breaks behind the content.
#[derive(Debug, Clone)]
pub struct Sink {
    /// Where it listens.
    pub address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Sink {
    /// Starts it; it ends with the test's runtime.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let sink = Self { address: socket.local_addr().expect("an address"), taken: Arc::default() };
        let (tasks, serving) = (Tasks::new(), sink.clone());
        let inner = tasks.clone();
        tasks.spawn("sink", async move {
            while let Ok((stream, _)) = socket.accept().await {
                let one = serving.clone();
                inner.spawn("sink connection", async move { one.serve(stream).await });
            }
        });
        sink
    }

    /// What it took so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn serve(self, mut stream: TcpStream) {
        let offers = Offers {
            host: "mx.example".to_owned(),
            starttls: false,
            plain_auth: true,
            dsn: true,
            mail_bytes_max: 1 << 20,
            recipients_max: 100,
            errors_max: 100,
        };
        let mut session = Session::new(offers, false);
        let mut out = Vec::new();
        session.greet(&mut out);
        let mut mail = Taken { from: String::new(), to: Vec::new(), content: String::new() };
        let mut octets = vec![0; 4096];
        loop {
            while let Some(asked) = session.next(&mut out) {
                let reply = match asked {
                    Asked::Close => {
                        drop(stream.write_all(&out).await);
                        return;
                    }
                    Asked::StartTls => return,
                    Asked::Login { .. } => Reply::new(Code(235, "2.7.0"), "Welcome"),
                    Asked::From(from) => {
                        mail = Taken { from: from.address, to: Vec::new(), content: String::new() };
                        Reply::new(Code::OK, "Go on")
                    }
                    Asked::To(to) if to.address.starts_with("nobody") => {
                        Reply::new(Code(550, "5.1.1"), "Nobody of that name")
                    }
                    Asked::To(to) if to.address.starts_with("later") => {
                        Reply::new(Code(451, "4.3.0"), "Not now")
                    }
                    Asked::To(to) => {
                        mail.to.push(to.address);
                        Reply::new(Code::OK, "Go on")
                    }
                    Asked::Letter(letter) => {
                        mail.content = String::from_utf8_lossy(&letter.content).into_owned();
                        self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(mail.clone());
                        if mail.to.iter().any(|to| to.starts_with("silent")) {
                            return;
                        }
                        Reply::new(Code::OK, "Taken")
                    }
                };
                session.answer(&reply, &mut out);
            }
            if stream.write_all(&out).await.is_err() {
                return;
            }
            out.clear();
            match stream.read(&mut octets).await {
                Ok(0) | Err(_) => return,
                Ok(read) => session.feed(&octets[..read]),
            }
        }
    }
}

/// A client that says its lines one by one.
#[derive(Debug)]
pub struct Talker {
    stream: BufReader<TcpStream>,
}

impl Talker {
    /// Connects, and hears the greeting.
    ///
    /// # Panics
    /// When nobody is there.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.expect("a mail server that greets")
    }

    /// As [`Talker::connect`]; nothing where nobody is there, or nobody greets.
    pub async fn try_connect(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        let mut talker = Self { stream: BufReader::new(stream) };
        talker.hear().await.starts_with("220 ").then_some(talker)
    }

    /// A reply, all its lines.
    async fn hear(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let begin = reply.len();
            let read = self.stream.read_line(&mut reply).await.unwrap_or(0);
            if read == 0 || reply.as_bytes().get(begin + 3) != Some(&b'-') {
                return reply.trim_end().to_owned();
            }
        }
    }

    /// Says a line and gives the reply; empty where the connection ended.
    pub async fn say(&mut self, line: &str) -> String {
        drop(self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await);
        self.hear().await
    }

    /// Signs in.
    ///
    /// # Panics
    /// When that is refused.
    pub async fn sign_in(&mut self, user: &str, password: &str) {
        assert!(self.try_sign_in(user, password).await, "the sign-in of {user} was refused");
    }

    /// Signs in; whether that was granted.
    pub async fn try_sign_in(&mut self, user: &str, password: &str) -> bool {
        use base64::Engine as _;
        self.say("EHLO client.example").await;
        let who = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
        self.say(&format!("AUTH PLAIN {who}")).await.starts_with("235 ")
    }

    /// Sends a mail; the first refusal, or the reply to its content.
    pub async fn send(&mut self, from: &str, to: &[&str], content: &str) -> String {
        let mut reply = self.say(&format!("MAIL FROM:{from}")).await;
        for to in to {
            if !reply.starts_with('2') {
                break;
            }
            reply = self.say(&format!("RCPT TO:{to}")).await;
        }
        if !reply.starts_with('2') {
            self.say("RSET").await;
            return reply;
        }
        let go_on = self.say("DATA").await;
        if !go_on.starts_with("354") {
            return go_on;
        }
        self.say(&format!("{}\r\n.", content.replace('\n', "\r\n"))).await
    }
}
