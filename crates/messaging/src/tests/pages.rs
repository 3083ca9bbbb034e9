//! API and pages as a program and a browser meet them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use futures::FutureExt;
use futures::future::BoxFuture;
use runtime::Scope;
use serde_json::{Value, json};
use tower::ServiceExt;
use types::Result;
use web::App;
use web::access::{Authenticate, Credentials, Person, Signed};

use super::House;
use crate::{Engine, Gateway, NAV};

/// Everybody is the same person.
struct Everybody(Scope);

impl Authenticate for Everybody {
    fn signed<'a>(&'a self, _: &'a Credentials) -> BoxFuture<'a, Result<Signed>> {
        let person = Person {
            name: "Ana".to_owned(),
            email: "ana@example.com".to_owned(),
            tenant: "Demo".to_owned(),
            language: "en".to_owned(),
            brand: web::access::Brand::default(),
            acting: None,
        };
        async { Ok(Signed { scope: self.0.clone(), person: Some(person), rate: None }) }.boxed()
    }
}

/// The routers as one of the tenants sees them.
fn router(house: &House, engine: &Engine, scope: &Scope) -> Router {
    let app = App {
        runtime: house.runtime.clone(),
        authenticate: Arc::new(Everybody(scope.clone())),
        nav: NAV.into(),
    };
    let (api, _) = crate::api().split_for_parts();
    Router::new().merge(api).merge(crate::pages()).with_state(Gateway { app, engine: engine.clone() })
}

async fn text(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(router: &Router, path: &str) -> (StatusCode, String) {
    text(router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()).await
}

async fn post(router: &Router, path: &str, form: &str) -> Response {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()));
    router.clone().oneshot(request.unwrap()).await.unwrap()
}

async fn call(
    router: &Router,
    method: &str,
    path: &str,
    tag: Option<&str>,
    body: Value,
) -> (StatusCode, Value) {
    let mut request =
        Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    if let Some(tag) = tag {
        request = request.header(header::IF_MATCH, tag);
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let (status, text) = text(router.clone().oneshot(request).await.unwrap()).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn location(response: &Response) -> String {
    response.headers()[header::LOCATION].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_adds_a_carrier_a_route_and_an_account() {
    let house = House::build().await;
    let engine = Engine::start(&house.runtime).await.unwrap();
    let (ours, theirs) = (router(&house, &engine, &house.ours), router(&house, &engine, &house.theirs));
    for path in ["/connections", "/routes", "/accounts"] {
        assert!(get(&ours, path).await.1.contains("class=\"empty\""), "{path}");
    }
    for path in ["/connections/new", "/routes/new", "/accounts/new"] {
        assert_eq!(get(&ours, path).await.0, StatusCode::OK, "{path}");
    }

    let refused = post(&ours, "/connections/new", "name=Carrier&host=&system_id=us&window=many").await;
    let (status, page) = text(refused).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("f-window-error") && page.contains("value=\"Carrier\""));

    let form = "name=Carrier&password=hunter2!&host=127.0.0.1&port=9&system_id=us&extra=0x1401%3D0a";
    let added = post(&ours, "/connections/new", form).await;
    assert_eq!(added.status(), StatusCode::SEE_OTHER);
    let connection = location(&added);
    for path in [connection.clone(), format!("{connection}/edit"), "/connections".to_owned()] {
        let (status, page) = get(&ours, &path).await;
        assert!(status == StatusCode::OK && page.contains("Carrier") && !page.contains("hunter2!"), "{path}");
        assert!(!get(&theirs, &path).await.1.contains("Carrier"), "{path}");
    }
    for doing in ["drain", "stop", "start"] {
        assert_eq!(post(&ours, &format!("{connection}/{doing}"), "").await.status(), StatusCode::SEE_OTHER);
        assert_eq!(post(&theirs, &format!("{connection}/{doing}"), "").await.status(), StatusCode::NOT_FOUND);
    }

    let id = connection.rsplit('/').next().unwrap();
    let form = format!(
        "name=France&priority=-5&active=true&recipient_prefixes=33,%20%2B34&intent_otp=true&target_1={id}"
    );
    assert_eq!(post(&ours, "/routes/new", &form).await.status(), StatusCode::SEE_OTHER);
    let tried = get(&ours, "/routes?to=%2B33612345678&intent=otp").await.1;
    assert!(tried.contains("by the route France") && tried.contains("+34"));
    let (status, tried) = get(&ours, "/routes?to=12").await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && tried.contains("f-to-error"));
    assert_eq!(post(&ours, &format!("{connection}/delete"), "").await.status(), StatusCode::CONFLICT);

    let (status, page) =
        text(post(&ours, "/accounts/new", "system_id=acme&active=true&window_max=5").await).await;
    assert!(status == StatusCode::OK && page.contains("class=\"secret\"") && page.contains("acme"));
    engine.stop().await;
}

#[tokio::test]
async fn a_person_registers_a_number_and_lists_who_opted_out() {
    let house = House::build().await;
    let engine = Engine::start(&house.runtime).await.unwrap();
    let (ours, theirs) = (router(&house, &engine, &house.ours), router(&house, &engine, &house.theirs));
    for path in ["/inbound", "/opt-outs", "/conversations"] {
        assert!(get(&ours, path).await.1.contains("class=\"empty\""), "{path}");
    }
    assert_eq!(get(&ours, "/conversations/33612345678").await.0, StatusCode::NOT_FOUND);
    let refused = post(&ours, "/inbound/new", "number=10000&keywords=VOTE+%3D%3E+shout").await;
    let (status, page) = text(refused).await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("f-keywords-error"));
    let form =
        "number=10000&active=on&opt_active=on&extent=number&stop_text=Bye&keywords=VOTE+%3D%3E+reply+Thanks";
    assert_eq!(post(&ours, "/inbound/new", form).await.status(), StatusCode::SEE_OTHER);
    let list = get(&ours, "/inbound").await.1;
    assert!(
        list.contains("10000")
            && list.contains("VOTE")
            && !get(&theirs, "/inbound").await.1.contains("10000")
    );
    let at = list.split("href=\"").find(|part| part.starts_with("/inbound/num_")).unwrap();
    let at = at.split('"').next().unwrap();
    let (status, page) = get(&ours, at).await;
    assert!(status == StatusCode::OK && page.contains("reply Thanks") && page.contains("Bye"));
    assert_eq!(get(&theirs, at).await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        post(&ours, "/opt-outs", "phone=%2B33612345678&scope=all").await.status(),
        StatusCode::SEE_OTHER
    );
    assert!(get(&ours, "/opt-outs?phone=%2B33612345678").await.1.contains("+33612345678"));
    assert!(get(&ours, "/opt-outs/export").await.1.contains("+33612345678,all"));
    assert_eq!(post(&ours, &format!("{at}/delete"), "").await.status(), StatusCode::SEE_OTHER);
    engine.stop().await;
}

#[tokio::test]
async fn a_program_changes_what_it_has_seen_and_nothing_else() {
    let house = House::build().await;
    let engine = Engine::start(&house.runtime).await.unwrap();
    let (ours, theirs) = (router(&house, &engine, &house.ours), router(&house, &engine, &house.theirs));
    let (status, made) =
        call(&ours, "POST", "/api/v1/smpp-accounts", None, json!({"system_id": "acme"})).await;
    assert_eq!((status, made["password"].as_str().map(str::len)), (StatusCode::CREATED, Some(8)));
    let path = format!("/api/v1/smpp-accounts/{}", made["id"].as_str().unwrap());

    let wanted = json!({"settings": {"window_max": 9}});
    assert_eq!(call(&ours, "PATCH", &path, Some("\"7\""), wanted.clone()).await.0, StatusCode::CONFLICT);
    let (status, changed) = call(&ours, "PATCH", &path, Some("\"1\""), wanted.clone()).await;
    assert_eq!((status, &changed["settings"]["window_max"]), (StatusCode::OK, &json!(9)));
    assert!(changed.get("password").is_none());
    let (status, refused) = call(&ours, "PATCH", &path, None, json!({"settings": {"windows": 9}})).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("unknown_field")));
    assert_eq!(call(&ours, "GET", &format!("{path}/binds"), None, json!({})).await.1, json!({"items": []}));
    for (method, path) in [("GET", path.clone()), ("DELETE", path.clone()), ("GET", format!("{path}/binds"))]
    {
        assert_eq!(
            call(&theirs, method, &path, None, json!({})).await.0,
            StatusCode::NOT_FOUND,
            "{method} {path}"
        );
    }
    assert_eq!(call(&ours, "DELETE", &path, None, json!({})).await.0, StatusCode::NO_CONTENT);

    let trial = json!({"to": "+33612345678"});
    let (status, tried) = call(&ours, "POST", "/api/v1/routes/try", None, trial).await;
    let summary = "It would be refused: there are no routes.";
    assert_eq!((status, &tried["summary"]), (StatusCode::OK, &json!(summary)));
    engine.stop().await;
}

#[tokio::test]
async fn a_person_sends_a_message_and_follows_it() {
    let house = House::build().await;
    let engine = Engine::start(&house.runtime).await.unwrap();
    let (ours, theirs) = (router(&house, &engine, &house.ours), router(&house, &engine, &house.theirs));
    assert!(get(&ours, "/").await.1.contains("Send your first message"));
    assert!(get(&ours, "/messages").await.1.contains("class=\"empty\""));

    let form = "to=%2B33612345678&from=ACME&text=Hello&intent=otp&client_ref=order-1";
    let (status, page) = text(post(&ours, "/send", form).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.contains("f-to-error") && page.contains("value=\"order-1\"") && page.contains("no route leads")
    );

    let added = post(&ours, "/connections/new", "name=Carrier&host=127.0.0.1&port=9&system_id=us").await;
    let connection = location(&added);
    let id = connection.rsplit('/').next().unwrap();
    post(&ours, "/routes/new", &format!("name=All&priority=1&active=true&target_1={id}")).await;
    let sent = post(&ours, "/send", form).await;
    assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    let message = location(&sent);
    let (status, page) = get(&ours, &message).await;
    assert_eq!(status, StatusCode::OK);
    for shown in ["+33612345678", "ACME", "Hello", "order-1", "Queued", "Carrier", "48 65 6c 6c 6f"] {
        assert!(page.contains(shown), "{shown}");
    }
    assert_eq!(get(&theirs, &message).await.0, StatusCode::NOT_FOUND);
    assert!(get(&ours, "/").await.1.contains("Latest messages"));
    assert!(get(&ours, "/messages?state=queued&to=%2B33+612345678").await.1.contains("Hello"));
    assert!(get(&ours, "/messages?state=sent").await.1.contains("No message like this"));
    assert_eq!(get(&ours, "/messages?state=lost").await.0, StatusCode::BAD_REQUEST);

    assert_eq!(post(&theirs, &format!("{message}/cancel"), "").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(post(&ours, &format!("{message}/cancel"), "").await.status(), StatusCode::SEE_OTHER);
    let (status, page) = text(post(&ours, &format!("{message}/cancel"), "").await).await;
    assert!(
        status == StatusCode::CONFLICT && page.contains("Cancelled") && !page.contains("Cancel message…")
    );
    engine.stop().await;
}

#[tokio::test]
async fn pages_show_what_one_may_and_regions_come_alone() {
    let house = House::build().await;
    let engine = Engine::start(&house.runtime).await.unwrap();
    let viewer = house.scope(house.ours.tenant(), [types::Permission::MessageView].into_iter().collect());
    let viewer = router(&house, &engine, &viewer);
    let (status, page) = get(&viewer, "/").await;
    assert!(status == StatusCode::OK && !page.contains("href=\"/send\"") && !page.contains("/connections"));
    assert_eq!(get(&viewer, "/send").await.0, StatusCode::FORBIDDEN);
    assert_eq!(post(&viewer, "/send/count", "text=x").await.status(), StatusCode::FORBIDDEN);
    let nobody = router(&house, &engine, &house.scope(house.ours.tenant(), types::Permissions::NONE));
    assert!(get(&nobody, "/").await.1.contains("Welcome"));
    assert_eq!(get(&nobody, "/messages").await.0, StatusCode::FORBIDDEN);

    let request = Request::get("/messages").header("HX-Request", "true").body(Body::empty()).unwrap();
    let (_, fragment) = text(viewer.oneshot(request).await.unwrap()).await;
    assert!(!fragment.contains("<html") && !fragment.contains("data-live"), "{fragment}");
    engine.stop().await;
}
