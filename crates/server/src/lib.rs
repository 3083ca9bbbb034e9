//! The switchboard program: wiring, listeners, command line
