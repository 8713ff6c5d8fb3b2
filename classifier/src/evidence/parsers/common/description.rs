//! The UPnP device description (UPnP Device Architecture 1.1, chapter 2), in which a device names
//! its maker and model to whoever asks over HTTP.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::private;
use crate::Field;

/// What is told; a friendly name only if it is the maker's.
const ELEMENTS: [&str; 8] = [
    "deviceType",
    "manufacturer",
    "modelName",
    "modelNumber",
    "modelDescription",
    "serialNumber",
    "firmwareVersion",
    FRIENDLY_NAME,
];
const FRIENDLY_NAME: &str = "friendlyName";
/// What the document is known by.
const MARK: &str = "urn:schemas-upnp-org:device-1-0";
/// Most texts of one document: a device may hold others.
const TEXTS_MAX: usize = 48;
/// Longest text kept while reading, in bytes.
const TEXT_MAX: usize = 512;

/// Reads as much of a body as has come, if it is a description.
pub(super) fn read(body: &[u8], tell: &mut dyn FnMut(Field, &str)) {
    if !body.trim_ascii_start().starts_with(b"<") {
        return;
    }
    let body = String::from_utf8_lossy(body);
    if !body.contains(MARK) {
        return;
    }
    let texts = texts(&body);
    for (name, text) in &texts {
        if *name != FRIENDLY_NAME || is_makers(text, &texts) {
            tell(Field::UpnpDescription, &format!("{name}={text}"));
        }
    }
}

/// Whether a friendly name looks as it left the factory: it holds a word of maker or model, and no
/// possessive.
fn is_makers(friendly: &str, texts: &[(&str, String)]) -> bool {
    let lower = friendly.to_lowercase();
    let of_somebody = lower.contains("'s") || lower.contains('\u{2019}') || lower.contains('@');
    let words = texts
        .iter()
        .filter(|(name, _)| ["manufacturer", "modelName", "modelNumber"].contains(name))
        .flat_map(|(_, text)| text.split_whitespace())
        .filter(|word| word.len() >= 3);
    !of_somebody
        && words
            .map(str::to_lowercase)
            .any(|word| lower.contains(&word))
}

/// Names and texts of the elements that have come whole.
fn texts(xml: &str) -> Vec<(&'static str, String)> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = false;
    let mut texts = Vec::new();
    let (mut open, mut text) = (None, String::new());
    while texts.len() < TEXTS_MAX {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let name = start.local_name().into_inner();
                open = ELEMENTS.iter().find(|wanted| **wanted == name).copied();
                text.clear();
            }
            Ok(Event::Text(part)) => append(&mut text, &part.xml10_content()),
            Ok(Event::CData(part)) => append(&mut text, &part.xml10_content()),
            Ok(Event::GeneralRef(reference)) => append(&mut text, &resolve(&reference)),
            Ok(Event::End(_)) => {
                if let Some(name) = open.take() {
                    texts.push((name, private::without_addresses(text.as_bytes())));
                }
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    texts.retain(|(_, text)| !text.is_empty());
    texts
}

fn append(text: &mut String, part: &str) {
    let room = TEXT_MAX.saturating_sub(text.len());
    text.extend(part.chars().take(room));
}

/// What one of the five entities of XML, or a number, stands for.
fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    let named = quick_xml::escape::resolve_predefined_entity(reference);
    named.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::withstands;

    fn told(body: &[u8]) -> Vec<String> {
        let mut told = Vec::new();
        read(body, &mut |field, text| {
            told.push(format!("{field} {text}"))
        });
        told
    }

    const HUE: &str = "<?xml version=\"1.0\"?>\n\
        <root xmlns=\"urn:schemas-upnp-org:device-1-0\"><specVersion><major>1</major></specVersion>\
        <device><deviceType>urn:schemas-upnp-org:device:Basic:1</deviceType>\
        <friendlyName>Philips hue (10.0.0.6)</friendlyName>\
        <manufacturer>Royal Philips &amp; Co</manufacturer>\
        <modelName>Philips hue bridge 2015</modelName><modelNumber>BSB002</modelNumber>\
        <UDN>uuid:2f402f80</UDN></device></root>";

    #[test]
    fn a_description_tells_maker_and_model() {
        assert_eq!(
            told(HUE.as_bytes()),
            [
                "upnp.description deviceType=urn:schemas-upnp-org:device:Basic:1",
                "upnp.description friendlyName=Philips hue (10.0.0.6)",
                "upnp.description manufacturer=Royal Philips & Co",
                "upnp.description modelName=Philips hue bridge 2015",
                "upnp.description modelNumber=BSB002",
            ]
        );
    }

    #[test]
    fn a_name_somebody_gave_is_not_told() {
        for name in ["Jane Doe", "Jane's hue bridge", "hue of jane@ward.example"] {
            let body = HUE.replace("Philips hue (10.0.0.6)", name);
            let told = told(body.as_bytes());
            assert!(!told.iter().any(|text| text.contains(name)), "{told:?}");
        }
    }

    #[test]
    fn other_documents_are_not_read() {
        let other = HUE.replace("schemas-upnp-org", "elsewhere");
        assert_eq!(told(other.as_bytes()), [""; 0]);
    }

    #[test]
    fn a_cut_description_tells_nothing_else() {
        let whole = HUE.replace("<friendlyName>Philips hue (10.0.0.6)</friendlyName>", "");
        withstands(whole.as_bytes(), |body| {
            told(body)
                .into_iter()
                .map(|text| (crate::About::Receiver, Field::UpnpDescription, text))
                .collect()
        });
    }
}
