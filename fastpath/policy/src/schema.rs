//! The published JSON Schema of a policy document.

use crate::document::Document;

/// The schema (JSON Schema 2020-12) as it is published in `docs/policy.schema.json`.
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Document);
    schema.insert("title".to_owned(), "Wardline policy, version 1".into());
    schema.to_value()
}
