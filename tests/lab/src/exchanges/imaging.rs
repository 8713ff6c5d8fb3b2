//! DICOM between scanner, reading workstation and PACS.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::exchange::{Exchange, act, on, token};
use crate::ward::{Ward, address_of};

pub(super) const ALL: &[Exchange] = &[Exchange {
    name: "dicom-store",
    device: "ct",
    rules: &["dicom-store"],
    run: store,
}];

/// The scanner sends a study of three images; the PACS must then hold exactly those.
fn store(ward: &Ward) -> Result<String> {
    let patient = token("CT");
    let files = act(
        ward,
        "ct",
        "make_study",
        &[&patient, "3", &study_dir(ward, &patient)],
    )?;
    let dir = files["dir"].as_str().unwrap_or_default();
    on(
        ward,
        "ct",
        "storescu",
        &[
            "-aet",
            "CT1",
            "-aec",
            "PACS",
            "+sd",
            &address_of("pacs")?,
            "104",
            dir,
        ],
    )?;
    let held = pacs_instances(ward, &patient)?;
    ensure!(
        held == 3,
        "the scanner sent 3 images, the PACS holds {held}"
    );
    Ok(format!(
        "3 images of patient {patient} sent and found in the PACS"
    ))
}

fn study_dir(ward: &Ward, patient: &str) -> String {
    ward.dir().join("data").join(patient).display().to_string()
}

/// How many images of a patient the PACS holds, asked on its own host.
fn pacs_instances(ward: &Ward, patient: &str) -> Result<usize> {
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
