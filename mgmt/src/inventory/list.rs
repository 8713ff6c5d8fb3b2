//! Reading a list of assets: CSV as spreadsheets and maintenance systems write it.

use std::collections::{BTreeMap, HashMap};

use csv::{ReaderBuilder, StringRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Column, MACS, NO_MAC, mac_of};
use crate::api::problem::FieldError;

/// Rows of a list.
pub const ROWS: usize = 20_000;
/// Columns of a list.
const COLUMNS: usize = 200;
/// Faults of a list that are told.
const FAULTS: usize = 100;
/// What stands in cells that say nothing.
const NOTHING: [&str; 7] = ["-", "--", "?", "n/a", "none", "null", "unknown"];

/// A list that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its columns that were read, in their order.
    pub columns: Vec<ReadColumn>,
    /// Headings of those that were not.
    pub ignored: Vec<String>,
    /// Its rows.
    pub rows: Vec<ListRow>,
}

/// A column of a list and the fact it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadColumn {
    /// Its heading.
    pub heading: String,
    /// The fact.
    pub fact: Column,
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRow {
    /// The line it begins on, from 1.
    pub line: u32,
    /// What it says; empty cells say nothing.
    pub values: BTreeMap<Column, String>,
    /// Cells that cannot be so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad: Vec<BadCell>,
}

/// A cell that cannot be so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BadCell {
    /// The fact it should hold.
    pub fact: Column,
    /// Its column, from 1.
    pub column: u32,
    /// What was expected.
    pub message: String,
}

/// Reads a list. `wishes` say which heading holds which fact, before what headings say themselves.
///
/// # Errors
/// Everything that keeps it from being read, each with its place.
pub fn read(text: &str, wishes: &BTreeMap<String, Column>) -> Result<List, Vec<FieldError>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        // Rows that are too long or too short are told with all other faults.
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut records = reader.records().map(|record| record.map_err(unreadable));
    let headings = match records.next() {
        None => return Err(vec![fault(1, 1, "a line of headings")]),
        Some(record) => record.map_err(|error| vec![error])?,
    };
    let (facts, ignored) = assign(&headings, wishes)?;
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for record in records {
        match record.and_then(|record| row(&record, headings.len(), &facts)) {
            Ok(row) if row.values.is_empty() && row.bad.is_empty() => {}
            Ok(row) => rows.push(row),
            Err(error) => faults.push(error),
        }
        if rows.len() > ROWS {
            let line = rows.last().map_or(0, |row| row.line);
            faults.push(fault(line, 1, &format!("at most {ROWS} rows")));
        }
        if faults.len() >= FAULTS || rows.len() > ROWS {
            break;
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let heading = |(at, fact): &(usize, Column)| ReadColumn {
        heading: headings[*at].to_owned(),
        fact: *fact,
    };
    Ok(List {
        columns: facts.iter().map(heading).collect(),
        ignored,
        rows,
    })
}

/// What stands between the headings most often.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |mark: &u8| first.bytes().filter(|byte| byte == mark).count();
    // Of equals the last wins: the comma.
    let marks = [b'\t', b';', b','];
    marks.into_iter().max_by_key(count).unwrap_or(b',')
}

fn fault(line: u32, column: u32, message: &str) -> FieldError {
    FieldError {
        line: Some(line),
        column: Some(column),
        ..FieldError::new("text", message)
    }
}

fn unreadable(error: csv::Error) -> FieldError {
    let line = error.position().map_or(1, |place| short(place.line()));
    fault(line, 1, &format!("CSV: {error}"))
}

fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

type Assigned = (Vec<(usize, Column)>, Vec<String>);

/// Which column holds which fact.
fn assign(
    headings: &StringRecord,
    wishes: &BTreeMap<String, Column>,
) -> Result<Assigned, Vec<FieldError>> {
    if headings.len() > COLUMNS {
        return Err(vec![fault(1, 1, &format!("at most {COLUMNS} columns"))]);
    }
    let (mut facts, mut ignored, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen: HashMap<Column, &str> = HashMap::new();
    for (at, heading) in headings.iter().enumerate() {
        let wish = wishes.get(heading.trim()).copied();
        let Some(fact) = wish.or_else(|| by_heading(heading)) else {
            ignored.push(heading.to_owned());
            continue;
        };
        if let Some(before) = seen.insert(fact, heading) {
            let name = fact.name();
            let message = format!(
                "`{before}` and `{heading}` both hold `{name}`: say in `columns` which does"
            );
            faults.push(fault(1, short(at as u64 + 1), &message));
        }
        facts.push((at, fact));
    }
    let known = |wish: &&String| {
        !headings
            .iter()
            .any(|heading| heading.trim() == wish.as_str())
    };
    for wish in wishes.keys().filter(known) {
        let message = "the list has no such heading";
        faults.push(FieldError::new(format!("columns.{wish}"), message));
    }
    if !seen.contains_key(&Column::Tag) {
        let message = "a heading for the asset tag; say in `columns` which it is";
        faults.push(fault(1, 1, message));
    }
    if faults.is_empty() {
        Ok((facts, ignored))
    } else {
        Err(faults)
    }
}

/// The fact that a heading names, in the ways that hospitals write it.
fn by_heading(heading: &str) -> Option<Column> {
    let plain: String = heading
        .chars()
        .filter(|c| c.is_alphanumeric())
        .collect::<String>()
        .to_lowercase();
    let column = match plain.as_str() {
        "tag" | "assettag" | "assetnumber" | "assetno" | "assetid" | "inventorynumber"
        | "inventoryno" => Column::Tag,
        "cmms" | "cmmsnumber" | "cmmsno" | "cmmsid" | "controlnumber" => Column::CmmsNumber,
        "serial" | "serialnumber" | "serialno" | "sn" => Column::Serial,
        "udi" | "uniquedeviceidentifier" => Column::Udi,
        "maker" | "manufacturer" | "vendor" | "brand" => Column::Maker,
        "model" | "modelname" | "modelnumber" => Column::Model,
        "department" | "ownerdepartment" | "owner" | "owningdepartment" => Column::Department,
        "hostname" | "host" | "dnsname" => Column::Hostname,
        "mac" | "macs" | "macaddress" | "macaddresses" => Column::Macs,
        "site" | "campus" | "facility" => Column::Site,
        "building" => Column::Building,
        "floor" | "level" => Column::Floor,
        "ward" | "unit" => Column::Ward,
        "room" => Column::Room,
        "bed" => Column::Bed,
        "notes" | "note" | "comment" | "comments" | "remarks" => Column::Notes,
        _ => return None,
    };
    Some(column)
}

fn row(
    record: &StringRecord,
    width: usize,
    facts: &[(usize, Column)],
) -> Result<ListRow, FieldError> {
    let line = record.position().map_or(0, |place| short(place.line()));
    let blank = record.iter().all(|cell| cell.trim().is_empty());
    if record.len() != width && !blank {
        let found = record.len();
        let message = format!("{width} cells, as the first line has; this one has {found}");
        return Err(fault(line, short(found.min(width) as u64), &message));
    }
    let (mut values, mut bad) = (BTreeMap::new(), Vec::new());
    for (at, fact) in facts {
        let cell = record.get(*at).unwrap_or_default();
        match value(*fact, cell) {
            Ok(Some(value)) => drop(values.insert(*fact, value)),
            Ok(None) => {}
            Err(message) => bad.push(BadCell {
                fact: *fact,
                column: short(*at as u64 + 1),
                message,
            }),
        }
    }
    Ok(ListRow { line, values, bad })
}

/// What a cell says.
fn value(fact: Column, cell: &str) -> Result<Option<String>, String> {
    // Our own exports, and those of others, guard texts that a spreadsheet would compute.
    let cell = match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(FORMULA) => rest,
        _ => cell,
    };
    let cell = cell.trim();
    let nothing = cell.to_lowercase();
    if cell.is_empty() || (fact != Column::Notes && NOTHING.contains(&nothing.as_str())) {
        return Ok(None);
    }
    if fact == Column::Macs {
        return macs(cell).map(Some);
    }
    let mut errors = Vec::new();
    fact.check("", cell, &mut errors);
    match errors.into_iter().next() {
        Some(error) => Err(error.message),
        None => Ok(Some(cell.to_owned())),
    }
}

fn macs(cell: &str) -> Result<String, String> {
    let parts = cell.split([' ', ',', ';', '/', '|', '\n', '\t']);
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    let mut macs = Vec::new();
    for part in &parts {
        macs.push(mac_of(part).ok_or_else(|| NO_MAC.to_owned())?);
    }
    macs.sort();
    macs.dedup();
    if macs.len() > MACS {
        return Err(format!("at most {MACS} MAC addresses"));
    }
    Ok(macs.join(" "))
}

/// With one of these a cell begins that a spreadsheet computes.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A text as a cell that no spreadsheet computes.
pub fn cell(text: &str) -> String {
    if text.starts_with(FORMULA) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(text: &str) -> List {
        read(text, &BTreeMap::new()).expect("a list")
    }

    #[test]
    fn headings_are_found_whatever_stands_between_them() {
        let list =
            good("\u{feff}Asset Tag;Serial No.;MAC Address;Colour\nA-1;S;0009.fb00.0001;red\n");
        let facts: Vec<_> = list.columns.iter().map(|column| column.fact).collect();
        assert_eq!(facts, [Column::Tag, Column::Serial, Column::Macs]);
        assert_eq!(list.ignored, ["Colour"]);
        assert_eq!(list.rows[0].values[&Column::Macs], "00:09:fb:00:00:01");
        assert_eq!(list.rows[0].line, 2);
    }

    #[test]
    fn empty_cells_and_lines_say_nothing() {
        let list = good("tag,serial\nA-1,N/A\n,\n\nA-2,7\n");
        assert_eq!(list.rows.len(), 2);
        assert_eq!(list.rows[0].values.len(), 1);
    }

    #[test]
    fn faults_have_their_place() {
        let faults = read("tag,serial\nA-1\nA-2,7,8\n", &BTreeMap::new()).expect_err("ragged");
        let places: Vec<_> = faults
            .iter()
            .map(|fault| (fault.line, fault.column))
            .collect();
        assert_eq!(places, [(Some(2), Some(1)), (Some(3), Some(2))]);
        assert!(read("", &BTreeMap::new()).is_err());
        let twice = read("tag,owner,department\n", &BTreeMap::new()).expect_err("twice");
        assert_eq!(twice[0].column, Some(3));
        let bad = good("tag,mac\nA-1,00:09\n");
        assert_eq!(
            (bad.rows[0].bad[0].fact, bad.rows[0].bad[0].column),
            (Column::Macs, 2)
        );
    }

    #[test]
    fn a_wish_goes_before_the_heading() {
        let wishes = BTreeMap::from([("Inventar-Nr.".to_owned(), Column::Tag)]);
        let list = read("Inventar-Nr.,mac\nA-1,\n", &wishes).expect("a list");
        assert_eq!(list.rows[0].values[&Column::Tag], "A-1");
        let unknown = BTreeMap::from([("Nr".to_owned(), Column::Tag)]);
        assert!(read("tag\nA-1\n", &unknown).is_err());
    }

    #[test]
    fn what_was_guarded_comes_back() {
        let guarded = cell("=1+1");
        assert_eq!(guarded, "'=1+1");
        let list = good(&format!("tag,notes\nA-1,{guarded}\n"));
        assert_eq!(list.rows[0].values[&Column::Notes], "=1+1");
        assert_eq!(cell("A-1"), "A-1");
    }

    #[test]
    fn too_many_rows_are_refused() {
        let mut text = "tag\n".to_owned();
        for number in 0..=ROWS {
            text.push_str(&format!("{number}\n"));
        }
        let faults = read(&text, &BTreeMap::new()).expect_err("too many");
        assert_eq!(faults[0].line, Some(20_002));
    }
}
