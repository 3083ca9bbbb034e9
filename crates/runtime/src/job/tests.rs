use std::sync::atomic::{AtomicUsize, Ordering};

use db::{Db, Options};

use super::*;
use crate::Clock;
use crate::config::Config;

const KIND: &str = "test.kind";

struct House {
    runtime: Runtime,
    _dir: tempfile::TempDir,
}

impl House {
    async fn build(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::for_tests(dir.path());
        config.jobs.poll_ms = 10;
        config.jobs.retry_min_ms = 1;
        config.jobs.retry_max_ms = 2;
        change(&mut config);
        let options = Options { flush_each_commit: false, ..Options::default() };
        let db = Db::open(config.database_url().expose(), &options).await.unwrap();
        db.migrate(crate::MIGRATIONS).await.unwrap();
        Self { runtime: Runtime::for_tests(config, db, Clock::system()).unwrap(), _dir: dir }
    }

    fn run(&self, handler: Handler) {
        let mut runner = Runner::new(self.runtime.clone());
        runner.handle(KIND, handler);
        self.runtime.tasks.spawn("jobs", runner.run());
    }

    async fn enqueue(&self, tenant: i64, payload: &str) {
        let mut tx = self.runtime.db.write(Tenancy::Every).await.unwrap();
        let now = self.runtime.clock.now();
        enqueue(&mut tx, &self.runtime, TenantId::from_raw(tenant), KIND, &payload, now).await.unwrap();
        tx.commit().await.unwrap();
        self.runtime.job_wake.notify_one();
    }

    async fn left(&self) -> Vec<Left> {
        let mut tx = self.runtime.db.read(Tenancy::Every).await.unwrap();
        tx.all(sql!("select attempts, dead, last_error from job order by id limit 100"), args![])
            .await
            .unwrap()
    }

    async fn until(&self, what: &str, so: impl AsyncFn() -> bool) {
        for _ in 0..500 {
            if so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("after 5 seconds it is still not so that {what}");
    }
}

record! { struct Left { attempts: u32, dead: bool, last_error: Option<String> } }

fn handler<F>(work: impl Fn(String) -> F + Send + Sync + 'static) -> Handler
where
    F: Future<Output = Outcome> + Send + 'static,
{
    Arc::new(move |_, payload, _| Box::pin(work(payload)))
}

#[test]
fn pauses_double_up_to_the_longest_and_are_spread_over_their_upper_half() {
    let mut jobs = Config::for_tests("/tmp/x").jobs;
    (jobs.retry_min_ms, jobs.retry_max_ms) = (1_000, 5_000);
    let pauses: Vec<i64> = (1..=5).map(|attempts| pause_ms(&jobs, attempts, 1.0)).collect();
    assert_eq!(pauses, [1_000, 2_000, 4_000, 5_000, 5_000]);
    assert_eq!((pause_ms(&jobs, 1, 0.0), pause_ms(&jobs, u32::MAX, 0.5)), (500, 3_750));
}

#[test]
fn a_tenant_has_its_share_of_the_places_and_no_more() {
    let mut jobs = Config::for_tests("/tmp/x").jobs;
    (jobs.workers, jobs.tenant_workers_max) = (6, 4);
    let (one, two) = (TenantId::from_raw(1), TenantId::from_raw(2));
    let mut running = Running::default();
    assert_eq!(running.room(&jobs), (4, Vec::new()));
    (0..4).for_each(|_| running.began(one));
    assert_eq!(running.room(&jobs), (2, vec![FullRow { t: 1 }]));
    (0..2).for_each(|_| running.began(two));
    assert_eq!(running.room(&jobs).0, 0);
    running.ended(one);
    assert!(!running.worth_a_look(one, &jobs), "one free place is left to the next poll");
    running.ended(one);
    assert!(running.worth_a_look(one, &jobs));
    assert_eq!(running.room(&jobs), (2, Vec::new()));
    (0..9).for_each(|_| running.ended(one));
    assert!(!running.of.contains_key(&one), "nothing is kept of tenants without jobs");
}

#[tokio::test]
async fn jobs_that_hang_hold_up_their_own_tenant_alone() {
    let house = House::build(|config| (config.jobs.workers, config.jobs.tenant_workers_max) = (4, 2)).await;
    let (hanging, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (hangs, ends) = (Arc::clone(&hanging), Arc::clone(&done));
    for _ in 0..20 {
        house.enqueue(1, "hang").await;
    }
    house.run(handler(move |payload| {
        let (hangs, ends) = (Arc::clone(&hangs), Arc::clone(&ends));
        async move {
            if payload == "\"hang\"" {
                hangs.fetch_add(1, Ordering::AcqRel);
                std::future::pending::<()>().await;
            }
            ends.fetch_add(1, Ordering::AcqRel);
            Outcome::Done
        }
    }));
    house.until("the first tenant hangs", async || hanging.load(Ordering::Acquire) == 2).await;
    for _ in 0..10 {
        house.enqueue(2, "go").await;
    }
    house.until("the second tenant is served", async || done.load(Ordering::Acquire) == 10).await;
    assert_eq!(hanging.load(Ordering::Acquire), 2);
}

#[tokio::test]
async fn a_job_that_runs_longer_than_its_lease_is_not_taken_twice() {
    // Below what a configuration may say, so that the test is short.
    let house = House::build(|config| config.jobs.lease_ms = 90).await;
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    house.run(handler(move |_| {
        let begun = Arc::clone(&counted);
        async move {
            begun.fetch_add(1, Ordering::AcqRel);
            tokio::time::sleep(Duration::from_millis(500)).await;
            Outcome::Done
        }
    }));
    house.enqueue(1, "slow").await;
    house
        .until("it is done", async || begun.load(Ordering::Acquire) > 0 && house.left().await.is_empty())
        .await;
    assert_eq!(begun.load(Ordering::Acquire), 1);
}

#[tokio::test]
async fn attempts_end_panics_count_and_what_is_dead_is_forgotten_in_time() {
    let house = House::build(|config| config.jobs.attempts_max = 3).await;
    house.run(handler(|payload| async move {
        assert_ne!(payload, "\"panic\"", "as asked for");
        Outcome::Retry("not yet".to_owned())
    }));
    house.enqueue(1, "retry").await;
    house.enqueue(1, "panic").await;
    house.until("both are dead", async || house.left().await.iter().all(|job| job.dead)).await;
    let left = house.left().await;
    assert_eq!(left.iter().map(|job| job.attempts).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(left[0].last_error.as_deref(), Some("given up after 3 attempts: not yet"));
    let now = house.runtime.clock.now();
    assert_eq!(forget_dead(&house.runtime, now.plus_ms(-3_600_000)).await, 0);
    assert_eq!(forget_dead(&house.runtime, now.plus_ms(1)).await, 2);
    assert_eq!(forget_dead(&house.runtime, now.plus_ms(1)).await, 0);
}

/// What retention does to dead jobs from before an instant.
async fn forget_dead(runtime: &Runtime, before: Timestamp) -> u64 {
    let class = crate::retention::CLASSES.iter().find(|class| class.name == "dead_job").unwrap();
    let crate::retention::Walk::Rows { page, forget } = class.walk else { panic!("jobs are rows") };
    let tenant = TenantId::from_raw(1);
    let look = crate::retention::look(runtime, tenant, (page, class.whose), "", (0, before), &|_, _| false);
    let due = look.await.unwrap().due;
    let mut tx = runtime.db.write(Tenancy::Every).await.unwrap();
    let gone = forget.run(runtime, &mut tx, tenant, &due).await.unwrap();
    tx.commit().await.unwrap();
    gone
}
