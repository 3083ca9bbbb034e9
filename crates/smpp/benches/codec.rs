//! Nanoseconds per PDU on the hot path: `cargo bench -p smpp`. The median of seven runs.

use smpp::{Address, Mode, Pdu, Sar, Sm, Status, decode, decode_sm, encode_submit_sm, encode_submit_sm_resp};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 1_000_000;

fn measure(what: &str, mut operation: impl FnMut()) {
    let mut runs: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            (0..ROUNDS).for_each(|_| operation());
            start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    eprintln!("{what:<40} {:>7.1} ns", runs[3]);
}

fn encoded(pdu: &Pdu) -> Vec<u8> {
    let mut out = Vec::new();
    pdu.encode(1, Status::ROK, &mut out).expect("it fits");
    out
}

fn main() {
    let mut sm = Sm {
        source: Address::international("447700900000"),
        destination: Address::international("447700900123"),
        short_message: vec![b'x'; 90],
        ..Sm::default()
    };
    let mut out = Vec::with_capacity(1024);
    for tlvs in ["", " with 3 TLVs"] {
        let octets = encoded(&Pdu::SubmitSm(sm.clone()));
        let body = &octets[smpp::HEADER_LEN..];
        measure(&format!("encode submit_sm, borrowed{tlvs}"), || {
            out.clear();
            encode_submit_sm(1, &black_box(&sm).view(), &mut out).expect("it fits");
            black_box(&out);
        });
        measure(&format!("decode submit_sm, borrowed, strict{tlvs}"), || {
            black_box(decode_sm(black_box(body), Mode::Strict).is_ok());
        });
        measure(&format!("decode submit_sm, owned, strict{tlvs}"), || {
            black_box(decode(black_box(&octets), Mode::Strict).is_ok());
        });
        sm.tlvs.set_sar(Sar { reference: 7, total: 2, sequence: 1 });
    }
    measure("encode submit_sm_resp", || {
        out.clear();
        encode_submit_sm_resp(1, Status::ROK, black_box(b"0123456789abcdef"), &mut out).expect("it fits");
        black_box(&out);
    });
    measure("decode submit_sm_resp", || {
        black_box(decode(black_box(&out), Mode::Lenient).is_ok());
    });
}
