//! What one transaction of the journal gathers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use db::{Tenancy, Tx};
use runtime::Runtime;
use runtime::job::NewJob;
use types::{Event, MessageId, Result, TenantId, Timestamp};

use super::kept::KeptRow;
use super::{After, rows, sent};
use crate::inbound::carry::Carried;
use crate::inquiry::Inquiries;
use crate::message::{Outgoing, State};
use crate::push::Push;

/// A batch under way.
pub(crate) struct Batch {
    pub(crate) tx: Tx,
    pub(crate) now: Timestamp,
    pub(crate) runtime: Runtime,
    pub(super) events: BTreeMap<TenantId, Vec<Event>>,
    pub(super) tally: BTreeMap<(TenantId, i64, &'static str), i64>,
    pub(super) settled: Vec<rows::SetRow>,
    pub(super) pushes: Vec<Push>,
    /// What ends and acceptances leave to be done.
    pub(crate) jobs: Vec<NewJob>,
    /// What messages from phones leave to be done.
    pub(crate) carried: Carried,
    /// Messages of one part that this batch's answers brought to their carrier, and no receipt of it to their end.
    pub(super) sent: HashMap<sent::Key, Arc<Outgoing>>,
    /// Messages that this batch ends; a second receipt for one of them changes nothing.
    pub(super) ended: HashSet<MessageId>,
    pub(crate) after: Vec<After>,
    /// Messages that were taken from their lanes, because this batch ends or holds them.
    pub(super) withdrawn: Vec<MessageId>,
    /// What went over the wire, for connections that keep that.
    pub(super) kept: Vec<KeptRow>,
    /// What carriers said on the way, for timelines.
    pub(super) noted: Vec<rows::Attempt>,
    /// Who is asked what became of messages.
    pub(super) inquiries: Arc<Inquiries>,
}

impl Batch {
    /// An empty one, in a transaction of its own.
    pub(super) async fn begin(runtime: &Runtime, inquiries: &Arc<Inquiries>) -> Result<Self> {
        Ok(Self {
            tx: runtime.db.write(Tenancy::Every).await?,
            now: runtime.clock.now(),
            runtime: runtime.clone(),
            events: BTreeMap::new(),
            tally: BTreeMap::new(),
            settled: Vec::new(),
            pushes: Vec::new(),
            jobs: Vec::new(),
            carried: Carried::default(),
            sent: HashMap::new(),
            ended: HashSet::new(),
            after: Vec::new(),
            withdrawn: Vec::new(),
            kept: Vec::new(),
            noted: Vec::new(),
            inquiries: inquiries.clone(),
        })
    }

    pub(crate) fn event(&mut self, tenant: TenantId, event: Event) {
        self.events.entry(tenant).or_default().push(event);
    }

    /// Counts a message out of one state and into another, and what happened in this minute.
    pub(super) fn count(&mut self, tenant: TenantId, from: Option<State>, to: State) {
        if let Some(from) = from {
            *self.tally.entry((tenant, 0, from.as_str())).or_default() -= 1;
        }
        *self.tally.entry((tenant, 0, to.as_str())).or_default() += 1;
        self.flow(tenant, to.as_str());
    }

    /// Counts something that happened in this minute.
    pub(super) fn flow(&mut self, tenant: TenantId, name: &'static str) {
        let minute = self.now.unix_ms() / 60_000 * 60_000;
        *self.tally.entry((tenant, minute, name)).or_default() += 1;
    }
}
