//! A time is read or refused, written as it was read, and resolved from any now.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smpp::SmppTime;

fuzz_target!(|input: (i64, &[u8])| {
    let (now, text) = input;
    let Ok(time) = SmppTime::parse(text) else { return };
    let then = time.resolve(now);
    match time {
        SmppTime::Absolute { unix_ms } => assert_eq!(then, unix_ms),
        SmppTime::Relative { .. } => assert!(then >= now),
    }
    // A local time at either end of the century may lie outside it in UTC.
    if let Ok(written) = time.format() {
        assert_eq!(SmppTime::parse(written.as_bytes()), Ok(time));
    }
});
