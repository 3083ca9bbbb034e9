//! The simulator's phones in the console: what arrived on each, and a reply from it.

use types::Permission;
use web::console::NavEntry;
use web::ui::icon::Icon;

pub mod pages;

/// The phones' place in the navigation.
pub const NAV: &[NavEntry] = &[NavEntry {
    group: "Network",
    label: "Phones",
    href: "/phones",
    icon: Icon::Phone,
    key: Some('p'),
    permission: Permission::SimulatorUse,
}];
