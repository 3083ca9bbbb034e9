//! An empty database after its first start, and ways into it.

use std::sync::Arc;

use db::{Db, Options, Tenancy, args, record, sql};
use identity::audit;
use identity::authenticate::Identity;
use identity::first_start::{self, ADMIN_EMAIL, FirstStart};
use identity::key::NewKey;
use identity::session::SignedIn;
use identity::sign_in::{self, Browser, Entered};
use identity::tenant::{self, FirstUser, NewTenant};
use identity::user::NewUser;
use runtime::config::Secret;
use runtime::{Clock, Config, Origin, Runtime, Scope};
use types::{Code, Permission, Result, Timestamp};
use web::access::{Authenticate, Credentials};

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const ADMIN_KEY: &str = "an-admin-key-of-more-than-32-characters";

/// A started house: an empty database after its first start.
pub(crate) struct House {
    pub(crate) runtime: Runtime,
    pub(crate) identity: Arc<Identity>,
    pub(crate) clock: Clock,
    pub(crate) start: FirstStart,
    _dir: tempfile::TempDir,
}

impl House {
    pub(crate) async fn build() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(set: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::for_tests(dir.path());
        config.security.argon2_memory_kib = 8;
        config.security.argon2_passes = 1;
        config.security.login_attempts_max = 4;
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
        config.security.admin_key = Secret::new(ADMIN_KEY.to_owned());
        set(&mut config);
        let options = Options { flush_each_commit: false, ..Options::default() };
        let db = Db::open(config.database_url().expose(), &options).await.unwrap();
        let steps: Vec<_> = [runtime::MIGRATIONS, identity::MIGRATIONS].concat();
        db.migrate(&steps).await.unwrap();
        let clock = Clock::manual(Timestamp::from_unix_ms(1_790_000_000_000));
        let runtime = Runtime::for_tests(config, db, clock.clone()).unwrap();
        let start = first_start::run(&runtime).await.unwrap();
        let identity = Arc::new(Identity::new(runtime.clone()));
        Self { runtime, identity, clock, start, _dir: dir }
    }

    pub(crate) async fn by_key(&self, secret: &str) -> Result<Scope> {
        self.signed(Some(secret), None).await
    }

    pub(crate) async fn by_cookie(&self, token: &str) -> Result<Scope> {
        self.signed(None, Some(token)).await
    }

    pub(crate) async fn signed(&self, bearer: Option<&str>, cookie: Option<&str>) -> Result<Scope> {
        let credentials = Credentials {
            bearer: bearer.map(str::to_owned),
            cookie: cookie.map(str::to_owned),
            host: None,
            origin: Origin { request_id: Some("req-1".to_owned()), from: Some("192.0.2.7".to_owned()) },
            agent: Some("a program".to_owned()),
        };
        self.identity.signed(&credentials).await.map(|signed| signed.scope)
    }

    /// Shows a key or an access token from another address.
    pub(crate) async fn by_key_from(&self, secret: &str, from: &str) -> Result<Scope> {
        let credentials = Credentials {
            bearer: Some(secret.to_owned()),
            cookie: None,
            host: None,
            origin: Origin { request_id: None, from: Some(from.to_owned()) },
            agent: Some("curl/8".to_owned()),
        };
        self.identity.signed(&credentials).await.map(|signed| signed.scope)
    }

    pub(crate) async fn cli(&self) -> Scope {
        self.by_key(self.start.made.as_ref().unwrap().cli_key.expose()).await.unwrap()
    }

    /// Signs in by a link's token and gives the session's token.
    pub(crate) async fn enter(&self, path: &str) -> Result<String> {
        let token = path.split_once("token=").unwrap().1;
        Ok(inside(sign_in::by_link(&self.runtime, token, browser()).await?).token.expose().to_owned())
    }

    pub(crate) async fn enter_as_admin(&self) -> String {
        let link = first_start::new_link(&self.runtime, ADMIN_EMAIL).await.unwrap();
        self.enter(&link.path).await.unwrap()
    }

    pub(crate) async fn enter_by_password(&self, email: &str, password: &str) -> Result<String> {
        let entered = sign_in::by_password(&self.runtime, email, password, browser(), "/").await?;
        Ok(inside(entered).token.expose().to_owned())
    }

    /// A second tenant and its administrator's scope.
    pub(crate) async fn neighbour(&self) -> Scope {
        let new = NewTenant {
            name: "Neighbour".to_owned(),
            administrator: Some(FirstUser {
                email: "neighbour@example.com".to_owned(),
                name: "N".to_owned(),
            }),
            ..NewTenant::default()
        };
        let link = tenant::create(&self.cli().await, new).await.unwrap().link.unwrap();
        let token = self.enter(&link.path).await.unwrap();
        self.by_cookie(&token).await.unwrap()
    }

    /// Tellings of security events that wait.
    pub(crate) async fn alert_jobs(&self) -> i64 {
        let mut tx = self.runtime.db.read(Tenancy::Every).await.unwrap();
        let waiting = sql!(
            "select count(*) as n from job where kind = 'identity.alert' /* every tenant: a test counts */"
        );
        tx.one::<Waiting>(waiting, args![]).await.unwrap().n
    }

    /// Newcomers who are no users yet.
    pub(crate) async fn newcomers(&self) -> i64 {
        let mut tx = self.runtime.db.read(Tenancy::Every).await.unwrap();
        let all = sql!("select count(*) as n from registration /* every tenant: a test counts */");
        tx.one::<Waiting>(all, args![]).await.unwrap().n
    }

    /// As if each of them had opened what was mailed to them.
    pub(crate) async fn verify_newcomers(&self) {
        let now = self.clock.now();
        let mut tx = self.runtime.db.write(Tenancy::Every).await.unwrap();
        let all = sql!(
            "update registration set verified_at = $1, expires_at = $2 /* every tenant: a test stands in for the mail */"
        );
        tx.execute(all, args![now, now.plus_ms(90 * 86_400_000)]).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn trail(&self) -> String {
        let filter = audit::Filter { limit: Some("200".to_owned()), ..audit::Filter::default() };
        let page = audit::list(&self.cli().await, &filter).await.unwrap();
        serde_json::to_string(&page.items).unwrap()
    }
}

record! { struct Waiting { n: i64 } }

pub(crate) fn browser() -> Browser {
    let origin = Origin { request_id: None, from: Some("192.0.2.7".to_owned()) };
    Browser::new(origin, Some("a browser".to_owned()), Vec::new())
}

/// Who is in after the first step.
pub(crate) fn inside(entered: Entered) -> SignedIn {
    match entered {
        Entered::In(signed) => signed,
        Entered::Second(_) => panic!("a second step is asked for"),
    }
}

/// The token of a sign-in that waits for its second step.
pub(crate) fn pending(entered: Entered) -> String {
    match entered {
        Entered::In(_) => panic!("no second step is asked for"),
        Entered::Second(begun) => begun.token.expose().to_owned(),
    }
}

pub(crate) fn new_user(email: &str, role: &str) -> NewUser {
    NewUser {
        email: email.to_owned(),
        name: "Somebody".to_owned(),
        role: role.to_owned(),
        language: None,
        password_hash: None,
    }
}

pub(crate) fn new_key(scopes: &[Permission]) -> NewKey {
    NewKey { name: "A key".to_owned(), scopes: scopes.to_vec(), ..NewKey::default() }
}

pub(crate) fn refusal<T>(result: Result<T>) -> types::Error {
    result.map(|_| ()).expect_err("should be refused")
}

pub(crate) fn code<T>(result: Result<T>) -> Code {
    refusal(result).code()
}
