//! The commands that ask a running fast path.

use serde_json::Value;

use crate::fake::{FakeFastpath, POLICY};
use crate::{Run, folder, text, wardline, write};

fn ask(fastpath: &FakeFastpath, args: &[&str]) -> Run {
    let socket = fastpath.socket();
    let socket = ["--socket", text(&socket)];
    wardline(args.iter().copied().chain(socket))
}

fn json(fastpath: &FakeFastpath, args: &[&str]) -> Value {
    let run = ask(fastpath, &[args, &["--json"]].concat());
    assert_eq!(run.code, 0, "{}", run.err);
    serde_json::from_str(&run.out).expect("one JSON document")
}

#[test]
fn status_for_people_and_programs() {
    let fastpath = FakeFastpath::start();
    let run = ask(&fastpath, &["status"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let expected = "\
Running for 2 h 10 min (version 0.0.0-test, process 7), 2 devices, 4 conversations.
Policy ward.toml (abc123), in force since 2017-07-14T02:40:00Z.
It is rolled back at 2017-07-14T02:50:00Z unless confirmed: wardline policy confirm
Memory of the packet path: 128 MiB; no huge pages: none are reserved.

SIDE  PORT   DRIVER  LINK   MTU  RECEIVED  SENT  LOST  ERRORS
ward  ward0  af_xdp  up    1500         0     0     0       0

FROM  FRAMES  LET THROUGH  STOPPED   BYTES
ward      75           70        5  7.5 kB
core       0            0        0     0 B

REASON   FROM WARD  FROM CORE  MEANING
allowed         70          0  A rule of the device's allowlist permits this conversation.
no-rule          5          0  No rule of the device's allowlist permits this conversation.

Let through, but would have been stopped under enforcement:
REASON       FRAMES  MEANING
spoofed-arp       3  An ARP message that claims another station's address.
";
    assert_eq!(run.out, expected);
    let status = json(&fastpath, &["status"]);
    assert_eq!(status["counters"]["ward"]["by_reason"]["no-rule"], 5);
}

#[test]
fn a_stop_says_what_becomes_of_the_interfaces() {
    let fastpath = FakeFastpath::start();
    let run = ask(&fastpath, &["stop"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("stay attached"), "{}", run.out);
    assert_eq!(json(&fastpath, &["stop", "--detach"])["detach"], true);
    assert_eq!(*fastpath.stopped.lock().unwrap(), [false, true]);
}

#[test]
fn devices_are_gathered_from_all_pages() {
    let fastpath = FakeFastpath::start();
    let run = ask(&fastpath, &["devices"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let lines: Vec<_> = run.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", run.out);
    for word in [
        "pump-1",
        "00:09:fb:00:00:01",
        "Philips Patient M…",
        "infusion-pump",
        "enforce",
        "10.1.2.3",
    ] {
        assert!(lines[1].contains(word), "{}", lines[1]);
    }
    let all = json(&fastpath, &["devices"]);
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    let observed = json(&fastpath, &["devices", "--mode", "observe"]);
    assert_eq!(observed[0]["key"]["mac"], "00:09:fb:00:00:02");
    assert_eq!(observed.as_array().map(Vec::len), Some(1));
}

#[test]
fn flows_survive_an_empty_page_and_a_filter_that_finds_nothing() {
    let fastpath = FakeFastpath::start();
    let run = ask(&fastpath, &["flows"]);
    assert_eq!(run.out.lines().count(), 2, "{}", run.out);
    assert!(run.out.contains("tcp 2575 (hl7)"), "{}", run.out);
    assert!(run.out.contains("10.1.2.3:40000"), "{}", run.out);
    assert_eq!(json(&fastpath, &["flows"])[0]["destination_port"], 2575);
    let none = ask(&fastpath, &["flows", "--port", "80"]);
    assert_eq!(none.out, "No conversation is in progress.\n");
    assert_eq!(
        json(&fastpath, &["flows", "--port", "80"]),
        serde_json::json!([])
    );
}

#[test]
fn events_in_sentences_and_in_lines_of_json() {
    let fastpath = FakeFastpath::start();
    let run = ask(&fastpath, &["events"]);
    let expected = "\
2017-07-14 02:40:00.000  pump-1  was seen for the first time
2017-07-14 02:40:00.000  pump-1  was stopped: 10.1.2.3:40001 to 10.1.0.50:445, tcp 445 (smb) \
(no-rule), and 2 more like it
";
    assert_eq!(run.out, expected);
    let run = ask(&fastpath, &["events", "--denied", "--json"]);
    let events: Vec<Value> = run
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["event"], "denied");
}

#[test]
fn a_policy_is_applied_shown_compared_and_confirmed() {
    let fastpath = FakeFastpath::start();
    let folder = folder();
    let policy = write(
        &folder.path().join("new.toml"),
        "version = 1\nname = \"new\"\n",
    );
    let policy = text(&policy);
    let run = ask(&fastpath, &["policy", "diff", policy]);
    assert_eq!(run.out, "~ name: \"in force\" becomes \"new\"\n");
    let run = ask(
        &fastpath,
        &["policy", "apply", policy, "--confirm-within", "60"],
    );
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.out
            .contains("Policy def456 is in force in place of abc123."),
        "{}",
        run.out
    );
    assert!(
        run.out.contains("wardline policy confirm def456"),
        "{}",
        run.out
    );
    let applied = fastpath.applied.lock().unwrap().clone();
    assert_eq!(applied.len(), 1);
    assert!(applied[0].0.text.contains("new"));
    assert_eq!(applied[0].1.confirm_within_s, Some(60));
    let run = ask(&fastpath, &["policy", "confirm"]);
    assert_eq!(run.out, "Policy abc123 stays in force.\n");
    assert_eq!(ask(&fastpath, &["policy", "show"]).out, POLICY);
}

#[test]
fn what_the_fast_path_refuses_keeps_its_kind() {
    let fastpath = FakeFastpath::start();
    let folder = folder();
    let bad = write(&folder.path().join("bad.toml"), "mistake = 1\n");
    let run = ask(&fastpath, &["policy", "apply", text(&bad)]);
    assert_eq!(run.code, 2, "bad input");
    assert!(
        run.err
            .contains("bad.toml:1:1: error: unknown key `mistake`"),
        "{}",
        run.err
    );
    assert!(run.err.contains("the one in force stays"), "{}", run.err);
    let good = write(&folder.path().join("good.toml"), POLICY);
    let run = ask(
        &fastpath,
        &["policy", "apply", text(&good), "--expect", "other"],
    );
    assert_eq!(run.code, 1, "a conflict is no wrong usage");
    assert!(run.err.contains("abc123 is in force"), "{}", run.err);
    assert!(fastpath.applied.lock().unwrap().is_empty());
}

#[test]
fn a_persons_word_reaches_the_gateway_with_who_and_why() {
    let fastpath = FakeFastpath::start();
    let words = ["--who", "technician", "--reason", "read the label"];
    let set = ["role", "set", "00:09:fb:00:00:01", "infusion-pump"];
    let run = ask(&fastpath, &[&set[..], &words].concat());
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.out.contains("is infusion-pump from now on"),
        "{}",
        run.out
    );
    let clear = ["role", "clear", "00:09:fb:00:00:01", "--vlan", "10"];
    let answer = json(&fastpath, &[&clear[..], &words].concat());
    assert_eq!(
        (&answer["record"], &answer["role"]),
        (&2.into(), &Value::Null)
    );
    {
        let stated = fastpath.stated.lock().unwrap();
        let roles: Vec<_> = stated.iter().map(|told| told.role.as_deref()).collect();
        assert_eq!(roles, [Some("infusion-pump"), None]);
        assert_eq!(stated[0].device, crate::fake::key(1));
        let words = (stated[0].who.as_str(), stated[0].reason.as_str());
        assert_eq!(words, ("technician", "read the label"));
    }

    let stranger = ["role", "set", "00:09:fb:00:00:77", "printer"];
    let run = ask(&fastpath, &[&stranger[..], &words].concat());
    assert_eq!(run.code, 2);
    assert!(
        run.err.contains("no device with the address"),
        "{}",
        run.err
    );
    let run = ask(&fastpath, &set);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("--reason"), "{}", run.err);
    let run = ask(&fastpath, &["role", "export"]);
    assert_eq!(run.out, "{\"format\":1}\n");
}

#[test]
fn alerts_are_listed_and_accepted() {
    let fastpath = FakeFastpath::start();
    let run = ask(&fastpath, &["alerts"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("Talks to 10.9.9.9"), "{}", run.out);
    assert_eq!(
        json(&fastpath, &["alerts"]).as_array().map(Vec::len),
        Some(1)
    );
    let all = json(&fastpath, &["alerts", "--all"]);
    assert_eq!(all.as_array().map(Vec::len), Some(2));

    let accept = ["alerts", "accept", "1", "--who", "technician"];
    let run = ask(
        &fastpath,
        &[&accept[..], &["--reason", "a new archive"]].concat(),
    );
    assert_eq!(run.code, 0, "{}", run.err);
    let expected = (1, "technician".to_owned(), "a new archive".to_owned());
    assert_eq!(*fastpath.accepted.lock().unwrap(), [expected]);
}

#[test]
fn a_model_is_put_in_use_or_the_refusal_is_told() {
    let fastpath = FakeFastpath::start();
    let run = ask(&fastpath, &["model", "status"]);
    assert_eq!(
        run.out,
        "Model wardline 3 (built in), signed by key 0123456789abcdef, names the devices since \
         2017-07-14T02:40:00Z.\n"
    );
    let activated = json(&fastpath, &["model", "activate", "good"]);
    assert_eq!(
        (&activated["number"], &activated["origin"]),
        (&4.into(), &"folder".into())
    );
    let back = ask(&fastpath, &["model", "activate"]);
    assert!(back.out.contains("(built in)"), "{}", back.out);
    let refused = ask(&fastpath, &["model", "activate", "bad"]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.err.contains("/bad holds no model"),
        "{}",
        refused.err
    );
}
