//! Wrong usage and bad input: what is said, and the exit code.

use std::io::Read;
use std::process::Stdio;

use crate::{command, folder, text, wardline, write};

#[test]
fn wrong_usage_is_2_and_names_what_is_wrong() {
    for (args, named) in [
        (&["frobnicate"][..], "frobnicate"),
        (&["replay"], "CAPTURE"),
        (&["classify"], "CAPTURE"),
        (&["replay", "x.pcap", "--ward-macs", "00:11:22"], "00:11:22"),
        (&["replay", "x.pcap", "--mud", "pump.json"], "MAC=FILE"),
        (&["replay", "x.pcap", "--mode", "isolate"], "isolate"),
        (&["replay", "--ward", "a.pcap"], "--core"),
        (
            &["replay", "x.pcap", "--ward", "a", "--core", "b"],
            "--ward",
        ),
        (&["flows", "--reason", "because"], "no-rule"),
        (&["devices", "--mode", "panic"], "break-glass"),
        (
            &["policy", "apply", "x", "--confirm-within", "0"],
            "--confirm-within",
        ),
    ] {
        let run = wardline(args);
        assert_eq!(run.code, 2, "{args:?}: {}", run.err);
        assert!(run.err.contains(named), "{args:?}: {}", run.err);
        assert!(run.out.is_empty());
    }
}

#[test]
fn without_a_fast_path_the_error_says_what_to_do() {
    let folder = folder();
    let socket = folder.path().join("none.sock");
    for what in [
        &["status"][..],
        &["devices"],
        &["flows"],
        &["events"],
        &["policy", "show"],
    ] {
        let run = wardline(what.iter().copied().chain(["--socket", text(&socket)]));
        assert_eq!(run.code, 1);
        assert!(run.err.contains("none.sock"), "{}", run.err);
        assert!(run.err.contains("wardline fastpath"), "{}", run.err);
    }
    let run = command()
        .arg("status")
        .env("WARDLINE_SOCKET", &socket)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&run.stderr).contains("none.sock"));
}

#[test]
fn a_policy_with_errors_is_2_and_shows_the_place() {
    let folder = folder();
    let policy = write(
        &folder.path().join("bad.toml"),
        "version = 1\nname = \"ward\"\n\n[[devices]]\nname = \"pump-1\"\nmac = \"00:09:fb\"\n",
    );
    for command in [&["check"][..], &["policy", "check"]] {
        let run = wardline(command.iter().copied().chain([text(&policy)]));
        assert_eq!(run.code, 2);
        assert!(run.err.contains("bad.toml:6:"), "{}", run.err);
        assert!(run.err.contains("  6 | mac = \"00:09:fb\""), "{}", run.err);
        assert!(run.err.contains("cannot be used: 1 error"), "{}", run.err);
    }
    let run = wardline(["check", "--json", text(&policy)]);
    assert_eq!(run.code, 2);
    let outcome: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(outcome["usable"], false);
    assert_eq!(outcome["diagnostics"][0]["position"]["line"], 6);
}

#[test]
fn a_good_policy_is_0_whatever_its_format() {
    let folder = folder();
    let toml = write(
        &folder.path().join("ward.toml"),
        "version = 1\nname = \"ward\"\n",
    );
    let json = write(
        &folder.path().join("ward.json"),
        r#"{"version": 1, "name": "ward"}"#,
    );
    let ids: Vec<_> = [toml, json]
        .iter()
        .map(|policy| {
            let run = wardline(["check", "--json", text(policy)]);
            assert_eq!(run.code, 0, "{}", run.err);
            let outcome: serde_json::Value = serde_json::from_str(&run.out).unwrap();
            outcome["id"].clone()
        })
        .collect();
    assert!(ids[0].is_string());
    assert_eq!(ids[0], ids[1], "one content, one id");
}

#[test]
fn two_documents_are_compared_without_a_fast_path() {
    let folder = folder();
    let document = |name: &str, mode: &str| {
        let text = format!(
            "version = 1\nname = \"ward\"\n[[devices]]\nname = \"pump-1\"\n\
             mac = \"00:09:fb:00:00:01\"\nmode = \"{mode}\"\n"
        );
        write(&folder.path().join(name), text)
    };
    let (old, new) = (
        document("old.toml", "observe"),
        document("new.toml", "enforce"),
    );
    let (old, new) = (text(&old), text(&new));
    let run = wardline(["policy", "diff", new, "--from", old]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(
        run.out,
        "~ devices[pump-1].mode: \"observe\" becomes \"enforce\"\n"
    );
    let run = wardline(["policy", "diff", new, "--from", new]);
    assert_eq!(run.out, "Nothing would change.\n");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let run = wardline(["check", "nowhere.toml"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("nowhere.toml"), "{}", run.err);
    let folder = folder();
    let notes = write(&folder.path().join("notes.txt"), "not a capture");
    for command in ["replay", "classify"] {
        let run = wardline([command, "nowhere.pcap"]);
        assert_eq!(run.code, 2);
        assert!(run.err.contains("nowhere.pcap"), "{}", run.err);
        let run = wardline([command, text(&notes)]);
        assert_eq!(run.code, 2);
        assert!(run.err.contains("not a capture file"), "{}", run.err);
    }
}

#[test]
fn an_input_is_never_overwritten() {
    let folder = folder();
    let capture = write(&folder.path().join("a.pcap"), "precious");
    let capture = text(&capture);
    let run = wardline(["replay", capture, "--write-dropped", capture]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("input and output"), "{}", run.err);
    assert_eq!(std::fs::read(capture).unwrap(), b"precious");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = command()
        .arg("man")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before the first byte.
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn completions_and_manual_cover_every_command() {
    let bash = wardline(["completions", "bash"]);
    let man = wardline(["man"]);
    assert_eq!((bash.code, man.code), (0, 0));
    for command in [
        "status", "devices", "flows", "policy", "events", "top", "replay", "check", "classify",
    ] {
        assert!(bash.out.contains(&format!("wardline__{command}")) || bash.out.contains(command));
        let section = format!(".SH WARDLINE {}", command.to_uppercase());
        assert!(man.out.contains(&section), "{section} is missing");
    }
    assert!(man.out.contains("WARDLINE POLICY APPLY"));
}

#[test]
fn the_live_view_wants_a_terminal() {
    let run = wardline(["top"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("terminal"), "{}", run.err);
}
