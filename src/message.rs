//! Messages (RFC 6455 §5.4, §5.6): what the application sees and says of them, and putting them together.

mod assembly;
mod event;
mod prepared;
pub(crate) mod utf8;

pub(crate) use assembly::Assembly;
pub use {
    crate::frame::Kind,
    event::{Chunk, Data, Delivery, Event, Message},
    prepared::PreparedMessage,
};
