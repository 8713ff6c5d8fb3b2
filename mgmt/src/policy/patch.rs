//! Changes a TOML text where two readings of it differ, and leaves its comments and its order
//! alone everywhere else.

use serde_json::{Map, Value as Json};
use toml_edit::{
    Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value, value,
};

/// Lists that are written as tables with a heading each (`[[devices]]`).
const TABLES: [&str; 6] = [
    "assets",
    "devices",
    "ethertypes",
    "releases",
    "rules",
    "visits",
];
/// Tables of named things, and tables of their own, that are written with a heading.
const HEADED: [&str; 5] = ["baseline", "defaults", "groups", "island", "roles"];

/// The text with everything changed in which `new` differs from `old`, which is what the text says
/// now. None if the text is not of that shape. The result must be read again: this knows nothing
/// of what it means.
pub(super) fn patch(text: &str, old: &Json, new: &Json) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    table(document.as_table_mut(), old.as_object()?, new.as_object()?)?;
    Some(document.to_string())
}

fn table(
    there: &mut dyn TableLike,
    old: &Map<String, Json>,
    new: &Map<String, Json>,
) -> Option<()> {
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        there.remove(key);
    }
    for (key, new) in new {
        match (old.get(key), there.get_mut(key)) {
            (Some(old), _) if old == new => {}
            (Some(old), Some(item)) => change(item, key, old, new)?,
            _ => drop(there.insert(key, written(key, new)?)),
        }
    }
    Some(())
}

fn change(item: &mut Item, key: &str, old: &Json, new: &Json) -> Option<()> {
    if let (Json::Object(old), Json::Object(new), Some(there)) =
        (old, new, item.as_table_like_mut())
    {
        return table(there, old, new);
    }
    if let (Json::Array(old), Json::Array(new), Item::ArrayOfTables(there)) = (old, new, &mut *item)
    {
        return tables(there, old, new);
    }
    let mut changed = written(key, new)?;
    // What stands behind it on its line stays there.
    if let (Item::Value(before), Item::Value(after)) = (&*item, &mut changed) {
        *after.decor_mut() = before.decor().clone();
    }
    *item = changed;
    Some(())
}

fn tables(there: &mut ArrayOfTables, old: &[Json], new: &[Json]) -> Option<()> {
    // What left the middle of the list goes from the middle of the text, with its comments.
    let mut kept = Vec::new();
    for (index, before) in old.iter().enumerate().rev() {
        if old.len() > new.len() && !new.contains(before) {
            there.remove(index);
        } else {
            kept.insert(0, before);
        }
    }
    for (index, new) in new.iter().enumerate() {
        match (kept.get(index), there.get_mut(index)) {
            (Some(old), Some(_)) if *old == new => {}
            (Some(old), Some(there)) => table(there, old.as_object()?, new.as_object()?)?,
            _ => there.push(headed("", new.as_object()?)?),
        }
    }
    while there.len() > new.len() {
        there.remove(there.len() - 1);
    }
    Some(())
}

fn written(key: &str, new: &Json) -> Option<Item> {
    match new {
        Json::Array(list) if TABLES.contains(&key) => {
            let mut tables = ArrayOfTables::new();
            for one in list {
                tables.push(headed("", one.as_object()?)?);
            }
            Some(Item::ArrayOfTables(tables))
        }
        Json::Object(fields) if HEADED.contains(&key) => Some(Item::Table(headed(key, fields)?)),
        other => inline(other).map(value),
    }
}

fn headed(name: &str, fields: &Map<String, Json>) -> Option<Table> {
    let mut table = Table::new();
    for (key, field) in fields {
        let item = match field {
            // Whatever is named there has a heading of its own: `[roles.monitor]`.
            Json::Object(fields) if matches!(name, "groups" | "roles") => {
                Item::Table(headed("", fields)?)
            }
            other => written(key, other)?,
        };
        table.insert(key, item);
    }
    Some(table)
}

fn inline(new: &Json) -> Option<Value> {
    Some(match new {
        Json::Null => return None,
        Json::Bool(yes) => Value::from(*yes),
        Json::Number(number) => Value::from(number.as_i64()?),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(list) => {
            let values: Option<Array> = list.iter().map(inline).collect();
            Value::Array(values?)
        }
        Json::Object(fields) => {
            let mut table = InlineTable::new();
            for (key, field) in fields {
                table.insert(key, inline(field)?);
            }
            Value::InlineTable(table)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_written() {
        let text = "a = 1 # one\nb = { c = 2 } # two\n\n# first\n[[devices]]\nname = \"x\"\n\n\
                    # second\n[[devices]]\nname = \"y\"\n";
        let old = json!({ "a": 1, "b": { "c": 2 }, "d": 0,
            "devices": [{ "name": "x" }, { "name": "y" }] });
        let new = json!({ "a": 3, "b": { "c": 2, "e": [true] }, "d": 0,
            "devices": [{ "name": "y", "note": "n" }], "island": { "active": false } });
        let patched = patch(text, &old, &new).expect("it is of that shape");
        assert!(
            patched.starts_with("a = 3 # one\nb = { c = 2 , e = [true] } # two\n")
                || patched.starts_with("a = 3 # one\nb = { c = 2, e = [true] } # two\n"),
            "{patched}"
        );
        let read: Json = toml_edit::de::from_str(&patched).expect("TOML");
        let mut expected = new.clone();
        expected.as_object_mut().expect("a table").remove("d");
        assert_eq!(read, expected, "{patched}");
    }

    #[test]
    fn another_shape_is_not_forced() {
        let (old, new) = (json!({ "a": [1] }), json!({ "a": null }));
        assert_eq!(patch("a = [1]\n", &old, &new), None);
        assert_eq!(patch("a =", &old, &new), None);
    }
}
