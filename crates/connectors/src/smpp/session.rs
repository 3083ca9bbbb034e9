//! One session from its bind to its end.

use smpp::{CommandId, Status, encode_header};

/// Appends a deliver_sm_resp or data_sm_resp: with the empty message id for ESME_ROK, else the header alone.
pub(super) fn write_message_resp(command: CommandId, status: Status, sequence: u32, out: &mut Vec<u8>) {
    encode_header(command, status, sequence, out);
}
