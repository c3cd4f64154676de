//! Kafka's side of the network: sockets, frames, order, and limits for clients.

mod budget;
mod connection;
mod listener;
mod responder;

pub(crate) use budget::Refused;
pub(crate) use listener::{Listener, bind};
