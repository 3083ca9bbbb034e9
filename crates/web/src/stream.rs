//! The event stream over HTTP: polled or streamed for programs, as topics for the console's pages.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use runtime::live::{Heard, Listener};
use runtime::personal::Sight;
use runtime::{Actor, Scope, outbox};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use types::event::Recorded;
use types::{Code, Error, Permission, Reach, Result, event};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{App, Caller, Visitor};
use crate::body::Query;
use crate::problem::Problem;

/// The most events in one answer.
const EVENTS_MAX: usize = 1_000;
/// How often a page hears of changes; it asks for its regions at most once a second anyway.
const TOPICS_EVERY: Duration = Duration::from_millis(400);
/// How often regions that ask for [`PULSE`] look again: rates and windows move without an event.
const PULSE_EVERY: Duration = Duration::from_secs(2);
/// The topic of that.
pub const PULSE: &str = "pulse";
/// The topic of messages.
const MESSAGE: &str = "message";
/// When somebody who found no place may come again.
const RETRY_S: u32 = 30;
/// More single records than this in one breath become their kind's plain topic.
const TOPICS_MAX: usize = 40;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// The last sequence number seen; 0, or nothing, for the beginning.
    after: Option<i64>,
    /// At most about so many, 1 to 1,000; 100 when not given. Events of one transaction are never torn apart.
    limit: Option<usize>,
    /// Only this kind, such as `message.ended`.
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Events in their order.
#[derive(Serialize, utoipa::ToSchema)]
struct Events {
    /// The events.
    items: Vec<Recorded>,
    /// Pass it as `after` to go on; the same as before when nothing is new.
    after: i64,
}

/// Events of the tenant, oldest first.
///
/// With `Accept: text/event-stream` the answer does not end: events come as they happen, each with its sequence
/// number as the SSE id, so that a reconnecting client goes on where it was by `Last-Event-ID`.
#[utoipa::path(get, path = "/api/v1/events", params(EventsQuery), tag = "events",
    responses((status = 200, body = Events)))]
async fn events(
    Caller(scope): Caller,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Problem> {
    scope.require(Permission::EventView)?;
    let kind = query.kind.as_deref().map(event::kind_named).transpose()?;
    let resumed = headers.get("Last-Event-ID").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let after: i64 = resumed.or(query.after).unwrap_or(0);
    let wants_stream = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/event-stream"));
    if wants_stream {
        if matches!(scope.actor(), Actor::As { .. }) {
            // A stream that is open would outlive the time.
            return Err(Error::new(Code::Forbidden, "who acts as another user cannot follow events")
                .hint("ask without Accept: text/event-stream.")
                .into());
        }
        let (place, heartbeat) = (place(&scope)?, heartbeat(&scope));
        return Ok(Sse::new(follow(scope, after, kind, place)).keep_alive(heartbeat).into_response());
    }
    let limit = query.limit.unwrap_or(100);
    if !(1..=EVENTS_MAX).contains(&limit) {
        return Err(Error::invalid("limit", format!("{limit} is not from 1 to {EVENTS_MAX}")).into());
    }
    let items = outbox::read_after(&scope.runtime().db, scope.tenant(), after, limit).await?;
    let after = items.last().map_or(after, |last| last.seq);
    let items = items.into_iter().filter(|one| kind.is_none_or(|kind| one.event.kind() == kind));
    let sight = Sight::of(&scope);
    let items = items.map(|one| seen(sight, one)).collect::<Result<_>>()?;
    Ok(axum::Json(Events { items, after }).into_response())
}

/// An event as somebody may see it: phones and addresses in what people and programs changed are masked for some.
fn seen(sight: Sight, recorded: Recorded) -> Result<Recorded> {
    if sight.identifiers {
        return Ok(recorded);
    }
    let mut value = serde_json::to_value(&recorded).map_err(Error::internal)?;
    value["data"] = sight.value(value["data"].take());
    serde_json::from_value(value).map_err(Error::internal)
}

/// How many may follow at once.
struct Places(Arc<Semaphore>);

/// One follower's place, until the stream is dropped.
fn place(scope: &Scope) -> Result<OwnedSemaphorePermit> {
    let places = scope.runtime().kept(|parts| {
        Places(Arc::new(Semaphore::new(parts.config.live.clients_max.min(Semaphore::MAX_PERMITS))))
    });
    Arc::clone(&places.0).try_acquire_owned().map_err(|_| {
        Error::new(Code::Unavailable, "too many follow live events already")
            .hint("try again later, or raise live.clients_max; polling without a stream is not limited")
            .retry_after_s(RETRY_S)
    })
}

/// A comment after some silence.
fn heartbeat(scope: &Scope) -> KeepAlive {
    KeepAlive::new().interval(Duration::from_millis(scope.runtime().config.live.heartbeat_ms))
}

struct Reader {
    _place: OwnedSemaphorePermit,
    scope: Scope,
    listener: Listener,
    after: i64,
    kind: Option<&'static str>,
    ready: std::collections::VecDeque<Recorded>,
}

/// All events behind a number, without gap or repetition. The hub only says that there is something new; what is
/// sent is read from the stream, so lost or unordered news do no harm.
fn follow(
    scope: Scope,
    after: i64,
    kind: Option<&'static str>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<SseEvent, Infallible>> {
    let listener = scope.runtime().live.listen();
    let reader =
        Reader { _place: place, scope, listener, after, kind, ready: std::collections::VecDeque::new() };
    futures::stream::unfold(reader, |mut reader| async move {
        let stopping = reader.scope.runtime().tasks.stopping();
        loop {
            if let Some(recorded) = reader.ready.pop_front() {
                let data = serde_json::to_string(&recorded).unwrap_or_default();
                let event =
                    SseEvent::default().id(recorded.seq.to_string()).event(recorded.event.kind()).data(data);
                return Some((Ok(event), reader));
            }
            let db = &reader.scope.runtime().db;
            match outbox::read_after(db, reader.scope.tenant(), reader.after, 200).await {
                Ok(events) if !events.is_empty() => {
                    reader.after = events.last().map_or(reader.after, |last| last.seq);
                    let (kind, sight) = (reader.kind, Sight::of(&reader.scope));
                    let wanted =
                        events.into_iter().filter(|one| kind.is_none_or(|kind| one.event.kind() == kind));
                    // Each reads back as it was written, so none is left out.
                    reader.ready.extend(wanted.filter_map(|one| seen(sight, one).ok()));
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(?error, "a stream of events could not read; trying again"),
            }
            tokio::select! {
                () = stopping.cancelled() => return None,
                heard = next_of(&mut reader.listener, &reader.scope) => if !heard { return None },
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
            }
        }
    })
}

/// Waits until something of this tenant may be new; false when the program stops.
async fn next_of(listener: &mut Listener, scope: &Scope) -> bool {
    loop {
        match listener.next().await {
            Heard::News(news) if news.tenant != scope.tenant() => {}
            Heard::News(_) | Heard::Missed => return true,
            Heard::Over => return false,
        }
    }
}

#[derive(Deserialize)]
struct LiveQuery {
    /// When the page was made, in Unix milliseconds.
    since: Option<i64>,
}

/// How long before it is shown a page may have read what it shows.
const PAGE_MADE_MS: i64 = 5_000;
/// Events that are looked through for what happened since a page was made; more than these are worth a new look.
const LOOK_BACK: i64 = 200;

/// What happened while a page was on its way, as topics.
async fn meanwhile(scope: &Scope, since: i64) -> Result<BTreeSet<String>> {
    let (db, tenant) = (&scope.runtime().db, scope.tenant());
    let head = outbox::head(db, tenant).await?;
    let last = outbox::read_after(db, tenant, (head - LOOK_BACK).max(0), LOOK_BACK as usize).await?;
    let fresh = |recorded: &&Recorded| recorded.at.unix_ms() >= since - PAGE_MADE_MS;
    if head > LOOK_BACK && last.first().as_ref().is_some_and(fresh) {
        return Ok(BTreeSet::from(["reload".to_owned()]));
    }
    let mut topics = BTreeSet::new();
    for recorded in last.iter().filter(fresh) {
        topics.extend(topic(scope, &recorded.event, topics.len() < TOPICS_MAX));
    }
    Ok(topics)
}

fn told(topic: String) -> Result<SseEvent, Infallible> {
    Ok(SseEvent::default().event(topic).data(""))
}

/// What changed, as topics, for the console's live regions: `connection`, `message:msg_…`. No data.
async fn live(visitor: Visitor, Query(query): Query<LiveQuery>) -> Result<Response, Problem> {
    let (place, heartbeat) = (place(&visitor.scope)?, heartbeat(&visitor.scope));
    // Listens first and looks back then, so that nothing falls between.
    let listener = visitor.scope.runtime().live.listen();
    let missed = match query.since {
        Some(since) => meanwhile(&visitor.scope, since).await?,
        None => BTreeSet::new(),
    };
    let missed: Vec<_> = missed.into_iter().map(told).collect();
    let topics = futures::stream::unfold(
        (visitor.scope, listener, place, pulse()),
        |(scope, mut listener, place, mut pulse)| async move {
            let stopping = scope.runtime().tasks.stopping();
            let topics = tokio::select! {
                () = stopping.cancelled() => return None,
                topics = gather(&scope, &mut listener, &mut pulse) => topics?,
            };
            let events: Vec<_> = topics.into_iter().map(told).collect();
            Some((futures::stream::iter(events), (scope, listener, place, pulse)))
        },
    );
    let all = futures::stream::iter(missed).chain(topics.flatten());
    Ok(Sse::new(all).keep_alive(heartbeat).into_response())
}

fn pulse() -> Interval {
    let mut pulse = interval_at(Instant::now() + PULSE_EVERY, PULSE_EVERY);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pulse
}

/// What happened within one breath, or by the next pulse, which goes with what was heard before it.
async fn gather(scope: &Scope, listener: &mut Listener, pulse: &mut Interval) -> Option<BTreeSet<String>> {
    let mut topics = BTreeSet::new();
    let mut until = None;
    loop {
        let breath = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let heard = tokio::select! {
            heard = listener.next() => heard,
            () = breath => return Some(topics),
            _ = pulse.tick() => {
                topics.insert(PULSE.to_owned());
                if sees_own_messages(scope) {
                    topics.insert(MESSAGE.to_owned());
                }
                return Some(topics);
            }
        };
        match heard {
            Heard::Over => return None,
            Heard::Missed => return Some(BTreeSet::from(["reload".to_owned()])),
            Heard::News(news) if news.tenant == scope.tenant() => {
                for event in news.events.iter() {
                    topics.extend(topic(scope, event, topics.len() < TOPICS_MAX));
                }
                if !topics.is_empty() {
                    until.get_or_insert_with(|| Instant::now() + TOPICS_EVERY);
                }
            }
            Heard::News(_) => {}
        }
    }
}

/// Whether somebody sees messages, and not everybody's. When others' come and go, and under which ids, is nothing that they
/// may hear, and whose a message is stands in its row alone: their pages look again with each [`PULSE`] instead.
fn sees_own_messages(scope: &Scope) -> bool {
    scope.held().reach(Permission::MessageView).is_some_and(|reach| reach != Reach::All)
}

/// The topic of an event, where somebody may hear of it.
fn topic(scope: &Scope, event: &types::Event, single: bool) -> Option<String> {
    let topic = named(event, single);
    let of_a_message = topic == MESSAGE || topic.starts_with("message:");
    match scope.held().reach(Permission::MessageView) {
        _ if !of_a_message => Some(topic),
        Some(Reach::All) => Some(topic),
        Some(Reach::Team | Reach::Own) => None,
        // The queue's page, say, follows messages without showing any.
        None => Some(MESSAGE.to_owned()),
    }
}

fn named(event: &types::Event, single: bool) -> String {
    use types::Event;
    let kind = event.kind().split('.').next().unwrap_or_default();
    match event {
        Event::MessageAccepted(change)
        | Event::MessageSent(change)
        | Event::MessageEnded(change)
        | Event::MessageIndeterminate(change)
        | Event::MessageRetried(change)
        | Event::MessageReceived(change)
        | Event::MessageReleased(change)
        | Event::MessageHeld(change)
            if single =>
        {
            format!("{kind}:{}", change.message)
        }
        _ => kind.to_owned(),
    }
}

/// The stream for programs.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

/// The stream for the console's pages.
pub fn pages() -> axum::Router<App> {
    axum::Router::new().route("/live", axum::routing::get(live))
}
