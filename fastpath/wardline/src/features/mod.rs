//! `wardline features`: what a model sees of the devices in captures.

mod labels;
mod row;
mod write;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::cli::{FeaturesArgs, Table};
use crate::failure::Failure;
use labels::Labels;
use row::rows;

pub(crate) fn run(args: &FeaturesArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let labels = args.labels.as_deref().map(Labels::read).transpose()?;
    let rows = rows(&args.captures, labels.as_ref());
    let file = args.output.as_deref().map(create).transpose()?;
    match (args.format, file) {
        (Table::Csv, Some(mut file)) => write::csv(rows, &mut file),
        (Table::Csv, None) => write::csv(rows, out),
        (Table::Parquet, Some(mut file)) => {
            write::parquet(rows, &mut file)?;
            file.flush().map_err(Failure::from)
        }
        (Table::Parquet, None) => {
            // The format has its index at the end, and its writer owns what it writes to.
            let mut bytes = Vec::new();
            write::parquet(rows, &mut bytes)?;
            out.write_all(&bytes).map_err(Failure::from)
        }
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    let file = File::create(path)
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))?;
    Ok(BufWriter::new(file))
}
