//! Inputs to begin with: what the targets recognise in capture files.

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wardline_capture::Reader;
use wardline_classifier::evidence::fuzz::Target;
use wardline_engine::parse::parse;
use wardline_engine::{L3, L4, PacketMeta};

/// Seeds kept of one target: more make the fuzzer slow to begin and find nothing else.
const SEEDS_MAX: usize = 400;
/// Seeds of one target from one capture, so that others have theirs.
const SEEDS_OF_CAPTURE_MAX: usize = 8;
/// Bytes kept of one direction of a conversation.
const STREAM_MAX: usize = 4_096;
/// Frames of a capture that make one input of the reader.
const FRAMES_MAX: usize = 24;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Fills a folder for each target below `folder` and prints the targets' names.
///
/// # Errors
/// When a folder cannot be read or a seed not written.
pub fn make(folder: &Path, captures: Option<&Path>) -> Result<()> {
    let mut corpora: Vec<Corpus> = Vec::new();
    for target in Target::all() {
        corpora.push(Corpus::new(target, folder)?);
    }
    let mut files = Vec::new();
    if let Some(captures) = captures {
        find_files(captures, &mut files)?;
        files.sort();
    }
    for file in files {
        Capture::read(&file).add_to(&mut corpora)?;
    }
    for corpus in corpora {
        println!("{}", corpus.target);
    }
    Ok(())
}

fn find_files(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        match path.is_dir() {
            true => find_files(&path, into)?,
            false => into.push(path),
        }
    }
    Ok(())
}

/// The seeds of one target.
struct Corpus {
    target: Target,
    folder: PathBuf,
    seeds: usize,
    /// How many there may be when the capture at hand is through.
    limit: usize,
}

impl Corpus {
    fn new(target: Target, parent: &Path) -> Result<Self> {
        let folder = parent.join(target.to_string());
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self {
            target,
            folder,
            seeds: 0,
            limit: 0,
        })
    }

    /// Keeps an input that the target takes and recognises.
    fn add(&mut self, input: Option<Vec<u8>>) -> Result<()> {
        let Some(input) = input.filter(|_| self.seeds < self.limit) else {
            return Ok(());
        };
        if self.target.run(&input) {
            let mut hasher = DefaultHasher::new();
            input.hash(&mut hasher);
            let path = self.folder.join(format!("seed-{:016x}", hasher.finish()));
            fs::write(&path, input).with_context(|| format!("writing {}", path.display()))?;
            self.seeds += 1;
        }
        Ok(())
    }
}

/// A datagram with the port of its sender and whether it went to a group.
type Datagram = (u16, bool, Vec<u8>);

/// What one capture holds.
#[derive(Default)]
struct Capture {
    frames: Vec<Vec<u8>>,
    /// EtherType and what follows it.
    plain: Vec<(u16, Vec<u8>)>,
    datagrams: Vec<Datagram>,
    /// By the two ends, the client's first.
    streams: HashMap<[End; 2], [Stream; 2]>,
}

type End = ([u8; 16], u16);

/// One direction from its beginning, as far as it came in order.
#[derive(Default)]
struct Stream {
    next: Option<u32>,
    bytes: Vec<u8>,
}

impl Capture {
    /// What there is up to the first fault: many of these files are meant to have one.
    fn read(path: &Path) -> Self {
        let mut capture = Self::default();
        if let Ok(mut reader) = Reader::open(path) {
            while let Ok(Some(packet)) = reader.next_packet() {
                if let Ok(meta) = parse(packet.data) {
                    capture.take(packet.data, &meta);
                }
            }
        }
        capture
    }

    fn take(&mut self, frame: &[u8], meta: &PacketMeta) {
        if self.frames.len() < FRAMES_MAX {
            self.frames.push(frame.to_vec());
        }
        let part = |from: u16| frame.get(from.into()..meta.end.into()).unwrap_or_default();
        let payload = part(meta.payload_offset);
        match (meta.l3, meta.l4) {
            (L3::Other, _) => {
                let rest = part(meta.l3_offset).to_vec();
                self.plain.push((meta.ethertype, rest));
            }
            (_, L4::Udp { source, .. }) => {
                let to_group = meta.destination_mac.is_group();
                self.datagrams.push((source, to_group, payload.to_vec()));
            }
            (
                L3::Ip {
                    source: from,
                    destination: to,
                    ..
                },
                L4::Tcp {
                    source,
                    destination,
                    flags,
                    seq,
                    ..
                },
            ) => self.take_segment([(from, source), (to, destination)], flags, seq, payload),
            _ => {}
        }
    }

    fn take_segment(&mut self, [from, to]: [End; 2], flags: u8, seq: u32, payload: &[u8]) {
        if flags & (SYN | ACK) == SYN {
            self.streams.insert([from, to], Default::default());
        }
        let (stream, number) = match self.streams.contains_key(&[from, to]) {
            true => (self.streams.get_mut(&[from, to]), 0),
            false => (self.streams.get_mut(&[to, from]), 1),
        };
        let Some(stream) = stream.map(|streams| &mut streams[number]) else {
            return;
        };
        if flags & SYN != 0 {
            stream.next = Some(seq.wrapping_add(1));
        } else if stream.next == Some(seq) && stream.bytes.len() < STREAM_MAX {
            stream.bytes.extend_from_slice(payload);
            stream.next = u32::try_from(payload.len())
                .ok()
                .map(|len| seq.wrapping_add(len));
        }
    }

    fn add_to(&self, corpora: &mut [Corpus]) -> Result<()> {
        for corpus in corpora {
            let target = corpus.target;
            corpus.limit = SEEDS_MAX.min(corpus.seeds + SEEDS_OF_CAPTURE_MAX);
            corpus.add(target.frames(self.frames.iter().map(Vec::as_slice)))?;
            for (ethertype, rest) in &self.plain {
                corpus.add(target.frame(*ethertype, rest))?;
            }
            for (source_port, to_group, payload) in &self.datagrams {
                corpus.add(target.datagram(*source_port, *to_group, payload))?;
            }
            for [client, server] in self.streams.values() {
                corpus.add(target.conversation(&client.bytes, &server.bytes))?;
            }
        }
        Ok(())
    }
}
