//! Connections in the console.
