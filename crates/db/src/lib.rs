//! One SQL text for SQLite and PostgreSQL
