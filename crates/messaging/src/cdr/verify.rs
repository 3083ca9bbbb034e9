//! Whether anything is missing or double: over files alone, and over a tenant's files and their registration.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use db::{args, sql};
use runtime::Scope;
use serde::Serialize;
use types::{Error, Permission, Result};

use super::{CdrFile, StoredFile, file, read};

/// Faults that are named one by one; beyond it they are only counted.
const NAMED_MAX: usize = 100;
/// Rows whose message, part and revision are compared with all others: what is held in memory.
const COMPARED_MAX: usize = 20_000_000;
/// Files read from the registry at once.
const FILES_AT_ONCE: usize = 500;

/// Row numbers from one to another, both within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[schema(as = CdrSpan)]
pub struct Span {
    /// The first.
    pub from: i64,
    /// The last.
    pub to: i64,
}

/// What a tenant's files hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TenantReport {
    /// Whose.
    pub tenant: String,
    /// The smallest row number.
    pub first_seq: i64,
    /// The greatest row number.
    pub last_seq: i64,
    /// Rows, doubles included.
    pub rows: i64,
    /// Numbers between the first and the last that no file has; at most a hundred are named.
    pub missing: Vec<Span>,
    /// Numbers that are there more than once; at most a hundred are named.
    pub doubled: Vec<Span>,
    /// Parts of messages that are there more than once in the same revision, under whichever numbers.
    pub repeated: i64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Report {
    /// Whether nothing is missing, double or unreadable.
    pub ok: bool,
    /// Files that were read.
    pub files: usize,
    /// Their rows.
    pub rows: i64,
    /// Each tenant's.
    pub tenants: Vec<TenantReport>,
    /// What is wrong with files, in words.
    pub faults: Vec<String>,
}

impl Report {
    fn fault(&mut self, text: String) {
        if self.faults.len() < NAMED_MAX {
            self.faults.push(text);
        }
    }

    fn judged(mut self) -> Self {
        let whole =
            |one: &TenantReport| one.missing.is_empty() && one.doubled.is_empty() && one.repeated == 0;
        self.ok = self.faults.is_empty() && self.tenants.iter().all(whole);
        self
    }
}

/// Every closed file of records under a folder, by name.
///
/// # Errors
/// When a folder cannot be read.
pub fn files_under(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if read::format_of(&path).is_some() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads files and looks for numbers that are missing or double. Files that are only a part of what a tenant has are
/// judged between their own first and last number.
pub fn files(paths: &[PathBuf]) -> Report {
    let mut report = Report::default();
    let mut runs: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    let mut repeated: BTreeMap<String, i64> = BTreeMap::new();
    let (hasher, mut seen) = (RandomState::new(), HashSet::new());
    for path in paths {
        let shown = path.display();
        let rows = match read::open(path) {
            Ok(rows) => rows,
            Err(why) => {
                report.fault(format!("{shown}: {why}"));
                continue;
            }
        };
        report.files += 1;
        for row in rows {
            let row = match row {
                Ok(row) => row,
                Err(why) => {
                    report.fault(format!("{shown}: {why}"));
                    break;
                }
            };
            report.rows += 1;
            if seen.len() < COMPARED_MAX
                && !seen.insert(hasher.hash_one((&row.message_id, row.part, row.revision)))
            {
                *repeated.entry(row.tenant.clone()).or_default() += 1;
            }
            if !runs.contains_key(&row.tenant) {
                runs.insert(row.tenant.clone(), Vec::new());
            }
            let Some(runs) = runs.get_mut(&row.tenant) else { continue };
            match runs.last_mut() {
                Some(run) if run.to + 1 == row.seq => run.to = row.seq,
                _ => runs.push(Span { from: row.seq, to: row.seq }),
            }
        }
    }
    report.tenants = runs
        .into_iter()
        .map(|(tenant, runs)| TenantReport {
            repeated: repeated.get(&tenant).copied().unwrap_or(0),
            ..judge(tenant, runs)
        })
        .collect();
    report.judged()
}

/// What is missing and what is double in runs of numbers.
fn judge(tenant: String, mut runs: Vec<Span>) -> TenantReport {
    runs.sort_unstable();
    let mut report =
        TenantReport { tenant, first_seq: runs.first().map_or(0, |run| run.from), ..TenantReport::default() };
    let mut end = report.first_seq - 1;
    for run in runs {
        report.rows += run.to - run.from + 1;
        if run.from > end + 1 && report.missing.len() < NAMED_MAX {
            report.missing.push(Span { from: end + 1, to: run.from - 1 });
        }
        if run.from <= end && report.doubled.len() < NAMED_MAX {
            report.doubled.push(Span { from: run.from, to: run.to.min(end) });
        }
        end = end.max(run.to);
    }
    report.last_seq = end;
    report
}

/// Holds the tenant's files against their registration: no number without its file, no row number missing or double between
/// them, each file with the octets that it was closed with.
///
/// # Errors
/// [`types::Code::Forbidden`].
pub async fn registered(scope: &Scope) -> Result<Report> {
    scope.require(Permission::CdrView)?;
    let mut report = Report::default();
    let mut tenant =
        TenantReport { tenant: scope.tenant().to_string(), first_seq: 1, ..TenantReport::default() };
    let (mut number, mut seq) = (0, 0);
    loop {
        let files = files_behind(scope, number).await?;
        let Some(last) = files.last() else { break };
        let reached = last.number;
        for one in files {
            if one.number != number + 1 {
                report.fault(format!("the files {} to {} are not registered", number + 1, one.number - 1));
            }
            if one.first_seq > seq + 1 {
                tenant.missing.push(Span { from: seq + 1, to: one.first_seq - 1 });
            } else if one.first_seq <= seq {
                tenant.doubled.push(Span { from: one.first_seq, to: seq });
            }
            if one.lost > 0 {
                report.fault(format!(
                    "{}: {} events had been forgotten before they could be written",
                    one.name, one.lost
                ));
            }
            (number, seq) = (one.number, one.last_seq);
            tenant.rows += one.rows;
            report.files += 1;
            on_disk(scope, &one, &mut report).await?;
        }
        number = reached;
    }
    tenant.last_seq = seq;
    report.rows = tenant.rows;
    report.tenants = vec![tenant];
    Ok(report.judged())
}

async fn files_behind(scope: &Scope, number: i64) -> Result<Vec<CdrFile>> {
    let stored: Vec<StoredFile> = scope
        .read()
        .await?
        .all(
            sql!(
                "select id, number, name, format, compression, first_seq, last_seq, row_count, lost, bytes, sha256, states, \
                 state, reason, opened_at, closed_at, uploaded_at from cdr_file \
                 where tenant_id = $1 and number > $2 order by number limit $3"
            ),
            args![scope.tenant(), number, FILES_AT_ONCE as i64],
        )
        .await?;
    stored.into_iter().map(StoredFile::file).collect()
}

async fn on_disk(scope: &Scope, one: &CdrFile, report: &mut Report) -> Result<()> {
    if one.state == "removed" {
        return Ok(());
    }
    let Some(path) = file::find(&scope.runtime().config, scope.tenant(), &one.name) else {
        report.fault(format!("{} is not where it belongs", one.name));
        return Ok(());
    };
    let hashed = tokio::task::spawn_blocking(move || file::hashed(&path)).await.map_err(Error::internal)?;
    match hashed {
        Ok(hashed) if hashed.sha256 == one.sha256 => {}
        Ok(_) => report.fault(format!("{} has other octets than it was closed with", one.name)),
        Err(error) => report.fault(format!("{}: {error}", one.name)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(spans: &[(i64, i64)]) -> TenantReport {
        judge("t".to_owned(), spans.iter().map(|(from, to)| Span { from: *from, to: *to }).collect())
    }

    #[test]
    fn gaps_and_doubles_are_named() {
        let whole = runs(&[(4, 9), (1, 3), (10, 10)]);
        assert_eq!((whole.first_seq, whole.last_seq, whole.rows), (1, 10, 10));
        assert!(whole.missing.is_empty() && whole.doubled.is_empty());
        let broken = runs(&[(1, 3), (6, 9), (8, 12), (20, 20)]);
        assert_eq!(broken.missing, [Span { from: 4, to: 5 }, Span { from: 13, to: 19 }]);
        assert_eq!(broken.doubled, [Span { from: 8, to: 9 }]);
    }
}
