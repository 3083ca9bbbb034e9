//! Forms, their buttons and the summary of their errors.

use crate::assets;
use crate::marker;
use crate::ui::{
    icon::{Icon, icon},
    words::Words,
};
use maud::{Markup, Render, html};

/// The name of the hidden field that carries the cross-site-request token.
pub const CSRF_FIELD: &str = "csrf";

/// The request header that carries the same token when htmx asks.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// A form that changes something: `POST`, with the token.
///
/// The answer is a redirect (303), or 422 with the same form and its errors.
#[must_use]
pub fn post(action: &str, csrf: &str, body: &Markup) -> Markup {
    html! {
        form class="form" method="post" action=(action) {
            (token(csrf))
            (body)
        }
    }
}

/// The hidden field with the token; where none is given, whom the form is shown to.
pub(crate) fn token(csrf: &str) -> Markup {
    let shown = if csrf.is_empty() { marker::now() } else { csrf.to_owned() };
    html! { input type="hidden" name=(CSRF_FIELD) value=(shown); }
}

/// A form that asks for something: `GET`, its fields in the address.
#[must_use]
pub fn get(action: &str, body: &Markup) -> Markup {
    html! { form class="form" method="get" action=(action) { (body) } }
}

/// A form that uploads files: `POST`, multipart, with the token.
#[must_use]
pub fn upload(action: &str, csrf: &str, body: &Markup) -> Markup {
    html! {
        form class="form" method="post" action=(action) enctype="multipart/form-data" {
            (token(csrf))
            (body)
        }
    }
}

/// A form that takes one long file. With script the file goes in pieces to `{record}/file?offset=…&total=…` by `PUT`, on from the
/// `bytes` that `GET {record}` tells, and the page is loaded again when it is there. Without script it is sent at once, to
/// `action`. `body` has the field of the file and the button.
#[must_use]
pub fn upload_in_pieces(
    words: &Words,
    (action, record): (&str, &str),
    piece_bytes: usize,
    body: &Markup,
) -> Markup {
    html! {
        form class="form" method="post" action=(action) enctype="multipart/form-data" data-upload=(record) data-piece=(piece_bytes)
            data-stop=(words.upload_stop) data-stopped=(words.upload_stopped) data-other=(words.upload_other)
            data-empty=(words.upload_empty) data-again=(words.upload_again) data-broken=(words.upload_broken)
            data-gone=(words.upload_gone) {
            (token(""))
            (body)
            div class="progress" hidden {
                span class="progress-label" aria-hidden="true" { (words.sent) }
                span class="progress-shown" {}
                progress aria-label=(words.sent) {}
            }
            p class="upload-said" role="alert" {}
        }
        script src=(assets::url("upload.js")) defer {}
    }
}

/// A titled group of fields, in columns where the page is wide enough.
#[must_use]
pub fn section(title: &str, hint: Option<&str>, fields: &Markup) -> Markup {
    html! {
        fieldset class="section" {
            legend { (title) }
            @if let Some(hint) = hint { p class="hint" { (hint) } }
            div class="fields" { (fields) }
        }
    }
}

/// The row of buttons that ends a form: first the one that most people want.
#[must_use]
pub fn actions(buttons: &Markup) -> Markup {
    html! { div class="actions" { (buttons) } }
}

/// What is wrong with the form, each line a link to its field; nothing when there are no errors.
/// `errors` are pairs of a field's name and what is wrong with it. Focus moves here when it appears.
#[must_use]
pub fn error_summary(words: &Words, errors: &[(&str, &str)]) -> Markup {
    html! {
        @if !errors.is_empty() {
            div class="error-summary" role="alert" tabindex="-1" data-focus {
                h2 { (icon(Icon::Warning)) (words.fix_errors) }
                ul {
                    @for (name, error) in errors {
                        li { a href={ "#f-" (name) } { (error) } }
                    }
                }
            }
        }
    }
}

/// How much a button stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weight {
    /// The one thing that a page is for.
    Primary,
    /// Everything else.
    #[default]
    Plain,
    /// Among text or in a table's row.
    Quiet,
    /// Destroys something.
    Danger,
}

impl Weight {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Weight::Primary => "button primary",
            Weight::Plain => "button",
            Weight::Quiet => "button quiet",
            Weight::Danger => "button danger",
        }
    }
}

/// A button, or a link that looks like one.
#[derive(Debug, Clone, Copy)]
#[must_use = "a button shows only where it is rendered"]
pub struct Button<'a> {
    label: &'a str,
    target: Target<'a>,
    weight: Weight,
    icon: Option<Icon>,
    name_value: Option<(&'a str, &'a str)>,
    form: Option<&'a str>,
    small: bool,
    icon_only: bool,
    disabled: bool,
}

#[derive(Debug, Clone, Copy)]
enum Target<'a> {
    Submit,
    Link(&'a str),
    Dialog(&'a str),
}

fn button<'a>(label: &'a str, target: Target<'a>, weight: Weight) -> Button<'a> {
    Button {
        label,
        target,
        weight,
        icon: None,
        name_value: None,
        form: None,
        small: false,
        icon_only: false,
        disabled: false,
    }
}

/// The button that submits its form.
pub fn submit(label: &str) -> Button<'_> {
    button(label, Target::Submit, Weight::Primary)
}

/// A link that looks like a button.
pub fn link<'a>(label: &'a str, href: &'a str) -> Button<'a> {
    button(label, Target::Link(href), Weight::Plain)
}

/// A button that opens the [dialog](crate::ui::dialog::dialog) of this id.
pub fn opens<'a>(label: &'a str, dialog_id: &'a str) -> Button<'a> {
    button(label, Target::Dialog(dialog_id), Weight::Plain)
}

impl<'a> Button<'a> {
    /// How much it stands out; a submit button is primary unless told.
    pub fn weight(mut self, weight: Weight) -> Self {
        self.weight = weight;
        self
    }

    /// A picture before the label.
    pub fn icon(mut self, icon: Icon) -> Self {
        self.icon = Some(icon);
        self
    }

    /// Only the picture is seen; the label is for assistive technology and the tooltip.
    pub fn icon_only(mut self, icon: Icon) -> Self {
        self.icon = Some(icon);
        self.icon_only = true;
        self
    }

    /// Name and value that this button submits, where a form has several.
    pub fn sends(mut self, name: &'a str, value: &'a str) -> Self {
        self.name_value = Some((name, value));
        self
    }

    /// The id of the form to submit, where the button stands outside it.
    pub fn form(mut self, id: &'a str) -> Self {
        self.form = Some(id);
        self
    }

    /// For table rows and toolbars.
    pub fn small(mut self) -> Self {
        self.small = true;
        self
    }

    /// Not available now.
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.disabled = disabled;
        self
    }
}

impl Render for Button<'_> {
    fn render(&self) -> Markup {
        let mut class = self.weight.class().to_owned();
        for (extra, on) in [(" small", self.small), (" icon-only", self.icon_only)] {
            if on {
                class.push_str(extra);
            }
        }
        let title = self.icon_only.then_some(self.label);
        let inner = html! {
            @if let Some(picture) = self.icon { (icon(picture)) }
            span class=[self.icon_only.then_some("visually-hidden")] { (self.label) }
        };
        html! {
            @match self.target {
                Target::Submit => {
                    button type="submit" class=(class) title=[title] form=[self.form] disabled[self.disabled]
                        name=[self.name_value.map(|pair| pair.0)] value=[self.name_value.map(|pair| pair.1)] { (inner) }
                }
                Target::Link(href) => { a class=(class) title=[title] href=(href) { (inner) } }
                Target::Dialog(id) => {
                    button type="button" class=(class) title=[title] disabled[self.disabled] aria-haspopup="dialog"
                        commandfor=(id) command="show-modal" { (inner) }
                }
            }
        }
    }
}
