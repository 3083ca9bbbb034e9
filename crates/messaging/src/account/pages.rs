//! SMPP accounts in the console.
