//! What is published about the language is true of it.

use std::path::{Path, PathBuf};

use wardline_policy::diff::diff;
use wardline_policy::schema::json_schema;
use wardline_policy::{Document, Format, Reason, compile, parse};

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(docs(name)).unwrap_or_default()
}

/// Regenerate with `UPDATE_SCHEMA=1 cargo test -p wardline-policy --test published`.
#[test]
fn the_published_schema_is_that_of_the_types() {
    let schema = serde_json::to_string_pretty(&json_schema()).expect("a schema is JSON") + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(docs("policy.schema.json"), &schema).expect("docs can be written");
    }
    assert!(
        read("policy.schema.json") == schema,
        "run with UPDATE_SCHEMA=1 and commit the result"
    );
}

/// The first block of TOML in the documentation: the complete example.
fn example() -> String {
    let page = read("policy.md");
    let (_, rest) = page
        .split_once("```toml\n")
        .expect("the page has an example");
    rest.split_once("```")
        .expect("the example ends")
        .0
        .to_owned()
}

#[test]
fn the_documented_example_compiles_without_a_warning() {
    let (document, warnings) = match parse(&example(), Format::Toml, "policy.md") {
        Ok(parsed) => parsed,
        Err(errors) => panic!("{errors}"),
    };
    assert_eq!(warnings, []);
    compile(&document, 1_795_000_000).expect("it compiles");
}

/// The example shows everything: each key of each table of the language stands in it.
#[test]
fn the_documented_example_names_every_key() {
    let example = format!("\n{}", example());
    let schema = json_schema();
    let definitions = schema["$defs"].as_object().expect("definitions");
    let tables = definitions.values().chain([&schema]);
    let mut keys: Vec<&str> = tables
        .filter_map(|table| table["properties"].as_object())
        .flat_map(|properties| properties.keys().map(String::as_str))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let names = |key: &&str| {
        let stands = |before: char, after: &str| example.contains(&format!("{before}{key}{after}"));
        ['\n', ' ', '[', '.']
            .iter()
            .any(|c| [" =", "]", "."].iter().any(|end| stands(*c, end)))
    };
    let missing: Vec<&str> = keys.into_iter().filter(|key| !names(key)).collect();
    assert!(missing.is_empty(), "not shown: {missing:?}");
}

#[test]
fn a_document_survives_the_way_through_both_formats() {
    let (document, _) = parse(&example(), Format::Toml, "policy.md").expect("the example is right");
    let toml = toml::to_string(&document).expect("a document is TOML");
    let json = serde_json::to_string_pretty(&document).expect("a document is JSON");
    for (text, format) in [(toml, Format::Toml), (json, Format::Json)] {
        let (again, _) = parse(&text, format, "again").expect("our own text");
        assert!(
            again == document,
            "{format:?}: {:?}",
            diff(&document, &again)
        );
    }
}

#[test]
fn the_default_baseline_can_be_written_down_and_edited() {
    let document = Document::new("defaults");
    let text = toml::to_string(&document).expect("a document is TOML");
    assert!(text.contains("name = \"neighbour-discovery-in\""), "{text}");
    assert!(
        text.contains("ff02::1:2"),
        "every network of the baseline is read"
    );
    let (again, warnings) = parse(&text, Format::Toml, "again").expect("our own text");
    assert_eq!((again, warnings), (document, Vec::new()));
}

#[test]
fn the_documented_reasons_are_those_of_the_program() {
    let page = read("policy.md");
    let (_, table) = page
        .split_once("<!-- reasons -->\n")
        .expect("the table begins");
    let (table, _) = table
        .split_once("<!-- /reasons -->")
        .expect("the table ends");
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let expected: Vec<String> = Reason::ALL
        .iter()
        .map(|reason| {
            let class = serde_json::to_string(&reason.class()).expect("a class has a name");
            let sentence = reason.sentence().trim();
            format!(
                "| `{}` | {} | {sentence} |",
                reason.name(),
                class.trim_matches('"')
            )
        })
        .collect();
    assert_eq!(rows, expected, "\n{}\n", expected.join("\n"));
}

#[test]
fn a_difference_reads_like_a_sentence() {
    let (old, _) = parse(&example(), Format::Toml, "policy.md").expect("the example is right");
    let mut new = old.clone();
    new.devices[0].mode = Some(wardline_policy::Mode::Isolate);
    new.devices.remove(1);
    let role = new.roles.get_mut("modality").expect("the example has it");
    role.rules.swap(0, 1);
    role.rules.pop();
    role.rules[0].ports = None;
    new.groups
        .insert("printers".into(), new.groups["pacs"].clone());
    new.defaults.unlisted_role = None;
    let told: Vec<String> = diff(&old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "~ defaults: unlisted_role unknown → nothing",
            "+ group printers",
            "- role modality / rule ping: allow icmp from group biomed, echo-request 3/4 13",
            "~ role modality / rule storage-commitment: ports 11112 → nothing",
            "~ role modality: order of rules store, storage-commitment → storage-commitment, store",
            "- device monitor-12: 00:00:5e:00:53:0c",
            "~ device ct-1: mode enforce → isolate",
        ]
    );
    assert_eq!(diff(&old, &old), []);
}
