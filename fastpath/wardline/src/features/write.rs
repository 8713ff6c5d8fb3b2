//! Rows as text or as Parquet.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use wardline_classifier::features::FEATURES;

use super::row::{LISTS, Row, TEXTS};
use crate::failure::Failure;

const FRAMES: &str = "frames";
const TIMES: [&str; 2] = ["began", "seconds"];

/// Rows come in parts, in order.
pub(super) fn csv(
    parts: impl Iterator<Item = Result<Vec<Row>, Failure>>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => Failure::from(error),
        other => Failure::failed(format!("cannot write the rows: {other:?}")),
    };
    let mut writer = csv::Writer::from_writer(out);
    let names = FEATURES.iter().map(|feature| feature.name);
    let header = TEXTS.into_iter().chain([FRAMES]).chain(TIMES);
    let header = header.chain(names).chain(LISTS);
    writer.write_record(header).map_err(failed)?;
    for part in parts {
        for row in part? {
            let numbers = row.numbers.iter().map(ToString::to_string);
            let [frames, began, seconds] = [
                row.frames.to_string(),
                row.began.to_string(),
                row.seconds.to_string(),
            ];
            let fields = row.texts.into_iter().chain([frames, began, seconds]);
            let fields = fields.chain(numbers).chain(row.lists);
            writer.write_record(fields).map_err(failed)?;
        }
    }
    writer.flush().map_err(Failure::from)
}

/// The same; each part is a group of rows.
pub(super) fn parquet(
    parts: impl Iterator<Item = Result<Vec<Row>, Failure>>,
    out: &mut (impl Write + Send),
) -> Result<(), Failure> {
    let failed = |error| Failure::failed(format!("cannot write the rows: {error}"));
    let schema = schema().map_err(failed)?;
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(out, schema, properties).map_err(failed)?;
    for part in parts {
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
    let time = |name| column(name, Physical::DOUBLE, None);
    let number = |name| column(name, Physical::FLOAT, None);
    let texts = TEXTS.into_iter().map(text);
    let frames = [column(FRAMES, Physical::INT32, None)];
    let names = FEATURES.iter().map(|feature| feature.name);
    let fields = texts.chain(frames).chain(TIMES.into_iter().map(time));
    let fields = fields
        .chain(names.map(number))
        .chain(LISTS.into_iter().map(text));
    let schema =
        Type::group_type_builder("features").with_fields(fields.collect::<Result<_, _>>()?);
    schema.build().map(Arc::new)
}

/// Writes the rows column by column, in the order of the schema.
fn columns<W: Write + Send>(
    rows: &[Row],
    group: &mut SerializedRowGroupWriter<'_, W>,
) -> Result<(), ParquetError> {
    let text = |text: &String| ByteArray::from(text.as_str());
    for index in 0..TEXTS.len() {
        column::<ByteArrayType, _>(group, rows, |row| text(&row.texts[index]))?;
    }
    let frames = |row: &Row| i32::try_from(row.frames).unwrap_or(i32::MAX);
    column::<Int32Type, _>(group, rows, frames)?;
    column::<DoubleType, _>(group, rows, |row| row.began)?;
    column::<DoubleType, _>(group, rows, |row| row.seconds)?;
    for index in 0..FEATURES.len() {
        column::<FloatType, _>(group, rows, |row| row.numbers[index])?;
    }
    for index in 0..LISTS.len() {
        column::<ByteArrayType, _>(group, rows, |row| text(&row.lists[index]))?;
    }
    Ok(())
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
