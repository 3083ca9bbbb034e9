//! Asking look-up services: each number once at a time, within bounds, and never again while an answer counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use db::{Tenancy, args, record, sql};
use runtime::outbound::Method as Verb;
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use types::{Address, LookupId, Permission, Result, TenantId, Timestamp};

use super::provider::{self, Method, Provider};
use super::{Answer, Network, Networks, plan};
use crate::settings;

/// Numbers that are being asked for at once, all tenants together; beyond that the plan must do.
const UNDER_WAY_MAX: usize = 2_000;

/// A service with its secret headers opened.
#[derive(Debug)]
struct Service {
    provider: Provider,
    headers: Vec<(String, String)>,
}

/// Those who are asked, and what they have said.
pub struct Lookups {
    runtime: Runtime,
    networks: Arc<Networks>,
    services: ArcSwap<HashMap<TenantId, Vec<Arc<Service>>>>,
    under_way: Mutex<HashMap<(TenantId, String), watch::Receiver<()>>>,
}

record! { struct Stored { answer: String, expires_at: Timestamp } }

/// A number that somebody asks about.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[schema(as = LookupQuestion)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The number.
    #[schema(example = "+33612345678")]
    pub number: String,
    /// Whether to ask the services, also when an answer still counts. Otherwise only what is known is told.
    #[serde(default)]
    pub ask: bool,
}

/// What is known of a number.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = LookupAnswer)]
pub struct Looked {
    /// The number.
    pub number: String,
    /// Its network.
    pub network: Network,
    /// What each service said that was asked.
    pub asked: Vec<Told>,
}

/// What a service said.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = LookupTold)]
pub struct Told {
    /// The service.
    pub provider: LookupId,
    /// What people call it.
    pub name: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Why there is no network from it; absent where there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Lookups {
    /// Nobody to ask yet: see [`Lookups::reload`].
    pub fn new(runtime: &Runtime) -> Arc<Self> {
        Arc::new(Self {
            runtime: runtime.clone(),
            networks: Arc::default(),
            services: ArcSwap::default(),
            under_way: Mutex::default(),
        })
    }

    /// What is known without asking.
    pub fn networks(&self) -> &Arc<Networks> {
        &self.networks
    }

    /// Reads services and plans again; call it after a committed change of either.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reload(&self) -> Result<()> {
        let mut services: HashMap<TenantId, Vec<Arc<Service>>> = HashMap::new();
        for provider in provider::load_all(&self.runtime).await? {
            match provider::secret_headers(&self.runtime, &provider).await {
                Ok(secret) => {
                    let plain = provider.settings.headers.clone();
                    let headers = plain.into_iter().chain(secret).collect();
                    services
                        .entry(provider.tenant)
                        .or_default()
                        .push(Arc::new(Service { provider, headers }));
                }
                Err(error) => {
                    tracing::error!(?error, provider = %provider.id, "a look-up service's headers do not open; it is not asked");
                }
            }
        }
        self.services.store(Arc::new(services));
        self.networks.set_plans(plan::load_all(&self.runtime).await?);
        Ok(())
    }

    /// Finds out about recipients before their messages are routed, for those who can wait: no longer than the
    /// configuration allows. Who is not known by then is routed by the plan.
    pub async fn before_routing(self: &Arc<Self>, tenant: TenantId, recipients: impl Iterator<Item = &str>) {
        if !self.services.load().contains_key(&tenant) {
            return;
        }
        let numbers = recipients.filter_map(|recipient| Address::recipient(recipient).ok());
        let waits: Vec<_> = numbers.filter_map(|number| self.begin(tenant, &number.text)).collect();
        if waits.is_empty() {
            return;
        }
        let all = futures::future::join_all(waits.into_iter().map(|mut done| async move {
            // The sender goes when the answer is there.
            while done.changed().await.is_ok() {}
        }));
        let bound = Duration::from_millis(self.runtime.config.messaging.lookup_wait_ms);
        if tokio::time::timeout(bound, all).await.is_err() {
            metrics::counter!("switchboard_lookups_total", "outcome" => "late").increment(1);
        }
    }

    /// Finds out about a recipient beside its message, so that the next one is routed by it.
    pub fn beside_routing(self: &Arc<Self>, tenant: TenantId, recipient: &str) {
        if self.services.load().contains_key(&tenant) {
            drop(self.begin(tenant, recipient));
        }
    }

    /// Begins to find out about a number, or joins who has begun. Nothing where nobody needs to be asked.
    fn begin(self: &Arc<Self>, tenant: TenantId, number: &str) -> Option<watch::Receiver<()>> {
        let services: Vec<Arc<Service>> = {
            let all = self.services.load();
            let wanted = all.get(&tenant)?.iter().filter(|service| service.provider.settings.wants(number));
            wanted.cloned().collect()
        };
        if services.is_empty() || self.networks.answer(tenant, number, self.runtime.clock.now()).is_some() {
            return None;
        }
        let key = (tenant, number.to_owned());
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(begun) = under_way.get(&key) {
            return Some(begun.clone());
        }
        if under_way.len() >= UNDER_WAY_MAX {
            metrics::counter!("switchboard_lookups_total", "outcome" => "full").increment(1);
            return None;
        }
        let (done, begun) = watch::channel(());
        under_way.insert(key.clone(), begun.clone());
        drop(under_way);
        let lookups = Arc::clone(self);
        self.runtime.tasks.spawn("look-up", async move {
            if let Err(error) = lookups.find(tenant, &key.1, &services).await {
                tracing::warn!(?error, "a look-up could not be kept");
            }
            lookups.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            drop(done);
        });
        Some(begun)
    }

    /// What the table still knows, or what a service says.
    async fn find(&self, tenant: TenantId, number: &str, services: &[Arc<Service>]) -> Result<()> {
        let now = self.runtime.clock.now();
        let stored: Option<Stored> = self
            .runtime
            .db
            .read(Tenancy::Tenant(tenant))
            .await?
            .optional(
                sql!(
                    "select answer, expires_at from lookup_answer where tenant_id = $1 and number = $2 and expires_at > $3"
                ),
                args![tenant, number, now],
            )
            .await?;
        if let Some(Stored { answer, expires_at }) = stored {
            let network = settings::stored(&answer)?;
            self.networks.remember(tenant, number, Answer { network, expires_at });
            return Ok(());
        }
        self.ask(tenant, number, services).await.map(drop)
    }

    /// Asks one service after the other until one knows, and keeps what it says.
    async fn ask(&self, tenant: TenantId, number: &str, services: &[Arc<Service>]) -> Result<Vec<Told>> {
        let mut told = Vec::new();
        let mut found = None;
        for service in services {
            let begun = tokio::time::Instant::now();
            let answer = self.question(service, number).await;
            let outcome = if answer.is_ok() { "known" } else { "unknown" };
            metrics::counter!("switchboard_lookups_total", "outcome" => outcome).increment(1);
            told.push(Told {
                provider: service.provider.id,
                name: service.provider.name.clone(),
                took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                error: answer.as_ref().err().cloned(),
            });
            if let Ok(network) = answer {
                found = Some((network, &service.provider));
                break;
            }
        }
        let last = services.last().map(|service| &service.provider);
        let (network, by) = match found {
            Some((network, provider)) => (Some(network), Some(provider)),
            None => (None, last),
        };
        let Some(by) = by else { return Ok(told) };
        let keep_s = if network.is_some() { by.settings.ttl_s } else { by.settings.negative_ttl_s };
        let now = self.runtime.clock.now();
        let expires_at = now.plus_ms(i64::try_from(keep_s).unwrap_or(86_400) * 1_000);
        let text = settings::to_store(&network)?;
        self.networks.remember(tenant, number, Answer { network, expires_at });
        let mut tx = self.runtime.db.write(Tenancy::Tenant(tenant)).await?;
        tx.execute(
            sql!("delete from lookup_answer where tenant_id = $1 and expires_at <= $2"),
            args![tenant, now],
        )
        .await?;
        tx.execute(
            sql!(
                "insert into lookup_answer (tenant_id, number, provider_id, answer, at, expires_at)
                 values ($1, $2, $3, $4, $5, $6) on conflict (tenant_id, number) do update set
                 provider_id = excluded.provider_id, answer = excluded.answer, at = excluded.at, expires_at = excluded.expires_at"
            ),
            args![tenant, number, by.id, text, now, expires_at],
        )
        .await?;
        tx.commit().await?;
        Ok(told)
    }

    /// One question; an error says in words why there is no network. Nothing of the answer is repeated in it.
    async fn question(&self, service: &Service, number: &str) -> Result<Network, String> {
        let settings = &service.provider.settings;
        let headers: Vec<(&str, &str)> =
            service.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (verb, body) = match settings.method {
            Method::Get => (Verb::GET, String::new()),
            Method::Post => (Verb::POST, settings.body.replace("{number}", number)),
        };
        let url = settings.url_of(number);
        let asked = self.runtime.outbound.send(verb, &url, &headers, body.into());
        let bound = Duration::from_millis(settings.timeout_ms);
        let answer = tokio::time::timeout(bound, asked)
            .await
            .map_err(|_| format!("no answer within {} ms", settings.timeout_ms))?
            .map_err(|error| error.to_string())?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("it answered {}", answer.status));
        }
        let answer: Value =
            serde_json::from_slice(&answer.body).map_err(|_| "its answer is no JSON".to_owned())?;
        settings.read(&answer).ok_or_else(|| "its answer names no network".to_owned())
    }

    /// What is known of a number; with `ask`, what the tenant's services say of it now.
    ///
    /// # Errors
    /// [`types::Code::InvalidRecipient`]; [`types::Code::Forbidden`].
    pub async fn look(&self, scope: &Scope, question: &Question) -> Result<Looked> {
        scope.require(if question.ask { Permission::LookupAsk } else { Permission::LookupView })?;
        let number = Address::recipient(&question.number)?.text;
        let services = self.services.load().get(&scope.tenant()).cloned().unwrap_or_default();
        let asked =
            if question.ask { self.ask(scope.tenant(), &number, &services).await? } else { Vec::new() };
        let network = self.networks.of(scope.tenant(), &number, scope.now());
        Ok(Looked { number, network, asked })
    }
}
