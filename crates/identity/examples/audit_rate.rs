//! How fast the audit trail is made behind the event stream, and what it costs whoever writes at the same time.
//!
//! `cargo run --release -p identity --example audit_rate -- [rows]`. One thread does everything: it writes a change every
//! few milliseconds as a server would, and the follower chains what lies waiting. The first round has nothing to chain.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use db::{Db, Options};
use identity::audit::{self, follow, verify};
use identity::first_start;
use runtime::{Clock, Config, Origin, Runtime, Scope};
use types::event::Change;
use types::{Event, Permissions};

/// Changes that lie in one transaction of the preparation.
const AT_ONCE: usize = 100;
/// The pause between two changes of the server that goes on.
const PAUSE: Duration = Duration::from_millis(5);

fn change(n: usize) -> Event {
    let side =
        |active: bool| serde_json::json!({ "name": format!("Route {n}"), "priority": n, "active": active });
    Event::RouteChanged(Change {
        id: format!("rte_{n:013}"),
        name: format!("Route {n}"),
        before: Some(side(true)),
        after: Some(side(false)),
    })
}

/// Writes a change now and then until told to stop, and gives how long each took, the fastest first.
async fn serve(scope: Scope, mut over: tokio::sync::oneshot::Receiver<()>) -> Vec<Duration> {
    let mut took = Vec::new();
    while over.try_recv().is_err() {
        let began = Instant::now();
        let written = async {
            let mut write = scope.write().await?;
            write.happened(change(took.len()));
            write.commit(()).await
        };
        if written.await.is_ok() {
            took.push(began.elapsed());
        }
        tokio::time::sleep(PAUSE).await;
    }
    took.sort_unstable();
    took
}

fn at(sorted: &[Duration], percent: usize) -> f64 {
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .map_or(0.0, Duration::as_secs_f64)
        * 1_000.0
}

async fn measure(rows: usize) -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("switchboard-audit-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let config = Config::for_tests(&folder);
    let db = Db::open(config.database_url().expose(), &Options::default()).await?;
    db.migrate(&[runtime::MIGRATIONS, identity::MIGRATIONS].concat()).await?;
    let runtime = Runtime::for_tests(config, db, Clock::system())?;
    let tenant = first_start::run(&runtime).await?.tenant;
    let actor = runtime::Actor::System("benchmark");
    let scope = Scope::grant(runtime.clone(), tenant, actor, Permissions::all(), Origin::default());
    for first in (0..rows).step_by(AT_ONCE) {
        let mut write = scope.write().await?;
        (first..(first + AT_ONCE).min(rows)).for_each(|n| write.happened(change(n)));
        write.commit(()).await?;
    }
    let mut out = std::io::stdout();
    for chained in [false, true] {
        let (stop, over) = tokio::sync::oneshot::channel();
        let began = Instant::now();
        let work = async {
            let mut made = 0;
            match chained {
                false => tokio::time::sleep(Duration::from_secs(3)).await,
                true => {
                    while made < rows as u64 {
                        made += follow::round(&runtime).await?;
                    }
                }
            }
            let _nobody = stop.send(());
            Ok::<_, types::Error>(made)
        };
        let (made, took) = tokio::join!(work, serve(scope.clone(), over));
        let (made, seconds) = (made?, began.elapsed().as_secs_f64());
        writeln!(
            out,
            "{} rows in {seconds:.1} s: {:.0} a minute; a change beside it took {:.1} ms (median), {:.1} ms (99 of 100)",
            made,
            made as f64 / seconds * 60.0,
            at(&took, 50),
            at(&took, 99)
        )?;
    }
    let began = Instant::now();
    let report = verify::stored(&runtime.db, tenant).await?;
    let seconds = began.elapsed().as_secs_f64();
    writeln!(
        out,
        "verified {} rows in {seconds:.1} s: {}",
        report.rows,
        if report.whole { "whole" } else { "damaged" }
    )?;
    let began = Instant::now();
    let text = audit::Filter { text: Some("route 77777".to_owned()), ..audit::Filter::default() };
    let found = audit::list(&scope, &text).await?.items.len();
    writeln!(
        out,
        "searched all of them for a text in {:.2} s: {found} found",
        began.elapsed().as_secs_f64()
    )?;
    runtime.db.close().await;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let rows = std::env::args().nth(1).map_or(Ok(100_000), |rows| rows.parse())?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(rows))
}
