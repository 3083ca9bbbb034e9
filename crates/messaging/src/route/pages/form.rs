//! The form of a route: what it asks for, and how its fields become a rule.

use maud::{Markup, html};
use serde_json::{Value, json};
use types::{AccountId, Error, Result};
use web::Visitor;
use web::console::Content;
use web::ui::dialog::{Confirm, confirm};
use web::ui::field::Choice;
use web::ui::{browse, field, form};

use super::Names;
use super::show::{intent_label, strategy_label, traffic_label};
use crate::intent::Intent;
use crate::pages::{Fields, Kind, Section, Setting, Shown, list as texts, words};
use crate::route::traffic::Traffic;
use crate::route::{Day, Route, Source, Strategy, Target, TimeWindow};
use crate::settings::{self, Patch};

/// The targets that a form offers; a route made over the API may have more, and keeps them by the same form.
const TARGETS_SHOWN: usize = 4;

const fn list(name: &'static str, label: &'static str, hint: &'static str) -> Setting {
    Setting { name, label, hint, kind: Kind::List }
}

/// The conditions whose fields need nothing but their setting.
const TO: &[Setting] = &[
    list(
        "recipient_prefixes",
        "To numbers that begin with",
        "Digits with the country code, such as 336, 337.",
    ),
    list("not_recipient_prefixes", "But not with", ""),
    list("countries", "In countries", "By the calling code: FR, MA."),
    list("not_countries", "Not in countries", ""),
    list("networks", "On networks", "208 for a country's networks, 208-01 for one."),
    list("not_networks", "Not on networks", ""),
];

const FROM: &[Setting] =
    &[list("senders", "From", "Senders, or their beginning and *."), list("not_senders", "Not from", "")];

const CONTENT: &[Setting] = &[
    list("keywords", "Text holds one of", "Words, in either case."),
    list("not_keywords", "Text holds none of", ""),
];

const WIRE: &[Setting] = &[
    list("encodings", "Encodings", "gsm7, latin1, cyrillic, hebrew, ucs2, binary."),
    list("service_types", "SMPP service types", ""),
    Setting {
        name: "tlvs",
        label: "With one of the optional parameters",
        hint: "Tag, or tag and octets: 0x1401, 0x1402=0a0b.",
        kind: Kind::List,
    },
];

const PLAIN: &[Section] = &[
    Section { title: "", hint: None, settings: FROM },
    Section { title: "", hint: None, settings: TO },
    Section { title: "", hint: None, settings: CONTENT },
];

/// The rule that a form asks for.
///
/// # Errors
/// A field that cannot be read, at its name.
pub(super) fn rule(fields: &Fields, names: &Names) -> Result<Patch> {
    let mut rule = crate::pages::patch(PLAIN, fields)?;
    let flags = |prefix: &str, all: &[&str]| -> Value {
        all.iter().copied().filter(|name| fields.get(&format!("{prefix}_{name}")).is_some()).collect()
    };
    let mut add = |name: &str, value: Value| _ = rule.insert(name.to_owned(), value);
    add("intents", flags("intent", &Intent::ALL.map(Intent::as_str)));
    add("traffic", flags("traffic", &Traffic::ALL.map(Traffic::as_str)));
    add("sources", flags("source", &[Source::Http, Source::Smpp].map(Source::as_str)));
    for field in ["accounts", "not_accounts"] {
        let ids = texts(fields.get(field).unwrap_or_default());
        let ids: Result<Vec<_>> = ids.iter().map(|text| names.account_named(field, text)).collect();
        add(field, json!(ids?));
    }
    for field in ["patterns", "not_patterns"] {
        let lines = fields.get(field).unwrap_or_default().lines().map(str::trim);
        add(field, lines.filter(|line| !line.is_empty()).map(Value::from).collect());
    }
    for field in ["encodings", "service_types"] {
        add(field, texts(fields.get(field).unwrap_or_default()).into());
    }
    for field in ["parts", "octets"] {
        let end = |which: &str| number(fields, &format!("{field}_{which}"));
        let (min, max) = (end("min")?, end("max")?);
        let none = min.is_none() && max.is_none();
        add(field, if none { Value::Null } else { json!({ "min": min, "max": max }) });
    }
    let lines = fields.get("times").unwrap_or_default().lines().map(str::trim);
    let times: Result<Vec<_>> = lines.filter(|line| !line.is_empty()).map(time_window).collect();
    add("times", json!(times?));
    let tlvs: Result<Vec<_>> =
        texts(fields.get("tlvs").unwrap_or_default()).iter().map(|text| tlv(text)).collect();
    add("tlvs", json!(tlvs?));
    add("strategy", fields.get("strategy").map_or(Value::Null, Value::from));
    add("targets", targets(fields)?);
    Ok(rule)
}

fn number(fields: &Fields, name: &str) -> Result<Option<u32>> {
    let read = |text: &str| {
        text.parse().map_err(|_| Error::invalid(name, format!("{text:?} is not a whole number")))
    };
    fields.get(name).map(read).transpose()
}

/// A tag, or a tag and its octets.
fn tlv(text: &str) -> Result<Value> {
    let (tag, hex) = text.split_once('=').map_or((text, None), |(tag, hex)| (tag, Some(hex.trim())));
    let read = match tag.trim().strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16).ok(),
        None => tag.trim().parse().ok(),
    };
    let tag = read.ok_or_else(|| Error::invalid("tlvs", format!("{text:?} is not a tag, such as 0x1401")))?;
    Ok(json!({ "tag": tag, "hex": hex }))
}

/// A line such as `mon-fri 08:00-20:00 Europe/Paris`; days and zone may be missing.
fn time_window(line: &str) -> Result<TimeWindow> {
    let refuse = || {
        Error::invalid("times", format!("{line:?} is not a time, such as mon-fri 08:00-20:00 Europe/Paris"))
    };
    let day = |text: &str| Day::ALL.into_iter().position(|day| day.as_str() == text.to_ascii_lowercase());
    let mut window = TimeWindow::default();
    for word in line.split([' ', ',']).filter(|word| !word.is_empty()) {
        let ends = word.split_once(['-', '–']);
        if let Some(at) = day(word) {
            window.days.push(Day::ALL[at]);
        } else if let Some((Some(first), Some(last))) = ends.map(|(first, last)| (day(first), day(last))) {
            let count = (last + 7 - first) % 7;
            window.days.extend((0..=count).map(|step| Day::ALL[(first + step) % 7]));
        } else if let Some((from, to)) = ends.filter(|(from, _)| from.contains(':')) {
            (window.from, window.to) = (from.to_owned(), to.to_owned());
        } else if window.zone.is_empty() {
            window.zone = word.to_owned();
        } else {
            return Err(refuse());
        }
    }
    Ok(window)
}

fn time_line(window: &TimeWindow) -> String {
    let days = window.days.iter().map(|day| format!("{} ", day.as_str()));
    format!("{}{}-{} {}", days.collect::<String>(), window.from, window.to, window.zone)
}

fn targets(fields: &Fields) -> Result<Value> {
    let mut targets = Vec::new();
    for at in 1..=TARGETS_SHOWN {
        let field = |what: &str| fields.get(&format!("{what}_{at}"));
        let Some(connection) = field("target") else { continue };
        let cost =
            field("cost").map(|text| cost(text, fields.get("currency").unwrap_or_default())).transpose()?;
        let mut target = json!({ "connection": connection, "cost": cost, "enabled": field("off").is_none() });
        if let Some(weight) = number(fields, &format!("weight_{at}"))? {
            target["weight"] = weight.into();
        }
        targets.push(target);
    }
    let more = fields.get("targets_more").and_then(|text| serde_json::from_str::<Vec<Value>>(text).ok());
    targets.extend(more.unwrap_or_default());
    Ok(targets.into())
}

/// A cost in minor units, with at most three decimals.
fn cost(text: &str, currency: &str) -> Result<Value> {
    let refuse = || Error::invalid("cost_1", format!("{text:?} is no cost, such as 3.5"));
    let (whole, part) = text.split_once(['.', ',']).unwrap_or((text, ""));
    if part.len() > 3 {
        return Err(refuse());
    }
    let whole: u64 = whole.parse().map_err(|_| refuse())?;
    let part: u64 = format!("{part:0<3}").parse().map_err(|_| refuse())?;
    let milli = whole.checked_mul(1_000).and_then(|milli| milli.checked_add(part)).ok_or_else(refuse)?;
    Ok(json!({ "amount_milli": milli, "currency": currency }))
}

fn cost_text(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1_000, milli % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The form's fields with a route's values.
pub(super) fn members(route: &Route, names: &Names) -> Result<Patch> {
    let rule = &route.rule;
    let mut members = settings::members(rule)?;
    let mut add = |name: String, value: Value| _ = members.insert(name, value);
    let accounts = |ids: &[AccountId]| ids.iter().map(|id| names.account(*id)).collect::<Vec<_>>();
    add("accounts".to_owned(), json!(accounts(&rule.accounts)));
    add("not_accounts".to_owned(), json!(accounts(&rule.not_accounts)));
    for (name, lines) in [
        ("patterns", rule.patterns.clone()),
        ("not_patterns", rule.not_patterns.clone()),
        ("times", rule.times.iter().map(time_line).collect()),
    ] {
        add(name.to_owned(), lines.join("\n").into());
    }
    let tlvs = rule.tlvs.iter().map(|tlv| match &tlv.hex {
        Some(hex) => format!("{:#06x}={hex}", tlv.tag),
        None => format!("{:#06x}", tlv.tag),
    });
    add("tlvs".to_owned(), tlvs.collect::<Vec<_>>().into());
    for (name, span) in [("parts", rule.parts), ("octets", rule.octets)] {
        add(format!("{name}_min"), json!(span.and_then(|span| span.min)));
        add(format!("{name}_max"), json!(span.and_then(|span| span.max)));
    }
    let ticked = rule.intents.iter().map(|intent| format!("intent_{}", intent.as_str()));
    let ticked = ticked.chain(rule.traffic.iter().map(|traffic| format!("traffic_{}", traffic.as_str())));
    let ticked = ticked.chain(rule.sources.iter().map(|source| format!("source_{}", source.as_str())));
    ticked.for_each(|name| add(name, true.into()));
    for (at, target) in rule.targets.iter().take(TARGETS_SHOWN).enumerate() {
        let at = at + 1;
        add(format!("target_{at}"), target.connection.to_string().into());
        add(format!("weight_{at}"), target.weight.into());
        add(format!("off_{at}"), (!target.enabled).into());
        if let Some(cost) = &target.cost {
            add(format!("cost_{at}"), cost_text(cost.amount_milli).into());
        }
    }
    let currency = rule.targets.iter().find_map(|target| target.cost.as_ref());
    add("currency".to_owned(), json!(currency.map(|cost| &cost.currency)));
    let more: Vec<&Target> = rule.targets.iter().skip(TARGETS_SHOWN).collect();
    add("targets_more".to_owned(), serde_json::to_string(&more).map_err(Error::internal)?.into());
    add("name".to_owned(), route.name.as_str().into());
    add("priority".to_owned(), route.priority.into());
    add("active".to_owned(), route.active.into());
    add("revision".to_owned(), route.revision.into());
    Ok(members)
}

fn targets_fields(names: &Names, shown: &Shown<'_>) -> Markup {
    let ids: Vec<_> =
        names.connections.iter().map(|named| (named.id.to_string(), named.name.as_str())).collect();
    let mut choices = vec![Choice::new("", "–")];
    choices.extend(ids.iter().map(|(id, name)| Choice::new(id, name)));
    let strategies = Strategy::ALL.map(|strategy| Choice::new(strategy.as_str(), strategy_label(strategy)));
    let strategy = shown.value("strategy");
    let currency = shown.value("currency");
    html! {
        (field::select("strategy", "Chosen", &strategies).value(&strategy).error(shown.error("strategy")))
        (field::text("currency", "Currency of costs").value(&currency).max_chars(3).placeholder("EUR"))
        @for at in 1..=TARGETS_SHOWN {
            @let [name, weight, cost, off] = ["target", "weight", "cost", "off"].map(|what| format!("{what}_{at}"));
            @let [value, weighs, costs] = [&name, &weight, &cost].map(|name| shown.value(name));
            @let error = if at == 1 { shown.error("targets") } else { None };
            (field::select(&name, &format!("Connection {at}"), &choices).value(&value).error(error))
            (field::number(&weight, &format!("Weight of connection {at}")).value(&weighs).range("1", "1000"))
            (field::text(&cost, &format!("Cost per part of connection {at}")).value(&costs)
                .hint("In minor units, such as 3.5 for 3.5 cents.").error(shown.error(&cost)))
            (field::checkbox(&off, &format!("Leave connection {at} out")).checked(shown.value(&off) == "true"))
        }
        input type="hidden" name="targets_more" value=(shown.value("targets_more"));
    }
}

fn ticks<'a>(prefix: &str, all: impl Iterator<Item = (&'static str, &'a str)>, shown: &Shown<'_>) -> Markup {
    html! {
        @for (value, label) in all {
            @let name = format!("{prefix}_{value}");
            (field::checkbox(&name, label).checked(shown.value(&name) == "true"))
        }
    }
}

fn settings_fields(settings: &[Setting], shown: &Shown<'_>) -> Markup {
    html! {
        @for setting in settings {
            @let value = shown.value(setting.name);
            @let input = field::tags(setting.name, setting.label, &[]).value(&value).error(shown.error(setting.name));
            @if setting.hint.is_empty() { (input) } @else { (input.hint(setting.hint)) }
        }
    }
}

fn takes(names: &Names, shown: &Shown<'_>) -> Markup {
    let known: Vec<_> = names.accounts.iter().map(|named| named.name.as_str()).collect();
    let [accounts, not_accounts, patterns, not_patterns, times] =
        ["accounts", "not_accounts", "patterns", "not_patterns", "times"].map(|name| shown.value(name));
    let sizes = ["parts_min", "parts_max", "octets_min", "octets_max"];
    let labels = ["Parts, at least", "Parts, at most", "Octets, at least", "Octets, at most"];
    let intents = Intent::ALL.into_iter().map(|intent| (intent.as_str(), intent_label(intent)));
    let traffic = Traffic::ALL.into_iter().map(|traffic| (traffic.as_str(), traffic_label(traffic)));
    let sources = [("http", "Over the API"), ("smpp", "Over SMPP")].into_iter();
    html! {
        (form::section("Takes: who sends", Some("What is left empty takes everything; all that is given must hold."), &html! {
            (field::tags("accounts", "Messages of SMPP accounts", &known).value(&accounts).error(shown.error("accounts")))
            (field::tags("not_accounts", "But not of", &known).value(&not_accounts).error(shown.error("not_accounts")))
            (settings_fields(FROM, shown))
            (ticks("source", sources, shown))
        }))
        (form::section("Takes: to whom", None, &settings_fields(TO, shown)))
        (form::section("Takes: what", None, &html! {
            (ticks("intent", intents, shown))
            (ticks("traffic", traffic, shown))
            (settings_fields(CONTENT, shown))
            (field::textarea("patterns", "Text fits one of the expressions").value(&patterns).rows(2).mono()
                .hint("One regular expression on each line.").error(shown.error("patterns")))
            (field::textarea("not_patterns", "Text fits none of the expressions").value(&not_patterns).rows(2).mono()
                .error(shown.error("not_patterns")))
            @for (name, label) in sizes.into_iter().zip(labels) {
                @let value = shown.value(name);
                (field::number(name, label).value(&value).range("0", "100000").error(shown.error(name)))
            }
        }))
        (form::section("Takes: when and how", None, &html! {
            (field::textarea("times", "At these times").value(&times).rows(2).mono()
                .hint("One on each line: mon-fri 08:00-20:00 Europe/Paris.").error(shown.error("times")))
            (settings_fields(WIRE, shown))
        }))
    }
}

/// The page with the form. `action` is where it is posted to; behind `/edit` there is a button that deletes.
pub(super) fn form_page<'a>(
    visitor: &Visitor,
    title: &'a str,
    action: &str,
    names: &Names,
    shown: &Shown<'_>,
) -> Content<'a> {
    let [name, priority] = ["name", "priority"].map(|name| shown.value(name));
    let delete = action.strip_suffix("/edit").map(|at| format!("{at}/delete"));
    let body = html! {
        (form::post(action, "", &html! {
            (shown.summary(visitor))
            input type="hidden" name="revision" value=(shown.value("revision"));
            (form::section("Route", None, &html! {
                (field::text("name", "Name").value(&name).required().max_chars(100).error(shown.error("name")))
                (field::number("priority", "Priority").value(&priority).range("-1000000", "1000000")
                    .hint("The highest is asked first; 100 when left empty.").error(shown.error("priority")))
                (field::checkbox("active", "Ask this route").checked(shown.value("active") == "true"))
            }))
            (takes(names, shown))
            (form::section("Leads to", Some("What is down is left, however connections are chosen."), &targets_fields(names, shown)))
            (form::actions(&html! { (form::submit("Save route")) (form::link("Cancel", "/routes")) }))
        }))
        @if let Some(delete) = &delete {
            (confirm(words(visitor), &Confirm {
                id: "delete", button: "Delete…", title: "Delete this route?",
                text: "Messages that it has routed keep their way. An earlier version of the routes can bring it back.",
                confirm: "Delete route", action: delete, csrf: "", danger: true,
            }))
        }
    };
    let breadcrumbs = browse::breadcrumbs(words(visitor), &[("Routes", "/routes")], title);
    Content { title, body, actions: html! {}, breadcrumbs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_shown() {
        let window = time_window("mon-wed, sat 22:00-06:00 Europe/Paris").unwrap();
        assert_eq!(window.days, [Day::Mon, Day::Tue, Day::Wed, Day::Sat]);
        assert_eq!(time_window(&time_line(&window)).unwrap(), window);
        assert_eq!(
            time_window("fri-mon 08:00-09:00").unwrap().days,
            [Day::Fri, Day::Sat, Day::Sun, Day::Mon]
        );
        assert_eq!(time_window("mon Europe/Paris what").unwrap_err().place(), Some("times"));
    }

    #[test]
    fn a_cost_keeps_its_thousandths() {
        for (text, milli) in [("3.5", 3_500), ("0,035", 35), ("12", 12_000)] {
            let read = cost(text, "EUR").unwrap();
            assert_eq!(read["amount_milli"], milli);
            assert_eq!(cost_text(milli), text.replace(',', "."));
        }
        for bad in ["-1", "x", "1.2345", ""] {
            assert!(cost(bad, "EUR").is_err(), "{bad}");
        }
    }
}
