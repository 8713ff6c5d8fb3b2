//! Every operation against its own description, by a program that makes up requests
//! (schemathesis). `cargo xtask test --stage api` runs it; by itself it takes minutes, and needs
//! the program named in `WARDLINE_SCHEMATHESIS`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wardline_mgmt::auth::Role;
use wardline_mgmt::time::Time;

use crate::devices::with_devices;
use crate::support::Server;

/// The program to run.
const PROGRAM: &str = "WARDLINE_SCHEMATHESIS";
/// A seed to repeat a run with.
const SEED: &str = "WARDLINE_SCHEMATHESIS_SEED";
/// What every answer is held against.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance,ignored_auth";
/// Never ends, so that there is no answer to judge.
const ENDLESS: &str = "stream_events";
/// Requests that are made up for each operation: with a token, and without credentials.
const EXAMPLES: [&str; 2] = ["60", "10"];
/// No run takes longer, in seconds; the description grows, the time does not.
const LIMIT_S: [&str; 2] = ["150", "40"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; `cargo xtask test --stage api` runs it"]
async fn every_operation_keeps_to_its_description() {
    let program = std::env::var_os(PROGRAM).map(PathBuf::from);
    let program = program.expect("`cargo xtask test --stage api` names the program");
    let seed = std::env::var(SEED).unwrap_or_else(|_| Time::now().seconds().to_string());
    println!("seed {seed}; repeat it with {SEED}={seed}");
    let server = with_devices(5).await;
    let token = format!(
        "Authorization: Bearer {}",
        server.token(Role::Administrator)
    );
    for (number, header) in [Some(token), None].into_iter().enumerate() {
        let who = if header.is_some() {
            "an administrator"
        } else {
            "nobody"
        };
        let limits = (EXAMPLES[number], LIMIT_S[number]);
        let done = run(&program, &server, &seed, header, limits);
        assert!(done, "as {who}, with seed {seed}: see above");
    }
    // It did not lock itself out on the way.
    server.read("/system").await;
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}

fn run(
    program: &Path,
    server: &Server,
    seed: &str,
    header: Option<String>,
    (examples, limit_s): (&str, &str),
) -> bool {
    // Whatever it writes down goes with the server.
    let dir = server.dir().join("contract");
    fs::create_dir_all(&dir).expect("a folder");
    let certificate = server.state().join("tls/ca.pem").into_os_string();
    let mut command = Command::new(program);
    command
        .current_dir(&dir)
        .env("HYPOTHESIS_STORAGE_DIRECTORY", &dir);
    command.args(["run", &format!("{}/api/v1/openapi.json", server.base)]);
    command.args([OsString::from("--tls-verify"), certificate]);
    command.args(["--checks", CHECKS, "--seed", seed]);
    command.args(["--max-examples", examples, "--max-time", limit_s]);
    command.args(["--exclude-operation-id", ENDLESS, "--no-color"]);
    command.args(["--continue-on-failure", "--workers", "2"]);
    if let Some(header) = header {
        command.args(["--header", &header]);
    }
    // The played fast path answers meanwhile.
    let done = tokio::task::block_in_place(|| command.status());
    done.expect("it starts").success()
}
