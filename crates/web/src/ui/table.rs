//! Tables: dense for daily work, cards on a phone.

use crate::ui::{
    icon::{Icon, icon},
    words::Words,
};
use maud::{Markup, Render, html};

/// How a column's values are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Align {
    /// Words, at the reading edge.
    #[default]
    Start,
    /// Numbers, digits below digits.
    Number,
    /// Buttons, at the far edge.
    Actions,
}

/// Which way a sorted column runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Least first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// One column.
#[derive(Debug, Clone, Default)]
#[must_use = "a column shows only in its table"]
pub struct Column<'a> {
    label: &'a str,
    align: Align,
    sort: Option<(String, Option<Order>)>,
    detail: bool,
}

/// A column with words in it.
pub fn column(label: &str) -> Column<'_> {
    Column { label, ..Column::default() }
}

impl Column<'_> {
    /// A column with numbers in it.
    pub fn number(mut self) -> Self {
        self.align = Align::Number;
        self
    }

    /// A column with buttons in it; its label is for assistive technology alone.
    pub fn actions(mut self) -> Self {
        self.align = Align::Actions;
        self
    }

    /// The header is a link that sorts: `href` is the address of the page sorted the next way, `now` how the
    /// column is sorted at present.
    pub fn sort(mut self, href: impl Into<String>, now: Option<Order>) -> Self {
        self.sort = Some((href.into(), now));
        self
    }

    /// Left out where room is scarce.
    pub fn detail(mut self) -> Self {
        self.detail = true;
        self
    }
}

/// One row: as many cells as the table has columns.
#[derive(Debug, Clone)]
#[must_use = "a row shows only in its table"]
pub struct Row {
    cells: Vec<Markup>,
    href: Option<String>,
    key: Option<String>,
    current: bool,
    level: usize,
}

/// The deepest indent of a row.
pub const LEVEL_MAX: usize = 7;

/// A row of these cells.
pub fn row(cells: Vec<Markup>) -> Row {
    Row { cells, href: None, key: None, current: false, level: 0 }
}

impl Row {
    /// The whole row is a link; its first cell is the link's text, so it holds no other link or button.
    pub fn link(mut self, href: impl Into<String>) -> Self {
        self.href = Some(href.into());
        self
    }

    /// What the row's checkbox submits, in a [selectable](Table::selectable) table. The row's first cell
    /// names it for assistive technology.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// How many steps in the row's first cell stands, where the rows form a tree: 0 to [`LEVEL_MAX`], what is deeper as that.
    /// The indent is for the eye: the cell says it in words too.
    pub fn level(mut self, level: usize) -> Self {
        self.level = level.min(LEVEL_MAX);
        self
    }

    /// The row that the page shows at present.
    pub fn current(mut self, current: bool) -> Self {
        self.current = current;
        self
    }
}

/// A table being described; put it into `html!` to render it.
#[derive(Debug, Clone)]
#[must_use = "a table shows only where it is rendered"]
pub struct Table<'a> {
    caption: &'a str,
    columns: Vec<Column<'a>>,
    rows: Vec<Row>,
    empty: Option<Markup>,
    id: Option<&'a str>,
    dense: bool,
    caption_shown: bool,
    selectable: Option<(&'a str, &'a Words)>,
}

/// A table. The caption names it for assistive technology; [`Table::caption_shown`] shows it.
pub fn table<'a>(caption: &'a str, columns: Vec<Column<'a>>, rows: Vec<Row>) -> Table<'a> {
    Table {
        caption,
        columns,
        rows,
        empty: None,
        id: None,
        dense: false,
        caption_shown: false,
        selectable: None,
    }
}

impl<'a> Table<'a> {
    /// What stands in place of a table without rows, mostly [`feedback::empty`](crate::ui::feedback::empty).
    pub fn empty(mut self, markup: Markup) -> Self {
        self.empty = Some(markup);
        self
    }

    /// The element's id. Rows keep their place in a live region by it.
    pub fn id(mut self, id: &'a str) -> Self {
        self.id = Some(id);
        self
    }

    /// More rows on a screen, for people who look at it all day.
    pub fn dense(mut self) -> Self {
        self.dense = true;
        self
    }

    /// Shows the caption above the table.
    pub fn caption_shown(mut self) -> Self {
        self.caption_shown = true;
        self
    }

    /// A checkbox named `name` before each row that has a [`Row::key`]. Put the table and
    /// [`browse::bulk_bar`](crate::ui::browse::bulk_bar) into one [`form::post`](crate::ui::form::post).
    pub fn selectable(mut self, name: &'a str, words: &'a Words) -> Self {
        self.selectable = Some((name, words));
        self
    }

    // Explicit roles: as cards the rows are no longer laid out as a table, and some browsers then forget that
    // they are one.
    fn head(&self) -> Markup {
        html! {
            thead role="rowgroup" {
                tr role="row" {
                    @if let Some((_, words)) = self.selectable {
                        td class="select" role="cell" {
                            input type="checkbox" class="js-only" data-select-all aria-label=(words.select_all);
                        }
                    }
                    @for column in &self.columns { (header(column)) }
                }
            }
        }
    }

    fn body_row(&self, at: usize, row: &Row) -> Markup {
        let id =
            format!("{}-row-{}", self.id.unwrap_or("table"), row.key.as_deref().unwrap_or(&at.to_string()));
        html! {
            tr id=[(self.id.is_some() || row.key.is_some()).then_some(&id)] role="row" aria-current=[row.current.then_some("true")]
                class=[row_class(row)] {
                @if let Some((name, words)) = self.selectable {
                    td class="select" role="cell" {
                        @if let Some(key) = &row.key {
                            input type="checkbox" name=(name) value=(key) id={ (id) "-check" } aria-label=(words.select_row)
                                aria-describedby={ (id) "-name" };
                        }
                    }
                }
                @for (at, (column, cell)) in self.columns.iter().zip(&row.cells).enumerate() {
                    td role="cell" class=[cell_class(column)] data-label=(column.label)
                        id=[(at == 0 && self.selectable.is_some()).then(|| format!("{id}-name"))] {
                        @match &row.href {
                            Some(href) if at == 0 => { a class="row-link" href=(href) { (cell) } }
                            _ => (cell),
                        }
                    }
                }
            }
        }
    }
}

fn row_class(row: &Row) -> Option<String> {
    let level = (row.level > 0).then(|| format!("level-{}", row.level));
    let classes: Vec<String> =
        row.href.as_ref().map(|_| "linked".to_owned()).into_iter().chain(level).collect();
    (!classes.is_empty()).then(|| classes.join(" "))
}

fn cell_class(column: &Column<'_>) -> Option<&'static str> {
    match (column.align, column.detail) {
        (Align::Start, false) => None,
        (Align::Start, true) => Some("detail"),
        (Align::Number, false) => Some("number"),
        (Align::Number, true) => Some("number detail"),
        (Align::Actions, _) => Some("row-actions"),
    }
}

fn header(column: &Column<'_>) -> Markup {
    let sorted = column.sort.as_ref().and_then(|(_, now)| *now);
    let aria = sorted.map(|order| match order {
        Order::Ascending => "ascending",
        Order::Descending => "descending",
    });
    html! {
        th scope="col" role="columnheader" class=[cell_class(column)] aria-sort=[aria] {
            @match &column.sort {
                Some((href, _)) => {
                    a href=(href) {
                        (column.label)
                        @match sorted {
                            Some(Order::Ascending) => (icon(Icon::ArrowUp)),
                            Some(Order::Descending) => (icon(Icon::ArrowDown)),
                            None => {}
                        }
                    }
                }
                None if column.align == Align::Actions => { span class="visually-hidden" { (column.label) } }
                None => (column.label),
            }
        }
    }
}

impl Render for Table<'_> {
    fn render(&self) -> Markup {
        if let (true, Some(empty)) = (self.rows.is_empty(), &self.empty) {
            return html! { div class="table-empty" { (empty) } };
        }
        html! {
            div class="table-scroll" {
                table id=[self.id] role="table" class=(if self.dense { "table dense" } else { "table" }) {
                    caption class=[(!self.caption_shown).then_some("visually-hidden")] { (self.caption) }
                    (self.head())
                    tbody role="rowgroup" {
                        @for (at, row) in self.rows.iter().enumerate() { (self.body_row(at, row)) }
                    }
                }
            }
        }
    }
}
