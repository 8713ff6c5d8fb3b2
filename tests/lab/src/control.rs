//! The gateway's control socket for a program that waits: calls return when answered.

use std::path::Path;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use wardline_control::{
    Applied, ApplyOptions, Client, DeviceView, FlowFilter, FlowView, PolicyFormat, PolicyText,
    Status,
};

/// How many entries one call asks for.
const PAGE: u32 = 256;
/// More pages than this and the gateway is answering in circles.
const MAX_PAGES: usize = 4_096;

/// A connection to the gateway.
#[derive(Debug)]
pub struct Control {
    runtime: Runtime,
    client: Client,
}

impl Control {
    /// Connects to the socket.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(socket: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot wait for a socket on this system")?;
        let client = runtime.block_on(Client::connect(socket, "wardline-lab"))?;
        Ok(Self { runtime, client })
    }

    /// Ports, workers, counters, policy.
    ///
    /// # Errors
    /// When the gateway does not answer, or refuses; so for every call here.
    pub fn status(&self) -> Result<Status> {
        Ok(self.runtime.block_on(self.client.status())?)
    }

    /// Every device the gateway knows.
    ///
    /// # Errors
    /// See [`Control::status`].
    pub fn devices(&self) -> Result<Vec<DeviceView>> {
        self.runtime.block_on(async {
            let (mut devices, mut cursor) = (Vec::new(), 0);
            for _ in 0..MAX_PAGES {
                let page = self.client.devices(cursor, PAGE).await?;
                devices.extend(page.devices);
                let Some(next) = page.next else { break };
                cursor = next;
            }
            Ok(devices)
        })
    }

    /// Every conversation the gateway carries.
    ///
    /// # Errors
    /// See [`Control::status`].
    pub fn flows(&self) -> Result<Vec<FlowView>> {
        self.runtime.block_on(async {
            let (mut flows, mut cursor) = (Vec::new(), 0);
            for _ in 0..MAX_PAGES {
                let page = self
                    .client
                    .flows(FlowFilter::default(), cursor, PAGE)
                    .await?;
                flows.extend(page.flows);
                let Some(next) = page.next else { break };
                cursor = next;
            }
            Ok(flows)
        })
    }

    /// The policy in force, as its TOML or JSON text.
    ///
    /// # Errors
    /// See [`Control::status`].
    pub fn policy(&self) -> Result<PolicyText> {
        Ok(self.runtime.block_on(self.client.policy_show())?.policy)
    }

    /// Puts a TOML policy in force.
    ///
    /// # Errors
    /// When the gateway refuses it; the old one is then still in force.
    pub fn apply(&self, name: &str, text: String) -> Result<Applied> {
        let policy = PolicyText {
            name: name.to_owned(),
            format: PolicyFormat::Toml,
            text,
        };
        Ok(self
            .runtime
            .block_on(self.client.policy_apply(policy, ApplyOptions::default()))?)
    }
}
