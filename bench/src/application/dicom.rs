//! DICOM C-STORE: images of several modalities from `storescu` on the ward side to `storescp` on
//! the core side.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::http::{mortal, wait_for_listener};
use crate::interrupt;
use crate::process::{Process, output};
use crate::wire::space::Namespace;

/// TCP port of the archive.
pub const PORT: u16 = 104;
/// The programs of Debian that this file starts.
pub const PROGRAMS: [&str; 3] = ["dump2dcm", "storescp", "storescu"];

/// Largest protocol data unit, in bytes: the most that the standard's tools negotiate.
const PDU: &str = "131072";

/// One sort of image in the mix.
#[derive(Debug, Clone, Copy)]
struct Kind {
    /// DICOM's word for the modality.
    modality: &'static str,
    /// The storage class, as dcmtk names it.
    class: &'static str,
    rows: u16,
    columns: u16,
    /// How many of them are in the mix.
    count: u16,
}

/// Slices of CT and MR series, which are many and small, and single large radiographs.
const MIX: [Kind; 4] = [
    Kind {
        modality: "CT",
        class: "CTImageStorage",
        rows: 512,
        columns: 512,
        count: 24,
    },
    Kind {
        modality: "MR",
        class: "MRImageStorage",
        rows: 256,
        columns: 256,
        count: 32,
    },
    Kind {
        modality: "CR",
        class: "ComputedRadiographyImageStorage",
        rows: 2_048,
        columns: 2_048,
        count: 1,
    },
    Kind {
        modality: "OT",
        class: "SecondaryCaptureImageStorage",
        rows: 64,
        columns: 64,
        count: 24,
    },
];

/// The images, as files.
#[derive(Debug)]
pub struct Images {
    folder: PathBuf,
    /// Their size on disk, in bytes.
    bytes: u64,
}

impl Images {
    /// Makes the images under `scratch`.
    ///
    /// # Errors
    /// When dcmtk refuses them or the disk does.
    pub fn make(scratch: &Path) -> Result<Self> {
        let folder = scratch.join("images");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut bytes = 0;
        for (series, kind) in (1..).zip(MIX) {
            let pixels = scratch.join("pixels");
            let size = 2 * usize::from(kind.rows) * usize::from(kind.columns);
            fs::write(&pixels, grey_ramp(size)).context("writing pixels")?;
            for number in 1..=kind.count {
                let text = scratch.join("image.dump");
                fs::write(&text, describe(&kind, series, number, &pixels))
                    .context("writing an image's description")?;
                let image = folder.join(format!("{}{number}.dcm", kind.modality));
                output(Command::new("dump2dcm").arg(&text).arg(&image))?;
                bytes += fs::metadata(&image).context("no image was made")?.len();
            }
        }
        Ok(Self { folder, bytes })
    }
}

/// An image as `dump2dcm` reads it.
fn describe(kind: &Kind, series: u16, number: u16, pixels: &Path) -> String {
    let Kind {
        modality,
        class,
        rows,
        columns,
        ..
    } = kind;
    // 2.25 is the root for identifiers that nobody assigns (DICOM PS3.5, B.2).
    format!(
        "(0008,0016) UI ={class}\n(0008,0018) UI [2.25.{series}.{number}]\n\
         (0008,0060) CS [{modality}]\n(0010,0010) PN [TEST^PATIENT]\n(0010,0020) LO [BENCH]\n\
         (0020,000d) UI [2.25.1]\n(0020,000e) UI [2.25.1.{series}]\n\
         (0020,0011) IS [{series}]\n(0020,0013) IS [{number}]\n\
         (0028,0002) US 1\n(0028,0004) CS [MONOCHROME2]\n(0028,0010) US {rows}\n\
         (0028,0011) US {columns}\n(0028,0100) US 16\n(0028,0101) US 16\n(0028,0102) US 15\n\
         (0028,0103) US 0\n(7fe0,0010) OW ={}\n",
        pixels.display()
    )
}

#[expect(clippy::cast_possible_truncation, reason = "any pattern does")]
fn grey_ramp(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at ^ (at >> 8)) as u8).collect()
}

/// The archive: takes what it is sent and keeps nothing. Ended when dropped.
#[derive(Debug)]
pub struct Archive {
    _process: Process,
    address: SocketAddr,
}

impl Archive {
    /// Starts it in the namespace and waits until it listens.
    ///
    /// # Errors
    /// When it does not start: its log says why.
    pub fn start(namespace: &Namespace, address: SocketAddr, scratch: &Path) -> Result<Self> {
        let mut command = without_nagle(mortal(namespace, "storescp"));
        command.args(["--ignore", "--max-pdu", PDU]);
        command.arg(address.port().to_string());
        let mut process = Process::start("storescp", &mut command, &scratch.join("storescp.log"))?;
        wait_for_listener(namespace, address, &mut process)?;
        Ok(Self {
            _process: process,
            address,
        })
    }

    /// Sends every image `repeats` times over one association and returns the goodput in Gbit/s:
    /// the images' own bytes over the time from the program's start to its end.
    ///
    /// # Errors
    /// When one image was not stored.
    pub fn store(&self, from: &Namespace, images: &Images, repeats: u32) -> Result<f64> {
        ensure!(repeats > 0, "no image would be sent");
        interrupt::check()?;
        let mut command = without_nagle(from.command("storescu"));
        command.args(["--required", "--max-pdu", PDU]);
        command.args(["--timeout", "5", "--repeat", &repeats.to_string()]);
        command.args(["--scan-directories", &self.address.ip().to_string()]);
        command
            .arg(self.address.port().to_string())
            .arg(&images.folder);
        let begin = Instant::now();
        output(&mut command)?;
        let seconds = begin.elapsed().as_secs_f64();
        interrupt::check()?;
        Ok(images.bytes as f64 * f64::from(repeats) * 8.0 / seconds / 1e9)
    }
}

/// With Nagle's algorithm, each image waits for a delayed acknowledgement.
fn without_nagle(mut command: Command) -> Command {
    command.env("TCP_NODELAY", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_says_where_its_pixels_are_and_who_it_is() {
        let text = describe(&MIX[0], 1, 7, Path::new("/scratch/pixels"));
        assert!(text.contains("(0008,0018) UI [2.25.1.7]\n"), "{text}");
        assert!(
            text.ends_with("(7fe0,0010) OW =/scratch/pixels\n"),
            "{text}"
        );
    }
}
