//! The plan of prefixes: which network numbers are of by their beginning, as a tenant has imported it.

use std::collections::HashMap;

use db::{Arg, Tenancy, args, record, sql};
use runtime::{Runtime, Scope};
use serde::{Deserialize, Serialize};
use types::event::Change;
use types::{Error, Event, Page, Permission, Result, TenantId};
use web::Paging;

use super::{Network, Source};

record! {
    /// A line of the plan.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
    pub struct Line {
        /// The beginning of the numbers, country code first, without `+`.
        pub prefix: String,
        /// The mobile country code.
        pub mcc: String,
        /// The network's code; empty where only the country is known.
        pub mnc: String,
        /// What the network is called.
        pub name: String,
        /// The country (ISO 3166-1 alpha-2); empty where it is not said.
        pub country: String,
    }
}

record! {
    struct Stored { tenant_id: TenantId, prefix: String, mcc: String, mnc: String, name: String }
}

/// A plan to be imported.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[schema(as = NumberingPlanImport)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Lines of `prefix,mcc,mnc,name,country`, of which the last two may be missing; `;` and tabs part them too, and a
    /// first line that names the columns is passed over. It takes the place of the whole plan; empty, there is none.
    pub csv: String,
}

/// What was imported.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = NumberingPlanImported)]
pub struct Imported {
    /// Lines that the plan has now.
    pub lines: usize,
}

/// Lines of a tenant's plan.
const LINES_MAX: usize = 100_000;
/// Lines of all plans that memory takes.
const READ_MAX: i64 = 2_000_000;
/// Lines that are written in one statement.
const CHUNK: usize = 2_000;
const NAME_CHARS_MAX: usize = 100;

/// All tenants' plans.
#[derive(Debug, Default)]
pub struct Plans {
    by_tenant: HashMap<TenantId, HashMap<String, Network>>,
}

impl Plans {
    /// The network whose prefix is the longest that a number begins with.
    pub fn of(&self, tenant: TenantId, number: &str) -> Option<Network> {
        let plan = self.by_tenant.get(&tenant)?;
        let longest = number.bytes().take(15).take_while(u8::is_ascii_digit).count();
        (1..=longest).rev().find_map(|length| plan.get(&number[..length])).cloned()
    }

    fn add(&mut self, tenant: TenantId, prefix: String, mcc: &str, mnc: &str, name: String) {
        let code = if mnc.is_empty() { mcc.to_owned() } else { format!("{mcc}-{mnc}") };
        let network = Network { code, name, source: Source::Plan, ..Network::default() };
        self.by_tenant.entry(tenant).or_default().insert(prefix, network);
    }
}

/// Reads a plan as it is pasted.
///
/// # Errors
/// The first line that cannot be read, by its number.
pub fn read(csv: &str) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (at, text) in (1..).zip(csv.lines()) {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty()
            || (at == 1 && !text.starts_with(|first: char| first.is_ascii_digit() || "+\"".contains(first)))
        {
            continue;
        }
        let cells: Vec<&str> =
            text.split([',', ';', '\t']).map(|cell| cell.trim().trim_matches('"').trim()).collect();
        let line = line(&cells).map_err(|why| Error::invalid("csv", format!("line {at}: {why}")))?;
        match known.get(&line.prefix) {
            Some(place) => lines[*place] = line,
            None => {
                known.insert(line.prefix.clone(), lines.len());
                lines.push(line);
            }
        }
        if lines.len() > LINES_MAX {
            return Err(Error::invalid("csv", format!("a plan has at most {LINES_MAX} lines")));
        }
    }
    Ok(lines)
}

fn line(cells: &[&str]) -> Result<Line, String> {
    let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    let prefix = cell(0).trim_start_matches('+');
    if prefix.is_empty() || prefix.len() > 15 || !digits(prefix) {
        return Err(format!("{:?} is not the beginning of a number", cell(0)));
    }
    let (mcc, mnc) = (cell(1), cell(2));
    let code = if mnc.is_empty() { mcc.to_owned() } else { format!("{mcc}-{mnc}") };
    if !super::is_network(&code) {
        return Err(format!("{code:?} is no network"));
    }
    let country = cell(4).to_ascii_uppercase();
    if !country.is_empty() && !sms::country::is_country(&country) {
        return Err(format!("{country:?} is no country"));
    }
    let name = cell(3).chars().filter(|letter| !letter.is_control()).take(NAME_CHARS_MAX).collect();
    Ok(Line { prefix: prefix.to_owned(), mcc: mcc.to_owned(), mnc: mnc.to_owned(), name, country })
}

#[derive(Serialize)]
struct Row<'a> {
    p: &'a str,
    c: &'a str,
    n: &'a str,
    t: &'a str,
    o: &'a str,
}

/// Puts a plan in the place of the tenant's. Tell the engine after it.
///
/// # Errors
/// What cannot be read, at its line.
pub async fn import(scope: &Scope, import: &Import) -> Result<Imported> {
    scope.require(Permission::RouteManage)?;
    let lines = read(&import.csv)?;
    let mut write = scope.write().await?;
    write.execute(sql!("delete from number_plan where tenant_id = $1"), args![scope.tenant()]).await?;
    for chunk in lines.chunks(CHUNK) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|line| Row { p: &line.prefix, c: &line.mcc, n: &line.mnc, t: &line.name, o: &line.country })
            .collect();
        write
            .execute(
                sql!(
                    "insert into number_plan (tenant_id, prefix, mcc, mnc, name, country)
                     select cast($1 as bigint), r.value ->> 'p', r.value ->> 'c', r.value ->> 'n', r.value ->> 't', r.value ->> 'o'
                     from json_rows($2) r"
                ),
                args![scope.tenant(), Arg::json(&rows)?],
            )
            .await?;
    }
    write.happened(Event::NumberPlanImported(Change {
        id: "plan".to_owned(),
        name: "Numbering plan".to_owned(),
        before: None,
        after: Some(serde_json::json!({ "lines": lines.len() })),
    }));
    write.commit(Imported { lines: lines.len() }).await
}

/// The plan's lines in the order of their prefixes, which a page's cursor counts.
///
/// # Errors
/// [`types::Code::Forbidden`], [`types::Code::InvalidCursor`], [`types::Code::InvalidFilter`].
pub async fn list(scope: &Scope, paging: &Paging) -> Result<Page<Line>> {
    scope.require(Permission::RouteView)?;
    let (limit, behind) = (paging.limit()?, paging.behind(0)?);
    let mut tx = scope.read().await?;
    let mut lines: Vec<Line> = tx
        .all(
            sql!(
                "select prefix, mcc, mnc, name, country from number_plan where tenant_id = $1
                 order by prefix limit $2 offset $3"
            ),
            args![scope.tenant(), limit as i64 + 1, behind.max(0)],
        )
        .await?;
    let more = lines.len() > limit;
    lines.truncate(limit);
    let next = more.then(|| types::Cursor::at(behind.max(0) + limit as i64).to_string());
    Ok(Page { items: lines, next })
}

/// Every tenant's plan, for the engine.
///
/// # Errors
/// When the database does not answer.
pub async fn load_all(runtime: &Runtime) -> Result<Plans> {
    let mut tx = runtime.db.read(Tenancy::Every).await?;
    let stored: Vec<Stored> = tx
        .all(
            sql!("select tenant_id, prefix, mcc, mnc, name from number_plan limit $1 /* every tenant: the engine serves all */"),
            args![READ_MAX],
        )
        .await?;
    let mut plans = Plans::default();
    for Stored { tenant_id, prefix, mcc, mnc, name } in stored {
        plans.add(tenant_id, prefix, &mcc, &mnc, name);
    }
    Ok(plans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_is_pasted() {
        let csv = "\u{feff}prefix,mcc,mnc,name,country\n33612,208,01,\"Orange\",fr\n+33613;208;10;SFR\n\n336,208\n33612,208,20,Bouygues";
        let lines = read(csv).unwrap();
        let told: Vec<_> =
            lines.iter().map(|line| (line.prefix.as_str(), line.mnc.as_str(), line.name.as_str())).collect();
        assert_eq!(told, [("33612", "20", "Bouygues"), ("33613", "10", "SFR"), ("336", "", "")]);
        for bad in ["33612,208,1", "x33,208,01\n3x,208,01", "1,2", "33612,208,01,Orange,XX"] {
            let error = read(bad).unwrap_err();
            assert!(
                error.message().starts_with("line ") && error.place() == Some("csv"),
                "{bad}: {}",
                error.message()
            );
        }
    }

    #[test]
    fn the_longest_prefix_decides() {
        let mut plans = Plans::default();
        let tenant = TenantId::from_raw(1);
        for (prefix, mnc) in [("336", ""), ("33612", "01"), ("336123", "10")] {
            plans.add(tenant, prefix.to_owned(), "208", mnc, String::new());
        }
        let code = |number| plans.of(tenant, number).map(|network| network.code);
        assert_eq!(code("33612345678"), Some("208-10".to_owned()));
        assert_eq!(code("33612945678"), Some("208-01".to_owned()));
        assert_eq!(code("33699"), Some("208".to_owned()));
        assert_eq!(code("44"), None);
        assert_eq!(plans.of(TenantId::from_raw(2), "33612345678"), None);
    }
}
