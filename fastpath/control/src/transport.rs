//! JSON in length-delimited frames over a Unix stream.

use tarpc::serde_transport::{self, Transport};
use tarpc::tokio_serde::formats::Json;
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
    serde_transport::new(framed(stream), Json::default())
}

pub(crate) fn client_transport(stream: UnixStream) -> ClientTransport {
    serde_transport::new(framed(stream), Json::default())
}

fn framed(stream: UnixStream) -> Framed<UnixStream, LengthDelimitedCodec> {
    LengthDelimitedCodec::builder()
        .max_frame_length(bounds::MESSAGE_BYTES)
        .new_framed(stream)
}
