//! Decisions in words, for people who wonder.

use super::Route;
use super::ask::{Ask, World};
use super::condition::{Condition, Pattern, Prefixes};
use super::decide::Verdict;
use super::rule::{Span, Strategy, TimeWindow};

/// Entries that a sentence names before it says how many more there are.
const NAMED: usize = 5;

/// What a rule says, and which of its conditions did not hold.
pub(super) fn words(route: &Route, ask: &Ask<'_>, world: &World, verdict: Verdict) -> String {
    let rule = &route.rule;
    match verdict {
        Verdict::Inactive => "It is switched off.".to_owned(),
        Verdict::OtherAccount => account(route, ask).to_owned(),
        Verdict::OtherIntent => {
            let taken: Vec<_> = rule.intents.iter().map(|intent| intent.as_str()).collect();
            format!("It takes {} only; this message is {}.", taken.join(" and "), ask.intent.as_str())
        }
        Verdict::OtherSource => {
            let taken: Vec<_> = rule.sources.iter().map(|source| source.as_str()).collect();
            format!("It is for messages over {}; this one came over {}.", taken.join(" and "), ask.source().as_str())
        }
        Verdict::OtherSender => sender(route, ask),
        Verdict::OtherRecipient => {
            let wanted = &rule.recipient_prefixes;
            if wanted.is_empty() || Prefixes::new(wanted).fit(ask.recipient) {
                let others = some(&rule.not_recipient_prefixes);
                format!("It is not for numbers that begin with {others}, as {} does.", ask.recipient)
            } else {
                format!("It is for numbers that begin with {}; {} does not.", some(wanted), ask.recipient)
            }
        }
        Verdict::OtherCountry => {
            let country = sms::country(ask.recipient).unwrap_or("no country that is known");
            match rule.not_countries.iter().any(|other| other == country) {
                true => format!("It is not for {country}, where {} is.", ask.recipient),
                false => format!("It is for {}; {} is of {country}.", some(&rule.countries), ask.recipient),
            }
        }
        Verdict::OtherNetwork => {
            let network = ask.network(world);
            match rule.not_networks.iter().any(|other| network.is_of(other)) {
                true => format!("It is not for the network {network}."),
                false => format!("It is for {}; the recipient's network is {network}.", some(&rule.networks)),
            }
        }
        Verdict::OtherServiceType | Verdict::OtherEncoding | Verdict::OtherSize | Verdict::OtherTlv => {
            wire(route, ask, verdict)
        }
        Verdict::OtherTime => {
            let windows: Vec<_> = rule.times.iter().map(window).collect();
            format!("It is for {}; it is {} then.", some(&windows), ask.moment(world).to_minute())
        }
        Verdict::OtherContent => content(route, ask, world),
        Verdict::OtherTraffic => {
            let taken: Vec<_> = rule.traffic.iter().map(|traffic| traffic.as_str().to_owned()).collect();
            let found = ask.traffic();
            format!(
                "It is for texts that read {}; this one reads {}: {}.",
                some(&taken),
                found.traffic.as_str(),
                found.reason
            )
        }
        Verdict::NoConnection => {
            "It takes the message, but all its connections are stopped, draining, switched off or gone.".to_owned()
        }
        Verdict::Waits if rule.strategy == Strategy::Failover => {
            "It takes the message. None of its connections is up, so the message waits at the first that is not stopped."
                .to_owned()
        }
        Verdict::Waits => {
            "It takes the message. None of its connections is up, so the message waits at one that is not stopped."
                .to_owned()
        }
        Verdict::Takes => takes(rule.strategy).to_owned(),
    }
}

/// What a rule says of a message's form on the wire.
fn wire(route: &Route, ask: &Ask<'_>, verdict: Verdict) -> String {
    let rule = &route.rule;
    match verdict {
        Verdict::OtherServiceType => {
            let shown =
                |name: &str| if name.is_empty() { "the default".to_owned() } else { format!("{name:?}") };
            let taken: Vec<_> = rule.service_types.iter().map(|name| shown(name)).collect();
            format!(
                "It is for the service type {}; this message has {}.",
                some(&taken),
                shown(ask.service_type)
            )
        }
        Verdict::OtherEncoding => {
            let name = crate::message::submit::encoding_name(ask.encoding);
            format!("It is for {}; this message is in {name}.", some(&rule.encodings))
        }
        Verdict::OtherTlv => {
            let tags = rule.tlvs.iter().map(|tlv| match &tlv.hex {
                Some(hex) => format!("{:#06x}={hex}", tlv.tag),
                None => format!("{:#06x}", tlv.tag),
            });
            let tags: Vec<_> = tags.collect();
            format!(
                "It is for messages with the optional parameter {}; this one has none of them.",
                some(&tags)
            )
        }
        _ => size(route, ask),
    }
}

/// How the connection was chosen.
const fn takes(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Failover => "It takes the message.",
        Strategy::RoundRobin => "It takes the message; its connections take turns.",
        Strategy::Weighted => "It takes the message; its connections take turns by their weights.",
        Strategy::LeastLoad => "It takes the message; the connection with the least to do was chosen.",
        Strategy::LeastCost => "It takes the message; the cheapest connection that is up was chosen.",
        Strategy::Sticky => "It takes the message; the recipient keeps to one connection.",
    }
}

/// The first few, and how many more there are.
fn some(list: &[String]) -> String {
    let named: Vec<_> = list.iter().take(NAMED).map(String::as_str).collect();
    match list.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn account(route: &Route, ask: &Ask<'_>) -> &'static str {
    match ask.account {
        Some(id) if route.rule.not_accounts.contains(&id) => {
            "It is for every SMPP account but a few, and this is one of them."
        }
        Some(_) => "It is for another SMPP account.",
        None => "It is for an SMPP account, and this message comes from the API.",
    }
}

fn sender(route: &Route, ask: &Ask<'_>) -> String {
    let rule = &route.rule;
    let refused = rule.not_senders.iter().find(|text| Pattern::new(text).fits(ask.sender));
    let wanted =
        rule.senders.is_empty() || rule.senders.iter().any(|text| Pattern::new(text).fits(ask.sender));
    match (refused, ask.sender) {
        (Some(pattern), _) if wanted => format!("It is not for the sender {pattern}."),
        (_, "") => format!("It is for the sender {}; this message names none.", some(&rule.senders)),
        (_, sender) => {
            format!("It is for the sender {}; this message is from {sender}.", some(&rule.senders))
        }
    }
}

fn size(route: &Route, ask: &Ask<'_>) -> String {
    let span = |span: Span| match (span.min, span.max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("{min} or more"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "any number of".to_owned(),
    };
    let parts = u32::from(ask.parts);
    match route.rule.parts.filter(|span| !span.holds(parts)) {
        Some(wanted) => format!("It is for messages of {} parts; this one has {parts}.", span(wanted)),
        None => {
            let wanted = span(route.rule.octets.unwrap_or_default());
            format!("It is for messages of {wanted} octets; this one has {}.", ask.octets.len())
        }
    }
}

/// A window as people say it.
pub(super) fn window(window: &TimeWindow) -> String {
    let days: Vec<_> = window.days.iter().map(|day| day.as_str()).collect();
    let days = if days.is_empty() { "every day".to_owned() } else { days.join(" ") };
    format!("{days} {} to {} {}", window.from, window.to, window.zone)
}

/// Which text a rule missed or would not have. The text itself is not repeated: it may hold a code.
fn content(route: &Route, ask: &Ask<'_>, world: &World) -> String {
    let rule = &route.rule;
    let mut content = Condition::of(rule).into_iter().filter(|one| one.verdict() == Verdict::OtherContent);
    let unmet = content.find(|condition| !condition.holds(ask, world));
    if unmet.is_some_and(|condition| condition.excludes()) {
        let list = [rule.not_keywords.as_slice(), &rule.not_patterns].concat();
        format!("It is not for texts that hold one of: {}.", some(&list))
    } else {
        let list = [rule.keywords.as_slice(), &rule.patterns].concat();
        format!("It is for texts that hold one of: {}; this one does not.", some(&list))
    }
}

/// What a verdict means where the rule that gave it is no more what it was.
pub(super) const fn outline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Inactive => "It was switched off.",
        Verdict::OtherAccount => "It was for another account.",
        Verdict::OtherSender => "It was for other senders.",
        Verdict::OtherRecipient => "It was for other numbers.",
        Verdict::OtherIntent => "It was for messages that are for something else.",
        Verdict::OtherSource => "It was for messages that come in by another way.",
        Verdict::OtherServiceType => "It was for other service types.",
        Verdict::OtherEncoding => "It was for other encodings.",
        Verdict::OtherSize => "It was for shorter or longer messages.",
        Verdict::OtherTlv => "It was for messages with other optional parameters.",
        Verdict::OtherTime => "It was for another time.",
        Verdict::OtherCountry => "It was for other countries.",
        Verdict::OtherNetwork => "It was for other networks.",
        Verdict::OtherContent => "It was for other texts.",
        Verdict::OtherTraffic => "It was for texts that read otherwise.",
        Verdict::NoConnection => {
            "It took the message, but all its connections were stopped, draining, switched off or gone."
        }
        Verdict::Waits => "It took the message, which waited: none of its connections was up.",
        Verdict::Takes => "It took the message.",
    }
}
