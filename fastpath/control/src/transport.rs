//! JSON in length-delimited frames over a Unix stream.

use std::io;
use std::marker::PhantomData;
use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tarpc::serde_transport::{self, Transport};
use tarpc::tokio_serde::{Deserializer, Serializer};
use tarpc::tokio_util::bytes::{Bytes, BytesMut};
use tarpc::tokio_util::codec::{Framed, LengthDelimitedCodec};
use tarpc::{ClientMessage, Response};
use tokio::net::UnixStream;

use crate::bounds;
use crate::service::{ControlRequest, ControlResponse};

type Incoming = ClientMessage<ControlRequest>;
type Outgoing = Response<ControlResponse>;

/// The server's end of one connection.
pub type ServerTransport = Transport<UnixStream, Incoming, Outgoing, Json<Incoming, Outgoing>>;

/// The client's end of one connection.
pub(crate) type ClientTransport =
    Transport<UnixStream, Outgoing, Incoming, Json<Outgoing, Incoming>>;

/// Wraps an accepted connection whose peer has been checked.
pub fn server_transport(stream: UnixStream) -> ServerTransport {
    serde_transport::new(framed(stream), Json(PhantomData))
}

pub(crate) fn client_transport(stream: UnixStream) -> ClientTransport {
    serde_transport::new(framed(stream), Json(PhantomData))
}

fn framed(stream: UnixStream) -> Framed<UnixStream, LengthDelimitedCodec> {
    LengthDelimitedCodec::builder()
        .max_frame_length(bounds::MESSAGE_BYTES)
        .new_framed(stream)
}

/// JSON read from whole frames. The codec that comes with tokio-serde reads byte by byte, which
/// takes several times as long for a large policy.
#[derive(Debug)]
pub struct Json<Item, SinkItem>(PhantomData<fn(SinkItem) -> Item>);

impl<Item: DeserializeOwned, SinkItem> Deserializer<Item> for Json<Item, SinkItem> {
    type Error = io::Error;

    fn deserialize(self: Pin<&mut Self>, frame: &BytesMut) -> io::Result<Item> {
        Ok(serde_json::from_slice(frame)?)
    }
}

impl<Item, SinkItem: Serialize> Serializer<SinkItem> for Json<Item, SinkItem> {
    type Error = io::Error;

    fn serialize(self: Pin<&mut Self>, item: &SinkItem) -> io::Result<Bytes> {
        Ok(serde_json::to_vec(item)?.into())
    }
}
