//! What goes wrong around the service: crashes, a full disk, damaged files, a clock that jumps, a
//! fast path that goes away. Nothing that was acknowledged is lost, and what cannot be done is said.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;
use wardline_mgmt::auth::token::{self, NewToken};
use wardline_mgmt::store::{Actor, Record, Store};
use wardline_mgmt::time::Time;

use crate::played::device;
use crate::support::{Server, Setup, problem};

const KEY: &str = "/devices/00-09-fb-00-00-01.10";
/// Writes that are tried until the disk is full.
const MANY: usize = 5_000;

async fn with_a_device(setup: Setup) -> Server {
    let server = Server::start_from(setup).await;
    let played = server.played.as_ref().expect("played");
    played.stage().devices = vec![device(1)];
    let listed = |list: &Json| list["items"].as_array().map(Vec::len) == Some(1);
    server.read_until("/devices", listed).await;
    server
}

/// Writes a note, whatever it was before, and says what came of it.
async fn note(server: &Server, text: &str) -> Result<StatusCode, reqwest::Error> {
    let read = server
        .request(Role::Biomed, Method::GET, KEY)
        .send()
        .await?;
    if read.status() != StatusCode::OK {
        return Ok(read.status());
    }
    let tag = read.headers()["etag"].clone();
    let request = server.request(Role::Biomed, Method::PATCH, KEY);
    let body = json!({ "notes": text });
    let answer = request.header("If-Match", tag).json(&body).send().await?;
    Ok(answer.status())
}

async fn noted(server: &Server) -> String {
    let read = server.read(KEY).await;
    read["notes"].as_str().expect("a text").to_owned()
}

fn verified(server: &Server) -> String {
    let output = server.command(&["audit", "verify"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{output:?}");
    said
}

#[tokio::test]
async fn crash_after_crash_loses_nothing_that_was_acknowledged() {
    let mut server = with_a_device(Setup::default()).await;
    let (mut number, mut acknowledged) = (0_u32, 0);
    for round in 0..4 {
        let load = async {
            loop {
                number += 1;
                match note(&server, &number.to_string()).await {
                    Ok(StatusCode::OK) => acknowledged = number,
                    Ok(status) => panic!("a write was answered {status}"),
                    Err(_) => return,
                }
            }
        };
        // The blow falls somewhere in the middle of a request.
        let blow = Duration::from_millis(150 + 37 * round);
        let pid = server.pid().to_string();
        let kill = async {
            tokio::time::sleep(blow).await;
            let killed = Command::new("kill").args(["-9", &pid]).status();
            assert!(killed.expect("kill").success());
        };
        tokio::join!(load, kill);
        server.start_again().await;
        let kept: u32 = noted(&server).await.parse().expect("a number");
        // One that nobody was told about may have made it.
        assert!(
            kept == acknowledged || kept == number,
            "{kept}: {acknowledged}, {number}"
        );
        verified(&server);
    }
    assert!(acknowledged > 4, "hardly anything was written");
}

#[tokio::test]
async fn a_full_disk_stops_writes_and_nothing_else() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: a small file system needs root");
        return;
    };
    let setup = Setup::default();
    std::os::unix::fs::symlink(&disk.at, setup.dir.path().join("state")).expect("a link");
    let mut server = with_a_device(setup).await;
    disk.fill();
    let (mut last, mut full) = (String::new(), false);
    for number in 0..MANY {
        let text = format!("{number} {}", "x".repeat(4_000));
        match note(&server, &text).await.expect("an answer") {
            StatusCode::OK => last = text,
            StatusCode::INSUFFICIENT_STORAGE => {
                full = true;
                break;
            }
            status => panic!("neither written nor full: {status}"),
        }
    }
    assert!(full, "the disk is never full");
    assert_eq!(noted(&server).await, last, "reads go on");
    let patch = server.request(Role::Biomed, Method::PATCH, KEY);
    let tag = server.request(Role::Biomed, Method::GET, KEY).send().await;
    let tag = tag.expect("an answer").headers()["etag"].clone();
    let patch = patch
        .header("If-Match", tag)
        .json(&json!({ "bed": "x".repeat(200) }));
    let answer = problem(patch.send().await.expect("an answer")).await;
    assert_eq!(answer, (507, "storage-full".to_owned()));

    disk.make_room();
    assert_eq!(
        note(&server, "after").await.expect("an answer"),
        StatusCode::OK
    );
    verified(&server);
    server.crash().await;
    assert_eq!(noted(&server).await, "after");
    verified(&server);
}

#[tokio::test]
async fn a_damaged_database_stops_the_start_and_a_backup_brings_it_back() {
    let mut server = with_a_device(Setup::default()).await;
    assert_eq!(
        note(&server, "kept").await.expect("an answer"),
        StatusCode::OK
    );
    let backup = server.dir().join("backup.db");
    let store = Store::open(&server.state()).await.expect("shared");
    store.main.back_up(&backup).await.expect("a copy");
    store.close().await;
    drop(store);
    assert_eq!(
        note(&server, "lost").await.expect("an answer"),
        StatusCode::OK
    );
    let backup = backup.display().to_string();
    let refused = server.command(&["restore", &backup]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("stop it first"),
        "{said}"
    );

    server.kill();
    let main = server.state().join("wardline.db");
    for at in [0, 4_096] {
        overwrite(&main, at);
        let start = server.command(&[]);
        let said = String::from_utf8_lossy(&start.stderr).into_owned();
        assert_eq!(start.status.code(), Some(1), "{said}");
        assert!(
            said.contains("restore a backup with `wardline-mgmt restore`"),
            "{said}"
        );

        let junk = server.command(&["restore", &main.display().to_string()]);
        assert!(!junk.status.success(), "a damaged copy was restored");
        let done = server.command(&["restore", &backup, "--reason", "it was damaged"]);
        assert!(done.status.success(), "{done:?}");
        server.start_again().await;
        assert_eq!(noted(&server).await, "kept");
        verified(&server);
        server.kill();
    }
    server.start_again().await;
    let records = server.read("/audit?operation=restore_backup").await;
    let records = records["items"].as_array().expect("a list").clone();
    // Each restore began again at the backup.
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["record"]["reason"], "it was damaged");
    assert!(
        records[0]["record"]["before"]["seq"].is_i64(),
        "{records:?}"
    );
    assert!(aside(&server.state(), "wardline.replaced-") >= 1);
}

#[tokio::test]
async fn a_damaged_history_is_set_aside_and_begun_anew() {
    let mut server = with_a_device(Setup::default()).await;
    assert_eq!(
        note(&server, "kept").await.expect("an answer"),
        StatusCode::OK
    );
    server.kill();
    overwrite(&server.state().join("history.db"), 0);
    server.start_again().await;
    assert_eq!(noted(&server).await, "kept");
    assert_eq!(aside(&server.state(), "history.damaged-"), 1);
    assert!(
        server.log().contains("the flow history is damaged"),
        "{}",
        server.log()
    );
}

#[tokio::test]
async fn a_clock_that_jumps_ends_tokens_and_leaves_the_audit_log_in_order() {
    let Some(library) = faketime() else {
        eprintln!("SKIPPED: the Debian package libfaketime is not installed");
        return;
    };
    let mut setup = Setup::default();
    let file = setup.dir.path().join("clock");
    let set = |offset: &str| fs::write(&file, offset).expect("written");
    set("+0");
    setup.env = vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let server = with_a_device(setup).await;
    let long = long_token(&server).await;
    let get = |token: &str| server.anonymous(Method::GET, KEY).bearer_auth(token).send();
    assert_eq!(
        note(&server, "today").await.expect("an answer"),
        StatusCode::OK
    );

    set("+1d");
    let refused = server.request(Role::Biomed, Method::GET, KEY).send().await;
    assert_eq!(
        problem(refused.expect("an answer")).await.0,
        401,
        "a token of an hour"
    );
    let answer = get(&long).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK, "a token of three days");
    let patch = server.anonymous(Method::PATCH, KEY).bearer_auth(&long);
    let patch = patch.header("If-Match", answer.headers()["etag"].clone());
    let answer = patch.json(&json!({ "notes": "tomorrow" })).send().await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);

    set("-1d");
    assert_eq!(
        note(&server, "yesterday").await.expect("an answer"),
        StatusCode::OK
    );
    set("+0");
    let page = server.read("/audit?operation=update_device").await;
    let records: Vec<_> = page["items"]
        .as_array()
        .expect("a list")
        .iter()
        .rev()
        .collect();
    let notes = |record: &&Json| record["record"]["after"]["notes"].clone();
    let order: Vec<_> = records.iter().map(notes).collect();
    assert_eq!(
        order,
        ["today", "tomorrow", "yesterday"],
        "by number, not by time"
    );
    let times: Vec<_> = records
        .iter()
        .map(|r| r["record"]["time"].as_str())
        .collect();
    assert!(times[2] < times[0] && times[0] < times[1], "{times:?}");
    verified(&server);
}

#[tokio::test]
async fn a_fast_path_that_goes_away_stops_nothing_else() {
    let mut server = with_a_device(Setup::default()).await;
    server.fastpath_goes();
    let ready = async || {
        let request = server.anonymous(Method::GET, "/readyz");
        request.send().await.expect("an answer")
    };
    // It is noticed within seconds.
    while ready().await.status() == StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        problem(ready().await).await,
        (503, "fastpath-away".to_owned())
    );
    let system = server.read("/system").await;
    assert_eq!(system["fastpath_reachable"], false);
    let trouble = system["trouble"].to_string();
    assert!(
        trouble.contains("cannot be reached") && trouble.contains("no backup"),
        "{trouble}"
    );
    assert!(
        system["storage"]["main_bytes"].as_u64() > Some(0),
        "{system:#}"
    );
    let address = &server.read("/system/configuration").await["listen"]["address"];
    assert_eq!(address, "127.0.0.1:0");
    let alive = server.anonymous(Method::GET, "/healthz").send().await;
    assert_eq!(alive.expect("an answer").status(), StatusCode::OK);
    assert_eq!(
        note(&server, "meanwhile").await.expect("an answer"),
        StatusCode::OK
    );
    server.fastpath_comes();
    let played = server.played.as_ref().expect("played");
    played.stage().devices = vec![device(1), device(2)];
    let both = |list: &Json| list["items"].as_array().map(Vec::len) == Some(2);
    server.read_until("/devices", both).await;
    assert_eq!(noted(&server).await, "meanwhile");
}

/// A file system of a few MiB; gone when dropped.
struct SmallDisk {
    at: PathBuf,
    _dir: tempfile::TempDir,
}

impl SmallDisk {
    /// None where this process may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let at = dir.path().join("disk");
        fs::create_dir(&at).expect("a folder");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"])
            .arg(&at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self { at, _dir: dir })
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.at.join("filler")).expect("a file");
        for size in [64 * 1024, 4 * 1024] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.at.join("filler")).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

/// Overwrites a page of a database file, and takes its journal away.
fn overwrite(path: &Path, at: u64) {
    let mut file = OpenOptions::new().write(true).open(path).expect("a file");
    file.seek(SeekFrom::Start(at)).expect("a place");
    file.write_all(&[0xa5; 4_096]).expect("written");
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", path.display()));
    }
}

/// Files in a directory whose name begins so.
fn aside(dir: &Path, begin: &str) -> usize {
    let names = fs::read_dir(dir).expect("a folder").flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(begin)).count()
}

async fn long_token(server: &Server) -> String {
    let store = Store::open(&server.state()).await.expect("shared");
    let mut change = store.change(Actor::system()).await.expect("a change");
    let new = NewToken {
        name: "long",
        role: Role::Biomed,
        scopes: &[],
        expires: Time::now().plus_s(3 * 86_400),
    };
    let secret = token::create(&mut change, &new).await.expect("a token");
    let record = Record::new("create_token", "token/long");
    change.commit(record).await.expect("kept");
    store.close().await;
    secret.reveal().to_owned()
}

/// The library that puts another clock under a process.
fn faketime() -> Option<PathBuf> {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    let library = |place| Path::new(place).join("faketime/libfaketimeMT.so.1");
    places.into_iter().map(library).find(|path| path.exists())
}
