//! The world outside: carriers, phones and a load generator
