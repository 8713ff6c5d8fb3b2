//! One row for each device and window.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use wardline_capture::Reader;
use wardline_classifier::decide::{Calibration, fuse};
use wardline_classifier::device::Evidence;
use wardline_classifier::features::Features;
use wardline_classifier::model::token::token;
use wardline_classifier::observer::{Limits, Station};
use wardline_classifier::{Observer, Role};
use wardline_policy::MacAddr;

use super::labels::{Label, Labels};
use crate::failure::Failure;

/// Captures read at a time: their rows are held until they are written in the captures' order.
const TOGETHER: usize = 32;
/// Frames of a device whose lengths are given.
const FIRST: usize = 20;
/// Evidence that counts less is left out.
const WEIGHS: f64 = 0.005;

/// Columns in front of the numbers.
pub(super) const TEXTS: [&str; 5] = ["capture", "mac", "type", "role", "scope"];
/// Columns behind the numbers, each a list.
pub(super) const LISTS: [&str; 3] = ["facts", "evidence", "first"];

/// One device at one time.
pub(super) struct Row {
    /// As in [`TEXTS`].
    pub(super) texts: [String; TEXTS.len()],
    pub(super) frames: u32,
    /// Unix time of the device's first frame, in seconds.
    pub(super) began: f64,
    /// Time since then.
    pub(super) seconds: f64,
    pub(super) numbers: Features,
    /// As in [`LISTS`].
    pub(super) lists: [String; LISTS.len()],
}

/// The rows of all captures, in parts.
pub(super) fn rows<'a>(
    captures: &'a [PathBuf],
    labels: Option<&'a Labels>,
) -> impl Iterator<Item = Result<Vec<Row>, Failure>> + 'a {
    captures.chunks(TOGETHER).map(move |captures| {
        let parts = captures.par_iter().map(|capture| read(capture, labels));
        let parts: Vec<_> = parts.collect::<Result<_, _>>()?;
        Ok(parts.into_iter().flatten().collect())
    })
}

fn read(capture: &Path, labels: Option<&Labels>) -> Result<Vec<Row>, Failure> {
    let unreadable =
        |error: wardline_capture::Error| Failure::input(format!("{}: {error}", capture.display()));
    let mut reader = Reader::open(capture).map_err(unreadable)?;
    let mut rows = Rows {
        capture,
        labels,
        observer: Observer::new(Limits::default()),
        first: HashMap::new(),
        rows: Vec::new(),
    };
    while let Some(packet) = reader.next_packet().map_err(unreadable)? {
        rows.frame(packet.time_ns, packet.data, packet.original_bytes as usize);
    }
    Ok(rows.finish())
}

/// The rows of one capture while it is read.
struct Rows<'a> {
    capture: &'a Path,
    labels: Option<&'a Labels>,
    observer: Observer,
    /// Lengths of each station's first frames, negative where they went to it.
    first: HashMap<MacAddr, Vec<i64>>,
    rows: Vec<Row>,
}

impl Rows<'_> {
    fn frame(&mut self, time_ns: u64, data: &[u8], wire_bytes: usize) {
        self.observer.frame(time_ns, data, wire_bytes);
        if let Some((to, rest)) = data.split_first_chunk::<6>()
            && let Some(from) = rest.first_chunk::<6>()
        {
            self.note_length(MacAddr(*from), wire_bytes as i64);
            self.note_length(MacAddr(*to), -(wire_bytes as i64));
        }
        self.windows();
    }

    fn note_length(&mut self, mac: MacAddr, length: i64) {
        let lengths = self.first.entry(mac).or_default();
        if lengths.len() < FIRST && !mac.is_group() {
            lengths.push(length);
        }
    }

    fn windows(&mut self) {
        while let Some(window) = self.observer.next_window() {
            let station = self.observer.station(window.device);
            let row = station.and_then(|station| {
                let numbers = station.features(&window.window);
                let measured = (window.frames.into(), window.time_ns, numbers);
                self.row(station, "window", measured)
            });
            self.rows.extend(row);
        }
    }

    fn finish(mut self) -> Vec<Row> {
        self.observer.finish();
        self.windows();
        let so_far = self.observer.stations().iter().filter_map(|station| {
            let frames = station.traffic().total();
            let measured = (frames, station.last_ns(), station.features_so_far());
            self.row(station, "so-far", measured)
        });
        let so_far: Vec<_> = so_far.collect();
        self.rows.extend(so_far);
        self.rows
    }

    fn row(
        &self,
        station: &Station,
        scope: &str,
        (frames, time_ns, numbers): (u32, u64, Features),
    ) -> Option<Row> {
        let mac = station.key().mac;
        // With labels, only what has one is wanted.
        let no_label = Label::default();
        let label = match self.labels {
            Some(labels) => labels.of(mac)?,
            None => &no_label,
        };
        let facts = station.facts().map(|said| token(said.fact, mac));
        let first = self.first.get(&mac).into_iter().flatten();
        Some(Row {
            texts: [
                self.capture.display().to_string(),
                mac.to_string(),
                label.kind.clone(),
                label.role.clone(),
                scope.to_owned(),
            ],
            frames,
            began: station.first_ns() as f64 / 1e9,
            seconds: time_ns.saturating_sub(station.first_ns()) as f64 / 1e9,
            numbers,
            lists: [joined(facts), joined(evidence(station)), joined(first)],
        })
    }
}

/// What the evidence weighs for each role, as log-odds against none: `plug 3.20`.
fn evidence(station: &Station) -> impl Iterator<Item = String> {
    let evidence = Evidence::of(station.facts(), station.forwards_for(), station.last_ns());
    let whole = evidence.as_a_whole();
    let noted = evidence.noted().iter().chain(&whole);
    let calibration = Calibration::default();
    let chances = fuse(noted.map(|noted| &noted.meaning), None, &calibration, &[]);
    let before = fuse([], None, &calibration, &[]);
    let weights = Role::ALL.iter().map(move |&role| {
        let odds = |chances: &wardline_classifier::decide::Chances| {
            chances.of(role).ln() - chances.other().ln()
        };
        (role, odds(&chances) - odds(&before))
    });
    let weights = weights.filter(|(_, weight)| weight.abs() >= WEIGHS);
    weights.map(|(role, weight)| format!("{role} {weight:.3}"))
}

fn joined<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<_> = items.map(|item| item.to_string()).collect();
    items.join("\t")
}
