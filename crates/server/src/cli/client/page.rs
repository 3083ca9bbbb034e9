//! Which page of a list.

/// How a list is asked for.
#[derive(Debug, Clone, Default, clap::Args)]
pub(in crate::cli) struct PageFlags {
    /// Rows, 1 to 200; 50 when not given
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Go on behind a page: its `next`
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

impl PageFlags {
    /// As parameters of the query.
    pub(in crate::cli) fn query(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("limit", self.limit.map(|limit| limit.to_string())), ("after", self.after.clone())]
    }
}
