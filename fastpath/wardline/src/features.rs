//! `wardline features`: what a model sees of the devices in captures.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use rayon::prelude::*;
use serde::Deserialize;
use wardline_capture::Reader;
use wardline_classifier::Observer;
use wardline_classifier::features::{FEATURES, Features};
use wardline_classifier::model::token::tokens;
use wardline_classifier::observer::{Limits, Station};
use wardline_policy::MacAddr;

use crate::cli::{FeaturesArgs, Table};
use crate::failure::Failure;

/// Captures read at a time: their rows are held until they are written in the captures' order.
const TOGETHER: usize = 32;
/// Columns in front of the numbers, and the one behind them.
const TEXTS: [&str; 5] = ["capture", "mac", "type", "role", "scope"];
const FACTS: &str = "facts";

pub(crate) fn run(args: &FeaturesArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let labels = args.labels.as_deref().map(Labels::read).transpose()?;
    let labels = labels.as_ref();
    let file = args.output.as_deref().map(create).transpose()?;
    match (args.format, file) {
        (Table::Csv, Some(mut file)) => csv(args, labels, &mut file),
        (Table::Csv, None) => csv(args, labels, out),
        (Table::Parquet, Some(mut file)) => {
            parquet(args, labels, &mut file)?;
            file.flush().map_err(Failure::from)
        }
        (Table::Parquet, None) => {
            // The writer has to own what it writes to.
            let mut bytes = Vec::new();
            parquet(args, labels, &mut bytes)?;
            out.write_all(&bytes).map_err(Failure::from)
        }
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    let file = File::create(path)
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))?;
    Ok(BufWriter::new(file))
}

/// What devices really are.
struct Labels(HashMap<MacAddr, Label>);

#[derive(Clone, Deserialize)]
struct Label {
    /// Left out when the label's own name is the address.
    mac: Option<MacAddr>,
    #[serde(rename = "type")]
    kind: String,
    role: String,
}

impl Labels {
    fn read(path: &Path) -> Result<Self, Failure> {
        let bad = |why: &dyn std::fmt::Display| {
            Failure::input(format!("{} holds no labels: {why}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| bad(&error))?;
        let named: HashMap<String, Label> =
            serde_json::from_str(&text).map_err(|error| bad(&error))?;
        let mut labels = HashMap::new();
        for (name, label) in named {
            let mac = match label.mac {
                Some(mac) => mac,
                None => name
                    .parse()
                    .map_err(|_| bad(&format_args!("`{name}` has no MAC address")))?,
            };
            labels.insert(mac, label);
        }
        Ok(Self(labels))
    }
}

/// One device at one time.
struct Row {
    /// As in [`TEXTS`].
    texts: [String; TEXTS.len()],
    frames: u32,
    seconds: f64,
    numbers: Features,
    facts: String,
}

/// The rows of all captures, in parts.
fn rows<'a>(
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
    let mut observer = Observer::new(Limits::default());
    let mut rows = Vec::new();
    let row = |station: &Station, scope, measured| {
        // With labels, only what has one is wanted.
        let label = match labels {
            Some(labels) => Some(labels.0.get(&station.key().mac)?),
            None => None,
        };
        Some(Row::new(capture, station, label, scope, measured))
    };
    let drain = |observer: &mut Observer, rows: &mut Vec<Row>| {
        while let Some(window) = observer.next_window() {
            if let Some(station) = observer.station(window.device) {
                let numbers = station.features(&window.window);
                let measured = (window.frames.into(), window.time_ns, numbers);
                rows.extend(row(station, "window", measured));
            }
        }
    };
    while let Some(packet) = reader.next_packet().map_err(unreadable)? {
        observer.frame(packet.time_ns, packet.data, packet.original_bytes as usize);
        drain(&mut observer, &mut rows);
    }
    observer.finish();
    drain(&mut observer, &mut rows);
    for station in observer.stations() {
        let frames = station.traffic().total();
        let numbers = station.features_so_far();
        rows.extend(row(station, "so-far", (frames, station.last_ns(), numbers)));
    }
    Ok(rows)
}

impl Row {
    fn new(
        capture: &Path,
        station: &Station,
        label: Option<&Label>,
        scope: &str,
        (frames, time_ns, numbers): (u32, u64, Features),
    ) -> Self {
        let mac = station.key().mac;
        let label = label.map_or_else(Default::default, |l| (l.kind.clone(), l.role.clone()));
        let facts: Vec<_> = station
            .facts()
            .flat_map(|(fact, _)| tokens(fact, mac))
            .collect();
        Self {
            texts: [
                capture.display().to_string(),
                mac.to_string(),
                label.0,
                label.1,
                scope.to_owned(),
            ],
            frames,
            seconds: time_ns.saturating_sub(station.first_ns()) as f64 / 1e9,
            numbers,
            facts: facts.join("\t"),
        }
    }
}

fn csv(args: &FeaturesArgs, labels: Option<&Labels>, out: &mut dyn Write) -> Result<(), Failure> {
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => Failure::from(error),
        other => Failure::failed(format!("cannot write the rows: {other:?}")),
    };
    let mut writer = csv::Writer::from_writer(out);
    let names = FEATURES.iter().map(|feature| feature.name);
    let header = TEXTS
        .into_iter()
        .chain(["frames", "seconds"])
        .chain(names)
        .chain([FACTS]);
    writer.write_record(header).map_err(failed)?;
    for part in rows(&args.captures, labels) {
        for row in part? {
            for text in &row.texts {
                writer.write_field(text).map_err(failed)?;
            }
            writer.write_field(row.frames.to_string()).map_err(failed)?;
            writer
                .write_field(row.seconds.to_string())
                .map_err(failed)?;
            for number in row.numbers {
                writer.write_field(number.to_string()).map_err(failed)?;
            }
            writer.write_field(&row.facts).map_err(failed)?;
            writer.write_record(None::<&[u8]>).map_err(failed)?;
        }
    }
    writer.flush().map_err(Failure::from)
}

fn parquet(
    args: &FeaturesArgs,
    labels: Option<&Labels>,
    out: &mut (impl Write + Send),
) -> Result<(), Failure> {
    let failed = |error| Failure::failed(format!("cannot write the rows: {error}"));
    let schema = schema().map_err(failed)?;
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(out, schema, properties).map_err(failed)?;
    for part in rows(&args.captures, labels) {
        let mut group = writer.next_row_group().map_err(failed)?;
        columns(&part?, &mut group).map_err(failed)?;
        group.close().map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    Ok(())
}

fn schema() -> Result<Arc<Type>, ParquetError> {
    let column = |name: &str, physical, logical| {
        let builder = Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical);
        builder.build().map(Arc::new)
    };
    let text = |name| column(name, Physical::BYTE_ARRAY, Some(LogicalType::String));
    let mut fields = TEXTS.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    fields.push(column("frames", Physical::INT32, None)?);
    fields.push(column("seconds", Physical::DOUBLE, None)?);
    for feature in &FEATURES {
        fields.push(column(feature.name, Physical::FLOAT, None)?);
    }
    fields.push(text(FACTS)?);
    let schema = Type::group_type_builder("features").with_fields(fields);
    schema.build().map(Arc::new)
}

/// Writes the rows column by column, in the order of the schema.
fn columns<W: Write + Send>(
    rows: &[Row],
    group: &mut SerializedRowGroupWriter<'_, W>,
) -> Result<(), ParquetError> {
    for index in 0..TEXTS.len() {
        column::<ByteArrayType, _>(group, rows, |row| {
            ByteArray::from(row.texts[index].as_str())
        })?;
    }
    let frames = |row: &Row| i32::try_from(row.frames).unwrap_or(i32::MAX);
    column::<Int32Type, _>(group, rows, frames)?;
    column::<DoubleType, _>(group, rows, |row| row.seconds)?;
    for index in 0..FEATURES.len() {
        column::<FloatType, _>(group, rows, |row| row.numbers[index])?;
    }
    column::<ByteArrayType, _>(group, rows, |row| ByteArray::from(row.facts.as_str()))
}

fn column<D: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    rows: &[Row],
    value: impl Fn(&Row) -> D::T,
) -> Result<(), ParquetError> {
    if let Some(mut column) = group.next_column()? {
        let values: Vec<_> = rows.iter().map(value).collect();
        column.typed::<D>().write_batch(&values, None, None)?;
        column.close()?;
    }
    Ok(())
}
