//! The client: one method for each call, with the deadline that suits it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tarpc::client::{Config, RpcError};
use tarpc::context::{self, Context};
use tokio::net::UnixStream;

use crate::transport::client_transport;
use crate::view::{
    AlertsPage, Applied, ApplyOptions, ContextEntry, ContextPage, DevicesPage, Diagnostic,
    EventBatch, FlowFilter, FlowsPage, Hello, ModelStatus, PolicyInForce, PolicyText, Refused,
    RoleStatement, Status,
};
use crate::{ControlClient, PROTOCOL_VERSION};

/// How long an ordinary call may take.
const CALL: Duration = Duration::from_secs(10);
/// How long compiling and swapping the largest policy, or checking a model, may take.
const APPLY: Duration = Duration::from_secs(60);

/// A connection to the fast path. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct Client {
    rpc: ControlClient,
    hello: Hello,
}

/// Why a client got no answer, or not the one it wanted.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("cannot reach the fast path at {}: {source}; {}", path.display(), advice(source))]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The other end speaks another version of the contract.
    #[error(
        "the fast path speaks control protocol {server}, this program speaks {PROTOCOL_VERSION}; \
         use the `wardline` of version {software}"
    )]
    Version {
        /// The server's protocol.
        server: u32,
        /// The server's software version.
        software: String,
    },
    /// The other end hung up at once.
    #[error(
        "the fast path at {} ended the connection ({source}): run as root or as a user that \
         `control.allow_uids` or `control.allow_gids` names; its log says more", path.display()
    )]
    TurnedAway {
        /// The socket.
        path: PathBuf,
        /// What was seen of it.
        source: RpcError,
    },
    /// The connection broke or the answer took too long.
    #[error("the fast path did not answer: {0}; is it still running?")]
    Rpc(#[from] RpcError),
    /// The fast path refused.
    #[error(transparent)]
    Refused(#[from] Refused),
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such socket: is `wardline fastpath` running, with this `control.socket`?"
        }
        io::ErrorKind::ConnectionRefused => {
            "the socket is left over from a process that is gone: start `wardline fastpath`"
        }
        io::ErrorKind::PermissionDenied => {
            "run as root or as a user that `control.allow_uids` or `control.allow_gids` names"
        }
        _ => "check the path of the socket",
    }
}

impl Client {
    /// Connects and compares versions. Needs a Tokio runtime.
    ///
    /// # Errors
    /// No socket, no permission, or another protocol version at the other end.
    pub async fn connect(path: impl AsRef<Path>, client_name: &str) -> Result<Self, ClientError> {
        let path = path.as_ref();
        let stream = UnixStream::connect(path)
            .await
            .map_err(|source| ClientError::Connect {
                path: path.to_owned(),
                source,
            })?;
        let rpc = ControlClient::new(Config::default(), client_transport(stream)).spawn();
        let hello = rpc
            .hello(within(CALL), client_name.to_owned())
            .await
            .map_err(|source| ClientError::TurnedAway {
                path: path.to_owned(),
                source,
            })?;
        if hello.protocol_version != PROTOCOL_VERSION {
            return Err(ClientError::Version {
                server: hello.protocol_version,
                software: hello.software_version,
            });
        }
        Ok(Self { rpc, hello })
    }

    /// What the other end said when the connection began.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// See [`Control::status`](crate::Control::status).
    pub async fn status(&self) -> Result<Status, ClientError> {
        Ok(self.rpc.status(within(CALL)).await??)
    }

    /// See [`Control::devices`](crate::Control::devices).
    pub async fn devices(&self, cursor: u64, limit: u32) -> Result<DevicesPage, ClientError> {
        Ok(self.rpc.devices(within(CALL), cursor, limit).await??)
    }

    /// See [`Control::flows`](crate::Control::flows).
    pub async fn flows(
        &self,
        filter: FlowFilter,
        cursor: u64,
        limit: u32,
    ) -> Result<FlowsPage, ClientError> {
        Ok(self
            .rpc
            .flows(within(CALL), filter, cursor, limit)
            .await??)
    }

    /// See [`Control::state_role`](crate::Control::state_role).
    pub async fn state_role(&self, statement: RoleStatement) -> Result<u64, ClientError> {
        Ok(self.rpc.state_role(within(CALL), statement).await??)
    }

    /// See [`Control::export_lessons`](crate::Control::export_lessons).
    pub async fn export_lessons(&self) -> Result<String, ClientError> {
        Ok(self.rpc.export_lessons(within(CALL)).await??)
    }

    /// See [`Control::model_status`](crate::Control::model_status).
    pub async fn model_status(&self) -> Result<ModelStatus, ClientError> {
        Ok(self.rpc.model_status(within(CALL)).await??)
    }

    /// See [`Control::model_activate`](crate::Control::model_activate).
    pub async fn model_activate(&self, folder: Option<String>) -> Result<ModelStatus, ClientError> {
        Ok(self.rpc.model_activate(within(APPLY), folder).await??)
    }

    /// See [`Control::alerts`](crate::Control::alerts).
    pub async fn alerts(&self, cursor: u64, limit: u32) -> Result<AlertsPage, ClientError> {
        Ok(self.rpc.alerts(within(CALL), cursor, limit).await??)
    }

    /// See [`Control::accept_alert`](crate::Control::accept_alert).
    pub async fn accept_alert(
        &self,
        id: u64,
        who: String,
        reason: String,
    ) -> Result<(), ClientError> {
        let answer = self.rpc.accept_alert(within(CALL), id, who, reason);
        Ok(answer.await??)
    }

    /// See [`Control::context_set`](crate::Control::context_set).
    pub async fn context_set(&self, entries: Vec<ContextEntry>) -> Result<u32, ClientError> {
        Ok(self.rpc.context_set(within(CALL), entries).await??)
    }

    /// See [`Control::context`](crate::Control::context).
    pub async fn context(&self, cursor: u64, limit: u32) -> Result<ContextPage, ClientError> {
        Ok(self.rpc.context(within(CALL), cursor, limit).await??)
    }

    /// See [`Control::policy_show`](crate::Control::policy_show).
    pub async fn policy_show(&self) -> Result<PolicyInForce, ClientError> {
        Ok(self.rpc.policy_show(within(CALL)).await??)
    }

    /// See [`Control::policy_check`](crate::Control::policy_check).
    pub async fn policy_check(&self, policy: PolicyText) -> Result<Vec<Diagnostic>, ClientError> {
        Ok(self.rpc.policy_check(within(APPLY), policy).await??)
    }

    /// See [`Control::policy_apply`](crate::Control::policy_apply).
    pub async fn policy_apply(
        &self,
        policy: PolicyText,
        options: ApplyOptions,
    ) -> Result<Applied, ClientError> {
        Ok(self
            .rpc
            .policy_apply(within(APPLY), policy, options)
            .await??)
    }

    /// See [`Control::policy_confirm`](crate::Control::policy_confirm).
    pub async fn policy_confirm(&self, id: String) -> Result<Applied, ClientError> {
        Ok(self.rpc.policy_confirm(within(CALL), id).await??)
    }

    /// See [`Control::events`](crate::Control::events).
    pub async fn events(
        &self,
        from_seq: u64,
        limit: u32,
        wait_ms: u32,
    ) -> Result<EventBatch, ClientError> {
        let context = within(CALL + Duration::from_millis(wait_ms.into()));
        Ok(self.rpc.events(context, from_seq, limit, wait_ms).await??)
    }

    /// See [`Control::stop`](crate::Control::stop).
    pub async fn stop(&self, detach: bool) -> Result<(), ClientError> {
        Ok(self.rpc.stop(within(CALL), detach).await??)
    }
}

fn within(time: Duration) -> Context {
    let mut context = context::current();
    context.deadline = Instant::now() + time;
    context
}
