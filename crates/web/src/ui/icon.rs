//! Our icons: 24 × 24, drawn with strokes, in the colour of the text around them.

use maud::{Markup, html};

/// An icon of the console. It decorates: the text beside it, or the control's label, carries the meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the picture it names")]
pub enum Icon {
    Home,
    Message,
    Inbox,
    Send,
    Route,
    Plug,
    Phone,
    Users,
    Key,
    Chart,
    List,
    Gear,
    Shield,
    Book,
    Clock,
    Coins,
    Flask,
    Bell,
    Search,
    Filter,
    Plus,
    Check,
    Cross,
    Warning,
    Info,
    Copy,
    Menu,
    Sun,
    Keyboard,
    ChevronDown,
    ChevronForward,
    ArrowUp,
    ArrowDown,
    Refresh,
    Pause,
    Dot,
    Globe,
    Exit,
    External,
    Trash,
    Edit,
    Lock,
}

impl Icon {
    /// All icons, for the style page and tests.
    pub const ALL: [Icon; 42] = [
        Icon::Home,
        Icon::Message,
        Icon::Inbox,
        Icon::Send,
        Icon::Route,
        Icon::Plug,
        Icon::Phone,
        Icon::Users,
        Icon::Key,
        Icon::Chart,
        Icon::List,
        Icon::Gear,
        Icon::Shield,
        Icon::Book,
        Icon::Clock,
        Icon::Coins,
        Icon::Flask,
        Icon::Bell,
        Icon::Search,
        Icon::Filter,
        Icon::Plus,
        Icon::Check,
        Icon::Cross,
        Icon::Warning,
        Icon::Info,
        Icon::Copy,
        Icon::Menu,
        Icon::Sun,
        Icon::Keyboard,
        Icon::ChevronDown,
        Icon::ChevronForward,
        Icon::ArrowUp,
        Icon::ArrowDown,
        Icon::Refresh,
        Icon::Pause,
        Icon::Dot,
        Icon::Globe,
        Icon::Exit,
        Icon::External,
        Icon::Trash,
        Icon::Edit,
        Icon::Lock,
    ];

    fn path(self) -> &'static str {
        match self {
            Icon::Home => "M4 11 12 4l8 7v9h-5v-6H9v6H4z",
            Icon::Message => "M4 5h16v11H10l-5 4v-4H4z",
            Icon::Inbox => "M4 13 6 5h12l2 8v6H4zM4 13h5l1 2h4l1-2h5",
            Icon::Send => "M4 4l17 8-17 8 3-8zM7 12h14",
            Icon::Route => "M6 21v-6a4 4 0 0 1 4-4h4a4 4 0 0 0 4-4V3M15 6l3-3 3 3M6 3v4M4 5h4",
            Icon::Plug => "M9 3v5M15 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4",
            Icon::Phone => "M8 3h8a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2",
            Icon::Users => {
                "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20a6 6 0 0 1 12 0M16 5a3 3 0 0 1 0 6M17 14a5 5 0 0 1 4 6"
            }
            Icon::Lock => "M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3M12 15v2",
            Icon::Key => "M8 19a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM11 12l9-9M16 7l3 3M14 9l2 2",
            Icon::Chart => "M4 4v16h16M8 16v-4M12 16V8M16 16v-6",
            Icon::List => "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
            Icon::Gear => {
                "M12 15.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2"
            }
            Icon::Shield => "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM9 12l2 2 4-4",
            Icon::Book => "M5 4h10a4 4 0 0 1 4 4v12H9a4 4 0 0 1-4-4zM5 16a4 4 0 0 1 4-4h10",
            Icon::Clock => "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3 2",
            Icon::Coins => {
                "M9 14a6 3.5 0 1 0 0-7 6 3.5 0 0 0 0 7zM3 10.5V15c0 2 2.7 3.5 6 3.5s6-1.5 6-3.5v-4.5M17 8c2.4.5 4 1.7 4 3.2V16c0 1.7-2.2 3-5 3.3"
            }
            Icon::Flask => "M9 3h6M10 3v6l-5 9a2 2 0 0 0 2 3h10a2 2 0 0 0 2-3l-5-9V3M8 15h8",
            Icon::Bell => "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4",
            Icon::Search => "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
            Icon::Filter => "M4 6h16M7 12h10M10 18h4",
            Icon::Plus => "M12 5v14M5 12h14",
            Icon::Check => "M5 12l5 5 9-10",
            Icon::Cross => "M6 6l12 12M18 6 6 18",
            Icon::Warning => "M12 4l9 16H3zM12 10v4M12 17h.01",
            Icon::Info => "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5M12 8h.01",
            Icon::Copy => "M9 9h11v11H9zM5 15H4V4h11v1",
            Icon::Menu => "M4 6h16M4 12h16M4 18h16",
            Icon::Sun => "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 3v18M12 7h5M12 11h7M12 15h6",
            Icon::Keyboard => "M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M18 10h.01M7 14h10",
            Icon::ChevronDown => "M6 9l6 6 6-6",
            Icon::ChevronForward => "M9 6l6 6-6 6",
            Icon::ArrowUp => "M12 20V5M6 11l6-6 6 6",
            Icon::ArrowDown => "M12 4v15M6 13l6 6 6-6",
            Icon::Refresh => "M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5",
            Icon::Pause => "M9 5v14M15 5v14",
            Icon::Dot => "M12 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
            Icon::Globe => {
                "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM3 12h18M12 3c5 5 5 13 0 18M12 3c-5 5-5 13 0 18"
            }
            Icon::Exit => "M14 4H5v16h9M10 12h11M17 8l4 4-4 4",
            Icon::External => "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
            Icon::Trash => "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
            Icon::Edit => "M4 20l1-5L16 4l4 4L9 19zM13 7l4 4",
        }
    }

    /// Whether the picture points along the reading direction and so turns round in a right-to-left page.
    fn turns(self) -> bool {
        matches!(self, Icon::Send | Icon::ChevronForward | Icon::Exit | Icon::External | Icon::List)
    }
}

/// The icon as inline SVG, hidden from assistive technology.
#[must_use]
pub fn icon(icon: Icon) -> Markup {
    html! {
        svg class=(if icon.turns() { "icon turns" } else { "icon" }) viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
            path d=(icon.path()) {}
        }
    }
}

/// The product's mark: one line in, several out.
#[must_use]
pub fn logo() -> Markup {
    html! {
        svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false" {
            rect class="logo-ground" width="32" height="32" rx="8" {}
            path class="logo-lines" d="M6 16h7c5 0 4-8 9-8h1M13 16h10M13 16c5 0 4 8 9 8h1" {}
            circle class="logo-dot" cx="7" cy="16" r="2.5" {}
            circle class="logo-dot" cx="24.5" cy="8" r="2.5" {}
            circle class="logo-dot" cx="24.5" cy="16" r="2.5" {}
            circle class="logo-dot" cx="24.5" cy="24" r="2.5" {}
        }
    }
}
