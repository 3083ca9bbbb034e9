//! One labelled form control with its hint and error.
//!
//! ```
//! use maud::html;
//! use web::ui::field;
//!
//! let form = html! {
//!     (field::text("host", "Host").value("smsc.example").hint("Name or address").required())
//!     (field::number("port", "Port").range("1", "65535").value("2775").error("Already in use"))
//! };
//! assert!(form.into_string().contains("aria-describedby=\"f-port-error\""));
//! ```

use crate::ui::{
    icon::{Icon, icon},
    words::{ENGLISH, Words},
};
use maud::{Markup, Render, html};

/// One choice of a [`select`] or of [`radios`].
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// What is submitted.
    pub value: &'a str,
    /// What is read.
    pub label: &'a str,
    /// A sentence below the label; radios show it, a select does not.
    pub hint: Option<&'a str>,
}

impl<'a> Choice<'a> {
    /// A choice without a hint.
    #[must_use]
    pub fn new(value: &'a str, label: &'a str) -> Self {
        Choice { value, label, hint: None }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind<'a> {
    Input(&'static str),
    TextArea { rows: u8 },
    Select(&'a [Choice<'a>]),
    Radios(&'a [Choice<'a>]),
    Checkbox,
    File { accept: Option<&'a str> },
}

/// A form control being described; put it into `html!` to render it.
///
/// Its element's id is `f-` and the name, so that [`form::error_summary`](crate::ui::form::error_summary) can
/// link to it. On one page two controls of the same name need [`Field::id`].
#[derive(Debug, Clone, Copy)]
#[must_use = "a field shows only where it is rendered"]
pub struct Field<'a> {
    kind: Kind<'a>,
    id: Option<&'a str>,
    name: &'a str,
    label: &'a str,
    value: &'a str,
    hint: Option<&'a str>,
    error: Option<&'a str>,
    placeholder: Option<&'a str>,
    autocomplete: Option<&'a str>,
    pattern: Option<&'a str>,
    suggestions: &'a [&'a str],
    range: Option<(&'a str, &'a str)>,
    step: Option<&'a str>,
    max_chars: Option<u32>,
    required: bool,
    checked: bool,
    disabled: bool,
    read_only: bool,
    autofocus: bool,
    wide: bool,
    mono: bool,
    label_hidden: bool,
    tags: bool,
    words: &'static Words,
}

fn new<'a>(kind: Kind<'a>, name: &'a str, label: &'a str) -> Field<'a> {
    Field {
        kind,
        id: None,
        name,
        label,
        value: "",
        hint: None,
        error: None,
        placeholder: None,
        autocomplete: None,
        pattern: None,
        suggestions: &[],
        range: None,
        step: None,
        max_chars: None,
        required: false,
        checked: false,
        disabled: false,
        read_only: false,
        autofocus: false,
        wide: false,
        mono: false,
        label_hidden: false,
        tags: false,
        words: &ENGLISH,
    }
}

/// A line of text.
pub fn text<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    new(Kind::Input("text"), name, label)
}

/// An e-mail address.
pub fn email<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    new(Kind::Input("email"), name, label).autocomplete("email")
}

/// An absolute URL.
pub fn url<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    new(Kind::Input("url"), name, label)
}

/// A telephone number.
pub fn tel<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    new(Kind::Input("tel"), name, label)
}

/// A search box; the `/` key focuses the first one of a page.
pub fn search<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    new(Kind::Input("search"), name, label)
}

/// A password or key. Its value is never written back into the page; a button shows what is typed.
pub fn secret<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    new(Kind::Input("password"), name, label).autocomplete("off")
}

/// A whole number, or a decimal one with [`Field::step`].
pub fn number<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    new(Kind::Input("number"), name, label)
}

/// A local date and time, `2026-08-28T14:30`; say in the hint which time zone it is in.
pub fn datetime<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    new(Kind::Input("datetime-local"), name, label)
}

/// A date, `2026-08-28`.
pub fn date<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    new(Kind::Input("date"), name, label)
}

/// Lines of text.
pub fn textarea<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    new(Kind::TextArea { rows: 5 }, name, label)
}

/// One of several choices, in a closed list.
pub fn select<'a>(name: &'a str, label: &'a str, choices: &'a [Choice<'a>]) -> Field<'a> {
    new(Kind::Select(choices), name, label)
}

/// One of few choices, all in sight.
pub fn radios<'a>(name: &'a str, label: &'a str, choices: &'a [Choice<'a>]) -> Field<'a> {
    new(Kind::Radios(choices), name, label)
}

/// Yes or no. Submits `true` when ticked and nothing when not; [`Field::value`] changes what is submitted.
pub fn checkbox<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    new(Kind::Checkbox, name, label).value("true")
}

/// A file, in a form made by [`form::upload`](crate::ui::form::upload). `accept` says which kinds are offered.
pub fn file<'a>(name: &'a str, label: &'a str, accept: Option<&'a str>) -> Field<'a> {
    new(Kind::File { accept }, name, label)
}

/// Several tags in one line of text, separated by commas; script turns them into removable pills.
/// `known` are offered as completions.
pub fn tags<'a>(name: &'a str, label: &'a str, known: &'a [&'a str]) -> Field<'a> {
    let mut field = new(Kind::Input("text"), name, label);
    field.suggestions = known;
    field.tags = true;
    field
}

impl<'a> Field<'a> {
    /// The current value. Of a [`secret`] it is ignored.
    pub fn value(mut self, value: &'a str) -> Self {
        self.value = value;
        self
    }

    /// A sentence below the control.
    pub fn hint(mut self, hint: &'a str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// What is wrong with the value; `None` leaves the field as it is.
    pub fn error(mut self, error: impl Into<Option<&'a str>>) -> Self {
        self.error = error.into();
        self
    }

    /// An id other than `f-` and the name.
    pub fn id(mut self, id: &'a str) -> Self {
        self.id = Some(id);
        self
    }

    /// An example inside the empty control; never the only explanation.
    pub fn placeholder(mut self, example: &'a str) -> Self {
        self.placeholder = Some(example);
        self
    }

    /// The `autocomplete` token, such as `username` or `one-time-code`.
    pub fn autocomplete(mut self, token: &'a str) -> Self {
        self.autocomplete = Some(token);
        self
    }

    /// A regular expression that the browser checks before submitting.
    pub fn pattern(mut self, pattern: &'a str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Completions to offer.
    pub fn suggestions(mut self, values: &'a [&'a str]) -> Self {
        self.suggestions = values;
        self
    }

    /// Least and greatest value, of a number or a date.
    pub fn range(mut self, least: &'a str, greatest: &'a str) -> Self {
        self.range = Some((least, greatest));
        self
    }

    /// Steps between values: `any`, `0.01`, or seconds of a [`datetime`].
    pub fn step(mut self, step: &'a str) -> Self {
        self.step = Some(step);
        self
    }

    /// Most UTF-16 units that may be typed.
    pub fn max_chars(mut self, limit: u32) -> Self {
        self.max_chars = Some(limit);
        self
    }

    /// Lines shown of a [`textarea`].
    pub fn rows(mut self, rows: u8) -> Self {
        if let Kind::TextArea { rows: shown } = &mut self.kind {
            *shown = rows;
        }
        self
    }

    /// A value must be given.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Whether a [`checkbox`] is ticked.
    pub fn checked(mut self, checked: bool) -> Self {
        self.checked = checked;
        self
    }

    /// Not available now; say why in the hint.
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.disabled = disabled;
        self
    }

    /// Shown and submitted, but not to be changed.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Focused when the page opens; at most one of a page.
    pub fn autofocus(mut self) -> Self {
        self.autofocus = true;
        self
    }

    /// As wide as the form, where fields stand in columns.
    pub fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    /// In fixed-width letters: keys, addresses, expressions.
    pub fn mono(mut self) -> Self {
        self.mono = true;
        self
    }

    /// The label is for assistive technology alone; for search boxes and filter bars.
    pub fn label_hidden(mut self) -> Self {
        self.label_hidden = true;
        self
    }

    /// The component's own words; English unless told.
    pub fn words(mut self, words: &'static Words) -> Self {
        self.words = words;
        self
    }

    fn element_id(&self) -> String {
        self.id.map_or_else(|| format!("f-{}", self.name), str::to_owned)
    }

    /// The ids that describe the control, or `None`: error first, because it is what matters most.
    fn described_by(&self, id: &str) -> Option<String> {
        match (self.error, self.hint) {
            (Some(_), Some(_)) => Some(format!("{id}-error {id}-hint")),
            (Some(_), None) => Some(format!("{id}-error")),
            (None, Some(_)) => Some(format!("{id}-hint")),
            (None, None) => None,
        }
    }

    /// Addresses, numbers and keys read left to right in every language; other text as its letters say.
    fn direction(&self, kind: &str) -> Option<&'static str> {
        match kind {
            "email" | "url" | "tel" => Some("ltr"),
            "text" | "search" if self.mono => Some("ltr"),
            "text" | "search" => Some("auto"),
            _ => None,
        }
    }

    fn label_text(&self) -> Markup {
        html! {
            (self.label)
            @if self.required {
                span class="required" aria-hidden="true" title=(self.words.required) { "*" }
            }
        }
    }

    fn error_and_hint(&self, id: &str) -> Markup {
        html! {
            @if let Some(error) = self.error {
                p class="error" id={ (id) "-error" } { (icon(Icon::Warning)) span { (error) } }
            }
            @if let Some(hint) = self.hint { p class="hint" id={ (id) "-hint" } { (hint) } }
        }
    }

    fn control(&self, id: &str) -> Markup {
        let described = self.described_by(id);
        let invalid = self.error.map(|_| "true");
        html! {
            @match self.kind {
                Kind::TextArea { rows } => {
                    textarea id=(id) name=(self.name) rows=(rows) class=[self.mono.then_some("mono")] dir="auto"
                        placeholder=[self.placeholder] maxlength=[self.max_chars] autocomplete=[self.autocomplete]
                        required[self.required] disabled[self.disabled] readonly[self.read_only]
                        autofocus[self.autofocus] aria-describedby=[described] aria-invalid=[invalid] {
                        // A parser drops the first line break of a textarea.
                        "\n" (self.value)
                    }
                }
                Kind::Select(choices) => {
                    select id=(id) name=(self.name) autocomplete=[self.autocomplete] required[self.required]
                        disabled[self.disabled] autofocus[self.autofocus]
                        aria-describedby=[described] aria-invalid=[invalid] {
                        @for choice in choices {
                            option value=(choice.value) selected[choice.value == self.value] { (choice.label) }
                        }
                    }
                }
                Kind::Input(kind) => {
                    @let secret = kind == "password";
                    input id=(id) name=(self.name) type=(kind) class=[self.mono.then_some("mono")] dir=[self.direction(kind)]
                        value=[(!secret && !self.value.is_empty()).then_some(self.value)]
                        placeholder=[self.placeholder] autocomplete=[self.autocomplete] pattern=[self.pattern]
                        min=[self.range.map(|range| range.0)] max=[self.range.map(|range| range.1)] step=[self.step]
                        maxlength=[self.max_chars] inputmode=[(kind == "number" && self.step.is_none()).then_some("numeric")]
                        data-tags=[self.tags.then_some(self.words.remove)] spellcheck=[(secret || self.mono).then_some("false")]
                        list=[(!self.suggestions.is_empty()).then(|| format!("{id}-list"))]
                        required[self.required] disabled[self.disabled] readonly[self.read_only]
                        autofocus[self.autofocus] aria-describedby=[described] aria-invalid=[invalid];
                    @if !self.suggestions.is_empty() {
                        datalist id={ (id) "-list" } {
                            @for value in self.suggestions { option value=(value) {} }
                        }
                    }
                    @if secret {
                        button type="button" class="button quiet small js-only" data-reveal=(id) aria-pressed="false" {
                            (self.words.show)
                        }
                    }
                }
                Kind::File { accept } => {
                    input id=(id) name=(self.name) type="file" accept=[accept] required[self.required]
                        disabled[self.disabled] autofocus[self.autofocus] aria-describedby=[described] aria-invalid=[invalid];
                }
                Kind::Radios(_) | Kind::Checkbox => {}
            }
        }
    }

    fn checkbox(&self, id: &str) -> Markup {
        html! {
            div class=(classes("field check", self)) {
                input id=(id) name=(self.name) type="checkbox" value=(self.value) checked[self.checked]
                    required[self.required] disabled[self.disabled] autofocus[self.autofocus]
                    aria-describedby=[self.described_by(id)] aria-invalid=[self.error.map(|_| "true")];
                label for=(id) { (self.label_text()) }
                (self.error_and_hint(id))
            }
        }
    }

    fn radios(&self, id: &str, choices: &[Choice<'_>]) -> Markup {
        html! {
            fieldset id=(id) class=(classes("field radios", self)) disabled[self.disabled]
                aria-describedby=[self.described_by(id)] {
                legend { (self.label_text()) }
                (self.error_and_hint(id))
                @for (at, choice) in choices.iter().enumerate() {
                    @let choice_id = format!("{id}-{at}");
                    div class="choice" {
                        input id=(choice_id) name=(self.name) type="radio" value=(choice.value)
                            checked[choice.value == self.value] required[self.required]
                            aria-describedby=[choice.hint.map(|_| format!("{choice_id}-hint"))];
                        label for=(choice_id) { (choice.label) }
                        @if let Some(hint) = choice.hint { p class="hint" id={ (choice_id) "-hint" } { (hint) } }
                    }
                }
            }
        }
    }
}

fn classes(base: &str, field: &Field<'_>) -> String {
    let mut classes = base.to_owned();
    for (class, on) in [("wide", field.wide), ("invalid", field.error.is_some())] {
        if on {
            classes.push(' ');
            classes.push_str(class);
        }
    }
    classes
}

impl Render for Field<'_> {
    fn render(&self) -> Markup {
        let id = self.element_id();
        match self.kind {
            Kind::Checkbox => self.checkbox(&id),
            Kind::Radios(choices) => self.radios(&id, choices),
            _ => html! {
                div class=(classes("field", self)) {
                    label for=(id) class=[self.label_hidden.then_some("visually-hidden")] { (self.label_text()) }
                    div class="control" { (self.control(&id)) }
                    (self.error_and_hint(&id))
                }
            },
        }
    }
}
