//! People sign in with OpenLDAP's slapd, and users follow it.

use std::path::Path;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use testkit::House;
use testkit::client::Answer;
use testkit::slapd::{BASE, ROOT_DN, ROOT_PASSWORD, Slapd};

/// A directory with its issuer, and the program beside it.
struct Both {
    house: House,
    slapd: Slapd,
    ca: String,
    _folder: tempfile::TempDir,
}

/// Writes a certificate for localhost into a folder, and gives who has issued it.
fn certify(folder: &Path) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    issuer.pem()
}

/// Ana is in operations, Bob in support; Eve is in no group.
async fn both() -> Both {
    let folder = tempfile::tempdir().unwrap();
    let ca = certify(folder.path());
    let slapd = Slapd::start(folder.path()).await.unwrap();
    for (uid, password) in [("ana", "ana's password"), ("bob", "bob's password"), ("eve", "eve's password")] {
        slapd.add_person(uid, password).unwrap();
    }
    slapd.add_group("ops", &["ana"]).unwrap();
    slapd.add_group("helpers", &["bob"]).unwrap();
    let house = House::start_with(|config| {
        config.outbound.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
        config.security.login_attempts_max = 50;
        config.jobs.poll_ms = 50;
    })
    .await;
    Both { house, slapd, ca, _folder: folder }
}

impl Both {
    fn settings(&self) -> Value {
        json!({
            "servers": [self.slapd.ldaps], "ca": self.ca, "bind_dn": ROOT_DN, "base": BASE,
            "group_roles": [
                { "group": "ops", "role": "operator" },
                { "group": format!("cn=helpers,ou=groups,{BASE}"), "role": "support" },
            ],
            "create_users": true, "domains": ["example.com"],
        })
    }

    /// Adds it, with some settings changed; gives its path.
    async fn add(&self, change: Value) -> String {
        let mut settings = self.settings();
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let new = json!({ "name": "Company", "bind_password": ROOT_PASSWORD, "active": true, "settings": settings });
        let made = self.house.admin.post("/api/v1/directories", &new).await.expect(201);
        assert!(!made.to_string().contains(ROOT_PASSWORD), "the password is not shown");
        format!("/api/v1/directories/{}", made["id"].as_str().unwrap())
    }

    async fn sign_in(&self, email: &str, password: &str) -> Answer {
        let form = serde_urlencoded::to_string([("email", email), ("password", password)]).unwrap();
        self.house.anonymous().form("/sign-in", &[], &form).await
    }

    /// The user who has this address, if there is one.
    async fn user(&self, email: &str) -> Option<Value> {
        let users = self.house.admin.get("/api/v1/users?limit=200").await.expect(200);
        users["items"].as_array().unwrap().iter().find(|user| user["email"] == email).cloned()
    }

    async fn facts(&self, email: &str) -> (String, String) {
        let user = self.user(email).await.unwrap();
        (user["role"].as_str().unwrap().to_owned(), user["status"].as_str().unwrap().to_owned())
    }

    /// Reads the directory, and gives what came of it.
    async fn read(&self, path: &str, wanted: Value) -> Value {
        let runs = format!("{path}/runs");
        let begun = self.house.admin.post(&runs, &wanted).await.expect(202);
        let of = |list: &Value| {
            list["items"].as_array().unwrap().iter().find(|one| one["id"] == begun["id"]).cloned()
        };
        self.house
            .until("the reading has ended", async || {
                let list = self.house.admin.get(&runs).await.json();
                of(&list).is_some_and(|run| !run["ended_at"].is_null())
            })
            .await;
        of(&self.house.admin.get(&runs).await.json()).unwrap()
    }
}

#[tokio::test]
async fn people_sign_in_with_their_password_in_slapd() {
    let both = both().await;
    both.add(json!({})).await;
    let entered = both.sign_in("ana@example.com", "ana's password").await;
    assert_eq!(entered.status, 303, "{}", entered.text);
    assert_eq!(both.facts("ana@example.com").await, ("operator".to_owned(), "active".to_owned()));
    assert_eq!(both.user("ana@example.com").await.unwrap()["has_password"], false, "it is kept nowhere");
    assert_eq!(both.user("ana@example.com").await.unwrap()["name"], "Person ana");
    assert_eq!(both.sign_in("Bob@Example.com", "bob's password").await.status, 303);
    assert_eq!(both.facts("bob@example.com").await.0, "support");
    // Whatever is wrong is told in the same words, and nobody is made of it.
    let mut texts = Vec::new();
    for (email, password) in [
        ("ana@example.com", "wrong"),
        ("ana@example.com", ""),
        ("nobody@example.com", "wrong"),
        ("*)(mail=*", "ana's password"),
        ("*@example.com", "ana's password"),
        ("ana@example.com)(uid=*", "ana's password"),
    ] {
        let refused = both.sign_in(email, password).await;
        assert_eq!(refused.status, 401, "{email} {password:?}: {}", refused.text);
        assert!(!refused.text.contains("irectory"), "{email}");
        texts.push(refused.text.split("role=\"alert\"").nth(1).unwrap()[..200].to_owned());
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    // Who has no role is told so, once they have proved who they are.
    let eve = both.sign_in("eve@example.com", "eve's password").await;
    assert!(eve.status == 401 && eve.text.contains("none of your groups"), "{}", eve.text);
    assert!(both.user("eve@example.com").await.is_none());
    // The reason stands in the security history alone.
    let ana = both.user("ana@example.com").await.unwrap()["id"].as_str().unwrap().to_owned();
    both.house
        .until("the refusals are noted", async || {
            let audit = both.house.admin.get("/api/v1/audit?type=user.refused").await.json();
            audit.to_string().contains("wrong password in the directory")
                && audit.to_string().contains("no password was given")
        })
        .await;
    // An administrator untied her: she has no way in by the directory until she is tied again.
    let list = both.house.admin.get("/api/v1/directories").await.json();
    let path = format!("/api/v1/directories/{}", list["items"][0]["id"].as_str().unwrap());
    both.house.admin.post(&format!("{path}/people/untie"), &json!({ "user_id": ana })).await.expect(204);
    let untied = both.sign_in("ana@example.com", "ana's password").await;
    assert!(untied.text.contains("is not tied to the directory"), "{}", untied.text);
}

#[tokio::test]
async fn refusals_take_the_same_time_for_everybody() {
    let both = both().await;
    both.add(json!({})).await;
    assert_eq!(both.sign_in("ana@example.com", "ana's password").await.status, 303);
    let time = async |email: &str| {
        let began = Instant::now();
        assert_eq!(both.sign_in(email, "wrong").await.status, 401);
        began.elapsed()
    };
    for email in ["ana@example.com", "bob@example.com", "nobody@example.com"] {
        let took = time(email).await;
        let beyond = took.as_millis() % 500;
        assert!(took >= Duration::from_millis(500) && beyond < 400, "{email} took {took:?}");
    }
}

#[tokio::test]
async fn only_a_server_that_is_trusted_is_asked() {
    let both = both().await;
    let other = certify(tempfile::tempdir().unwrap().path());
    let tries = async |change: Value| {
        let path = both.add(change).await;
        let tried = both
            .house
            .admin
            .post(&format!("{path}/try"), &json!({ "login": "ana@example.com" }))
            .await
            .expect(200);
        both.house.admin.delete(&path).await.expect(204);
        tried
    };
    for servers in [json!([both.slapd.ldaps]), json!([both.slapd.ldap])] {
        let right = tries(json!({ "servers": servers })).await;
        assert_eq!(right["done"], true, "{right}");
        assert_eq!(right["person"]["role"], "operator");
        assert_eq!(right["person"]["groups"], json!([format!("cn=ops,ou=groups,{BASE}")]));
        let wrong = tries(json!({ "servers": servers, "ca": other })).await;
        let last = wrong["steps"].as_array().unwrap().last().unwrap().clone();
        assert!(wrong["done"] == false && last["step"] == "tls", "{wrong}");
        assert!(last["detail"].as_str().unwrap().contains("unknown issuer"), "{last}");
    }
    // Groups that name their members are found too, and one server after another is tried.
    let down = json!(["ldaps://localhost:1", both.slapd.ldaps]);
    let second = tries(json!({ "servers": down, "groups": "search" })).await;
    assert_eq!(second["person"]["role"], "operator", "{second}");
    // In clear only where the installation allows it, and our password is not sent first.
    let mut settings = both.settings();
    settings["servers"] = json!([both.slapd.ldap]);
    settings["plain"] = json!(true);
    let refused = json!({ "name": "Clear", "bind_password": "x", "settings": settings });
    let refused = both.house.admin.post("/api/v1/directories", &refused).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid_value"));
    // The password is given anew with another server: nobody is to send it to a server of their own.
    let path = both.add(json!({})).await;
    let mut elsewhere = both.settings();
    elsewhere["servers"] = json!(["ldaps://other.example"]);
    let moved = both.house.admin.send("PATCH", &path, &json!({ "settings": elsewhere })).await;
    assert_eq!((moved.status, moved.json()["at"].as_str()), (422, Some("bind_password")));
    both.house.admin.delete(&path).await.expect(204);
    let nobody = tries(json!({ "domains": [], "bind_dn": format!("cn=nobody,{BASE}") })).await;
    assert!(nobody["steps"].to_string().contains("the password that we ask with is wrong"), "{nobody}");
}

#[tokio::test]
async fn users_follow_the_directory() {
    let both = both().await;
    let path = both.add(json!({})).await;
    // What would change is said first, and nothing is changed by that.
    let dry = both.read(&path, json!({ "dry": true })).await;
    assert_eq!(
        (&dry["state"], &dry["outcome"]["created"], &dry["outcome"]["skipped"]),
        (&json!("done"), &json!(2), &json!(1)),
        "{dry}"
    );
    assert!(dry["outcome"]["changes"].to_string().contains("ana@example.com"));
    assert!(both.user("ana@example.com").await.is_none());
    let first = both.read(&path, json!({})).await;
    assert_eq!((&first["outcome"]["created"], &first["entries"]), (&json!(2), &json!(3)), "{first}");
    let again = both.read(&path, json!({})).await;
    assert_eq!(again["outcome"]["changes"], json!([]), "a reading that finds nothing new changes nothing");
    let ana = both.user("ana@example.com").await.unwrap()["id"].clone();
    // Groups are roles; an entry that moves stays the same person.
    both.slapd
        .change(&format!(
            "dn: cn=helpers,ou=groups,{BASE}\nchangetype: modify\nadd: member\nmember: uid=ana,ou=people,{BASE}\n\n\
             dn: cn=ops,ou=groups,{BASE}\nchangetype: modify\nreplace: member\nmember: uid=eve,ou=people,{BASE}\n"
        ))
        .unwrap();
    let moved = both.read(&path, json!({})).await;
    assert_eq!((&moved["outcome"]["roles"], &moved["outcome"]["created"]), (&json!(1), &json!(1)), "{moved}");
    assert_eq!(both.facts("ana@example.com").await.0, "support");
    both.slapd
        .change(&format!(
            "dn: uid=ana,ou=people,{BASE}\nchangetype: modrdn\nnewrdn: uid=ana.maria\ndeleteoldrdn: 1\n\n\
             dn: cn=helpers,ou=groups,{BASE}\nchangetype: modify\nreplace: member\nmember: uid=bob,ou=people,{BASE}\n\
             member: uid=ana.maria,ou=people,{BASE}\n"
        ))
        .unwrap();
    let renamed = both.read(&path, json!({})).await;
    assert_eq!(renamed["outcome"]["left"], 0, "{renamed}");
    let people = both.house.admin.get(&format!("{path}/people")).await.expect(200);
    assert!(people.to_string().contains("uid=ana.maria"), "{people}");
    assert_eq!(both.user("ana@example.com").await.unwrap()["id"], ana);
    // Who left is shut out, with every session, and comes back with the entry.
    let session = both.sign_in("bob@example.com", "bob's password").await;
    assert_eq!(session.status, 303);
    both.slapd.change(&format!("dn: uid=bob,ou=people,{BASE}\nchangetype: delete\n")).unwrap();
    let left = both.read(&path, json!({})).await;
    assert_eq!(left["outcome"]["left"], 1, "{left}");
    assert_eq!(both.facts("bob@example.com").await.1, "disabled");
    assert_eq!(both.sign_in("bob@example.com", "bob's password").await.status, 401);
    let audit = both.house.admin.get("/api/v1/audit?type=directory.read").await.expect(200);
    assert!(audit["items"].as_array().unwrap().len() >= 5, "each reading is in the trail");
}

#[tokio::test]
async fn many_who_would_go_at_once_wait_for_a_word() {
    let both = both().await;
    for n in 0..20 {
        both.slapd.add_person(&format!("p{n}"), "a password").unwrap();
    }
    let path = both.add(json!({ "default_role": "viewer" })).await;
    assert_eq!(both.read(&path, json!({})).await["outcome"]["created"], 23);
    for n in 0..10 {
        both.slapd.change(&format!("dn: uid=p{n},ou=people,{BASE}\nchangetype: delete\n")).unwrap();
    }
    let held = both.read(&path, json!({})).await;
    assert_eq!((&held["state"], &held["outcome"]["leaving"]), (&json!("held"), &json!(10)), "{held}");
    assert_eq!(both.facts("p3@example.com").await.1, "active", "nothing has changed");
    let noticed = both.house.admin.get("/api/v1/security-events?kind=directory_shrunk").await.expect(200);
    assert_eq!(noticed["items"][0]["severity"], "high", "{noticed}");
    assert_eq!(both.read(&path, json!({ "leavers_max": 9 })).await["state"], "held", "the word was for nine");
    let done = both.read(&path, json!({ "leavers_max": 10 })).await;
    assert_eq!((&done["state"], &done["outcome"]["left"]), (&json!("done"), &json!(10)), "{done}");
    // A base that finds nobody lets nobody go, however few they are.
    let mut nowhere = both.settings();
    nowhere["default_role"] = json!("viewer");
    nowhere["people_filter"] = json!("(mail=nobody@nowhere.example)");
    both.house.admin.send("PATCH", &path, &json!({ "settings": nowhere })).await.expect(200);
    assert_eq!(both.read(&path, json!({})).await["state"], "held");
}

#[tokio::test]
async fn a_directory_that_is_down_keeps_out_its_own_alone() {
    let mut both = both().await;
    let path = both.add(json!({})).await;
    assert_eq!(both.sign_in("ana@example.com", "ana's password").await.status, 303);
    // Somebody with a password of their own, and an address of the same domain.
    let local = json!({
        "email": "root@example.com", "name": "Root", "role": "tenant_admin",
        "password_hash": "$2b$04$abcdefghijklmnopqrstuuO2xuZ2sJ8pWWcBLKHOTxAYYhaQYmHBS",
    });
    both.house.admin.post("/api/v1/users", &local).await.expect(201);
    both.slapd.stop();
    let down = both.sign_in("ana@example.com", "ana's password").await;
    assert!(down.status == 503 && down.text.contains("does not answer"), "{}", down.text);
    assert!(down.text.contains("name=\"password\""), "the form is there to try again");
    let local = both.sign_in("root@example.com", "wrong").await;
    assert_eq!(local.status, 401, "their own password is asked here: {}", local.text);
    let failed = both.read(&path, json!({})).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(failed["outcome"]["reason"].as_str().unwrap().contains("no connection"), "{failed}");
    assert_eq!(both.facts("ana@example.com").await.1, "active");
    both.slapd.go_on().await.unwrap();
    assert_eq!(both.sign_in("ana@example.com", "ana's password").await.status, 303);
}

#[tokio::test]
async fn tenants_directories_do_not_meet() {
    let both = both().await;
    let path = both.add(json!({})).await;
    let (_, neighbour) = both.house.neighbour().await;
    for (method, at) in
        [("GET", path.clone()), ("GET", format!("{path}/people")), ("POST", format!("{path}/try"))]
    {
        assert_eq!(neighbour.send(method, &at, &json!({})).await.status, 404, "{method} {at}");
    }
    // A domain leads to one directory alone.
    let taken = json!({ "name": "Theirs", "bind_password": "x", "settings": both.settings() });
    let taken = neighbour.post("/api/v1/directories", &taken).await;
    assert_eq!((taken.status, taken.problem().as_str()), (409, "already_exists"));
    // With more than one tenant an address that nobody has leads nowhere at the common door.
    assert_eq!(both.sign_in("ana@example.com", "ana's password").await.status, 401);
    assert!(both.user("ana@example.com").await.is_none());
    // A reading makes them known, and then they come in.
    assert_eq!(both.read(&path, json!({})).await["outcome"]["created"], 2);
    assert_eq!(both.sign_in("ana@example.com", "ana's password").await.status, 303);
}
