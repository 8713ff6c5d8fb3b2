//! Packets written out again, sorted by what happens to them.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use wardline_capture::{Packet, PcapngWriter};
use wardline_policy::{Reason, Side};

use crate::cli::ReplayArgs;
use crate::failure::Failure;
use crate::replay::input::Captured;
use crate::replay::leaves;
use crate::replay::record::Outcome;

/// The files asked for.
#[derive(Debug)]
pub(crate) struct Outputs {
    forwarded: Option<Output>,
    dropped: Option<Output>,
}

#[derive(Debug)]
struct Output {
    path: PathBuf,
    writer: PcapngWriter<BufWriter<File>>,
}

impl Outputs {
    pub(crate) fn create(args: &ReplayArgs) -> Result<Self, Failure> {
        let outputs = [&args.write_forwarded, &args.write_dropped];
        let inputs = args.captures.iter().chain(&args.ward).chain(&args.core);
        for input in inputs {
            if outputs
                .iter()
                .any(|o| o.as_ref().is_some_and(|o| same_file(input, o)))
            {
                let name = input.display();
                return Err(Failure::input(format!(
                    "{name} cannot be input and output at once"
                )));
            }
        }
        if let [Some(a), Some(b)] = outputs
            && (a == b || same_file(a, b))
        {
            return Err(Failure::input("the two outputs need two files"));
        }
        Ok(Self {
            forwarded: args
                .write_forwarded
                .as_deref()
                .map(Output::create)
                .transpose()?,
            dropped: args
                .write_dropped
                .as_deref()
                .map(Output::create)
                .transpose()?,
        })
    }

    /// The comment holds what does not show in the packet itself: nothing, if it is allowed.
    pub(crate) fn write(
        &mut self,
        packet: &Captured,
        from: Side,
        outcome: Outcome,
        reason: Reason,
        rule: Option<&str>,
    ) -> Result<(), Failure> {
        let output = match leaves(outcome) {
            true => &mut self.forwarded,
            false => &mut self.dropped,
        };
        let Some(output) = output else {
            return Ok(());
        };
        let comment = match outcome {
            Outcome::Forward => None,
            Outcome::WouldDrop => Some("would-drop"),
            Outcome::Drop => Some("drop"),
        };
        let comment = comment.map(|word| match rule {
            Some(rule) => format!("{word}: {} (rule {rule})", reason.name()),
            None => format!("{word}: {}", reason.name()),
        });
        output.write(packet, from, comment.as_deref())
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        for output in [self.forwarded, self.dropped].into_iter().flatten() {
            let path = output.path;
            output
                .writer
                .finish()
                .map_err(|error| cannot_write(&path, &error))?;
        }
        Ok(())
    }
}

impl Output {
    fn create(path: &Path) -> Result<Self, Failure> {
        let writer = File::create(path)
            .and_then(|file| {
                let application = concat!("wardline ", env!("CARGO_PKG_VERSION"));
                PcapngWriter::new(BufWriter::new(file), application, &["ward", "core"])
            })
            .map_err(|error| cannot_write(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            writer,
        })
    }

    fn write(
        &mut self,
        packet: &Captured,
        from: Side,
        comment: Option<&str>,
    ) -> Result<(), Failure> {
        let packet = Packet {
            time_ns: packet.time_ns,
            data: &packet.data,
            original_bytes: packet.original_bytes,
            interface: match from {
                Side::Ward => 0,
                Side::Core => 1,
            },
        };
        self.writer
            .write(&packet, comment)
            .map_err(|error| cannot_write(&self.path, &error))
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot write {}: {error}", path.display()))
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
