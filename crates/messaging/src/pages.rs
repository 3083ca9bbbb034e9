//! What the pages of this crate have in common: forms that one table describes, for writing and for reading them.

use axum::Router;
use maud::{Markup, PreEscaped, Render, html};
use serde_json::{Map, Value};
use types::{Error, Permission, Result, Timestamp};
use web::console::NavEntry;
use web::ui::field::{self, Choice, Field};
use web::ui::form::{self, Weight};
use web::ui::icon::Icon;
use web::ui::{live, timeline};
use web::{PageProblem, Visitor};

use crate::api::Gateway;
use crate::connection::ErrorRule;
use crate::settings::Patch;

/// The console's pages of this crate.
pub fn pages() -> Router<Gateway> {
    Router::new()
        .merge(crate::message::pages::router())
        .merge(crate::account::pages::router())
        .merge(crate::distribution::pages::router())
        .merge(crate::connection::pages::router())
        .merge(crate::route::pages::router())
        .merge(crate::cdr::pages::router())
        .merge(crate::queue::pages::router())
        .merge(crate::dead_letter::pages::router())
        .merge(crate::sender::pages::router())
        .merge(crate::blacklist::pages::router())
        .merge(crate::firewall::pages::router())
        .merge(crate::gate::pages::router())
        .merge(crate::hours::pages::router())
        .merge(crate::lookup::pages::router())
        .merge(crate::inbound::pages::router())
        .merge(crate::opt_out::pages::router())
        .merge(crate::conversation::pages::router())
        .merge(crate::live::pages::router())
        .merge(crate::trace::pages::router())
        .merge(crate::mail::pages::router())
}

/// Their places in the navigation.
pub const NAV: &[NavEntry] = &[
    crate::message::pages::HOME,
    crate::message::pages::SEND,
    crate::message::pages::MESSAGES,
    crate::queue::pages::QUEUE,
    crate::live::pages::LIVE,
    NavEntry {
        group: "Network",
        label: "Connections",
        href: "/connections",
        icon: Icon::Plug,
        key: Some('c'),
        permission: Permission::ConnectionView,
    },
    NavEntry {
        group: "Network",
        label: "Routes",
        href: "/routes",
        icon: Icon::Route,
        key: Some('r'),
        permission: Permission::RouteView,
    },
    NavEntry {
        group: "Network",
        label: "Look-ups",
        href: "/lookups",
        icon: Icon::Search,
        key: None,
        permission: Permission::LookupView,
    },
    NavEntry {
        group: "Network",
        label: "SMPP accounts",
        href: "/accounts",
        icon: Icon::Users,
        key: Some('a'),
        permission: Permission::AccountView,
    },
    crate::mail::pages::GATEWAYS,
    crate::trace::pages::TRACES,
    crate::distribution::pages::LISTS,
    crate::cdr::pages::RECORDS,
    crate::conversation::pages::CONVERSATIONS,
    crate::inbound::pages::NUMBERS,
    crate::opt_out::pages::OPT_OUTS,
    NavEntry {
        group: "Gates",
        label: "Senders",
        href: "/senders",
        icon: Icon::Globe,
        key: None,
        permission: Permission::SenderView,
    },
    NavEntry {
        group: "Gates",
        label: "Blacklist",
        href: "/blacklist",
        icon: Icon::List,
        key: None,
        permission: Permission::BlacklistView,
    },
    NavEntry {
        group: "Gates",
        label: "Firewall",
        href: "/firewall",
        icon: Icon::Shield,
        key: None,
        permission: Permission::FirewallView,
    },
    NavEntry {
        group: "Gates",
        label: "Hours",
        href: "/hours",
        icon: Icon::Clock,
        key: None,
        permission: Permission::HoursView,
    },
];

/// One setting as a form shows and reads it. Left empty, it gets its default.
pub(crate) struct Setting {
    /// The member's name.
    pub(crate) name: &'static str,
    /// What people call it.
    pub(crate) label: &'static str,
    /// What it does, its unit and range.
    pub(crate) hint: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
}

/// What a setting takes.
pub(crate) enum Kind {
    /// A text.
    Text,
    /// A host, an id, a URL: in fixed-width letters.
    Code,
    /// Several lines, in fixed-width letters.
    Lines,
    /// A whole number in a range.
    Number(&'static str, &'static str),
    /// Yes or no.
    Flag,
    /// One of a closed set: value and label.
    Choice(&'static [(&'static str, &'static str)]),
    /// Texts, separated by commas.
    List,
    /// Optional parameters of SMPP: `0x1401=0a0b`, separated by commas.
    Parameters,
    /// Lines of an error table: see [`ErrorRule`](crate::connection::ErrorRule).
    Errors,
}

/// Settings that belong together.
pub(crate) struct Section {
    /// Their title.
    pub(crate) title: &'static str,
    /// What they have in common.
    pub(crate) hint: Option<&'static str>,
    /// The settings.
    pub(crate) settings: &'static [Setting],
}

/// A submitted form.
#[derive(Default)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    /// A field's text; nothing for one that was left empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, text)| text.trim())
            .filter(|text| !text.is_empty())
    }

    /// A field's text, to be owned.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// The revision that the form was made from.
    pub(crate) fn revision(&self) -> Option<i64> {
        self.get("revision").and_then(|text| text.parse().ok())
    }
}

/// The settings that a form asks for, each as the API takes it.
pub(crate) fn patch(sections: &[Section], fields: &Fields) -> Result<Patch> {
    let mut patch = Map::new();
    for setting in sections.iter().flat_map(|section| section.settings) {
        let value = fields.get(setting.name).map_or(Ok(Value::Null), |text| value(setting, text))?;
        patch.insert(setting.name.to_owned(), value);
    }
    Ok(patch)
}

/// The texts of a list as people write it.
pub(crate) fn list(text: &str) -> Vec<String> {
    text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn value(setting: &Setting, text: &str) -> Result<Value> {
    Ok(match setting.kind {
        Kind::Text | Kind::Code | Kind::Lines | Kind::Choice(_) => text.into(),
        Kind::Flag => (text == "true").into(),
        Kind::Number(least, most) => {
            let number: Option<i64> =
                text.parse().ok().filter(|number| *number >= 0 || least.starts_with('-'));
            let why = || {
                Error::invalid(setting.name, format!("{text:?} is not a whole number from {least} to {most}"))
            };
            number.ok_or_else(why)?.into()
        }
        Kind::List => list(text).into(),
        Kind::Errors => text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| {
                let rule = ErrorRule::of_line(line).map_err(|why| Error::invalid(setting.name, why))?;
                serde_json::to_value(rule).map_err(Error::internal)
            })
            .collect::<Result<Vec<_>>>()?
            .into(),
        Kind::Parameters => {
            list(text).iter().map(|item| parameter(setting.name, item)).collect::<Result<Vec<_>>>()?.into()
        }
    })
}

fn parameter(field: &str, text: &str) -> Result<Value> {
    let read = |text: &str| match text.trim().strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16).ok(),
        None => text.trim().parse().ok(),
    };
    let parts = text.split_once('=').and_then(|(tag, hex)| Some((read(tag)?, hex.trim())));
    let (tag, hex) = parts.ok_or_else(|| {
        Error::invalid(field, format!("{text:?} is not a tag and its octets, such as 0x1401=0a0b"))
    })?;
    Ok(serde_json::json!({ "tag": tag, "hex": hex }))
}

/// What a form shows: the record's values, or what was submitted and why it was refused.
pub(crate) struct Shown<'a> {
    /// The record's values, or the defaults.
    pub(crate) members: Patch,
    /// What was submitted.
    pub(crate) fields: Option<&'a Fields>,
    /// Why it was refused.
    pub(crate) refused: Option<&'a Error>,
}

impl<'a> Shown<'a> {
    /// A record's values, or the defaults.
    pub(crate) fn of(members: Patch) -> Self {
        Self { members, fields: None, refused: None }
    }

    /// What was submitted, with why it was refused.
    pub(crate) fn again(fields: &'a Fields, refused: &'a Error) -> Self {
        Self { members: Patch::new(), fields: Some(fields), refused: Some(refused) }
    }

    /// A field's text.
    pub(crate) fn value(&self, name: &str) -> String {
        match self.fields {
            Some(fields) => fields.get(name).unwrap_or_default().to_owned(),
            None => text(self.members.get(name).unwrap_or(&Value::Null)),
        }
    }

    /// What is wrong with a field.
    pub(crate) fn error(&self, name: &str) -> Option<&str> {
        let refused =
            self.refused.filter(|refused| refused.place().is_some_and(|place| field_at(place) == name))?;
        Some(refused.message())
    }

    /// What is wrong with the form, above it; nothing when nothing is.
    pub(crate) fn summary(&self, visitor: &Visitor) -> Markup {
        let Some(refused) = self.refused else { return html! {} };
        let at = refused.place().map_or("name", field_at);
        form::error_summary(words(visitor), &[(at, refused.message())])
    }

    /// The sections of a form.
    pub(crate) fn sections(&self, sections: &[Section]) -> Markup {
        html! {
            @for section in sections {
                (form::section(section.title, section.hint, &html! {
                    @for setting in section.settings { (self.setting(setting)) }
                }))
            }
        }
    }

    fn setting(&self, setting: &Setting) -> Markup {
        let value = self.value(setting.name);
        let choices: Vec<_> = match setting.kind {
            Kind::Choice(choices) => choices.iter().map(|(value, label)| Choice::new(value, label)).collect(),
            Kind::Flag => vec![Choice::new("false", "No"), Choice::new("true", "Yes")],
            _ => Vec::new(),
        };
        let control: Field<'_> = match setting.kind {
            Kind::Text => field::text(setting.name, setting.label),
            Kind::Code => field::text(setting.name, setting.label).mono(),
            Kind::Lines | Kind::Errors => field::textarea(setting.name, setting.label).mono().wide(),
            Kind::Number(least, most) => field::number(setting.name, setting.label).range(least, most),
            Kind::Choice(_) | Kind::Flag => field::select(setting.name, setting.label, &choices),
            Kind::List => field::tags(setting.name, setting.label, &[]).wide(),
            Kind::Parameters => field::text(setting.name, setting.label).mono().wide(),
        };
        control.value(&value).hint(setting.hint).error(self.error(setting.name)).render()
    }
}

/// The field of a refusal's place: `settings.allow_from[0]` is `allow_from`, and so is `settings.allow_from[0].member`.
fn field_at(place: &str) -> &str {
    let place = place.split('[').next().unwrap_or(place);
    place.rsplit_once('.').map_or(place, |(_, member)| member)
}

/// A value as a form's field holds it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.first().is_some_and(|item| item.get("class").is_some()) => {
            let line =
                |item: &Value| serde_json::from_value(item.clone()).ok().map(|rule: ErrorRule| rule.line());
            items.iter().filter_map(line).collect::<Vec<_>>().join("\n")
        }
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(parameter) => {
            let tag = parameter.get("tag").and_then(Value::as_u64).unwrap_or_default();
            format!("{tag:#06x}={}", parameter.get("hex").and_then(Value::as_str).unwrap_or_default())
        }
        other => other.to_string(),
    }
}

/// Whether a refusal is for the form to show again.
///
/// # Errors
/// The refusal itself where another form would not help: no permission, nothing there, a fault of ours.
pub(crate) fn again(refused: Error) -> Result<Error, PageProblem> {
    if matches!(refused.code().status(), 400 | 409 | 422) { Ok(refused) } else { Err(PageProblem(refused)) }
}

/// The components' own words in the visitor's language.
pub(crate) fn words(visitor: &Visitor) -> &'static web::ui::words::Words {
    web::ui::words::Words::for_lang(&visitor.person.language)
}

/// Whether the visitor may.
pub(crate) fn may(visitor: &Visitor, permission: Permission) -> bool {
    visitor.scope.permissions().contains(permission)
}

/// A part of a page that refreshes itself: alone when it is asked for, within its live region otherwise.
pub(crate) fn region(visitor: &Visitor, id: &str, topics: &[&str], inner: Markup) -> Markup {
    if visitor.taste.fragment { inner } else { live::live(id, &visitor.path, topics, &inner) }
}

/// A button that posts and nothing else.
pub(crate) fn post_button(action: &str, label: &str, icon: Icon) -> Markup {
    html! {
        form method="post" action=(action) { (form::submit(label).weight(Weight::Plain).icon(icon).small()) }
    }
}

/// A moment, as people look at it.
pub(crate) fn moment(at: Timestamp) -> Markup {
    let text = at.to_string();
    timeline::relative_time(&text, &text)
}

/// Nothing to say in a table's cell.
pub(crate) fn none() -> Markup {
    PreEscaped("–".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::ConnectionSettings;
    use crate::settings;

    const SECTIONS: &[Section] = &[Section {
        title: "All",
        hint: None,
        settings: &[
            Setting { name: "host", label: "Host", hint: "", kind: Kind::Code },
            Setting { name: "window", label: "Window", hint: "", kind: Kind::Number("1", "1000") },
            Setting { name: "source_ton", label: "Type", hint: "", kind: Kind::Number("0", "255") },
            Setting { name: "extra", label: "Extra", hint: "", kind: Kind::Parameters },
        ],
    }];

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn a_form_reads_back_what_it_shows() {
        let mut settings =
            ConnectionSettings { host: "smsc.example".to_owned(), ..ConnectionSettings::default() };
        settings.extra = vec![crate::connection::ExtraTlv { tag: 0x1401, hex: "0a".to_owned() }];
        let shown = Shown::of(settings::members(&settings).unwrap());
        let names = ["host", "window", "source_ton", "extra"];
        let texts: Vec<_> = names.iter().map(|name| ((*name).to_owned(), shown.value(name))).collect();
        assert_eq!(texts[3].1, "0x1401=0a");
        let patch = patch(SECTIONS, &Fields(texts)).unwrap();
        let defaults = ConnectionSettings::default();
        assert_eq!(settings::changed("settings", &settings, &defaults, &patch).unwrap(), settings);
    }

    #[test]
    fn what_cannot_be_read_is_refused_at_its_field() {
        for (name, text) in [("window", "many"), ("window", "-1"), ("extra", "1401"), ("extra", "0xffff1=00")]
        {
            assert_eq!(patch(SECTIONS, &fields(&[(name, text)])).unwrap_err().place(), Some(name));
        }
        let refused = Error::invalid("settings.host", "no");
        let fields = fields(&[("host", "<b>")]);
        let shown = Shown::again(&fields, &refused);
        let form = shown.sections(SECTIONS).into_string();
        assert!(
            form.contains("&lt;b&gt;") && form.contains("f-host-error") && !form.contains("f-window-error")
        );
        assert_eq!(field_at("settings.allow_from[0]"), "allow_from");
        assert_eq!(field_at("settings.errors[3].code"), "errors");
    }
}
