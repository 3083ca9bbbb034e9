//! Call detail records: a row for each part, in files that can be checked, downloaded and loaded.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use messaging::cdr::{load, read, row::Row, verify};
use runtime::Tasks;
use serde_json::{Value, json};
use testkit::{House, postgres};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

async fn switch_on(house: &House, settings: Value) {
    let change = json!({ "active": true, "settings": settings });
    let stream = house.admin.send("PATCH", "/api/v1/cdr-settings", &change).await.expect(200);
    assert_eq!(stream["active"], true);
}

async fn all_ended(house: &House) {
    house
        .until("all came to an end", async || {
            let sums = house.admin.get("/api/v1/messages/sums").await.json();
            let open = |state: &Value| {
                ["queued", "scheduled", "sent", "indeterminate"]
                    .contains(&state["name"].as_str().unwrap_or_default())
            };
            !sums["states"].as_array().is_some_and(|states| states.iter().any(open))
        })
        .await;
}

fn folder(house: &House) -> PathBuf {
    house.server.runtime.config.cdr_dir()
}

fn rows_of(files: &[PathBuf]) -> Vec<Row> {
    files.iter().flat_map(|path| read::open(path).unwrap().map(|row| row.unwrap())).collect()
}

#[tokio::test]
async fn every_end_is_a_row_with_its_columns() {
    let house = House::start().await;
    switch_on(&house, json!({})).await;
    let long = "Seven bits are enough for this text, which goes on and on. ".repeat(8);
    let send = async |body: Value| house.admin.post("/api/v1/messages", &body).await.expect(202);
    let parts =
        send(json!({ "to": "+33612345678", "from": "=ACME", "text": long, "client_ref": "order 7" })).await;
    let tomorrow = house.server.runtime.clock.now().plus_ms(86_400_000).to_string();
    let later = send(json!({ "to": "+33612345678", "text": "later", "schedule_at": tomorrow })).await;
    let cancel = format!("/api/v1/messages/{}/cancel", later["id"].as_str().unwrap());
    assert!(house.admin.post(&cancel, &json!({})).await.status < 300);
    let phones = house.server.simulator.as_ref().unwrap().phones();
    phones.reply("33612345678", "10000", "and back").unwrap();
    all_ended(&house).await;
    house
        .until("the reply is here", async || {
            house.admin.get("/api/v1/messages?direction=in").await.json()["items"][0].is_object()
        })
        .await;
    let live = house.admin.get("/api/v1/cdrs").await.expect(200);
    let closed = house.admin.post("/api/v1/cdr-files/rotate", &json!({})).await.expect(200);
    let file = &closed["closed"];
    let id = file["id"].as_str().unwrap();
    let expected = parts["parts"].as_i64().unwrap() + 2;
    assert_eq!(
        (&file["rows"], &file["first_seq"], &file["number"]),
        (&json!(expected), &json!(1), &json!(1))
    );
    assert_eq!((&file["states"]["cancelled"], &file["states"]["received"]), (&json!(1), &json!(1)));

    let rows = rows_of(&verify::files_under(&folder(&house)).unwrap());
    assert_eq!(serde_json::to_value(&rows).unwrap(), live["items"], "live rows are the file's rows");
    let mine: Vec<_> = rows.iter().filter(|row| row.message_id == parts["id"].as_str().unwrap()).collect();
    assert_eq!(mine.iter().map(|row| row.part).collect::<Vec<_>>(), (1..=expected - 2).collect::<Vec<_>>());
    for row in &mine {
        assert_eq!((row.state.as_str(), row.part_state.as_deref()), ("delivered", Some("delivered")));
        assert_eq!(
            (row.sender.as_str(), row.client_ref.as_deref(), row.protocol.as_str()),
            ("=ACME", Some("order 7"), "http")
        );
        assert!(row.provider_id.is_some() && row.route_id.is_some() && row.connection_id.is_some());
        assert!(row.sent_at.unwrap() >= row.accepted_at && row.receipt_at.unwrap() <= row.ended_at);
        assert_eq!((row.recipient_ton, row.octets), (1, i64::try_from(long.len()).unwrap()));
    }
    let back = rows.iter().find(|row| row.direction == "in").unwrap();
    assert_eq!(
        (back.sender.as_str(), back.state.as_str(), back.protocol.as_str()),
        ("33612345678", "received", "smpp")
    );

    let download = house.admin.get(&format!("/api/v1/cdr-files/{id}/content")).await;
    assert_eq!(
        (download.status, download.headers["x-content-sha256"].to_str().unwrap()),
        (200, file["sha256"].as_str().unwrap())
    );
    let verified = house.admin.get("/api/v1/cdr-files/verify").await.expect(200);
    assert_eq!((&verified["ok"], &verified["rows"]), (&json!(true), &json!(expected)), "{verified}");
    let page = house.admin.get("/api/v1/cdr-files/sums").await.expect(200);
    assert_eq!(page["items"][0]["states"]["received"], 1);

    let (_, neighbour) = house.neighbour().await;
    assert_eq!(neighbour.get(&format!("/api/v1/cdr-files/{id}/content")).await.status, 404);
    assert_eq!(neighbour.get("/api/v1/cdr-files").await.expect(200)["items"], json!([]));
    assert_eq!(neighbour.get("/api/v1/cdrs").await.status, 409);
    let viewer = house.key(&["cdr.view"]).await;
    assert_eq!(viewer.get("/api/v1/cdr-files").await.status, 200);
    assert_eq!(viewer.post("/api/v1/cdr-files/rotate", &json!({})).await.status, 403);
    house.stop().await;
}

#[tokio::test]
async fn files_turn_by_lines_and_load_once_however_often() {
    let house = House::start_with(|config| {
        config.cdr.lines_max = 100;
        config.cdr.poll_ms = 20;
    })
    .await;
    let mut sent = 0;
    for (format, compression) in [("csv", "gzip"), ("jsonl", "zstd"), ("parquet", "zstd")] {
        switch_on(&house, json!({ "format": format, "compression": compression })).await;
        let messages: Vec<_> =
            (0..250).map(|n| json!({ "to": format!("+336{n:08}"), "text": format!("ID{n}") })).collect();
        house.admin.post("/api/v1/messages/batch", &json!({ "messages": messages })).await.expect(202);
        sent += 250;
        all_ended(&house).await;
        house.admin.post("/api/v1/cdr-files/rotate", &json!({})).await.expect(200);
    }
    let files = verify::files_under(&folder(&house)).unwrap();
    let report = verify::files(&files);
    assert!(report.ok && report.rows == sent && files.len() >= 9, "{report:?}");
    let ends = ["csv.gz", "jsonl.zst", "parquet"];
    assert!(ends.iter().all(|end| files.iter().any(|path| path.to_string_lossy().ends_with(end))));

    let target = tempfile::tempdir().unwrap();
    let database = testkit::house::on_postgres().then(|| postgres::start().database());
    let url = match &database {
        Some(database) => database.url.clone(),
        None => sqlite(&target.path().join("records.db")),
    };
    let db = load::open(&url).await.unwrap();
    let first = load::into(&db, &files).await.unwrap();
    assert_eq!((first.rows, first.new), (sent.unsigned_abs(), sent.unsigned_abs()));
    assert_eq!(load::into(&db, &files).await.unwrap().new, 0, "what is there stays");
    db.close().await;
    house.stop().await;
}

fn sqlite(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// Somebody who takes whatever is sent to them, and remembers the first line of each request.
async fn receiver() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, lines) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let seen = lines.clone();
    Tasks::new().spawn("receiver", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            stream.read_line(&mut line).await.unwrap();
            loop {
                let mut header = String::new();
                stream.read_line(&mut header).await.unwrap();
                let header = header.trim().to_lowercase();
                if let Some(value) = header.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
                if header.is_empty() {
                    break;
                }
            }
            stream.read_exact(&mut vec![0; length]).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
            seen.lock().unwrap().push(line);
        }
    });
    (address, lines)
}

#[tokio::test]
async fn a_closed_file_is_uploaded_and_the_command_is_run() {
    let (address, lines) = receiver().await;
    let folder = tempfile::tempdir().unwrap();
    let (script, seen) = (folder.path().join("hook"), folder.path().join("seen"));
    std::fs::write(&script, format!("#!/bin/sh\necho \"$1 $CDR_ROWS\" >> {}\n", seen.display())).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let house = House::start_with(|config| {
        config.cdr.command = script.display().to_string();
        config.outbound.allow_private = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    switch_on(&house, json!({ "upload_url": format!("http://{}/in?x=1", address) })).await;
    house.admin.post("/api/v1/messages", &json!({ "to": "+33612345678", "text": "x" })).await.expect(202);
    all_ended(&house).await;
    let closed = house.admin.post("/api/v1/cdr-files/rotate", &json!({})).await.expect(200);
    let id = closed["closed"]["id"].as_str().unwrap();
    house
        .until("it is uploaded and told", async || {
            let file = house.admin.get(&format!("/api/v1/cdr-files/{id}")).await.json();
            file["uploaded_at"].is_string() && seen.exists()
        })
        .await;
    let name = closed["closed"]["name"].as_str().unwrap();
    assert!(lines.lock().unwrap().iter().any(|line| line.starts_with(&format!("PUT /in/{name}?x=1 "))));
    assert!(std::fs::read_to_string(&seen).unwrap().contains(&format!("{name} 1")));
    house.stop().await;
}
