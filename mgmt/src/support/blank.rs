//! Takes the texts out of a JSON value, but for those that are known to tell nothing of anybody.

use serde_json::Value as Json;

/// Numbers, booleans and the shape stay; a text stays only if its dotted path is among `plain`
/// (`*` stands for any member or element). A key that is new is blanked until somebody thinks
/// about it.
pub(super) fn blank(value: &Json, plain: &[&str]) -> Json {
    at(value, &mut Vec::new(), plain)
}

fn at<'a>(value: &'a Json, path: &mut Vec<&'a str>, plain: &[&str]) -> Json {
    match value {
        Json::String(text) if !is_plain(path, plain) => {
            Json::String(format!("({} bytes)", text.len()))
        }
        Json::Array(items) => {
            path.push("*");
            let blanked = items.iter().map(|item| at(item, path, plain)).collect();
            path.pop();
            Json::Array(blanked)
        }
        Json::Object(members) => {
            let mut blanked = serde_json::Map::new();
            for (key, member) in members {
                path.push(key);
                blanked.insert(key.clone(), at(member, path, plain));
                path.pop();
            }
            Json::Object(blanked)
        }
        other => other.clone(),
    }
}

fn is_plain(path: &[&str], plain: &[&str]) -> bool {
    plain.iter().any(|known| {
        let known: Vec<_> = known.split('.').collect();
        let fits = |(known, part): (&&str, &&str)| *known == "*" || known == part;
        known.len() == path.len() && known.iter().zip(path).all(fits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_known_to_be_plain_is_told() {
        let value = json!({ "log": { "level": "info", "file": "x" }, "keys": ["secret"],
            "hooks": [{ "kind": "syslog", "url": "https://user:pass@host" }], "days": 90 });
        assert_eq!(
            blank(&value, &["log.level", "hooks.*.kind"]),
            json!({ "log": { "level": "info", "file": "(1 bytes)" }, "keys": ["(6 bytes)"],
                "hooks": [{ "kind": "syslog", "url": "(22 bytes)" }], "days": 90 })
        );
    }
}
