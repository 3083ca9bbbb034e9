//! The processing register (GDPR article 30): what the code says of its tables, and what the tenant adds; and the times that a
//! tenant's law gives.

use db::{args, record, sql};
use runtime::Scope;
use runtime::personal::{self, Basis, Erasure, Personal};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Error, Event, Permission, Result};

use crate::person;
use crate::retention::{self, Term};

pub mod api;

const TEXT_CHARS_MAX: usize = 2_000;
const ENTRIES_MAX: usize = 100;

/// What a tenant has settled about personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PrivacySettings)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Days in which a request must be answered, 1 to 90; 30 when not given.
    pub response_days: u32,
    /// Days that an extension with a reason adds, 1 to 90; 60 when not given.
    pub extension_days: u32,
    /// Days for which a gathered file can be downloaded, 1 to 90; 14 when not given.
    pub file_days: u32,
    /// Hours in which the authority must hear of a breach, 1 to 240; 72 when not given, as in the GDPR; 120 are the five days
    /// of Algeria's law 25-11.
    pub breach_hours: u32,
    /// Who is responsible: name and address.
    pub controller: String,
    /// How the data protection officer is reached.
    pub officer: String,
    /// Processing beside what the program does by itself.
    pub activities: Vec<Activity>,
}

/// A processing that the tenant answers for, as the register has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Activity {
    /// What for.
    pub purpose: String,
    /// By which right.
    pub legal_basis: String,
    /// Whose data.
    pub subjects: String,
    /// Which data.
    pub categories: String,
    /// To whom it is given.
    pub recipients: String,
    /// To which other countries, and under which guarantees.
    pub transfers: String,
    /// For how long.
    pub kept: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            response_days: 30,
            extension_days: 60,
            file_days: 14,
            breach_hours: 72,
            controller: String::new(),
            officer: String::new(),
            activities: Vec::new(),
        }
    }
}

impl Settings {
    fn checked(self) -> Result<Self> {
        for (field, days, most) in [
            ("response_days", self.response_days, 90),
            ("extension_days", self.extension_days, 90),
            ("file_days", self.file_days, 90),
            ("breach_hours", self.breach_hours, 240),
        ] {
            if days == 0 || days > most {
                return Err(Error::invalid(field, format!("it takes 1 to {most}")));
            }
        }
        let text =
            |field: String, text: &str| match text.chars().count() > TEXT_CHARS_MAX || text.contains('\0') {
                true => Err(Error::invalid(&field, format!("it takes at most {TEXT_CHARS_MAX} characters"))),
                false => Ok(()),
            };
        text("controller".to_owned(), &self.controller)?;
        text("officer".to_owned(), &self.officer)?;
        if self.activities.len() > ENTRIES_MAX {
            return Err(Error::invalid("activities", format!("it takes at most {ENTRIES_MAX}")));
        }
        for (at, one) in self.activities.iter().enumerate() {
            if one.purpose.trim().is_empty() {
                return Err(Error::invalid(&format!("activities[{at}].purpose"), "say what for"));
            }
            for (name, value) in [
                ("purpose", &one.purpose),
                ("legal_basis", &one.legal_basis),
                ("subjects", &one.subjects),
                ("categories", &one.categories),
                ("recipients", &one.recipients),
                ("transfers", &one.transfers),
                ("kept", &one.kept),
            ] {
                text(format!("activities[{at}].{name}"), value)?;
            }
        }
        Ok(self)
    }
}

record! { struct Row { settings: String } }

/// The tenant's settings, for other operations of this crate.
pub(crate) async fn settings(scope: &Scope) -> Result<Settings> {
    let mut tx = scope.read().await?;
    let row: Option<Row> = tx
        .optional(sql!("select settings from privacy_tenant where tenant_id = $1"), args![scope.tenant()])
        .await?;
    Ok(row
        .map(|row| serde_json::from_str(&row.settings))
        .transpose()
        .map_err(Error::internal)?
        .unwrap_or_default())
}

/// The tenant's settings.
///
/// # Errors
/// Without `privacy.view`.
pub async fn show(scope: &Scope) -> Result<Settings> {
    scope.require(Permission::PrivacyView)?;
    settings(scope).await
}

/// Replaces the tenant's settings.
///
/// # Errors
/// Without `privacy.manage`; a value that its field does not take.
pub async fn put(scope: &Scope, new: Settings) -> Result<Settings> {
    scope.require(Permission::PrivacyManage)?;
    let new = new.checked()?;
    person::blind(scope).await?;
    let before = settings(scope).await?;
    let mut write = scope.write().await?;
    write
        .execute(
            sql!("update privacy_tenant set settings = $2, changed_at = $3 where tenant_id = $1"),
            args![scope.tenant(), serde_json::to_string(&new).map_err(Error::internal)?, scope.now()],
        )
        .await?;
    write.happened(Event::PrivacySettingsChanged(Change {
        id: scope.tenant().to_string(),
        name: "privacy".to_owned(),
        before: Some(serde_json::to_value(&before).map_err(Error::internal)?),
        after: Some(serde_json::to_value(&new).map_err(Error::internal)?),
    }));
    write.commit(new).await
}

/// A table of the program in the register.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Processing {
    /// What is kept, in words.
    pub title: &'static str,
    /// The table.
    pub table: &'static str,
    /// Its columns that hold personal data.
    pub columns: Vec<&'static str>,
    /// Whose data.
    pub subjects: &'static str,
    /// What for.
    pub purpose: &'static str,
    /// By which right.
    pub legal_basis: &'static str,
    /// For how long.
    pub kept: String,
    /// What erasure does: `erased`, or why it is kept.
    pub erasure: &'static str,
}

/// The processing register.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Register {
    /// Who is responsible.
    pub controller: String,
    /// How the data protection officer is reached.
    pub officer: String,
    /// What the program keeps, from the program itself.
    pub program: Vec<Processing>,
    /// What the tenant adds.
    pub activities: Vec<Activity>,
    /// How it is protected.
    pub safeguards: &'static [&'static str],
}

const SAFEGUARDS: &[&str] = &[
    "Row-level separation of tenants in every statement, and by the database where it is PostgreSQL",
    "Permissions for each operation; phones and texts are masked for those who may not see them",
    "What is kept about a request or a consent is encrypted by a key of that person alone (AES-256-GCM)",
    "An audit trail whose rows are chained and signed",
];

fn processing(table: &Personal, terms: &[Term]) -> Processing {
    let mut whys = table.ways.iter().map(|way| match way.erase {
        Erasure::Keep(why) => Some(why),
        Erasure::Sql(_) | Erasure::Code(_) => None,
    });
    let first = whys.next().flatten();
    let kept = first.filter(|_| whys.all(|why| why.is_some()));
    let basis: Basis = table.basis;
    Processing {
        title: table.title,
        table: table.table,
        columns: table.columns.split_whitespace().collect(),
        subjects: table.subjects,
        purpose: table.purpose,
        legal_basis: basis.words(),
        kept: retention::kept(table.kept, terms),
        erasure: kept.unwrap_or("erased"),
    }
}

/// The register as it stands.
///
/// # Errors
/// Without `privacy.view`.
pub async fn register(scope: &Scope) -> Result<Register> {
    scope.require(Permission::PrivacyView)?;
    let settings = settings(scope).await?;
    let terms = retention::terms(scope).await?;
    let tables = personal::tables(scope.runtime());
    Ok(Register {
        controller: settings.controller,
        officer: settings.officer,
        program: tables
            .iter()
            .filter(|table| !table.columns.is_empty())
            .map(|table| processing(table, &terms))
            .collect(),
        activities: settings.activities,
        safeguards: SAFEGUARDS,
    })
}
