//! Answers that no sound centre gives.

use rand::RngExt;
use rand::rngs::SmallRng;
use smpp::{CommandId, Status};

/// Set in numbers that no delivery of the centre ever has.
const BEYOND: u32 = 0x4000_0000;

/// Appends one piece of nonsense in the place of the response to `sequence`.
pub(super) fn write(random: &mut SmallRng, sequence: u32, out: &mut Vec<u8>) {
    match random.random_range(0..8_u8) {
        0 => {
            // Noise: most often read as an enormous command_length.
            let length = random.random_range(1..200);
            out.extend((0..length).map(|_| random.random::<u8>()));
        }
        // Shorter than a header can be, and longer than anybody takes.
        1 => header(7, CommandId::SUBMIT_SM_RESP, sequence, out),
        2 => header(u32::MAX, CommandId::SUBMIT_SM_RESP, sequence, out),
        // Operations that do not exist.
        3 => smpp::encode_header(CommandId(0x0000_0999), Status::ROK, sequence, out),
        4 => smpp::encode_header(CommandId(0x8000_0999), Status(0xDEAD_BEEF), sequence, out),
        // A response to something that was never asked.
        5 => smpp::encode_header(CommandId::SUBMIT_SM_RESP, Status::ROK, sequence ^ 0x5555_5555, out),
        6 => {
            // An id without its NUL and far too long.
            header(16 + 300, CommandId::SUBMIT_SM_RESP, sequence, out);
            out.extend([b'9'; 300]);
        }
        _ => {
            // A deliver_sm that ends in the middle of its addresses. Its number is none that a delivery has: it is refused for
            // good, and a receipt under the same number would be lost with it.
            header(16 + 5, CommandId::DELIVER_SM, sequence | BEYOND, out);
            out.extend([0, 1, 1, b'3', b'3']);
        }
    }
}

fn header(length: u32, command: CommandId, sequence: u32, out: &mut Vec<u8>) {
    for word in [length, command.0, Status::ROK.0, sequence] {
        out.extend(word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use smpp::{Framer, Header};

    use super::*;

    #[test]
    fn its_deliveries_have_numbers_that_receipts_have_not() {
        let mut random = SmallRng::seed_from_u64(7);
        let mut deliveries = 0;
        for sequence in 1..500 {
            let mut out = Vec::new();
            write(&mut random, sequence, &mut out);
            let mut framer = Framer::new(1024);
            framer.feed(&out);
            let Ok(Some(pdu)) = framer.next_pdu() else { continue };
            let header = Header::read(pdu).unwrap();
            if header.command_id == CommandId::DELIVER_SM {
                deliveries += 1;
                assert!(header.sequence > BEYOND, "{header:?}");
            }
        }
        assert!(deliveries > 10);
    }
}
