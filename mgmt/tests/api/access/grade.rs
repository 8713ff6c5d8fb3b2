//! What a scanner that people trust finds of our TLS.

use std::process::Command;

use serde_json::Value as Json;

use crate::support::{Server, python};

const SCANS: [&str; 11] = [
    "--sslv2",
    "--sslv3",
    "--tlsv1",
    "--tlsv1_1",
    "--tlsv1_2",
    "--tlsv1_3",
    "--heartbleed",
    "--openssl_ccs",
    "--compression",
    "--reneg",
    "--early_data",
];

#[tokio::test]
async fn a_scanner_finds_nothing_weak() {
    let Some(python) = python("what a scanner finds") else {
        return;
    };
    let server = Server::start().await;
    let target = server.base.trim_start_matches("https://").to_owned();
    let dir = tempfile::tempdir().expect("a folder");
    let report = dir.path().join("report.json");
    let mut scanner = Command::new(python);
    scanner.args(["-m", "sslyze", "--quiet", "--mozilla_config=disable"]);
    scanner
        .args(SCANS)
        .arg("--json_out")
        .arg(&report)
        .arg(target);
    let output = tokio::task::spawn_blocking(move || scanner.output().expect("sslyze"));
    let output = output.await.expect("it ends");
    let report = std::fs::read_to_string(&report);
    let report = report.unwrap_or_else(|error| panic!("no report ({error}): {output:?}"));
    let found: Json = serde_json::from_str(&report).expect("JSON");
    let scan = &found["server_scan_results"][0]["scan_result"];
    let result = |what: &str| {
        assert_eq!(scan[what]["status"], "COMPLETED", "{what}: {}", scan[what]);
        &scan[what]["result"]
    };
    for old in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
        let accepted = &result(&format!("{old}_cipher_suites"))["accepted_cipher_suites"];
        assert_eq!(accepted, &serde_json::json!([]), "{old}");
    }
    for version in ["tls_1_2", "tls_1_3"] {
        let suites = &result(&format!("{version}_cipher_suites"))["accepted_cipher_suites"];
        let suites = suites.as_array().expect("a list");
        assert!(!suites.is_empty(), "{version} is not spoken");
        for suite in suites {
            let suite = &suite["cipher_suite"];
            let name = suite["name"].as_str().expect("a name");
            // Forward secrecy is TLS 1.3's own; before it, the name says so.
            assert!(
                version == "tls_1_3" || name.starts_with("TLS_ECDHE_"),
                "{name}"
            );
            assert!(
                name.contains("_GCM_") || name.contains("CHACHA20_POLY1305"),
                "{name}"
            );
            assert!(suite["key_size"].as_u64() >= Some(128), "{suite}");
        }
    }
    for (what, finding) in [
        ("heartbleed", "is_vulnerable_to_heartbleed"),
        ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection"),
        ("tls_compression", "supports_compression"),
        (
            "session_renegotiation",
            "is_vulnerable_to_client_renegotiation_dos",
        ),
    ] {
        assert_eq!(result(what)[finding], false, "{what}");
    }
    assert_eq!(result("tls_1_3_early_data")["supports_early_data"], false);
}
