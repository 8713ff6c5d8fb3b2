//! Camera, printer, building controller.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::exchange::{Exchange, act, on, seen, token};
use crate::services::devices::BACNET_INSTANCE;
use crate::ward::{Ward, address_of};

pub(super) const ALL: &[Exchange] = &[
    Exchange {
        name: "camera-rtsp",
        device: "camera",
        rules: &["camera-rtsp"],
        run: camera,
    },
    Exchange {
        name: "printer-ipp",
        device: "printer",
        rules: &["printer-ipp"],
        run: printer,
    },
    Exchange {
        name: "bacnet-read",
        device: "hvac",
        rules: &["bacnet-discovery", "bacnet-read"],
        run: bacnet,
    },
];

/// The recorder decodes five pictures of the camera.
fn camera(ward: &Ward) -> Result<String> {
    let view = token("view");
    let url = format!("rtsp://{}/live?token={view}", address_of("camera")?);
    let text = on(
        ward,
        "nvr",
        "ffmpeg",
        &[
            "-nostdin",
            "-loglevel",
            "error",
            "-timeout",
            "5000000",
            "-rtsp_transport",
            "tcp",
            "-analyzeduration",
            "500000",
            "-i",
            &url,
            "-frames:v",
            "5",
            "-f",
            "framemd5",
            "-",
        ],
    )?;
    let pictures = text.lines().filter(|line| line.starts_with("0,")).count();
    ensure!(pictures == 5, "{pictures} pictures of 5 decoded");
    seen(ward, "camera", "rtsp", &view)?;
    Ok("5 pictures decoded by the recorder, viewing noted by the camera".to_owned())
}

/// The registration desk prints a wristband.
fn printer(ward: &Ward) -> Result<String> {
    let mark = token("wristband");
    let file = ward.dir().join("data").join(format!("{mark}.txt"));
    fs::write(&file, format!("{mark}\n")).context("cannot write the wristband")?;
    let uri = format!("ipp://{}:631/ipp/print", address_of("printer")?);
    let text = on(
        ward,
        "desk",
        "ipptool",
        &[
            "-tv",
            "-T",
            "8",
            "-d",
            "filetype=text/plain",
            "-f",
            &file.display().to_string(),
            &uri,
            "print-job.test",
        ],
    )?;
    ensure!(
        text.contains("[PASS]"),
        "the printer answered: {}",
        text.trim()
    );
    ensure!(
        printed(ward, &mark)?,
        "the printer accepted the job but printed nothing of {mark}"
    );
    Ok(format!("{mark} accepted and printed"))
}

fn printed(ward: &Ward, mark: &str) -> Result<bool> {
    let dir = ward.dir().join("data/printed");
    for _ in 0..50 {
        for entry in fs::read_dir(&dir).with_context(|| format!("no {}", dir.display()))? {
            let text = fs::read(entry?.path()).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(mark) {
                return Ok(true);
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(40));
    }
    Ok(false)
}

/// Building management finds the controller by broadcast and reads the room's pressure.
fn bacnet(ward: &Ward) -> Result<String> {
    let own = format!("{}/22", address_of("bms")?);
    let before = questions(ward);
    let got = act(
        ward,
        "bms",
        "bacnet_bms",
        &[&own, &BACNET_INSTANCE.to_string()],
    )?;
    ensure!(got["value"] == 12.5, "building management read {got}");
    ensure!(questions(ward) > before, "the controller noted no question");
    Ok(format!(
        "I-Am from {}, pressure 12.5 read, question noted",
        got["controller"]
    ))
}

fn questions(ward: &Ward) -> usize {
    let log = fs::read_to_string(ward.log("hvac", "bacnet")).unwrap_or_default();
    log.matches("read-property").count()
}
