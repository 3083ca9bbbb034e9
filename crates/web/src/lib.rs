//! HTTP: who asks, problems, paging, idempotency, the console's layout and components

pub mod assets;
pub mod style_page;
pub mod ui;
