//! The console's design system: plain values in, [`maud::Markup`] out.
//!
//! A page is a function that calls components; a fragment is the same function without [`layout::page`]
//! around it. No component reads a clock, a request or a database, and every visible text comes from the
//! caller, except the few words that components own, which are in [`words::Words`].
//!
//! # Layout
//!
//! | module | what |
//! | --- | --- |
//! | [`layout`] | the whole document: page, bare page (sign-in), error page |
//! | [`words`] | the components' own words in English, French and Arabic |
//! | [`tone`] | the six meanings a colour may have |
//! | [`icon`] | our icons, as inline SVG |
//! | [`field`] | one labelled form control, with hint and error |
//! | [`figure`] | counts and octets as people read them |
//! | [`form`] | forms, buttons, error summary |
//! | [`compose`] | message text with its live part counter |
//! | [`table`] | tables that become cards on a phone; row links, sorting, bulk selection |
//! | [`browse`] | what stands around a table: filter bar, pager, tabs, breadcrumbs |
//! | [`badge`] | message states, connection states, tags |
//! | [`card`] | cards, stat tiles, definition lists |
//! | [`chart`] | sparkline and bars, with their table behind |
//! | [`timeline`] | what happened, in order; times |
//! | [`dialog`] | modal dialogs and confirm buttons |
//! | [`feedback`] | flash, toast, empty, error and help states, progress |
//! | [`code`] | code, hex dumps, secrets shown once, copy buttons |
//! | [`chat`] | message bubbles in a phone frame |
//! | [`live`] | regions that refresh themselves when the server says so |
//!
//! # Invariants
//!
//! - No inline script, inline style or `on…` attribute, so that the console runs under
//!   `default-src 'self'` without exceptions.
//! - Every control has a label; hints and errors are tied by `aria-describedby`.
//! - Colour never carries a meaning alone: a badge has a shape and a word too.
//! - Links and forms are real: without script a page still reads and submits.

pub mod badge;
pub mod browse;
pub mod card;
pub mod chart;
pub mod chat;
pub mod code;
pub mod compose;
pub mod dialog;
pub mod feedback;
pub mod field;
pub mod figure;
pub mod form;
pub mod icon;
pub mod layout;
pub mod live;
pub mod table;
pub mod timeline;
pub mod tone;
pub mod words;

#[cfg(test)]
mod tests;
