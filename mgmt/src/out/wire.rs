//! A connection that syslog goes over, TCP or TLS. Nothing answers there: what was written when
//! the other end vanished is lost, which is the nature of the protocol.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Syslog, Transport, target};
use crate::secret::Secret;

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads after which an end that talks without pause is no receiver.
const HEARD: usize = 64;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that comes back.
pub(super) struct Wire {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    stream: Option<Box<dyn Stream>>,
}

impl Wire {
    /// Not connected yet.
    ///
    /// # Errors
    /// What is wrong with certificates or key.
    pub fn new(to: &Syslog, key: Option<&Secret>) -> Result<Self, String> {
        let tls = match to.transport {
            Transport::Tcp => None,
            Transport::Tls => {
                let name = ServerName::try_from(to.host.clone());
                let name = name.map_err(|_| "the host is no name for a certificate".to_owned())?;
                Some((TlsConnector::from(Arc::new(client(to, key)?)), name))
            }
        };
        Ok(Self {
            host: to.host.clone(),
            port: to.port,
            tls,
            stream: None,
        })
    }

    /// Writes it all.
    ///
    /// # Errors
    /// Why it could not be.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        // Taken out, so that a write that is cut off leaves no half message behind.
        let mut stream = match self.stream.take().and_then(still_open) {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        let failed = |error: std::io::Error| format!("the connection broke: {}", error.kind());
        stream.write_all(bytes).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        self.stream = Some(stream);
        Ok(())
    }

    async fn connect(&mut self) -> Result<Box<dyn Stream>, String> {
        let connected = async {
            let addresses = target::resolve(&self.host, self.port).await?;
            let refused = |error: std::io::Error| format!("no connection: {}", error.kind());
            let stream = TcpStream::connect(&addresses[..]).await.map_err(refused)?;
            let Some((connector, name)) = &self.tls else {
                return Ok(Box::new(stream) as Box<dyn Stream>);
            };
            let stream = connector.connect(name.clone(), stream).await;
            let stream = stream.map_err(|error| format!("no TLS: {error}"))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        };
        let late = |_| "a connection takes too long".to_owned();
        tokio::time::timeout(PATIENCE, connected)
            .await
            .map_err(late)?
    }
}

/// The connection, unless the other end has hung up. What it says is of no interest.
fn still_open(mut stream: Box<dyn Stream>) -> Option<Box<dyn Stream>> {
    let mut said = [0; 256];
    for _ in 0..HEARD {
        match stream.read(&mut said).now_or_never() {
            None => return Some(stream),
            Some(Ok(1..)) => {}
            Some(Ok(0) | Err(_)) => return None,
        }
    }
    None
}

fn client(to: &Syslog, key: Option<&Secret>) -> Result<ClientConfig, String> {
    let authority = to.ca_certificate.as_deref();
    let authority = authority.ok_or("TLS needs `ca_certificate`")?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority).ok_or("`ca_certificate` holds no certificate")? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("`ca_certificate` cannot be used: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let Some(chain) = to.client_certificate.as_deref() else {
        return Ok(config.with_no_client_auth());
    };
    let chain = certificates(chain).ok_or("`client_certificate` holds no certificate")?;
    // What is wrong with a key could tell of the key.
    let key = key.and_then(|key| PrivateKeyDer::from_pem_slice(key.reveal().as_bytes()).ok());
    let key = key.ok_or("`client_certificate` needs its key (PEM) as `secret`")?;
    config
        .with_client_auth_cert(chain, key)
        .map_err(|_| "`client_certificate` and its key do not fit".to_owned())
}

/// The certificates of a PEM text; none if there is none or one cannot be read.
pub(super) fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.ok().filter(|all| !all.is_empty())
}
