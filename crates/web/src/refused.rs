//! A form that was sent and refused: it is shown again, with what is wrong at the field it concerns.

use maud::{Markup, html};
use types::{Code, Error};

use crate::problem::PageProblem;
use crate::ui::tone::Tone;
use crate::ui::words::Words;
use crate::ui::{feedback, form};

/// What is wrong with a form; nothing when it is shown for the first time.
#[derive(Debug, Default)]
pub struct Refused(Option<Error>);

impl Refused {
    /// Nothing is wrong.
    pub const NONE: Self = Self(None);

    /// A refusal that the form can show.
    ///
    /// # Errors
    /// As a page of its own what no other input would mend: a missing record, a missing permission, a fault of ours.
    pub fn by(error: Error) -> Result<Self, PageProblem> {
        let elsewhere = matches!(error.code(), Code::NotFound | Code::Unauthenticated | Code::StepUpRequired)
            || (error.code() == Code::Forbidden && error.place().is_none());
        // A directory that is down is no fault of ours: another way in may be open.
        let ours = error.code().status() >= 500 && error.code() != Code::DirectoryUnavailable;
        if elsewhere || ours { Err(PageProblem(error)) } else { Ok(Self(Some(error))) }
    }

    /// The status of the page that shows it.
    pub fn status(&self) -> u16 {
        self.0.as_ref().map_or(200, |error| error.code().status())
    }

    /// What is wrong with this field.
    pub fn at(&self, field: &str) -> Option<&str> {
        self.0.as_ref().filter(|error| error.place() == Some(field)).map(Error::message)
    }

    /// What stands above the form: a link to the field that is wrong where it is one of these, a note otherwise.
    pub fn summary(&self, words: &Words, fields: &[&str]) -> Markup {
        let Some(error) = &self.0 else { return html! {} };
        match error.place().filter(|place| fields.contains(place)) {
            Some(place) => form::error_summary(words, &[(place, error.message())]),
            None => html! {
                div role="alert" { (feedback::notice(Tone::Bad, error.message(), &html! { (error.advice()) })) }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::words::ENGLISH;

    #[test]
    fn a_fields_error_is_linked_and_others_stand_above() {
        let refused = Refused::by(Error::invalid("name", "too long")).unwrap();
        assert_eq!((refused.at("name"), refused.at("email")), (Some("too long"), None));
        assert!(refused.summary(&ENGLISH, &["name"]).into_string().contains("href=\"#f-name\""));
        let refused = Refused::by(Error::new(Code::TooManyRequests, "slowly")).unwrap();
        let text = refused.summary(&ENGLISH, &["name"]).into_string();
        assert!(text.contains("slowly") && !text.contains("#f-"));
        assert!(Refused::by(Error::not_found("user")).is_err());
        assert_eq!(Refused::NONE.summary(&ENGLISH, &[]).into_string(), "");
    }
}
