#![doc = include_str!("../README.md")]

mod ancillary;
mod bind;
mod broadcast;
mod command;
mod enquire;
mod field;
mod frame;
mod multi;
mod octets;
mod pdu;
mod read;
pub mod session;
mod sm;
mod status;
pub mod time;
mod tlv;
mod tlvs;
mod window;
mod write;

pub use ancillary::{AlertNotification, CancelSm, QuerySm, QuerySmResp, ReplaceSm};
pub use bind::{Bind, BindResp, Outbind};
pub use broadcast::{BroadcastSm, CancelBroadcastSm, QueryBroadcastSm};
pub use command::CommandId;
pub use enquire::{Enquire, EnquireAction};
pub use field::{
    Address, AddressRef, DataCoding, EsmClass, MessageState, MessageType, NetworkErrorCode, Npi,
    RegisteredDelivery, Ton, Version,
};
pub use frame::{DEFAULT_MAX_PDU, FrameError, Framer, HEADER_LEN, first_pdu_len};
pub use multi::{Destination, SubmitMulti, SubmitMultiResp, Unsuccessful};
pub use octets::COctetString;
pub use pdu::{DecodeError, Header, Mode, Pdu, decode, encode_header};
pub use session::{Role, Sequence, State};
pub use sm::{
    DataSm, MessageIdResp, Sm, SmRef, decode_sm, encode_deliver_sm, encode_deliver_sm_resp, encode_submit_sm,
    encode_submit_sm_resp, encode_submit_sm_resp_congested,
};
pub use status::{RetryClass, Status};
pub use time::{SmppTime, TimeError};
pub use tlv::Tag;
pub use tlvs::{Sar, TlvTooLong, Tlvs, TlvsRef};
pub use window::{Refused, Window};
pub use write::{EncodeError, Unfit};
