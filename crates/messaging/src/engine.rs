//! What is alive: links to carriers, customers' sessions, the queue between them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use connectors::{Adapted, Link, Status};
use db::Tenancy;
use privacy::standing::Standings;
use runtime::Runtime;
use runtime::measure::Sizes;
use runtime::outbox::{self, Happened};
use tokio_util::sync::CancellationToken;
use types::{AccountId, ConnectionId, Event, Result, TenantId, Timestamp};

use crate::assemble::Dialect;
use crate::connection::hook::Listening;
use crate::connection::{self, Connection, ConnectionSettings, Protocol, Wanted};
use crate::dispatch::{Dispatcher, Tag};
use crate::gate::Gates;
use crate::inbound::Desk;
use crate::inquiry::{Asker, Inquiries};
use crate::journal::Journal;
use crate::live::meter::Board;
use crate::load::Patience;
use crate::lookup::Lookups;
use crate::message::owners::OfMessages;
use crate::opt_out::OptOuts;
use crate::push::Pushes;
use crate::queue::{Queue, Rates};
use crate::reachable::Awaited;
use crate::reports::{Numbers, Reader, Tongue};
use crate::route::{self, Liveness, Routes, World};
use crate::sendsms::Guests;
use crate::sessions::Sessions;
use crate::smpp_server::outbind::Called;
use crate::{account, accounting, cdr, destinations, leave, live, load, pause, recover, simulated};

/// The running gateway. Cloning shares it.
#[derive(Clone)]
pub struct Engine {
    parts: Arc<Parts>,
}

struct Parts {
    runtime: Runtime,
    journal: Journal,
    queue: Arc<Queue>,
    pushes: Arc<Pushes>,
    numbers: Numbers,
    /// Customers' systems that are called when something waits for them.
    outbinds: ArcSwap<Vec<Called>>,
    /// Who wants to hear of which phone.
    awaited: Awaited,
    /// Who knows of which network a number is.
    lookups: Arc<Lookups>,
    /// What routing may ask beside the message.
    world: World,
    links: Mutex<HashMap<ConnectionId, Running>>,
    /// Where providers of connections over HTTP post.
    hooks: Listening,
    sessions: Arc<Sessions>,
    /// Who was let in by `/cgi-bin/sendsms` of late.
    guests: Guests,
    gates: Arc<Gates>,
    /// Who does not want to be written to.
    opt_outs: Arc<OptOuts>,
    /// What is counted about connections and accounts.
    meters: Arc<Board>,
    /// What becomes of messages from phones.
    desk: Arc<Desk>,
    /// Who is asked what became of messages.
    inquiries: Arc<Inquiries>,
    /// One change of a connection at a time; two at once could leave a link running that nobody knows.
    changing: tokio::sync::Mutex<()>,
}

/// A link that runs, and as what.
struct Running {
    revision: i64,
    name: String,
    /// What the dispatcher writes messages by.
    dialect: Arc<ArcSwap<Dialect>>,
    /// What the reader of reports reads answers and receipts by.
    tongue: Arc<ArcSwap<Tongue>>,
    patience: Patience,
    link: Link<Tag>,
    stopped: CancellationToken,
}

/// What a connection lets through of one sender, and to one phone.
fn rates(connection: &Connection) -> Rates {
    let ConnectionSettings { sender_per_second, recipient_every_ms, .. } = connection.settings;
    Rates { sender_per_second, recipient_every_ms }
}

/// How long a stopping link waits for open answers.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// A customer's session.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Bound {
    /// Its number, by which it can be ended.
    pub number: u64,
    /// `transceiver`, `transmitter` or `receiver`; `ucp` for a UCP session, `mail` for one of SMTP.
    pub kind: &'static str,
    /// The far side's address.
    pub peer: String,
    /// Whether it is encrypted.
    pub tls: bool,
    /// Since when.
    pub since: Timestamp,
    /// Messages submitted in this session.
    pub submitted: u64,
    /// Receipts and inbound messages given to it.
    pub delivered: u64,
    /// Of its window, how many await our answer.
    pub window_used: u32,
    /// How many may.
    pub window_limit: u32,
    /// The version that it speaks: `3.4`, `5.0`; absent where the protocol has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it submitted or took something last; absent where it has not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_at: Option<Timestamp>,
}

impl Engine {
    /// Takes up where the last process ended, then starts the links that are wanted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(runtime: &Runtime) -> Result<Self> {
        recover::after_start(runtime).await?;
        identity::role::explain::name_owners(runtime, Arc::new(OfMessages));
        let queue = Arc::new(Queue::new(runtime.config.messaging.queue_in_memory_max));
        let pushes = Arc::new(Pushes::new(runtime));
        let journal = Journal::start(runtime, queue.clone(), pushes.clone());
        let lookups = Lookups::new(runtime);
        let opt_outs = runtime.kept(|_| OptOuts::default());
        let engine = Self {
            parts: Arc::new(Parts {
                runtime: runtime.clone(),
                journal,
                queue,
                pushes,
                numbers: Numbers::default(),
                outbinds: ArcSwap::default(),
                awaited: Awaited::default(),
                world: World { clock: runtime.clock.clone(), networks: lookups.networks().clone() },
                lookups,
                links: Mutex::default(),
                hooks: Listening::default(),
                sessions: Arc::new(Sessions::new(Board::of(runtime))),
                guests: Guests::new(),
                gates: Arc::new(
                    Gates::new(&runtime.config.gates)
                        .with_opt_outs(opt_outs.clone())
                        .with_standings(Standings::of(runtime)),
                ),
                opt_outs,
                meters: Board::of(runtime),
                desk: runtime.kept(|_| Desk::default()),
                inquiries: runtime.kept(|_| Inquiries::default()),
                changing: tokio::sync::Mutex::new(()),
            }),
        };
        engine.lookups().reload().await?;
        engine.routes_changed().await?;
        engine.pauses_changed().await?;
        engine.numbers_changed().await?;
        engine.parts.opt_outs.load(runtime).await?;
        Standings::load(runtime).await?;
        engine.inbound_changed().await?;
        engine.parts.gates.start(runtime).await?;
        for connection in connection::load_all(runtime).await? {
            engine.apply(connection.id, Some(&connection)).await?;
        }
        cdr::start(runtime);
        let sweep = crate::push::sweep(runtime.clone(), engine.parts.journal.clone());
        runtime.tasks.spawn("push-sweep", sweep);
        runtime.tasks.spawn("journal tick", engine.parts.journal.clone().tick(runtime.clone()));
        runtime.tasks.spawn("tenants", leave::run(engine.clone()));
        runtime.tasks.spawn("load", load::watch(engine.clone()));
        runtime.tasks.spawn("samples", live::sample::run(engine.clone()));
        runtime.tasks.spawn("accounting", accounting::watch::run(engine.clone()));
        runtime.tasks.spawn("destinations", destinations::run(runtime.clone()));
        Ok(engine)
    }

    /// Clock, ids, configuration and the rest.
    pub fn runtime(&self) -> &Runtime {
        &self.parts.runtime
    }

    /// The one writer of message state.
    pub fn journal(&self) -> &Journal {
        &self.parts.journal
    }

    /// The messages in memory.
    pub fn queue(&self) -> &Queue {
        &self.parts.queue
    }

    /// Who knows of which network a number is.
    pub fn lookups(&self) -> &Arc<Lookups> {
        &self.parts.lookups
    }

    /// What customers' systems must be given.
    pub fn pushes(&self) -> &Arc<Pushes> {
        &self.parts.pushes
    }

    /// Customers' sessions.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.parts.sessions
    }

    /// What is counted about connections and accounts.
    pub fn meters(&self) -> &Board {
        &self.parts.meters
    }

    /// Where providers of connections over HTTP post.
    pub(crate) fn hooks(&self) -> &Listening {
        &self.parts.hooks
    }

    /// Which account owns a number.
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.parts.numbers
    }

    /// Who was let in by `/cgi-bin/sendsms` of late.
    pub(crate) fn guests(&self) -> &Guests {
        &self.parts.guests
    }

    /// What a message passes before it is accepted.
    pub fn gates(&self) -> &Gates {
        &self.parts.gates
    }

    /// Reads a tenant's senders, blacklist, firewall and hours again; call it after a committed change of any.
    ///
    /// # Errors
    /// When the database does not answer; the former ones stay in force.
    pub async fn gates_changed(&self, tenant: TenantId) -> Result<()> {
        self.parts.gates.changed(self.runtime(), tenant).await
    }

    /// Customers' systems that are called when something waits for them.
    pub(crate) fn outbinds(&self) -> Arc<Vec<Called>> {
        self.parts.outbinds.load_full()
    }

    /// Who wants to hear of which phone.
    pub(crate) fn awaited(&self) -> &Awaited {
        &self.parts.awaited
    }

    /// Who does not want to be written to.
    pub(crate) fn opt_outs(&self) -> &OptOuts {
        &self.parts.opt_outs
    }

    /// Reads the numbers that phones write to again; call it after a committed change of any.
    ///
    /// # Errors
    /// When the database does not answer; the former ones stay in force.
    pub async fn inbound_changed(&self) -> Result<()> {
        self.parts.desk.reload(self.runtime()).await
    }

    /// Reads the pauses again; call it after a committed change of any. What waits in memory and is paused now is set aside.
    ///
    /// # Errors
    /// When the database does not answer; the former ones stay in force.
    pub async fn pauses_changed(&self) -> Result<()> {
        let _changing = self.parts.changing.lock().await;
        let (pauses, waited_for) = pause::load_all(self.runtime()).await?;
        self.parts.queue.rest.set(pauses, waited_for);
        self.parts.queue.set_aside();
        Ok(())
    }

    /// Reads the routes again; call it after a committed change of any route.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn routes_changed(&self) -> Result<()> {
        let routes = route::load_all(self.runtime()).await?;
        let before = self.parts.queue.routes();
        self.parts.queue.set_routes(Routes::following(routes, self.parts.world.clone(), &before));
        Ok(())
    }

    async fn numbers_changed(&self) -> Result<()> {
        let accounts = account::load_all(self.runtime()).await?;
        let numbers =
            accounts
                .iter()
                .filter(|account| account.active)
                .flat_map(|account| {
                    account.settings.numbers.iter().map(|number| {
                        ((account.tenant, number.trim_start_matches('+').to_owned()), account.id)
                    })
                })
                .collect();
        self.parts.numbers.store(Arc::new(numbers));
        let called = accounts.iter().filter(|account| account.active).filter_map(|account| {
            let host = connection::host("outbind", &account.settings.outbind).ok()?;
            Some(Called { account: account.id, tenant: account.tenant, host })
        });
        self.parts.outbinds.store(Arc::new(called.collect()));
        Ok(())
    }

    /// Brings a connection's link to what is wanted now; call it after a committed change, also of its deletion.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connection_changed(&self, id: ConnectionId) -> Result<()> {
        let connection = connection::load(self.runtime(), id).await?;
        self.apply(id, connection.as_ref()).await
    }

    async fn apply(&self, id: ConnectionId, connection: Option<&Connection>) -> Result<()> {
        let _changing = self.parts.changing.lock().await;
        let liveness = match connection.map(|connection| connection.wanted) {
            None => Liveness::Unknown,
            Some(Wanted::Stopped) => Liveness::Stopped,
            Some(Wanted::Draining) => Liveness::Draining,
            Some(Wanted::Started) => Liveness::Down,
        };
        let same = match (connection, self.links().get(&id)) {
            (Some(connection), Some(running)) => running.revision == connection.revision,
            _ => false,
        };
        if same && liveness == Liveness::Down {
            return Ok(());
        }
        let simulated = connection.is_some_and(|one| simulated::leads_there(self.runtime(), one));
        if !simulated {
            // Before the link is led elsewhere, so that no test's message finds it there.
            self.parts.queue.set_simulator(id, false);
        }
        self.parts.hooks.follow(self.runtime(), id, connection).await?;
        if liveness != Liveness::Down {
            self.parts.queue.set_alive(id, liveness);
        }
        match connection {
            Some(connection) if liveness == Liveness::Down => {
                if !self.adapt_link(connection).await? {
                    self.parts.queue.set_alive(id, liveness);
                    self.end_link(id).await;
                    self.start_link(connection).await?;
                }
            }
            Some(_) if liveness == Liveness::Draining => {
                if let Some(running) = self.links().get(&id) {
                    running.stopped.cancel();
                    running.link.drain();
                }
            }
            _ => self.end_link(id).await,
        }
        self.parts.queue.set_simulator(id, simulated);
        self.parts.queue.reroute(id);
        Ok(())
    }

    /// Lets a link that runs go on under other settings. False where there is none, where it drains, and where it would be
    /// another connection.
    async fn adapt_link(&self, connection: &Connection) -> Result<bool> {
        let takes = |running: &Running| !running.stopped.is_cancelled();
        if !self.links().get(&connection.id).is_some_and(takes) {
            return Ok(false);
        }
        let settings = connection::link_settings(self.runtime(), connection).await?;
        let mut links = self.links();
        let Some(running) = links.get_mut(&connection.id) else { return Ok(false) };
        if running.link.adapt(settings) == Adapted::NotPossible {
            return Ok(false);
        }
        running.dialect.store(Arc::new(Dialect::new(&connection.settings)));
        running.tongue.store(Arc::new(Tongue::of(&connection.settings)));
        self.parts.journal.forget_receipt_ids(connection.id);
        running.revision = connection.revision;
        running.name.clone_from(&connection.name);
        running.patience = Patience::of(connection);
        self.parts.inquiries.follow(connection.id, Some(&connection.settings));
        self.parts.queue.line(connection.id).set_rates(rates(connection));
        Ok(true)
    }

    async fn start_link(&self, connection: &Connection) -> Result<()> {
        let runtime = self.runtime();
        let settings = connection::link_settings(runtime, connection).await?;
        // Another carrier, perhaps, or another form that is set.
        self.parts.journal.forget_receipt_ids(connection.id);
        let dialect = Arc::new(ArcSwap::from_pointee(Dialect::new(&connection.settings)));
        let tongue = Arc::new(ArcSwap::from_pointee(Tongue::of(&connection.settings)));
        let (link, reports) = Link::start(settings, &runtime.tasks, runtime.clock.clone());
        let stopped = runtime.tasks.stopping().child_token();
        let dispatcher = Dispatcher {
            runtime: runtime.clone(),
            connection: connection.id,
            link: link.clone(),
            dialect: dialect.clone(),
            queue: self.parts.queue.clone(),
            journal: self.parts.journal.clone(),
            stopped: stopped.clone(),
        };
        let reader = Reader {
            engine: self.clone(),
            tenant: connection.tenant,
            connection: connection.id,
            name: connection.name.clone(),
            tongue: tongue.clone(),
            meter: self.parts.meters.connection(connection.id),
            numbers: self.parts.numbers.clone(),
        };
        self.parts.queue.line(connection.id).set_rates(rates(connection));
        self.parts.inquiries.follow(connection.id, Some(&connection.settings));
        let asker = (connection.settings.protocol == Protocol::Smpp).then(|| Asker {
            connection: connection.id,
            link: link.clone(),
            dialect: dialect.clone(),
            tongue: tongue.clone(),
            journal: self.parts.journal.clone(),
            inquiries: self.parts.inquiries.clone(),
            stopped: stopped.clone(),
        });
        // Known before its first report is read, which looks it up.
        self.links().insert(
            connection.id,
            Running {
                revision: connection.revision,
                name: connection.name.clone(),
                dialect,
                tongue,
                patience: Patience::of(connection),
                link,
                stopped,
            },
        );
        runtime.tasks.spawn("dispatcher", dispatcher.run());
        runtime.tasks.spawn("carrier reports", reader.run(reports));
        if let Some(asker) = asker {
            runtime.tasks.spawn("queries", asker.run());
        }
        Ok(())
    }

    async fn end_link(&self, id: ConnectionId) {
        let running = self.links().remove(&id);
        self.parts.inquiries.follow(id, None);
        if let Some(running) = running {
            running.stopped.cancel();
            running.link.stop(STOP_WAIT).await;
        }
    }

    fn links(&self) -> std::sync::MutexGuard<'_, HashMap<ConnectionId, Running>> {
        self.parts.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a connection's link stands; nothing when it is stopped.
    pub fn connection_status(&self, id: ConnectionId) -> Option<Status> {
        self.links().get(&id).map(|running| running.link.status())
    }

    /// A connection's link, with how it writes and reads; nothing when it does not run.
    pub(crate) fn speaks(&self, id: ConnectionId) -> Option<(Link<Tag>, Arc<Dialect>, Arc<Tongue>)> {
        let links = self.links();
        let running = links.get(&id)?;
        Some((running.link.clone(), running.dialect.load_full(), running.tongue.load_full()))
    }

    /// The links that run, with how they stand.
    pub(crate) fn statuses(&self) -> Vec<(ConnectionId, Status, Patience)> {
        self.links().iter().map(|(id, running)| (*id, running.link.status(), running.patience)).collect()
    }

    /// The links that run, with all their counters.
    pub(crate) fn measured(&self) -> Vec<(ConnectionId, Status, Sizes)> {
        let links = self.links();
        let measured = |(id, running): (&ConnectionId, &Running)| {
            (*id, running.link.status(), running.link.round_trips())
        };
        links.iter().map(measured).collect()
    }

    /// What people call a connection whose link runs.
    pub(crate) fn link_name(&self, id: ConnectionId) -> Option<String> {
        self.links().get(&id).map(|running| running.name.clone())
    }

    /// Ends one session of a connection when nothing is open on it; it comes back at once. False where there is none.
    pub(crate) fn renew(&self, id: ConnectionId, bind: u64) -> bool {
        self.links().get(&id).is_some_and(|running| running.link.renew(bind))
    }

    /// How a connection stands for routing.
    pub fn liveness(&self, id: ConnectionId) -> Liveness {
        self.parts.queue.alive(id)
    }

    /// Lets an account's sessions go on under what was changed, ends those that it no longer allows, and learns its numbers.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account_changed(&self, id: AccountId) -> Result<()> {
        match account::load(self.runtime(), id).await? {
            Some(account) => self.parts.sessions.adapt(&account, self.runtime().clock.now()),
            None => self.parts.sessions.end(id),
        }
        self.parts.guests.forget(id);
        self.numbers_changed().await
    }

    /// The sessions of an account that are bound now.
    pub fn account_binds(&self, id: AccountId) -> Vec<Bound> {
        self.parts.sessions.of(id)
    }

    /// Records an event that changes no row of its own: a bind came or went.
    pub async fn happened(&self, tenant: TenantId, event: Event) {
        let happened = Happened {
            tenant,
            at: self.runtime().clock.now(),
            actor: "system messaging".to_owned(),
            request_id: None,
            from: None,
            events: vec![event],
        };
        if let Err(error) = self.write_event(happened).await {
            tracing::warn!(?error, "an event of a bind could not be kept");
        }
    }

    async fn write_event(&self, happened: Happened) -> Result<()> {
        let mut tx = self.runtime().db.write(Tenancy::Tenant(happened.tenant)).await?;
        let written = outbox::write(&mut tx, vec![happened]).await?;
        tx.commit().await?;
        written.tell(&self.runtime().live);
        Ok(())
    }

    /// Puts what waits and runs into the metrics.
    pub fn measure(&self) {
        metrics::gauge!("switchboard_queue_places_taken").set(self.parts.queue.taken() as f64);
        metrics::gauge!("switchboard_journal_waiting").set(self.parts.journal.waiting() as f64);
        let names: HashMap<ConnectionId, String> =
            self.links().iter().map(|(id, running)| (*id, running.name.clone())).collect();
        metrics::gauge!("switchboard_links").set(names.len() as f64);
        live::sample::publish(self, &names);
    }

    /// Ends all links politely; what is open is answered or stays claimed.
    pub async fn stop(&self) {
        let links: Vec<Running> = self.links().drain().map(|(_, running)| running).collect();
        for running in &links {
            running.stopped.cancel();
        }
        futures::future::join_all(links.iter().map(|running| running.link.stop(STOP_WAIT))).await;
    }
}
