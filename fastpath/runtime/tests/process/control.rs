//! The command line, the configuration and the control socket, good and bad.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use wardline_control::{
    Client, ClientError, ContextEntry, PROTOCOL_VERSION, RefusedKind, Subject, bounds,
};

use crate::gateway::{Gateway, GatewayOptions, policy_text, write_config};
use crate::lab::{Wire, WireOptions};
use crate::policy::ENFORCED;

fn fastpath(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wardline-fastpath"))
        .args(arguments)
        .output()
        .expect("it starts")
}

fn complaint(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text)
}

fn check(dir: &Path) -> (Option<i32>, String) {
    let config = dir.join("config.toml").display().to_string();
    let (code, text) = complaint(&fastpath(&["--check", "--config", &config]));
    (code, text.replace(&dir.display().to_string(), "DIR"))
}

#[test]
fn wrong_input_is_named_and_ends_with_code_two() {
    let dir = tempfile::tempdir().expect("a directory");
    write_config(dir.path(), &GatewayOptions::default());
    assert_eq!(check(dir.path()), (Some(0), String::new()));

    let (code, text) = complaint(&fastpath(&["--config", "/nowhere/at/all.toml"]));
    assert_eq!(code, Some(2));
    assert_eq!(
        text,
        "wardline-fastpath: /nowhere/at/all.toml: cannot read the configuration: No such file or \
         directory (os error 2)\n"
    );

    let (code, text) = complaint(&fastpath(&["--confg", "x"]));
    assert_eq!(code, Some(2));
    assert!(text.contains("--config"), "{text}");

    let options = GatewayOptions {
        extra: "[logs]\nlevel = \"info\"\n",
        ..GatewayOptions::default()
    };
    write_config(dir.path(), &options);
    let (code, text) = check(dir.path());
    assert_eq!(code, Some(2));
    assert!(
        text.starts_with("wardline-fastpath: DIR/config.toml:"),
        "{text}"
    );
    assert!(
        text.ends_with("unknown key `logs` at the top level; did you mean `log`?\n"),
        "{text}"
    );

    let broken = ENFORCED.replace("protocol = \"tcp\"", "protocol = \"tpc\"");
    let options = GatewayOptions {
        policy: Some(&broken),
        ..GatewayOptions::default()
    };
    write_config(dir.path(), &options);
    let (code, text) = check(dir.path());
    assert_eq!(code, Some(2));
    assert!(
        text.starts_with("wardline-fastpath: policy.initial DIR/initial.toml has errors:\nline "),
        "{text}"
    );
}

#[test]
fn a_missing_interface_is_named_with_what_to_do() {
    let Some(wire) = Wire::new(
        "a_missing_interface_is_named_with_what_to_do",
        WireOptions::default(),
    ) else {
        return;
    };
    wire.gateway.ip("link set core name elsewhere");
    let dir = tempfile::tempdir().expect("a directory");
    write_config(dir.path(), &GatewayOptions::default());
    let output = wire
        .gateway
        .command(env!("CARGO_BIN_EXE_wardline-fastpath"))
        .arg("--config")
        .arg(dir.path().join("config.toml"))
        .output()
        .expect("it starts");
    let (code, text) = complaint(&output);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.ends_with(
            "wardline-fastpath: ports.core cannot be used: there is no interface core; `ip link` \
             lists those there are\n"
        ),
        "{text}"
    );
}

#[test]
fn the_socket_answers_within_its_bounds_and_to_whom_it_should() {
    const TEST: &str = "the_socket_answers_within_its_bounds_and_to_whom_it_should";
    let Some(wire) = Wire::new(TEST, WireOptions::default()) else {
        return;
    };
    let gateway = Gateway::start(&wire, &GatewayOptions::default());
    let socket = gateway.file("socket");
    let mode = socket.metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let status = gateway.status();
    assert_eq!(status.policy.origin, "none");
    assert_eq!(status.ports.len(), 2);
    assert!(status.startup_ms > 0);
    let hello = gateway
        .ask(|c| async move { Ok(c.hello().clone()) })
        .expect("hello");
    assert_eq!(hello.protocol_version, PROTOCOL_VERSION);
    assert_eq!(hello.pid, status.pid);

    let Err(ClientError::Refused(refused)) = gateway.ask(|c| async move { c.devices(0, 0).await })
    else {
        panic!("it must be refused");
    };
    assert_eq!(refused.kind, RefusedKind::Argument);
    let too_long = " ".repeat(bounds::POLICY_BYTES + 1);
    let Err(ClientError::Refused(refused)) = gateway.apply(&too_long) else {
        panic!("it must be refused");
    };
    assert_eq!(refused.kind, RefusedKind::Argument);
    let remarks = gateway
        .ask(|c| async move { c.policy_check(policy_text("version = 2")).await })
        .expect("checked");
    assert!(!remarks.is_empty());

    // A second process on the same socket.
    let second = wire
        .gateway
        .command(env!("CARGO_BIN_EXE_wardline-fastpath"))
        .arg("--config")
        .arg(gateway.file("config.toml"))
        .output()
        .expect("it starts");
    let (code, text) = complaint(&second);
    assert_eq!(code, Some(1));
    assert!(text.contains("another process listens on"), "{text}");
    assert_eq!(
        gateway.status().pid,
        status.pid,
        "the first one is unharmed"
    );
}

#[test]
fn context_is_held_until_it_expires_and_not_over_a_restart() {
    const TEST: &str = "context_is_held_until_it_expires_and_not_over_a_restart";
    let Some(wire) = Wire::new(TEST, WireOptions::default()) else {
        return;
    };
    let mut gateway = Gateway::start(&wire, &GatewayOptions::default());
    let now_us = gateway.status().started_us;
    let entry = ContextEntry {
        subject: Subject::Network("10.77.0.0/24".parse().expect("a network")),
        user: None,
        health: None,
        location: Some("ward 7".to_owned()),
        data_sensitivity: None,
        source: "asset register".to_owned(),
        observed_us: now_us,
        expires_us: now_us + 3_600_000_000,
    };
    let mut expired = entry.clone();
    expired.source = "another".to_owned();
    expired.expires_us = now_us;
    let held = |gateway: &Gateway| {
        let page = gateway.ask(|c| async move { c.context(0, 10).await });
        page.expect("a page").entries
    };
    let given = vec![entry.clone(), expired];
    let count = gateway.ask(|c| async move { c.context_set(given).await });
    assert_eq!(count.expect("taken"), 1);
    assert_eq!(held(&gateway), [entry]);

    gateway.signal(rustix::process::Signal::TERM);
    gateway.wait();
    gateway.restart(&wire);
    gateway.wait_until_it_serves();
    assert_eq!(held(&gateway), []);
}

#[test]
fn a_stranger_is_turned_away_before_a_byte_is_read() {
    const NOBODY: &str = "65534";
    let test = "a_stranger_is_turned_away_before_a_byte_is_read";
    let Some(wire) = Wire::new(test, WireOptions::default()) else {
        return;
    };
    // The file's permissions would let the stranger in; the check of its credentials must not.
    let gateway = Gateway::start(
        &wire,
        &GatewayOptions {
            control: "mode = 0o660\ngid = 65534\nallow_uids = [65533]\n",
            ..GatewayOptions::default()
        },
    );
    let socket = gateway.file("socket");
    let dir = socket.parent().expect("a directory");
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).expect("ours");
    let script = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                  s.settimeout(1)\n\
                  try: print(s.recv(1))\n\
                  except TimeoutError: print('open')\n";
    let connect_as = |user: &str| {
        let output = Command::new("setpriv")
            .args(["--reuid", user, "--regid", NOBODY, "--clear-groups"])
            .args(["/usr/bin/python3", "-c", script])
            .arg(&socket)
            .output()
            .expect("setpriv starts");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(connect_as(NOBODY), "b''", "the connection ends at once");
    assert_eq!(connect_as("65533"), "open", "a user who is named may stay");
    assert!(gateway.log().contains("a client was refused"));
}

#[test]
fn a_client_without_a_server_learns_what_to_do() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let error = runtime
        .block_on(Client::connect(dir.path().join("none"), "test"))
        .expect_err("nobody is there");
    assert!(
        error.to_string().contains("is `wardline fastpath` running"),
        "{error}"
    );
}
