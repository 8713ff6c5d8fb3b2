//! Whether what identifies a patient stays out of what the gateway keeps and tells: what the far
//! ends of real conversations were told of patients is looked for on the near side of neither.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use wardline_control::{DeviceView, FlowView};

use crate::exchange::on;
use crate::mgmt::{self, Management};
use crate::ward::Ward;

/// Who is asked over the network; one page holds the whole ward.
const ASKED: [&str; 5] = [
    "/devices?limit=1000",
    "/flows?limit=1000",
    "/flows/live?limit=1000",
    "/map/edges?limit=1000",
    "/alerts?limit=1000",
];

/// What was looked for, where, and what was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Privacy {
    /// Names and numbers of patients that crossed the gateway, as HL7 and DICOM at the far end.
    marks: usize,
    /// Files of gateway and management plane that were searched: state, databases, logs.
    files: usize,
    /// Bytes in them.
    bytes: usize,
    /// Answers of both that were searched.
    answers: usize,
    /// Where one was found, which must be nowhere.
    pub(super) found: Vec<String>,
}

/// Searches everything that is kept or told.
pub(super) fn search(
    ward: &Ward,
    management: &Management,
    devices: &[DeviceView],
    flows: &[FlowView],
) -> Result<Privacy> {
    let marks = patients(ward)?;
    let mut privacy = Privacy {
        marks: marks.len(),
        ..Privacy::default()
    };
    let kept = [
        ward.dir().join("state"),
        ward.log("box", "gateway"),
        mgmt::directory(ward),
        ward.log("host", "management"),
    ];
    for file in kept.iter().map(|path| files(path)) {
        for file in file? {
            // Some come and go, as the databases' journals do.
            let Ok(bytes) = fs::read(&file) else { continue };
            privacy.file(&file, &bytes, &marks);
        }
    }
    let api = management.api()?;
    for path in ASKED {
        privacy.answer(path, &api.read(path)?.to_string(), &marks);
    }
    for (what, answer) in [
        ("devices", serde_json::to_string(devices)?),
        ("flows", serde_json::to_string(flows)?),
    ] {
        privacy.answer(&format!("the control socket's {what}"), &answer, &marks);
    }
    ensure!(privacy.files > 0, "the gateway keeps nothing at all");
    Ok(privacy)
}

impl Privacy {
    fn file(&mut self, file: &Path, bytes: &[u8], marks: &BTreeSet<String>) {
        self.files += 1;
        self.bytes += bytes.len();
        let text = String::from_utf8_lossy(bytes);
        self.look(&file.display().to_string(), &text, marks);
    }

    fn answer(&mut self, what: &str, text: &str, marks: &BTreeSet<String>) {
        self.answers += 1;
        self.look(what, text, marks);
    }

    fn look(&mut self, place: &str, text: &str, marks: &BTreeSet<String>) {
        let found = marks.iter().filter(|mark| text.contains(mark.as_str()));
        let found = found.map(|mark| format!("{place} has {mark}"));
        self.found.extend(found);
    }
}

/// What the engine and the PACS were told: it did cross the wire, or they would not know it.
fn patients(ward: &Ward) -> Result<BTreeSet<String>> {
    let log = fs::read_to_string(ward.log("engine", "hl7")).context("no log of the engine")?;
    let messages = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let by_hl7: BTreeSet<String> = messages
        .filter_map(|message| message["patient"].as_array().cloned())
        .flat_map(|patient| texts(&patient))
        .collect();
    let held = ["-sS", "-f", "http://127.0.0.1:8042/patients?expand"];
    let held: Vec<Value> = serde_json::from_str(&on(ward, "pacs", "curl", &held)?)?;
    let tags = held.iter().map(|patient| &patient["MainDicomTags"]);
    let by_dicom: BTreeSet<String> = tags
        .flat_map(|tags| texts(&[tags["PatientID"].clone(), tags["PatientName"].clone()]))
        .collect();
    for (marks, means) in [(&by_hl7, "HL7"), (&by_dicom, "DICOM")] {
        ensure!(
            marks.len() >= 2,
            "no name and number of a patient crossed the gateway in {means}: {marks:?}"
        );
    }
    Ok(by_hl7.into_iter().chain(by_dicom).collect())
}

fn texts(values: &[Value]) -> Vec<String> {
    let texts = values.iter().filter_map(Value::as_str);
    texts
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A file, or all files below a directory; none where nothing is.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        found.extend(files(&entry?.path())?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("state/roles");
        fs::create_dir_all(&deep).unwrap();
        let marks: BTreeSet<String> = ["TEST^PATIENT".to_owned()].into();
        let mut privacy = Privacy::default();
        for (name, bytes) in [
            ("clean.db", &b"\xff\0patient-monitor"[..]),
            ("told.db", b"\xff\0OBX|TEST^PATIENT\xfe"),
        ] {
            fs::write(deep.join(name), bytes).unwrap();
        }
        for file in files(folder.path()).unwrap() {
            privacy.file(&file, &fs::read(&file).unwrap(), &marks);
        }
        privacy.answer("devices", r#"{"evidence":"Sends TEST^PATIENT"}"#, &marks);
        assert_eq!((privacy.files, privacy.answers), (2, 1));
        assert_eq!(privacy.found.len(), 2, "{:?}", privacy.found);
        assert!(privacy.found[0].contains("told.db"), "{:?}", privacy.found);
    }
}
