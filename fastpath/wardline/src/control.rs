//! The connection to the fast path, for a program that does one thing after the other.

use std::future::Future;
use std::path::Path;

use tokio::runtime::{Builder, Runtime};
use wardline_control::bounds::PAGE;
use wardline_control::{Alert, Client, ClientError, DeviceView, FlowFilter, FlowsPage};

use crate::failure::Failure;

/// An open connection with the runtime it lives on.
#[derive(Debug)]
pub(crate) struct Link {
    runtime: Runtime,
    client: Client,
}

impl Link {
    pub(crate) fn open(socket: &Path) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::failed(format!("cannot start: {e}")))?;
        let client = runtime.block_on(Client::connect(socket, "wardline"))?;
        Ok(Self { runtime, client })
    }

    /// One call: `link.call(|client| client.status())`.
    pub(crate) fn call<'a, T, F>(&'a self, call: impl FnOnce(&'a Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        Ok(self.try_call(call)?)
    }

    /// As [`Link::call`], for callers that look at the error.
    pub(crate) fn try_call<'a, T, F>(
        &'a self,
        call: impl FnOnce(&'a Client) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        self.runtime.block_on(call(&self.client))
    }

    /// All devices; their number is bounded by the fast path's table.
    pub(crate) fn devices(&self) -> Result<Vec<DeviceView>, Failure> {
        let mut all = Vec::new();
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let page = self.call(|client| client.devices(at, PAGE))?;
            all.extend(page.devices);
            cursor = page.next;
        }
        Ok(all)
    }

    /// All alerts; their number is bounded by the fast path.
    pub(crate) fn alerts(&self) -> Result<Vec<Alert>, Failure> {
        let mut all = Vec::new();
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let page = self.call(|client| client.alerts(at, PAGE))?;
            all.extend(page.alerts);
            cursor = page.next;
        }
        Ok(all)
    }

    /// All conversations, page by page, since there may be many.
    pub(crate) fn flows(
        &self,
        filter: &FlowFilter,
        mut page: impl FnMut(FlowsPage) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let next = self.call(|client| client.flows(filter.clone(), at, PAGE))?;
            cursor = next.next;
            page(next)?;
        }
        Ok(())
    }
}
