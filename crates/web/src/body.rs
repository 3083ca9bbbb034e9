//! Bodies and queries, read strictly: an unknown field or a wrong type is refused with its place.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use types::{Code, Error, Result};

use crate::problem::Problem;
use crate::ui::form::CSRF_FIELD;

/// A JSON body.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_json = content_type.is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
        });
        if !is_json {
            return Err(Error::new(Code::UnsupportedMediaType, "the body must be application/json").into());
        }
        // The router's body limit cuts a longer body off here.
        let octets = axum::body::to_bytes(request.into_body(), usize::MAX).await.map_err(|error| {
            if is_length_limit(&error) {
                Error::new(Code::TooLarge, "the body is larger than the limit")
            } else {
                Error::new(Code::BadRequest, "the body broke off before its end").because(error)
            }
        })?;
        Ok(Self(json(&octets)?))
    }
}

/// A body over the limit.
pub fn too_large(limit: usize) -> Error {
    Error::new(Code::TooLarge, format!("the body is larger than {limit} octets"))
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(one) = cause {
        if one.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = one.source();
    }
    false
}

/// Reads JSON; the refusal names the place.
///
/// # Errors
/// [`Code::UnknownField`] or [`Code::InvalidBody`].
pub fn json<T: DeserializeOwned>(octets: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(octets);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let place = error.path().to_string();
        refusal(&place, &error.into_inner().to_string())
    })?;
    reader
        .end()
        .map_err(|_| Error::new(Code::InvalidBody, "there is more after the end of the JSON value"))?;
    Ok(value)
}

fn refusal(place: &str, why: &str) -> Error {
    let code = if why.starts_with("unknown field") { Code::UnknownField } else { Code::InvalidBody };
    let error = Error::new(code, why);
    if place == "." { error } else { error.at(place) }
}

/// A query string.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(query(parts.uri.query().unwrap_or_default())?))
    }
}

/// Reads a query string or a form's body. Empty values count as absent, because that is what an untouched form field sends.
///
/// # Errors
/// [`Code::InvalidFilter`] with the reader's own words.
pub fn query<T: DeserializeOwned>(text: &str) -> Result<T> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(text).unwrap_or_default();
    let filled: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let text = serde_urlencoded::to_string(&filled).map_err(Error::internal)?;
    serde_urlencoded::from_str(&text).map_err(|error| Error::new(Code::InvalidFilter, error.to_string()))
}

/// An address with these names and values as its query; the bare path without any.
pub fn with_query(path: &str, pairs: &[(&str, impl AsRef<str>)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    match serde_urlencoded::to_string(&pairs) {
        Ok(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.to_owned(),
    }
}

/// A form's body.
pub struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = crate::problem::PageProblem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        let octets = axum::body::to_bytes(request.into_body(), usize::MAX)
            .await
            .map_err(|error| Error::new(Code::TooLarge, "the form is too large").because(error))?;
        // Whom the form was shown to has been looked at before.
        let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(&octets).unwrap_or_default();
        let own: Vec<_> = fields.into_iter().filter(|(name, _)| name != CSRF_FIELD).collect();
        let text = serde_urlencoded::to_string(&own).map_err(Error::internal)?;
        Ok(Self(query(&text)?))
    }
}

/// How a list is asked for.
#[derive(Debug, Clone, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows on a page, 1 to 200; 50 when not given.
    pub limit: Option<String>,
}

impl Paging {
    /// The rows wanted on a page.
    ///
    /// # Errors
    /// [`Code::InvalidFilter`] outside 1 to 200.
    pub fn limit(&self) -> Result<usize> {
        let Some(limit) = &self.limit else { return Ok(50) };
        limit.parse().ok().filter(|limit| (1..=200).contains(limit)).ok_or_else(|| {
            Error::new(Code::InvalidFilter, format!("{limit:?} is not a number of rows from 1 to 200"))
                .at("limit")
        })
    }

    /// The position that the page begins behind, or `first` at the beginning.
    ///
    /// # Errors
    /// [`Code::InvalidCursor`].
    pub fn behind(&self, first: i64) -> Result<i64> {
        self.after
            .as_deref()
            .map_or(Ok(first), |text| types::Cursor::parse(text).map(types::Cursor::position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        to: String,
        #[serde(default)]
        parts: Vec<u8>,
    }

    #[test]
    fn a_refusal_names_the_place() {
        let error = json::<Sample>(br#"{"to":"1","parts":[1,300]}"#).unwrap_err();
        assert_eq!((error.code(), error.place()), (Code::InvalidBody, Some("parts[1]")));
        let error = json::<Sample>(br#"{"too":"1"}"#).unwrap_err();
        assert_eq!(error.code(), Code::UnknownField);
        assert_eq!(json::<Sample>(br#"{"to":"1"} x"#).unwrap_err().code(), Code::InvalidBody);
    }

    #[test]
    fn empty_form_fields_count_as_absent() {
        #[derive(Deserialize)]
        struct Filter {
            to: Option<String>,
            state: Option<String>,
        }
        let filter: Filter = query("to=&state=sent").unwrap();
        assert_eq!((filter.to, filter.state.as_deref()), (None, Some("sent")));
    }
}
