//! Small charts. The server writes a table; script draws it as SVG and leaves the table for assistive technology.

use maud::{Markup, html};
use std::fmt::Write as _;

/// Values along one axis.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// What the chart shows; the table's caption.
    pub caption: &'a str,
    /// Heading of the labels' column: `Hour`.
    pub axis: &'a str,
    /// Heading of the values' column: `Messages`.
    pub measure: &'a str,
    /// Label and value of each point, in order; at most a few hundred.
    pub points: &'a [(String, f64)],
}

/// A line over time.
#[must_use]
pub fn sparkline(series: &Series<'_>) -> Markup {
    html! { sb-sparkline class="chart" data-values=(values(series.points.iter().map(|point| point.1))) { (behind(series)) } }
}

/// A bar for each value.
#[must_use]
pub fn bars(series: &Series<'_>) -> Markup {
    html! { sb-bars class="chart" data-values=(values(series.points.iter().map(|point| point.1))) { (behind(series)) } }
}

/// A line without labels beside a figure that says the same in words; it decorates.
pub(crate) fn trend(points: &[f64]) -> Markup {
    html! { sb-sparkline class="trend" aria-hidden="true" data-values=(values(points.iter().copied())) {} }
}

fn values(values: impl Iterator<Item = f64>) -> String {
    let mut list = String::new();
    for value in values.filter(|value| value.is_finite()) {
        let separator = if list.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(list, "{separator}{value}");
    }
    list
}

fn behind(series: &Series<'_>) -> Markup {
    html! {
        table class="table dense" {
            caption { (series.caption) }
            thead { tr { th scope="col" { (series.axis) } th scope="col" class="number" { (series.measure) } } }
            tbody {
                @for (label, value) in series.points {
                    tr { th scope="row" { (label) } td class="number" { (value) } }
                }
            }
        }
    }
}
