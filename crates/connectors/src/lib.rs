//! The far side of a connection: hand over one message, read its answer and its receipts
