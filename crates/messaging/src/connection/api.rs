//! Connections over the JSON API.
