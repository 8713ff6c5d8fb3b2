//! Large TOML, device by device.
//!
//! The TOML parser keeps a tree of everything it has read, twenty times the size of the text. The
//! devices make up nearly all of a large document, and each of them stands alone: its text is
//! read by itself into a small tree, which is freed again. Anything but the plainest layout is
//! left to the reader of whole texts, and so is every error.

use serde::Deserialize;

use crate::document::{Device, Document};

/// The document, if it is laid out plainly and has no error.
///
/// A text is cut only in front of headers such as `[[devices]]` and `[roles.pump]` at the
/// beginning of a line, and not at all when it has strings over several lines. Elsewhere such a
/// line is an error in every reading, since a bare word is no value of a list. So every part means
/// by itself what it means in the whole, and what is refused in the whole (a table defined twice,
/// say) is refused in its part.
pub(crate) fn read(text: &str) -> Option<Document> {
    if ["\"\"\"", "'''"].iter().any(|quotes| text.contains(quotes)) {
        return None;
    }
    let (mut rest, devices) = split(text);
    let mut devices = devices.into_iter();
    // With one of the devices, so that their list cannot be there already.
    let first = devices.next();
    rest.push('\n');
    rest.extend(first);
    let mut document: Document = toml::from_str(&rest).ok()?;
    if document.devices.len() != usize::from(first.is_some()) {
        return None;
    }
    document.devices.reserve(devices.len());
    for part in devices {
        let part: Part = toml::from_str(part).ok()?;
        document.devices.extend(part.devices);
    }
    Some(document)
}

/// Text that says nothing but devices.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    devices: Vec<Device>,
}

/// Everything but the devices, and the devices one by one.
fn split(text: &str) -> (String, Vec<&str>) {
    let (mut rest, mut devices) = (String::new(), Vec::new());
    let (mut start, mut at, mut in_devices) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        if let Some(header) = header(line)
            && !(in_devices && header == Header::OfDevice)
        {
            take(&text[start..at], in_devices, &mut rest, &mut devices);
            in_devices = header != Header::Other;
            start = at;
        }
        at += line.len();
    }
    take(&text[start..], in_devices, &mut rest, &mut devices);
    (rest, devices)
}

fn take<'t>(part: &'t str, is_device: bool, rest: &mut String, devices: &mut Vec<&'t str>) {
    if is_device {
        devices.push(part);
    } else {
        rest.push_str(part);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    /// `[[devices]]`.
    Device,
    /// A table in a device, such as `[[devices.rules]]`.
    OfDevice,
    /// Another table of the document.
    Other,
}

/// The header of a table of the document, if the line is one.
fn header(line: &str) -> Option<Header> {
    /// Keys of a document that may hold a table.
    const TABLES: [&str; 7] = [
        "defaults", "groups", "roles", "baseline", "visits", "releases", "island",
    ];
    let inner = line.trim_start().strip_prefix('[')?;
    let (inner, is_list) = inner
        .strip_prefix('[')
        .map_or((inner, false), |i| (i, true));
    let inner = inner.trim_start();
    let end = inner.find(|c: char| !c.is_ascii_lowercase())?;
    let (key, after) = inner.split_at(end);
    let after = after.trim_start();
    match (key, after.starts_with('.'), after.starts_with(']')) {
        ("devices", false, true) if is_list => Some(Header::Device),
        ("devices", true, _) => Some(Header::OfDevice),
        (other, true, _) | (other, _, true) if TABLES.contains(&other) => Some(Header::Other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "version = 1\nname = \"x\"\n";
    const ONE: &str = "[[devices]]\nname = \"one\"\nmac = \"02:00:00:00:00:01\"\n";
    const TWO: &str = "[[ devices ]] # the other\nname = \"two\"\nmac = \"02:00:00:00:00:02\"\n";
    const RULE: &str =
        "  [[devices.rules]]\n  name = \"r\"\n  peer = \"any\"\n  protocol = \"tcp\"\n";
    const GROUP: &str = "[groups.a]\naddresses = [\n  \"10.0.0.1\",\n]\n";

    /// What both readers make of a text; what is read by parts must be what is read as a whole.
    fn both(parts: &[&str]) -> (Option<Document>, Option<Document>) {
        let text = parts.concat();
        (read(&text), toml::from_str(&text).ok())
    }

    #[test]
    fn plain_layouts_are_read_by_parts() {
        for parts in [
            &[HEAD][..],
            &[HEAD, ONE, TWO],
            &[HEAD, ONE, RULE, RULE, TWO, RULE],
            &[
                HEAD,
                GROUP,
                ONE,
                RULE,
                "[defaults]\nmode = \"enforce\"\n",
                TWO,
            ],
            &[HEAD, "note_is = 1\n"],
        ] {
            let (by_parts, whole) = both(parts);
            assert_eq!(by_parts, whole, "{parts:?}");
        }
        let (by_parts, _) = both(&[HEAD, ONE, RULE, GROUP, TWO]);
        let devices = by_parts.expect("it is plain").devices;
        assert_eq!([devices[0].rules.len(), devices[1].rules.len()], [1, 0]);
    }

    #[test]
    fn nothing_is_accepted_by_parts_that_is_refused_as_a_whole() {
        for parts in [
            // Defined twice.
            &[HEAD, GROUP, ONE, GROUP][..],
            &[HEAD, "devices = []\n", ONE],
            &[HEAD, "[devices]\n", ONE],
            &[HEAD, ONE, "name = \"again\"\n"],
            // Cut inside a list.
            &[
                HEAD,
                "[groups.a]\naddresses = [\n",
                ONE,
                "[groups.b]\naddresses = []\n",
            ],
            &[HEAD, "[groups.a]\naddresses = [\n", ONE, "]\n"],
            &[HEAD, ONE, "addresses = [\n", GROUP, TWO],
            // What would hide a device in a text.
            &[HEAD, "[groups.a]\ndescription = \"", ONE, "\"\n"],
            // A table of no device.
            &[HEAD, RULE, ONE],
        ] {
            let (by_parts, whole) = both(parts);
            assert_eq!((by_parts, whole), (None, None), "{parts:?}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_other_reader() {
        let text = "note = \"\"\"\n[[devices]]\n\"\"\"\n";
        for parts in [
            &[HEAD, ONE, text, TWO][..],
            &[HEAD, ONE, GROUP, RULE],
            &[
                HEAD,
                "[[\"devices\"]]\nname = \"q\"\nmac = \"02:00:00:00:00:03\"\n",
                ONE,
            ],
        ] {
            let (by_parts, whole) = both(parts);
            assert_eq!(by_parts, None, "{parts:?}");
            assert!(whole.is_some(), "{parts:?}");
        }
    }
}
