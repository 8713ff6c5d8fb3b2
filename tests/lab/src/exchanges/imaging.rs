//! DICOM between scanner, reading workstation and PACS.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::exchange::{Exchange, act, on, token};
use crate::ward::{Ward, address_of};

pub(super) const ALL: &[Exchange] = &[
    Exchange {
        name: "dicom-store",
        device: "ct",
        rules: &["ct-store"],
        run: store,
    },
    Exchange {
        name: "dicom-worklist",
        device: "ct",
        rules: &["ct-worklist"],
        run: worklist,
    },
    Exchange {
        name: "dicom-commitment",
        device: "ct",
        rules: &["ct-store", "ct-commitment"],
        run: commitment,
    },
    Exchange {
        name: "dicom-retrieve",
        device: "reading",
        rules: &["reading-query", "reading-receive"],
        run: retrieve,
    },
];

/// Seconds a DICOM program waits for a connection, as an option's value.
const CONNECT_S: &str = "4";

/// A study as the scanner made it.
struct Study {
    patient: String,
    instances: Vec<String>,
}

/// The scanner sends a study of three images; the PACS must then hold exactly those.
fn store(ward: &Ward) -> Result<String> {
    let study = send_study(ward)?;
    Ok(format!(
        "3 images of {} sent by the scanner, 3 held by the PACS",
        study.patient
    ))
}

/// The scanner asks who is to be scanned; the server must have seen the question.
fn worklist(ward: &Ward) -> Result<String> {
    let asked = worklist_questions(ward)?;
    let keys = [
        "0010,0010",
        "0010,0020=TEST0001",
        "0040,0100[0].0040,0001=CT1",
    ];
    let mut arguments = vec!["-W", "-v", "-to", CONNECT_S, "-aet", "CT1", "-aec", "RIS"];
    let pacs = address_of("pacs")?;
    let port = crate::services::hospital::WORKLIST_PORT.to_string();
    arguments.extend([pacs.as_str(), port.as_str()]);
    arguments.extend(keys.iter().flat_map(|key| ["-k", key]));
    let text = on(
        ward,
        "ct",
        "sh",
        &["-c", "exec findscu \"$@\" 2>&1", "sh"]
            .iter()
            .copied()
            .chain(arguments)
            .collect::<Vec<_>>(),
    )?;
    ensure!(
        text.contains("TEST^PATIENT"),
        "no patient in the worklist: {}",
        text.trim()
    );
    ensure!(
        worklist_questions(ward)? > asked,
        "the worklist server saw no question"
    );
    Ok("patient TEST0001 expected at CT1, question seen by the worklist server".to_owned())
}

/// The scanner asks the PACS to take over responsibility; the PACS calls back to say it has.
fn commitment(ward: &Ward) -> Result<String> {
    let study = send_study(ward)?;
    let mut arguments = vec![address_of("pacs")?];
    arguments.extend(study.instances);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let answer = act(ward, "ct", "dicom_commit", &arguments)?;
    ensure!(answer["committed"] == 3, "the PACS committed to {answer}");
    let jobs = on(
        ward,
        "pacs",
        "curl",
        &["-sS", "-f", "http://127.0.0.1:8042/jobs?expand"],
    )?;
    let jobs: Vec<Value> = serde_json::from_str(&jobs).context("the PACS lists no jobs")?;
    let done = jobs.iter().any(|job| {
        job["Content"]["TransactionUid"] == answer["transaction"] && job["State"] == "Success"
    });
    ensure!(
        done,
        "the PACS knows nothing of transaction {}",
        answer["transaction"]
    );
    Ok("3 images committed by an association which the PACS opened".to_owned())
}

/// The reading workstation asks the PACS to send a study to it (C-MOVE).
fn retrieve(ward: &Ward) -> Result<String> {
    let study = send_study(ward)?;
    let key = format!("0010,0020={}", study.patient);
    on(
        ward,
        "reading",
        "movescu",
        &[
            "-to",
            CONNECT_S,
            "-aet",
            "READING",
            "-aem",
            "READING",
            "-aec",
            "PACS",
            "-P",
            "-k",
            "0008,0052=PATIENT",
            "-k",
            &key,
            &address_of("pacs")?,
            "104",
        ],
    )?;
    let received = received_images(ward, &study.instances)?;
    ensure!(
        received == 3,
        "the PACS sent {received} of 3 images to the workstation"
    );
    Ok(format!(
        "3 images of {} asked for by the workstation and received",
        study.patient
    ))
}

fn send_study(ward: &Ward) -> Result<Study> {
    let patient = token("CT");
    let dir = ward.dir().join("data").join(&patient).display().to_string();
    let made = act(ward, "ct", "make_study", &[&patient, "3", &dir])?;
    let instances = made["instances"].as_array().cloned().unwrap_or_default();
    let instances = instances
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let pacs = address_of("pacs")?;
    on(
        ward,
        "ct",
        "storescu",
        &[
            "-to", CONNECT_S, "-aet", "CT1", "-aec", "PACS", "+sd", &pacs, "104", &dir,
        ],
    )?;
    let held = images_held(ward, &patient)?;
    ensure!(
        held == 3,
        "the scanner sent 3 images, the PACS holds {held}"
    );
    Ok(Study { patient, instances })
}

/// How many images of a patient the PACS holds, asked on its own host.
fn images_held(ward: &Ward, patient: &str) -> Result<usize> {
    let query = format!(r#"{{"Level":"Instance","Query":{{"PatientID":"{patient}"}}}}"#);
    let answer = on(
        ward,
        "pacs",
        "curl",
        &[
            "-sS",
            "-f",
            "http://127.0.0.1:8042/tools/find",
            "-d",
            &query,
        ],
    )?;
    Ok(serde_json::from_str::<Vec<Value>>(&answer)?.len())
}

fn received_images(ward: &Ward, instances: &[String]) -> Result<usize> {
    let dir = ward.dir().join("data/reading");
    let names: Vec<String> = fs::read_dir(&dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .filter_map(|entry| {
            entry
                .ok()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
        })
        .collect();
    let arrived = |uid: &&String| names.iter().any(|name| name.ends_with(uid.as_str()));
    Ok(instances.iter().filter(arrived).count())
}

fn worklist_questions(ward: &Ward) -> Result<usize> {
    let log = fs::read_to_string(ward.log("pacs", "worklist")).context("no worklist log")?;
    Ok(log.matches("Find SCP Request").count())
}
