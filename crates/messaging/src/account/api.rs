//! SMPP accounts over the JSON API.
