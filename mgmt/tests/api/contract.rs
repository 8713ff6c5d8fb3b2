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
/// Keeps an operation from being tried.
const LEFT_OUT: &str = "--exclude-operation-id";
/// Would take the token away that the requests are made with.
const SUICIDAL: &str = "delete_token";

/// One run of the program.
struct Run {
    who: &'static str,
    header: Option<String>,
    /// Which operations are tried or left out.
    operations: Vec<&'static str>,
    /// Requests that are made up for each operation.
    examples: &'static str,
    /// It takes no longer, in seconds; the description grows, the time does not.
    limit_s: &'static str,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; `cargo xtask test --stage api` runs it"]
async fn every_operation_keeps_to_its_description() {
    let program = std::env::var_os(PROGRAM).map(PathBuf::from);
    let program = program.expect("`cargo xtask test --stage api` names the program");
    let seed = std::env::var(SEED).unwrap_or_else(|_| Time::now().seconds().to_string());
    println!("seed {seed}; repeat it with {SEED}={seed}");
    let server = with_devices(5).await;
    let token = server.token(Role::Administrator);
    let administrator = Some(format!("Authorization: Bearer {token}"));
    let without = |ids: &[&'static str]| ids.iter().flat_map(|id| [LEFT_OUT, *id]).collect();
    let most = Run {
        who: "an administrator",
        header: administrator.clone(),
        operations: without(&[ENDLESS, SUICIDAL]),
        examples: "60",
        limit_s: "150",
    };
    let outside = Run {
        who: "nobody",
        header: None,
        operations: without(&[ENDLESS]),
        examples: "10",
        limit_s: "40",
    };
    let last = Run {
        who: "an administrator whose token may go",
        header: administrator,
        operations: vec!["--include-operation-id-regex", "_tokens?$"],
        examples: "20",
        limit_s: "20",
    };
    for run in [most, outside] {
        run.carry_out(&program, &server, &seed);
    }
    // It did not lock itself out on the way.
    server.read("/system").await;
    last.carry_out(&program, &server, &seed);
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}

impl Run {
    /// Fails when an answer is not as described.
    fn carry_out(&self, program: &Path, server: &Server, seed: &str) {
        println!("as {}", self.who);
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
        command.args(["--max-examples", self.examples, "--max-time", self.limit_s]);
        command.args(&self.operations).arg("--no-color");
        // One worker: CPython 3.11 loses count when two threads parse Python at a time, and Hypothesis
        // does that to name a lambda ("AST constructor recursion depth mismatch").
        command.args(["--continue-on-failure", "--workers", "1"]);
        if let Some(header) = &self.header {
            command.args(["--header", header]);
        }
        // The played fast path answers meanwhile.
        let done = tokio::task::block_in_place(|| command.status());
        let good = done.expect("it starts").success();
        assert!(good, "as {}, with seed {seed}: see above", self.who);
    }
}
