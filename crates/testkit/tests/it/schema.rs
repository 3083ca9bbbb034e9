//! Both engines have the same schema, and every statement compiles on the engine of this run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use db::{Db, Options, Tenancy, args, record};
use testkit::{House, postgres};
use types::TenantId;

use crate::tenancy::row_in_each_table;

#[tokio::test]
async fn both_engines_have_the_same_tables() {
    if postgres::programs().is_none() {
        assert!(!testkit::house::on_postgres(), "PostgreSQL is asked for and not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Db::open(&format!("sqlite:{}", folder.path().join("a.db").display()), &Options::default())
        .await
        .unwrap();
    let database = postgres::start().database();
    let postgres = Db::open(&database.url, &Options::default()).await.unwrap();
    for db in [&sqlite, &postgres] {
        let ran = db.migrate(&server::serve::migrations()).await.unwrap();
        assert!(!ran.is_empty());
        assert!(
            db.migrate(&server::serve::migrations()).await.unwrap().is_empty(),
            "a second run does nothing"
        );
    }
    assert_eq!(sqlite.schema().await.unwrap(), postgres.schema().await.unwrap());
    postgres.close().await;
}

/// The texts marked `sql!("…")` in the crates' sources.
fn statements() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeSet::new();
    let mut folders: Vec<PathBuf> = vec![crates.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir()
                && !path.ends_with("testkit")
                && !path.ends_with("xtask")
                && !path.ends_with("tests")
            {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                collect(&std::fs::read_to_string(&path).unwrap(), &mut found);
            }
        }
    }
    found
}

fn collect(source: &str, found: &mut BTreeSet<String>) {
    for piece in source.split("sql!(").skip(1) {
        let Some(text) = piece.trim_start().strip_prefix('"') else { continue };
        let mut statement = String::new();
        let mut chars = text.chars().peekable();
        while let Some(ch) = chars.next() {
            match ch {
                '"' => break,
                '\\' => match chars.next() {
                    // A line's end in a literal swallows the blanks that follow.
                    Some('\n') => while chars.next_if(|ch| ch.is_whitespace()).is_some() {},
                    Some('n') => statement.push('\n'),
                    Some(other) => statement.push(other),
                    None => {}
                },
                other => statement.push(other),
            }
        }
        found.insert(statement);
    }
}

#[tokio::test]
async fn every_statement_compiles() {
    let statements = statements();
    assert!(
        statements.len() > 60,
        "only {} statements were found; has the marker changed?",
        statements.len()
    );
    let house = House::start().await;
    let mut bad = Vec::new();
    for statement in statements {
        let leaked: &'static str = statement.leak();
        if let Err(failure) = house.server.runtime.db.prepare(leaked).await {
            bad.push(format!("{failure}: {leaked}"));
        }
    }
    assert!(bad.is_empty(), "{} statements do not compile:\n{}", bad.len(), bad.join("\n"));
    house.stop().await;
}

record! { struct Scopes { scopes: String } }

#[tokio::test]
async fn an_application_that_could_see_phones_and_texts_can_do_so_still() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("a.db").display());
    let db = Db::open(&url, &Options::default()).await.unwrap();
    let all = server::serve::migrations();
    let before: Vec<_> = all.iter().filter(|step| step.name != "identity/0039_runs").copied().collect();
    db.migrate(&before).await.unwrap();
    let tenant = TenantId::from_raw(7);
    row_in_each_table(&db, tenant, 7, &[]).await;
    let set = [
        ("update oauth_client set scopes = $1", r#"["message.view","message.send"]"#),
        ("update oauth_grant set scopes = $1", r#"["cdr.download"]"#),
    ];
    for (text, scopes) in set {
        let mut tx = db.write(Tenancy::Every).await.unwrap();
        tx.execute(text, args![scopes]).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(db.migrate(&all).await.unwrap(), ["identity/0039_runs"]);
    let mut tx = db.read(Tenancy::Every).await.unwrap();
    let client: Scopes = tx.one("select scopes from oauth_client", args![]).await.unwrap();
    let grant: Scopes = tx.one("select scopes from oauth_grant", args![]).await.unwrap();
    assert_eq!(client.scopes, r#"["message.view","identifier.view","content.view","message.send"]"#);
    assert_eq!(grant.scopes, r#"["cdr.download","identifier.view"]"#);
    drop(tx);
    db.close().await;
}
