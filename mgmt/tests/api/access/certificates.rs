//! Programs that come with a client certificate.

use std::fs;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use wardline_mgmt::auth::Role;

use crate::support::{Server, problem};

/// An authority of the hospital's own.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A client with a certificate for a program.
    fn client(&self, server: &Server, name: &str) -> Client {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let pem = certificate.pem() + &key.serialize_pem();
        let identity = reqwest::Identity::from_pem(pem.as_bytes()).expect("an identity");
        let client = Client::builder().tls_certs_only([server.authority()]);
        client.identity(identity).build().expect("a client")
    }
}

async fn server(authority: &Authority) -> (Server, TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("clients.pem");
    fs::write(&path, &authority.pem).expect("written");
    let listen = format!("client_ca = \"{}\"\n", path.display());
    (Server::start_listening(&listen, "").await, dir)
}

#[tokio::test]
async fn a_listed_program_comes_in_by_its_certificate() {
    let authority = Authority::new();
    let (server, _dir) = server(&authority).await;
    let program = authority.client(&server, "Backup 1");
    let ask = |method: Method, path: &str| {
        program.request(method, format!("{}/api/v1{path}", server.base))
    };
    let me = || async { ask(Method::GET, "/me").send().await.expect("an answer") };
    assert_eq!(me().await.status(), StatusCode::UNAUTHORIZED);
    let body = json!({ "name": "Backup 1", "role": "viewer" });
    let list = server.request(Role::Administrator, Method::POST, "/certificates");
    let listed = list.json(&body).send().await.expect("an answer");
    assert_eq!(listed.status(), StatusCode::CREATED);
    let text = me().await.text().await.expect("a body");
    assert!(text.contains("certificate:Backup 1"), "{text}");
    let audit = ask(Method::GET, "/audit").send().await.expect("an answer");
    assert_eq!(problem(audit).await.0, 403);

    let path = "/certificates/Backup%201";
    let change = server.request(Role::Administrator, Method::PATCH, path);
    let change = change
        .header("If-Match", "\"1\"")
        .json(&json!({ "role": "administrator" }));
    assert_eq!(
        change.send().await.expect("an answer").status(),
        StatusCode::OK
    );
    let audit = ask(Method::GET, "/audit").send().await.expect("an answer");
    assert_eq!(audit.status(), StatusCode::OK);
    let elsewhere = ask(Method::DELETE, "/tokens/x").header("Sec-Fetch-Site", "cross-site");
    assert_eq!(
        problem(elsewhere.send().await.expect("an answer")).await.0,
        403
    );
    let here = ask(Method::DELETE, "/tokens/x")
        .send()
        .await
        .expect("an answer");
    assert_eq!(problem(here).await.0, 404);

    let remove = server.request(Role::Administrator, Method::DELETE, path);
    let remove = remove
        .header("If-Match", "\"2\"")
        .send()
        .await
        .expect("an answer");
    assert_eq!(remove.status(), StatusCode::NO_CONTENT);
    assert_eq!(me().await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_certificate_of_nobody_in_particular_is_no_way_in() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (server, dir) = server(&authority).await;
    let body = json!({ "name": "backup", "role": "viewer" });
    let list = server.request(Role::Administrator, Method::POST, "/certificates");
    list.json(&body).send().await.expect("an answer");
    let url = format!("{}/api/v1/me", server.base);
    let refused = other.client(&server, "backup").get(&url).send().await;
    assert!(refused.is_err(), "{refused:?}");

    // The authorities are exchanged while it runs.
    fs::write(dir.path().join("clients.pem"), &other.pem).expect("written");
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let client = other.client(&server, "backup");
        if let Ok(answer) = client.get(&url).send().await {
            assert_eq!(answer.status(), StatusCode::OK);
            break;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "the other authority is not taken"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let refused = authority.client(&server, "backup").get(&url).send().await;
    assert!(refused.is_err(), "{refused:?}");
}
