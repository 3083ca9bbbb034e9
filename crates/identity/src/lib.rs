//! Tenants, users, sessions, keys, permissions, audit
