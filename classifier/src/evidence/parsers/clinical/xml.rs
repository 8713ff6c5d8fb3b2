//! XML of devices as a sequence of elements, as far as it goes: what is cut off or broken ends it.

use core::ops::ControlFlow;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// Deepest element that is looked at.
const MAX_DEPTH: usize = 32;
/// Most events of one document.
const MAX_EVENTS: usize = 4_096;
/// Longest text of an element that is kept.
const MAX_TEXT: usize = 2_048;

/// Whether it may be XML, as far as it is there.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    start
        .trim_ascii_start()
        .first()
        .is_none_or(|&byte| byte == b'<')
}

/// Tells each element as it opens: its name without prefix, and the value of one attribute.
pub(super) fn opened(
    bytes: &[u8],
    attribute: &str,
    each: &mut dyn FnMut(&str, Option<&str>) -> ControlFlow<()>,
) {
    let mut reader = Reader::from_reader(bytes);
    for _ in 0..MAX_EVENTS {
        let done = match reader.read_event() {
            Ok(Event::Start(element) | Event::Empty(element)) => {
                let value = value_of(&element, attribute);
                each(name_of(&element), value.as_deref())
            }
            Ok(Event::Eof) | Err(_) => return,
            Ok(_) => ControlFlow::Continue(()),
        };
        if done.is_break() {
            return;
        }
    }
}

/// Tells each element as it closes: the names from the root to it, without prefixes, and its text.
pub(super) fn closed(bytes: &[u8], each: &mut dyn FnMut(&[String], &str)) {
    let mut reader = Reader::from_reader(bytes);
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    for _ in 0..MAX_EVENTS {
        match reader.read_event() {
            Ok(Event::Start(element)) => {
                path.push(name_of(&element).to_owned());
                text.clear();
            }
            Ok(Event::Empty(element)) => {
                path.push(name_of(&element).to_owned());
                each(&path, "");
                path.pop();
            }
            Ok(Event::Text(part)) => text.push_str(&part.xml10_content()),
            Ok(Event::CData(part)) => text.push_str(&part.xml10_content()),
            Ok(Event::GeneralRef(name)) => text.push(character(&name)),
            Ok(Event::End(_)) => {
                each(&path, text.trim());
                path.pop();
                text.clear();
            }
            Ok(Event::Eof) | Err(_) => return,
            Ok(_) => {}
        }
        if path.len() > MAX_DEPTH || text.len() > MAX_TEXT {
            return;
        }
    }
}

fn name_of<'a>(element: &'a BytesStart<'_>) -> &'a str {
    element.local_name().into_inner()
}

fn value_of(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = element.try_get_attribute(name).ok()??;
    let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
    Some(value.into_owned())
}

/// A reference to a character; to anything else a replacement stands for it.
fn character(reference: &quick_xml::events::BytesRef<'_>) -> char {
    match &**reference {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = reference.resolve_char_ref().ok().flatten();
            number.unwrap_or(char::REPLACEMENT_CHARACTER)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(xml: &str) -> Vec<String> {
        let mut found = Vec::new();
        closed(xml.as_bytes(), &mut |path, text| {
            found.push(format!("{}={text}", path.join("/")));
        });
        found
    }

    #[test]
    fn elements_close_with_their_path_and_text() {
        let xml = "<a:x xmlns:a='u'><b>1 &lt; &#50;</b><c/><![CDATA[t]]></a:x>";
        assert_eq!(texts(xml), ["x/b=1 < 2", "x/c=", "x=t"]);
    }

    #[test]
    fn what_is_cut_off_is_not_told() {
        assert_eq!(texts("<x><b>1</b><c>2"), ["x/b=1"]);
        assert!(texts(&"<x>".repeat(1000)).is_empty());
        assert!(texts("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;").is_empty());
    }
}
