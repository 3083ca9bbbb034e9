//! What holds for every component, checked on the style page, and the markup of a few.

use super::{badge, browse, chart, code, compose, field, layout, live, table, timeline, tone::Tone, words};
use crate::{
    assets,
    style_page::{self},
    ui::layout::{Dir, ErrorPage, Theme},
};
use insta::assert_snapshot;
use maud::{Markup, html};
use std::collections::HashSet;

fn every_page() -> Vec<String> {
    let error = ErrorPage {
        status: 503,
        title: "Not now",
        detail: "The database does not answer.",
        hint: "Try again in a minute.",
        request_id: "01K3V8",
        way_out: Some(("Overview", "/")),
        lang: "fr",
        dir: Dir::Ltr,
        theme: Theme::Auto,
    };
    vec![
        style_page::page(Dir::Ltr, Theme::Auto).into_string(),
        style_page::page(Dir::Rtl, Theme::Dark).into_string(),
        style_page::bare_page(Theme::Light).into_string(),
        layout::error_page(&error).into_string(),
    ]
}

/// One tag a line, to be read in a difference.
fn lines(markup: Markup) -> String {
    markup.into_string().replace("><", ">\n<")
}

/// The attributes of every start tag of a page: name and value.
fn attributes(page: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for tag in page.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag)) {
        let mut rest = tag;
        while let Some((before, after)) = rest.split_once("=\"") {
            let name = before.rsplit(char::is_whitespace).next().unwrap_or(before);
            let (value, next) = after.split_once('"').expect("maud closes what it opens");
            found.push((name, value));
            rest = next;
        }
    }
    found
}

#[test]
fn nothing_is_inline() {
    for page in every_page() {
        assert!(!page.contains("<style") && !page.contains("javascript:"));
        for script in page.split("<script").skip(1) {
            assert!(script.starts_with(" src=\"/assets/") && script.contains("></script>"), "{script:.80}");
        }
        for (name, value) in attributes(&page) {
            assert!(
                name != "style" && !name.starts_with("on") && !name.starts_with("hx-on"),
                "{name}={value}"
            );
            // A trigger's filter and a computed value are code, which the content policy forbids.
            let filtered = name == "hx-trigger" && value.contains('[');
            assert!(!filtered && !value.starts_with("js:"), "{name}={value}");
        }
    }
}

#[test]
fn every_asset_of_a_page_exists() {
    for page in every_page() {
        let mut count = 0;
        for (_, address) in attributes(&page).into_iter().filter(|(_, value)| value.starts_with("/assets/")) {
            let name = address.rsplit('/').next().expect("a name");
            assert!(assets::exists(name), "{address}");
            assert_eq!(address, assets::url(name));
            count += 1;
        }
        let uploads = usize::from(page.contains(&assets::url("upload.js")));
        assert_eq!(count, 5 + uploads, "stylesheet, icon and three scripts, and one where files are taken");
    }
}

#[test]
fn ids_are_unique_and_every_reference_has_its_element() {
    const REFERENCES: [&str; 9] = [
        "for",
        "aria-describedby",
        "aria-labelledby",
        "aria-controls",
        "commandfor",
        "popovertarget",
        "list",
        "data-copy",
        "data-reveal",
    ];
    for page in every_page() {
        let attributes = attributes(&page);
        let mut ids = HashSet::new();
        for (_, id) in attributes.iter().filter(|(name, _)| *name == "id") {
            assert!(ids.insert(*id), "two elements have the id {id}");
        }
        for (name, value) in attributes.iter().filter(|(name, _)| REFERENCES.contains(name)) {
            for id in value.split(' ') {
                assert!(ids.contains(id), "{name}=\"{value}\" points nowhere");
            }
        }
    }
}

#[test]
fn what_callers_pass_is_escaped() {
    let hostile = "\"><script>alert(1)</script>";
    let markup = html! {
        (field::text("name", hostile).value(hostile).hint(hostile).error(hostile))
        (field::textarea("text", "Text").value("</textarea><script>"))
        (badge::badge(Tone::Bad, hostile))
        (live::live("region", hostile, &[hostile], &html! {}))
    };
    assert!(!markup.into_string().contains("<script"));
}

#[test]
fn a_secret_is_never_written_back() {
    let markup = html! { (field::secret("password", "Password").value("hunter2")) };
    assert!(!markup.into_string().contains("hunter2"));
}

#[test]
fn a_field_names_its_hint_and_error() {
    let markup =
        html! { (field::number("port", "Port").value("0").hint("As told").error("Too small").required()) };
    assert_snapshot!(lines(markup), @r#"
    <div class="field invalid">
    <label for="f-port">Port<span class="required" aria-hidden="true" title="required">*</span>
    </label>
    <div class="control">
    <input id="f-port" name="port" type="number" value="0" inputmode="numeric" required aria-describedby="f-port-error f-port-hint" aria-invalid="true">
    </div>
    <p class="error" id="f-port-error">
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d="M12 4l9 16H3zM12 10v4M12 17h.01">
    </path>
    </svg>
    <span>Too small</span>
    </p>
    <p class="hint" id="f-port-hint">As told</p>
    </div>
    "#);
}

#[test]
fn a_counter_shows_what_forces_the_wide_alphabet() {
    let count = compose::PartCount {
        text: "Ça va – 🎉🎉",
        encoding: "UCS-2",
        units: 12,
        parts: 1,
        remaining: 58,
        forcing: &['🎉', '–', '🎉'],
        too_long: false,
    };
    assert_snapshot!(lines(compose::part_counter(&words::ENGLISH, &count)), @r#"
    <dl class="counter">
    <div>
    <dt>Encoding</dt>
    <dd>UCS-2</dd>
    </div>
    <div>
    <dt>Units</dt>
    <dd>12</dd>
    </div>
    <div>
    <dt>Parts</dt>
    <dd>1</dd>
    </div>
    <div>
    <dt>Left in part</dt>
    <dd>58</dd>
    </div>
    </dl>
    <div class="forcing">
    <p>These characters need the 16-bit alphabet <span class="chip">
    <bdi>–</bdi> <code>U+2013</code>
    </span> <span class="chip">
    <bdi>🎉</bdi> <code>U+1F389</code>
    </span> </p>
    <p class="preview" dir="auto">Ça va <mark>–</mark> <mark>🎉🎉</mark>
    </p>
    </div>
    "#);
}

#[test]
fn a_row_is_a_link_and_a_card() {
    let columns = vec![
        table::column("Name").sort("?sort=name", Some(table::Order::Ascending)),
        table::column("Count").number(),
    ];
    let rows = vec![table::row(vec![html! { "Tunisia" }, html! { "7" }]).link("/routes/1")];
    let markup = html! { (table::table("Routes", columns, rows)) };
    assert_snapshot!(lines(markup), @r#"
    <div class="table-scroll">
    <table role="table" class="table">
    <caption class="visually-hidden">Routes</caption>
    <thead role="rowgroup">
    <tr role="row">
    <th scope="col" role="columnheader" aria-sort="ascending">
    <a href="?sort=name">Name<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d="M12 20V5M6 11l6-6 6 6">
    </path>
    </svg>
    </a>
    </th>
    <th scope="col" role="columnheader" class="number">Count</th>
    </tr>
    </thead>
    <tbody role="rowgroup">
    <tr role="row" class="linked">
    <td role="cell" data-label="Name">
    <a class="row-link" href="/routes/1">Tunisia</a>
    </td>
    <td role="cell" class="number" data-label="Count">7</td>
    </tr>
    </tbody>
    </table>
    </div>
    "#);
}

#[test]
fn a_table_without_rows_says_so() {
    let empty =
        html! { (table::table("Routes", vec![table::column("Name")], vec![]).empty(html! { "None yet" })) };
    assert_snapshot!(lines(empty), @r#"<div class="table-empty">None yet</div>"#);
}

#[test]
fn a_live_region_asks_for_itself() {
    let region = live::live("queue", "/queue?part=rows", &["queue", "connection:7"], &html! { "12" });
    assert_snapshot!(lines(region), @r#"<div id="queue" class="live" data-live="queue connection:7" hx-get="/queue?part=rows" hx-trigger="sb:refresh" hx-swap="innerMorph">12</div>"#);
}

#[test]
fn a_pager_has_the_links_that_there_are() {
    assert_snapshot!(lines(browse::pager(&words::FRENCH, None, Some("?after=9"), "50 sur 200")), @r#"
    <nav class="pager" aria-label="Pages">
    <span class="summary">50 sur 200</span>
    <a class="button small" rel="next" href="?after=9">Plus anciens<svg class="icon turns" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d="M9 6l6 6-6 6">
    </path>
    </svg>
    </a>
    </nav>
    "#);
    assert_eq!(browse::pager(&words::FRENCH, None, None, "").into_string(), "");
}

#[test]
fn an_unknown_state_is_shown_as_it_is() {
    assert_snapshot!(lines(badge::message_state("teleported", "Teleported")), @r#"<span class="badge" data-tone="neutral">Teleported</span>"#);
}

#[test]
fn a_dump_ends_in_a_short_line() {
    let bytes: Vec<u8> = (0x1c..0x2e).collect();
    let dump = code::hex(&words::ENGLISH, "pdu", "PDU", &bytes).into_string();
    assert!(dump.contains(
        "0000  1c 1d 1e 1f 20 21 22 23  24 25 26 27 28 29 2a 2b  .... !&quot;#$%&amp;'()*+\n0010  2c 2d"
    ));
    assert!(code::hex(&words::ENGLISH, "pdu", "PDU", &[0; 5000]).into_string().contains("… 904 more"));
}

#[test]
fn a_chart_carries_finite_values_alone() {
    let points = [("00:00".to_owned(), 1.5), ("01:00".to_owned(), f64::NAN), ("02:00".to_owned(), 3.0)];
    let series = chart::Series { caption: "Load", axis: "Hour", measure: "Messages", points: &points };
    assert!(chart::bars(&series).into_string().contains("data-values=\"1.5,3\""));
}

#[test]
fn a_moment_is_readable_without_script() {
    assert_snapshot!(lines(timeline::relative_time("2026-08-28T14:30:00Z", "28 August")), @r#"<time datetime="2026-08-28T14:30:00Z" data-relative title="28 August">28 August</time>"#);
}

/// The value of a token in light and in dark.
fn token(stylesheet: &str, scope: &str, name: &str) -> [String; 2] {
    let scope = stylesheet.split_once(scope).expect("the scope is there").1;
    let (_, rest) = scope.split_once(&format!("{name}: light-dark(")).expect("the token is there");
    let (pair, _) = rest.split_once(')').expect("closed");
    let (light, dark) = pair.split_once(", ").expect("two values");
    [light.to_owned(), dark.to_owned()]
}

/// Relative luminance (WCAG 2.2, definition of the term) of `#rrggbb`.
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("hexadecimal")) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn colours_keep_their_contrast_in_light_and_dark() {
    let stylesheet = assets::text("switchboard.css").expect("the stylesheet");
    let root = |name: &str| token(&stylesheet, ":root {", name);
    let mut pairs = vec![];
    for ground in ["--ground", "--surface", "--raised", "--sunken"] {
        for ink in ["--ink", "--ink-soft", "--accent", "--danger"] {
            pairs.push((ink.to_owned(), 4.5, root(ink), root(ground)));
        }
    }
    pairs.push(("on accent".into(), 4.5, root("--on-accent"), root("--accent")));
    pairs.push(("on danger".into(), 4.5, root("--on-danger"), root("--danger")));
    pairs.push(("current".into(), 4.5, root("--accent-strong"), root("--accent-soft")));
    // Borders of controls and the focus ring (success criterion 1.4.11).
    pairs.push(("borders".into(), 3.0, root("--line-strong"), root("--surface")));
    pairs.push(("focus".into(), 3.0, root("--focus"), root("--ground")));
    for tone in ["info", "good", "warn", "bad", "neutral"] {
        let scope = format!("[data-tone=\"{tone}\"] {{");
        let (ink, soft) =
            (token(&stylesheet, &scope, "--tone-ink"), token(&stylesheet, &scope, "--tone-soft"));
        pairs.push((tone.into(), 4.5, ink, soft));
    }
    for (what, least, ink, ground) in pairs {
        for (ink, ground) in ink.iter().zip(&ground) {
            let ratio = contrast(ink, ground);
            assert!(ratio >= least, "{what}: {ink} on {ground} has {ratio:.2}, needs {least}");
        }
    }
}

#[test]
fn the_stylesheet_turns_round_with_the_page() {
    let stylesheet = assets::text("switchboard.css").expect("the stylesheet");
    for physical in [
        "margin-left",
        "margin-right",
        "padding-left",
        "padding-right",
        "border-left",
        "border-right",
        "text-align: left",
        "text-align: right",
        " left:",
        " right:",
    ] {
        assert!(!stylesheet.contains(physical), "{physical}");
    }
    assert!(!stylesheet.contains("http:") && !stylesheet.contains("@import"), "nothing from elsewhere");
}

#[test]
fn vendored_files_are_the_published_ones() {
    use sha2::{Digest as _, Sha256};
    // As published in the package htmx.org 4.0.1.
    for (name, published) in [
        ("htmx-4.0.1.min.js", "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"),
        ("hx-sse-4.0.1.min.js", "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103"),
    ] {
        let text = assets::text(name).expect("embedded");
        let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, published, "{name}");
    }
}
