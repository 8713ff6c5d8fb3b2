//! TLS from the first start: a certificate authority of this appliance's own, or a certificate
//! that was provided.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum_server::tls_rustls::RustlsConfig;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::Listen;

/// Days an own server certificate holds; browsers take no more than 398.
const SERVER_DAYS: i64 = 397;
/// Days before its end that it is made anew.
const RENEW_DAYS: i64 = 30;
/// Days the own authority holds.
const AUTHORITY_DAYS: i64 = 3_650;
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where certificate and key lie.
#[derive(Debug, Clone)]
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// Authorities whose client certificates are asked for.
    client_ca: Option<PathBuf>,
    /// The own authority; absent when the certificate was provided.
    authority: Option<Authority>,
}

#[derive(Debug, Clone)]
struct Authority {
    certificate: PathBuf,
    key: PathBuf,
    names: Vec<String>,
}

impl Files {
    /// As configured; an own authority and certificate are made if there are none.
    ///
    /// # Errors
    /// When they can be neither read nor made.
    pub fn prepare(listen: &Listen, state: &Path) -> Result<Self> {
        if let (Some(certificate), Some(key)) = (&listen.certificate, &listen.key) {
            return Ok(Self {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: listen.client_ca.clone(),
                authority: None,
            });
        }
        let dir = state.join("tls");
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let files = Self {
            certificate: dir.join("server.pem"),
            key: dir.join("server.key"),
            client_ca: listen.client_ca.clone(),
            authority: Some(Authority {
                certificate: dir.join("ca.pem"),
                key: dir.join("ca.key"),
                names: names(listen),
            }),
        };
        files.renew()?;
        Ok(files)
    }

    /// The certificate that clients have to trust, when it is this appliance's own.
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_ref().map(|own| own.certificate.as_path())
    }

    /// What rustls needs to serve.
    ///
    /// # Errors
    /// When the files cannot be read or do not belong together.
    pub fn load(&self) -> Result<Arc<ServerConfig>> {
        let at = |path: &Path| format!("cannot use {}", path.display());
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| at(&self.certificate))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).with_context(|| at(&self.key))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = match &self.client_ca {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(path) => client_verifier(path, &provider).with_context(|| at(path))?,
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .with_context(|| at(&self.certificate))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Watches the files and takes them when they change; renews an own certificate in time.
    /// Never returns. A change that cannot be used leaves the old certificate in service.
    pub async fn watch(&self, serving: RustlsConfig) {
        let mut before = self.stamp();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.renew() {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the certificate is not renewed"
                );
            }
            let now = self.stamp();
            if now == before {
                continue;
            }
            before = now;
            match self.load() {
                Ok(config) => {
                    serving.reload_from_config(config);
                    tracing::info!("a new certificate is in service");
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "the old certificate stays");
                }
            }
        }
    }

    fn stamp(&self) -> [Option<std::time::SystemTime>; 3] {
        let files = [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_ref(),
        ];
        files.map(|path| fs::metadata(path?).and_then(|facts| facts.modified()).ok())
    }

    /// Makes what is missing or about to end, where the authority is our own.
    fn renew(&self) -> Result<()> {
        let Some(authority) = &self.authority else {
            return Ok(());
        };
        if !authority.certificate.exists() {
            make_authority(authority)?;
        }
        let names_file = self.certificate.with_extension("names");
        let names = authority.names.join("\n");
        let same_names = fs::read_to_string(&names_file).is_ok_and(|text| text == names);
        if same_names && !ends_soon(&self.certificate) {
            return Ok(());
        }
        let issuer_key = KeyPair::from_pem(&fs::read_to_string(&authority.key)?)?;
        let issuer_text = fs::read_to_string(&authority.certificate)?;
        let issuer = Issuer::from_ca_cert_pem(&issuer_text, issuer_key)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(authority.names.clone())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Wardline management");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = lifetime(SERVER_DAYS);
        let certificate = params.signed_by(&key, &issuer)?;
        write(&self.key, &key.serialize_pem(), 0o600)?;
        write(
            &self.certificate,
            &(certificate.pem() + &issuer_text),
            0o644,
        )?;
        write(&names_file, &names, 0o644)
    }
}

/// Takes certificates of these authorities, and clients that have none.
fn client_verifier(
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    Ok(verifier.allow_unauthenticated().build()?)
}

fn make_authority(authority: &Authority) -> Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Wardline appliance CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = lifetime(AUTHORITY_DAYS);
    let certificate = params.self_signed(&key)?;
    write(&authority.key, &key.serialize_pem(), 0o600)?;
    write(&authority.certificate, &certificate.pem(), 0o644)
}

/// From yesterday, since clocks differ, for so many days.
fn lifetime(days: i64) -> (time::OffsetDateTime, time::OffsetDateTime) {
    let now = time::OffsetDateTime::now_utc();
    (
        now - time::Duration::days(1),
        now + time::Duration::days(days - 1),
    )
}

/// Whether a certificate is missing, unreadable or near its end.
fn ends_soon(path: &Path) -> bool {
    let Ok(der) = CertificateDer::from_pem_file(path) else {
        return true;
    };
    x509_parser::parse_x509_certificate(&der).map_or(true, |(_, certificate)| {
        let left = certificate.validity().time_to_expiration();
        left.is_none_or(|left| left.whole_days() < RENEW_DAYS)
    })
}

/// What the appliance may be called.
fn names(listen: &Listen) -> Vec<String> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let address = listen.address.ip();
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    let host = rustix::system::uname();
    names.extend(host.nodename().to_str().ok().map(str::to_owned));
    names.extend(listen.names.iter().cloned());
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let beside = path.with_extension("new");
    let result = (|| {
        // Left over from a start that was cut off.
        let _ = fs::remove_file(&beside);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    result.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_an_authority_and_later_ones_keep_it() {
        let state = tempfile::tempdir().expect("a folder");
        let listen = Listen::default();
        let files = Files::prepare(&listen, state.path()).expect("made");
        files.load().expect("usable");
        let read = |name: &str| fs::read_to_string(state.path().join("tls").join(name));
        let (authority, server) = (read("ca.pem"), read("server.pem"));
        Files::prepare(&listen, state.path()).expect("kept");
        assert_eq!(authority.expect("there"), read("ca.pem").expect("there"));
        assert_eq!(server.expect("there"), read("server.pem").expect("there"));
    }

    #[test]
    fn another_name_makes_another_certificate_of_the_same_authority() {
        let state = tempfile::tempdir().expect("a folder");
        let mut listen = Listen::default();
        Files::prepare(&listen, state.path()).expect("made");
        let read =
            |name: &str| fs::read_to_string(state.path().join("tls").join(name)).expect(name);
        let (authority, server) = (read("ca.pem"), read("server.pem"));
        listen.names.push("wardline.example".to_owned());
        Files::prepare(&listen, state.path()).expect("renewed");
        assert_eq!(authority, read("ca.pem"));
        assert_ne!(server, read("server.pem"));
    }
}
