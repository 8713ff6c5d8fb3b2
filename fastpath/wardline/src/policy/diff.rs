//! What would change, item by item, in the words of the document.

use std::io::Write;

use serde::Serialize;
use serde_json::Value;

use crate::cli::{ControlArgs, DiffArgs};
use crate::control::Link;
use crate::failure::Failure;
use crate::policy::source::Source;
use crate::table::printable;

/// One difference: added without `before`, taken out without `after`.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Change {
    /// Keys down to the place; members of lists by their name: `devices[pump-1].mode`.
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

pub(crate) fn run(
    control: &ControlArgs,
    args: &DiffArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let after = value(&Source::read(&args.policy)?)?;
    let before = match &args.from {
        Some(path) => value(&Source::read(path)?)?,
        None => {
            let in_force = Link::open(&control.socket)?.call(|client| client.policy_show())?;
            if in_force.policy.text.is_empty() {
                Value::Null
            } else {
                value(&Source::from_control(in_force.policy))?
            }
        }
    };
    let mut changes = Vec::new();
    compare("", &before, &after, &mut changes);
    if control.json {
        serde_json::to_writer_pretty(&mut *out, &changes)?;
        return Ok(writeln!(out)?);
    }
    if changes.is_empty() {
        writeln!(out, "Nothing would change.")?;
    }
    for change in &changes {
        writeln!(out, "{}", printable(&line(change)))?;
    }
    Ok(())
}

fn value(source: &Source) -> Result<Value, Failure> {
    Ok(serde_json::to_value(source.document()?)?)
}

fn line(change: &Change) -> String {
    let path = &change.path;
    match (&change.before, &change.after) {
        (None, Some(after)) => format!("+ {path}: {after}"),
        (Some(before), None) => format!("- {path}: {before}"),
        (Some(before), Some(after)) => format!("~ {path}: {before} becomes {after}"),
        (None, None) => format!("~ {path}: the order changes, and the first match decides"),
    }
}

/// Appends what differs. Documents nest a fixed number of levels, so the recursion is bounded.
fn compare(path: &str, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    let nothing = serde_json::Map::new();
    match (before, after) {
        (Value::Null, Value::Object(new)) => members(path, &nothing, new, changes),
        (Value::Object(old), Value::Object(new)) => members(path, old, new, changes),
        (Value::Array(old), Value::Array(new)) => match (keyed(old), keyed(new)) {
            (Some(old), Some(new)) => lists(path, &old, &new, changes),
            _ => changes.push(changed(path, Some(before), Some(after))),
        },
        _ => changes.push(changed(path, Some(before), Some(after))),
    }
}

fn members(
    path: &str,
    old: &serde_json::Map<String, Value>,
    new: &serde_json::Map<String, Value>,
    changes: &mut Vec<Change>,
) {
    let dot = if path.is_empty() { "" } else { "." };
    for (key, before) in old {
        let path = format!("{path}{dot}{key}");
        match new.get(key) {
            Some(after) => compare(&path, before, after, changes),
            None => changes.push(changed(&path, Some(before), None)),
        }
    }
    for (key, after) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        changes.push(changed(&format!("{path}{dot}{key}"), None, Some(after)));
    }
}

fn lists(path: &str, old: &[(&str, &Value)], new: &[(&str, &Value)], changes: &mut Vec<Change>) {
    let index = |list: &[(&str, &Value)]| -> std::collections::HashMap<String, usize> {
        let names = list.iter().enumerate();
        names
            .map(|(i, (name, _))| ((*name).to_owned(), i))
            .collect()
    };
    let (in_old, in_new) = (index(old), index(new));
    for (name, before) in old {
        let path = format!("{path}[{name}]");
        match in_new.get(*name) {
            Some(&i) => compare(&path, before, new[i].1, changes),
            None => changes.push(changed(&path, Some(before), None)),
        }
    }
    for (name, after) in new.iter().filter(|(name, _)| !in_old.contains_key(*name)) {
        changes.push(changed(&format!("{path}[{name}]"), None, Some(after)));
    }
    let kept = old.iter().filter_map(|(name, _)| in_new.get(*name));
    if !kept.is_sorted() {
        changes.push(changed(path, None, None));
    }
}

/// The members of a list by their names, if all have one and no two the same.
fn keyed(list: &[Value]) -> Option<Vec<(&str, &Value)>> {
    let named: Vec<(&str, &Value)> = list
        .iter()
        .map(|item| Some((item.get("name")?.as_str()?, item)))
        .collect::<Option<_>>()?;
    let unique: std::collections::HashSet<_> = named.iter().map(|(name, _)| name).collect();
    (unique.len() == named.len()).then_some(named)
}

fn changed(path: &str, before: Option<&Value>, after: Option<&Value>) -> Change {
    Change {
        path: path.to_owned(),
        before: before.cloned(),
        after: after.cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(before: &Value, after: &Value) -> Vec<String> {
        let mut changes = Vec::new();
        compare("", before, after, &mut changes);
        changes.iter().map(line).collect()
    }

    #[test]
    fn members_of_lists_are_found_by_name() {
        let before = json!({"devices": [{"name": "a", "mode": "observe"}, {"name": "b"}]});
        let after = json!({"devices": [{"name": "c"}, {"name": "a", "mode": "enforce"}]});
        assert_eq!(
            lines(&before, &after),
            [
                r#"~ devices[a].mode: "observe" becomes "enforce""#,
                r#"- devices[b]: {"name":"b"}"#,
                r#"+ devices[c]: {"name":"c"}"#,
            ]
        );
    }

    #[test]
    fn a_changed_order_of_rules_is_a_change() {
        let before = json!({"rules": [{"name": "a"}, {"name": "b"}]});
        let after = json!({"rules": [{"name": "b"}, {"name": "a"}]});
        let found = lines(&before, &after);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("~ rules: the order changes"),
            "{found:?}"
        );
        assert!(lines(&after, &after).is_empty());
    }

    #[test]
    fn values_and_lists_without_names_are_compared_whole() {
        assert_eq!(
            lines(&json!({"ports": [1, 2]}), &json!({"ports": [1]})),
            ["~ ports: [1,2] becomes [1]"]
        );
        assert_eq!(
            lines(&Value::Null, &json!({"version": 1})),
            ["+ version: 1"]
        );
    }
}
