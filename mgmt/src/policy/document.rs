//! A policy document with its text, its digests, and edits that leave the rest of the text alone.

use std::io::{Read as _, Write as _};

use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use wardline_control::PolicyFormat;
use wardline_policy::diagnostic::Diagnostic;
use wardline_policy::{Format, content_id};

use super::patch;
use crate::api::problem::FieldError;
use crate::time::Time;

/// Bytes of a document that is taken from a client: some thirty thousand devices that follow
/// roles. Larger ones are applied with the command line.
pub const DOCUMENT_BYTES: usize = 8 * 1024 * 1024;

/// Errors that are told of one document.
const ERRORS: usize = 200;

/// A document that was read and checked.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it says.
    pub parsed: wardline_policy::Document,
    /// How it is written.
    pub format: PolicyFormat,
    /// The text.
    pub text: String,
    /// The text, compressed.
    pub gzip: Vec<u8>,
    /// As the fast path computes it now.
    pub content_id: String,
    /// SHA-256 of the text, hexadecimal.
    pub text_digest: String,
    /// SHA-256 of what it says, whichever way it is written, hexadecimal.
    pub document_digest: String,
    /// What a person should look at.
    pub warnings: Vec<Diagnostic>,
}

impl Document {
    /// Reads and checks a text. Takes seconds for the largest.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn read(text: String, format: PolicyFormat) -> Result<Self, Vec<Diagnostic>> {
        let as_read = match format {
            PolicyFormat::Toml => Format::Toml,
            PolicyFormat::Json => Format::Json,
        };
        let (parsed, warnings) = wardline_policy::parse(&text, as_read, "").map_err(|e| e.0)?;
        let canonical = serde_json::to_vec(&parsed).map_err(|e| vec![in_memory(&e.to_string())])?;
        let gzip = compress(&text).map_err(|e| vec![in_memory(&e.to_string())])?;
        let now_s = u64::try_from(Time::now().seconds()).unwrap_or_default();
        Ok(Self {
            content_id: content_id(&parsed, now_s),
            text_digest: digest(text.as_bytes()),
            document_digest: digest(&canonical),
            gzip,
            parsed,
            format,
            text,
            warnings,
        })
    }

    /// The same with what it says changed; of the text only what differs is written anew.
    ///
    /// # Errors
    /// Everything that is wrong with what it would say.
    pub fn edited(&self, to: wardline_policy::Document) -> Result<Self, Vec<Diagnostic>> {
        if let Some(text) = self.patched(&to)
            && let Ok(document) = Self::read(text, self.format)
            && document.parsed == to
        {
            return Ok(document);
        }
        let text = match self.format {
            PolicyFormat::Json => serde_json::to_string_pretty(&to).map_err(|e| e.to_string()),
            PolicyFormat::Toml => toml_edit::ser::to_string_pretty(&to).map_err(|e| e.to_string()),
        };
        Self::read(text.map_err(|e| vec![in_memory(&e)])?, self.format)
    }

    fn patched(&self, to: &wardline_policy::Document) -> Option<String> {
        if self.format != PolicyFormat::Toml {
            return None;
        }
        let json = |document| -> Option<Json> { serde_json::to_value(document).ok() };
        patch::patch(&self.text, &json(&self.parsed)?, &json(to)?)
    }
}

/// A finding in the words of the API.
pub fn field_error(found: &Diagnostic) -> FieldError {
    FieldError {
        line: found.position.map(|place| place.line),
        column: found.position.map(|place| place.column),
        fix: found.fix.clone(),
        ..FieldError::new(found.path.clone(), found.message.clone())
    }
}

/// The first of many findings in the words of the API.
pub fn field_errors(found: &[Diagnostic]) -> Vec<FieldError> {
    found.iter().take(ERRORS).map(field_error).collect()
}

/// The text of a version.
///
/// # Errors
/// When what is kept is not what was written.
pub fn decompress(gzip: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    let most = wardline_control::bounds::POLICY_BYTES as u64;
    GzDecoder::new(gzip).take(most).read_to_string(&mut text)?;
    Ok(text)
}

fn compress(text: &str) -> std::io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes())?;
    gzip.finish()
}

/// SHA-256, hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

fn in_memory(message: &str) -> Diagnostic {
    Diagnostic {
        severity: wardline_policy::diagnostic::Severity::Error,
        file: String::new(),
        position: None,
        path: String::new(),
        message: message.to_owned(),
        fix: None,
    }
}

#[cfg(test)]
mod tests {
    use wardline_policy::Mode;

    use super::*;

    const WRITTEN: &str = "version = 1 # of the language\nname = \"ICU 3\"\n\n\
        # The pumps.\n[[devices]]\nname = \"pump-1\" # bed 1\nmac = \"00:09:fb:00:00:01\"\n\
        vlan = 10\nmode = \"observe\"\n\n[[devices]]\nname = \"pump-2\"\n\
        mac = \"00:09:fb:00:00:02\"\n";

    fn read(text: &str) -> Document {
        Document::read(text.to_owned(), PolicyFormat::Toml).expect("a document")
    }

    #[test]
    fn an_edit_leaves_the_rest_of_the_text_alone() {
        let before = read(WRITTEN);
        let mut to = before.parsed.clone();
        to.devices[0].mode = Some(Mode::Enforce);
        to.devices[0].owner = Some("biomed".to_owned());
        let mut third = to.devices[1].clone();
        third.name = "pump-3".to_owned();
        third.mac.0[5] = 3;
        to.devices.push(third);
        let after = before.edited(to.clone()).expect("it holds");
        assert_eq!(after.parsed, to);
        for kept in ["# of the language", "# The pumps.", "# bed 1", "vlan = 10"] {
            assert!(after.text.contains(kept), "{kept}:\n{}", after.text);
        }
        assert!(!after.text.contains("[baseline]"), "{}", after.text);
        assert_ne!(after.document_digest, before.document_digest);
    }

    #[test]
    fn the_same_in_json_has_the_same_digest() {
        let toml = read(WRITTEN);
        let json = serde_json::to_string(&toml.parsed).expect("JSON");
        let json = Document::read(json, PolicyFormat::Json).expect("the same");
        assert_eq!(json.document_digest, toml.document_digest);
        assert_eq!(json.content_id, toml.content_id);
        assert_ne!(json.text_digest, toml.text_digest);
        let mut to = json.parsed.clone();
        to.devices.clear();
        assert_eq!(json.edited(to.clone()).expect("it holds").parsed, to);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let text = WRITTEN.replace("observe", "obsrve");
        let found = Document::read(text, PolicyFormat::Toml).expect_err("wrong");
        let error = field_error(&found[0]);
        assert_eq!(
            (error.line, error.field.as_str()),
            (Some(9), "devices[0].mode")
        );
        assert!(error.column.is_some() && error.fix.is_some(), "{error:?}");
    }

    #[test]
    fn a_text_comes_back_as_it_was() {
        let gzip = compress(WRITTEN).expect("compressed");
        assert_eq!(decompress(&gzip).expect("a text"), WRITTEN);
        assert!(decompress(&gzip[..gzip.len() - 9]).is_err());
    }
}
