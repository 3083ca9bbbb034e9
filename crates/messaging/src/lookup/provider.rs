//! Look-up services: whom to ask which network a number is of, described in data, so that any service over HTTP will do.

use std::collections::BTreeMap;

use db::{OnConflict, Tenancy, args, record, sql};
use identity::encryption::Sealed;
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::event::Change;
use types::{Code, Error, Event, LookupId, Page, Permission, Result, TenantId, Timestamp};

use super::{Network, Source};
use crate::route::Cost;
use crate::settings::{self, Patch};

/// A look-up service. Its secret headers are not here: nothing shows them.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Provider {
    /// Its id.
    pub id: LookupId,
    /// Whose it is.
    #[serde(skip)]
    pub tenant: TenantId,
    /// What people call it; unique within the tenant.
    pub name: String,
    /// Whether it is asked.
    pub active: bool,
    /// How it is asked, and how its answer is read.
    pub settings: LookupSettings,
    #[serde(skip)]
    pub(super) headers_sealed: String,
    /// 1, 2, 3 … with each change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// How a service is asked, and how its answer is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LookupSettings {
    /// Where it is asked, with `{number}` for the number's digits.
    #[schema(example = "https://lookup.example/v1/{number}")]
    pub url: String,
    /// `GET` or `POST`.
    pub method: Method,
    /// What is posted, with `{number}` for the number's digits.
    pub body: String,
    /// Headers that are no secret.
    pub headers: BTreeMap<String, String>,
    /// Where its answer says the mobile country code (JSON Pointer, RFC 6901), such as `/mcc`.
    pub mcc: String,
    /// Where it says the network's code.
    pub mnc: String,
    /// Where it says both at once, as `20801` or `208-01`; instead of `mcc` and `mnc`.
    pub mccmnc: String,
    /// Where it says the network's name.
    pub network: String,
    /// Where it says whether the number is ported.
    pub ported: String,
    /// Where it says whether the phone is roaming.
    pub roaming: String,
    /// Where it says whether the phone can be reached.
    pub reachable: String,
    /// Where it says the subscriber's identity; only its network's digits are kept, and they stand in for `mcc` and `mnc`.
    pub imsi: String,
    /// Numbers that are looked up before routing, by their beginning; none for no number. `*` is every number.
    pub prefixes: Vec<String>,
    /// How long its answer is awaited, 50 to 5,000 ms.
    pub timeout_ms: u64,
    /// How long an answer counts, 60 s to 30 days.
    pub ttl_s: u64,
    /// How long it counts that it did not know or did not answer, 1 s to a day.
    pub negative_ttl_s: u64,
    /// What one question costs.
    pub cost: Option<Cost>,
}

/// How a service is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = LookupMethod)]
pub enum Method {
    /// By GET.
    #[default]
    #[serde(rename = "GET")]
    Get,
    /// By POST.
    #[serde(rename = "POST")]
    Post,
}

impl Default for LookupSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            method: Method::Get,
            body: String::new(),
            headers: BTreeMap::new(),
            mcc: "/mcc".to_owned(),
            mnc: "/mnc".to_owned(),
            mccmnc: String::new(),
            network: String::new(),
            ported: String::new(),
            roaming: String::new(),
            reachable: String::new(),
            imsi: String::new(),
            prefixes: Vec::new(),
            timeout_ms: 1_000,
            ttl_s: 7 * 86_400,
            negative_ttl_s: 300,
            cost: None,
        }
    }
}

const PROVIDERS_MAX: i64 = 20;
const HEADERS_MAX: usize = 20;
const PREFIXES_MAX: usize = 500;
const BODY_CHARS_MAX: usize = 4_000;
const READ_MAX: i64 = 100_000;

impl LookupSettings {
    /// Where a number is asked for.
    pub(super) fn url_of(&self, number: &str) -> String {
        self.url.replace("{number}", number)
    }

    /// Whether a number is looked up before routing.
    pub(super) fn wants(&self, number: &str) -> bool {
        self.prefixes.iter().any(|prefix| prefix == "*" || number.starts_with(prefix.as_str()))
    }

    fn checked(mut self, scope: &Scope) -> Result<Self> {
        if !self.url.contains("{number}") && !self.body.contains("{number}") {
            return Err(Error::invalid(
                "settings.url",
                "neither the URL nor the body says where {number} goes",
            ));
        }
        scope
            .runtime()
            .outbound
            .check_url(&self.url_of("33612345678"))
            .map_err(|error| Error::new(Code::InvalidUrl, error.to_string()).at("settings.url"))?;
        settings::within("settings.timeout_ms", &self.timeout_ms, &(50..=5_000))?;
        settings::within("settings.ttl_s", &self.ttl_s, &(60..=2_592_000))?;
        settings::within("settings.negative_ttl_s", &self.negative_ttl_s, &(1..=86_400))?;
        settings::at_most("settings.prefixes", &self.prefixes, PREFIXES_MAX)?;
        for prefix in &mut self.prefixes {
            *prefix = prefix.trim().trim_start_matches('+').to_owned();
            if prefix != "*" && (prefix.is_empty() || !prefix.bytes().all(|octet| octet.is_ascii_digit())) {
                let why = format!("{prefix:?} is neither the beginning of a number nor *");
                return Err(Error::invalid("settings.prefixes", why));
            }
        }
        if self.body.chars().count() > BODY_CHARS_MAX {
            return Err(Error::invalid(
                "settings.body",
                format!("it takes at most {BODY_CHARS_MAX} characters"),
            ));
        }
        for (field, pointer) in self.pointers() {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                let why = format!("{pointer:?} is no JSON Pointer, such as /result/mcc");
                return Err(Error::invalid(&format!("settings.{field}"), why));
            }
        }
        check_headers("settings.headers", &self.headers)?;
        Ok(self)
    }

    fn pointers(&self) -> [(&'static str, &str); 8] {
        [
            ("mcc", &self.mcc),
            ("mnc", &self.mnc),
            ("mccmnc", &self.mccmnc),
            ("network", &self.network),
            ("ported", &self.ported),
            ("roaming", &self.roaming),
            ("reachable", &self.reachable),
            ("imsi", &self.imsi),
        ]
    }

    /// The network that an answer names; nothing where it names none.
    pub(super) fn read(&self, answer: &Value) -> Option<Network> {
        let text = |pointer: &str| -> Option<String> {
            if pointer.is_empty() {
                return None;
            }
            match answer.pointer(pointer)? {
                Value::String(text) => Some(text.trim().to_owned()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            }
            .filter(|text| !text.is_empty())
        };
        let yes = |pointer: &str| match answer.pointer(pointer).filter(|_| !pointer.is_empty())? {
            Value::Bool(yes) => Some(*yes),
            Value::Number(number) => number.as_i64().map(|number| number != 0),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" | "ported" | "roaming" | "reachable" | "connected" => Some(true),
                "false" | "no" | "0" | "not_ported" | "not_roaming" | "absent" | "unreachable" => Some(false),
                _ => None,
            },
            _ => None,
        };
        let imsi = text(&self.imsi).filter(|imsi| imsi.bytes().all(|octet| octet.is_ascii_digit()));
        let joined = |both: &str| {
            let digits: String = both.chars().filter(char::is_ascii_digit).collect();
            (digits.len() >= 5).then(|| format!("{}-{}", &digits[..3], &digits[3..digits.len().min(6)]))
        };
        // Numbers lose their zeros in JSON: a network's code has at least two digits.
        let apart = text(&self.mcc).zip(text(&self.mnc)).map(|(mcc, mnc)| format!("{mcc}-{mnc:0>2}"));
        let code = apart
            .or_else(|| text(&self.mccmnc).and_then(|both| joined(&both)))
            .or_else(|| imsi.as_deref().and_then(|imsi| joined(imsi.get(..5)?)))
            .or_else(|| text(&self.mcc))
            .filter(|code| super::is_network(code))?;
        let masked = imsi
            .filter(|imsi| imsi.len() > 5)
            .map(|imsi| format!("{}{}", &imsi[..5], "*".repeat(imsi.len() - 5)));
        Some(Network {
            code,
            name: text(&self.network).unwrap_or_default().chars().take(100).collect(),
            source: Source::Lookup,
            ported: yes(&self.ported),
            roaming: yes(&self.roaming),
            reachable: yes(&self.reachable),
            imsi: masked,
        })
    }
}

fn check_headers(field: &str, headers: &BTreeMap<String, String>) -> Result<()> {
    let plain = |text: &str| text.chars().all(|letter| !letter.is_control()) && text.len() <= 2_000;
    let name = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
    };
    if headers.len() > HEADERS_MAX || !headers.iter().all(|(header, value)| name(header) && plain(value)) {
        return Err(Error::invalid(field, format!("it takes at most {HEADERS_MAX} headers of plain text")));
    }
    Ok(())
}

/// A service to be added.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProvider {
    /// What people call it.
    pub name: String,
    /// Whether it is asked; true when not given.
    pub active: Option<bool>,
    /// How it is asked, and how its answer is read. `url` must be given.
    #[serde(default)]
    #[schema(value_type = LookupSettings)]
    pub settings: Patch,
    /// Headers that are secret, such as `Authorization`; kept sealed and never shown.
    #[serde(default)]
    pub secret_headers: BTreeMap<String, String>,
}

/// A change to a service. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderPatch {
    /// What people call it.
    pub name: Option<String>,
    /// Whether it is asked.
    pub active: Option<bool>,
    /// How it is asked; null brings a member's default back.
    #[serde(default)]
    #[schema(value_type = LookupSettings)]
    pub settings: Patch,
    /// All its secret headers; those of before stay when this is not given.
    pub secret_headers: Option<BTreeMap<String, String>>,
    /// The revision that the change was decided on; when it is not the present one the change is refused.
    pub revision: Option<i64>,
}

record! {
    struct Stored {
        id: LookupId, tenant_id: TenantId, name: String, active: bool, settings: String, headers_sealed: String,
        revision: i64, created_at: Timestamp, changed_at: Timestamp,
    }
}

impl Stored {
    fn provider(self) -> Result<Provider> {
        Ok(Provider {
            id: self.id,
            tenant: self.tenant_id,
            name: self.name,
            active: self.active,
            settings: settings::stored(&self.settings)?,
            headers_sealed: self.headers_sealed,
            revision: self.revision,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

/// The secret headers of services.
pub const SEALED: Sealed = Sealed {
    title: "Headers of look-up services",
    table: "lookup_provider",
    column: "headers_sealed",
    row: |id| LookupId::from_raw(id).to_string(),
    count: sql!("select count(*) as n from lookup_provider where tenant_id = $1 and headers_sealed like $2"),
    walk: sql!(
        "select id, headers_sealed as sealed from lookup_provider where tenant_id = $1 and id > $2 order by id limit $3"
    ),
    replace: sql!(
        "update lookup_provider set headers_sealed = r.new from rows(id bigint, old text, new text) r \
         where lookup_provider.tenant_id = $1 and lookup_provider.id = r.id and lookup_provider.headers_sealed = r.old"
    ),
};

async fn sealed(scope: &Scope, id: LookupId, headers: &BTreeMap<String, String>) -> Result<String> {
    check_headers("secret_headers", headers)?;
    let text = settings::to_store(headers)?;
    identity::encryption::seal(scope, "lookup_provider", "headers_sealed", &id.to_string(), &text).await
}

/// A service's secret headers.
pub(super) async fn secret_headers(
    runtime: &Runtime,
    provider: &Provider,
) -> Result<BTreeMap<String, String>> {
    let row = provider.id.to_string();
    let sealed = &provider.headers_sealed;
    let opened = identity::encryption::open(
        runtime,
        provider.tenant,
        "lookup_provider",
        "headers_sealed",
        &row,
        sealed,
    )
    .await?;
    settings::stored(opened.expose())
}

fn audited(provider: &Provider, before: Option<&Provider>, after: Option<&Provider>) -> Result<Change> {
    Ok(Change {
        id: provider.id.to_string(),
        name: provider.name.clone(),
        before: before.map(settings::shown).transpose()?,
        after: after.map(settings::shown).transpose()?,
    })
}

fn taken(name: &str) -> Error {
    Error::new(Code::AlreadyExists, format!("there is a look-up service named {name:?} already")).at("name")
}

/// Adds a service. Tell the engine after it.
///
/// # Errors
/// [`Code::AlreadyExists`]; [`Code::Conflict`] when the tenant has as many as it may; refusals of its values.
pub async fn create(scope: &Scope, new: NewProvider) -> Result<Provider> {
    scope.require(Permission::LookupCreate)?;
    let defaults = LookupSettings::default();
    let now = scope.now();
    let id = scope.runtime().ids.next();
    let provider = Provider {
        id,
        tenant: scope.tenant(),
        name: identity::name::given("name", &new.name)?,
        active: new.active.unwrap_or(true),
        settings: settings::changed("settings", &defaults, &defaults, &new.settings)?.checked(scope)?,
        headers_sealed: sealed(scope, id, &new.secret_headers).await?,
        revision: 1,
        created_at: now,
        changed_at: now,
    };
    let mut write = scope.write().await?;
    if of_tenant(&mut write, scope.tenant()).await?.len() as i64 >= PROVIDERS_MAX {
        return Err(Error::new(
            Code::Conflict,
            format!("there are {PROVIDERS_MAX} look-up services already"),
        ));
    }
    let inserted = write.execute(
        sql!(
            "insert into lookup_provider (id, tenant_id, name, active, settings, headers_sealed, revision, created_at, changed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8)"
        ),
        args![
            provider.id,
            provider.tenant,
            &provider.name,
            provider.active,
            settings::to_store(&provider.settings)?,
            &provider.headers_sealed,
            provider.revision,
            now
        ],
    );
    inserted.await.on_unique(|| taken(&provider.name))?;
    write.happened(Event::LookupCreated(audited(&provider, None, Some(&provider))?));
    write.commit(provider).await
}

async fn of_tenant(tx: &mut db::Tx, tenant: TenantId) -> Result<Vec<Provider>> {
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, active, settings, headers_sealed, revision, created_at, changed_at
                 from lookup_provider where tenant_id = $1 order by id limit $2"
            ),
            args![tenant, PROVIDERS_MAX],
        )
        .await?;
    stored.into_iter().map(Stored::provider).collect()
}

/// All services, in the order in which they are asked: the oldest first.
///
/// # Errors
/// [`Code::Forbidden`].
pub async fn list(scope: &Scope) -> Result<Page<Provider>> {
    scope.require(Permission::LookupView)?;
    Ok(Page { items: of_tenant(&mut scope.read().await?, scope.tenant()).await?, next: None })
}

/// One service.
///
/// # Errors
/// [`Code::NotFound`], also for another tenant's.
pub async fn get(scope: &Scope, id: LookupId) -> Result<Provider> {
    scope.require(Permission::LookupView)?;
    present(&mut scope.read().await?, scope.tenant(), id).await
}

async fn present(tx: &mut db::Tx, tenant: TenantId, id: LookupId) -> Result<Provider> {
    let found = of_tenant(tx, tenant).await?.into_iter().find(|provider| provider.id == id);
    found.ok_or_else(|| Error::not_found("look-up service"))
}

/// Changes a service. Tell the engine after it.
///
/// # Errors
/// [`Code::Conflict`] when it is no longer at the patch's revision; [`Code::AlreadyExists`]; [`Code::NotFound`].
pub async fn change(scope: &Scope, id: LookupId, patch: ProviderPatch) -> Result<Provider> {
    scope.require(Permission::LookupChange)?;
    let sealed = match &patch.secret_headers {
        Some(headers) => Some(sealed(scope, id, headers).await?),
        None => None,
    };
    let mut write = scope.write().await?;
    let before = present(&mut write, scope.tenant(), id).await?;
    if patch.revision.is_some_and(|revision| revision != before.revision) {
        return Err(settings::outdated("look-up service", before.revision));
    }
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = identity::name::given("name", &name)?;
    }
    after.active = patch.active.unwrap_or(before.active);
    let defaults = LookupSettings::default();
    after.settings =
        settings::changed("settings", &before.settings, &defaults, &patch.settings)?.checked(scope)?;
    after.headers_sealed = sealed.unwrap_or(after.headers_sealed);
    after.revision += 1;
    after.changed_at = scope.now();
    let changed = write.execute(
        sql!(
            "update lookup_provider set name = $3, active = $4, settings = $5, headers_sealed = $6, revision = $7, changed_at = $8
             where tenant_id = $1 and id = $2 and revision = $9"
        ),
        args![
            after.tenant,
            id,
            &after.name,
            after.active,
            settings::to_store(&after.settings)?,
            &after.headers_sealed,
            after.revision,
            after.changed_at,
            before.revision
        ],
    );
    if changed.await.on_unique(|| taken(&after.name))? == 0 {
        return Err(settings::outdated("look-up service", after.revision));
    }
    write.happened(Event::LookupChanged(audited(&after, Some(&before), Some(&after))?));
    write.commit(after).await
}

/// Deletes a service. What it has answered counts until its time. Tell the engine after it.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(scope: &Scope, id: LookupId) -> Result<()> {
    scope.require(Permission::LookupDelete)?;
    let mut write = scope.write().await?;
    let provider = present(&mut write, scope.tenant(), id).await?;
    write
        .execute(
            sql!("delete from lookup_provider where tenant_id = $1 and id = $2"),
            args![scope.tenant(), id],
        )
        .await?;
    write.happened(Event::LookupDeleted(audited(&provider, Some(&provider), None)?));
    write.commit(()).await
}

/// Every tenant's services that are asked, for the engine.
///
/// # Errors
/// When the database does not answer.
pub async fn load_all(runtime: &Runtime) -> Result<Vec<Provider>> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!(
                "select id, tenant_id, name, active, settings, headers_sealed, revision, created_at, changed_at
                 from lookup_provider order by id limit $1 /* every tenant: the engine serves all */"
            ),
            args![READ_MAX],
        )
        .await?;
    let all: Result<Vec<_>> = stored.into_iter().map(Stored::provider).collect();
    Ok(all?.into_iter().filter(|provider| provider.active).collect())
}
