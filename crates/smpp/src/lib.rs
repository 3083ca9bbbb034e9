//! SMPP 3.4 and 5.0: framing, codec, session state machine; no I/O
