//! Routes over the JSON API.
