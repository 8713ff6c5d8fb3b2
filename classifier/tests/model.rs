//! Models: what the one that is built in answers, and which ones are refused.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use wardline_classifier::features::{COUNT, Features};
use wardline_classifier::model::{
    Bundle, GraphFault, Manifest, Model, Refusal, Session, Signer, Trust, Window,
};
use wardline_policy::MacAddr;

/// Largest difference to onnxruntime, relative for numbers above 1.
const DIFFERENCE: f32 = 1e-5;
const VECTORS: usize = 1_024;
const VECTOR_SEED: u64 = 5;
const SECRET: [u8; 32] = [7; 32];

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// A copy of the project's model that a test may spoil and sign again.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(models().join("wardline")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        Self(folder)
    }

    /// Signed again by the tests' own key, with this version.
    fn sealed(self, version: u64) -> Self {
        let manifest = self.manifest();
        Signer::new(&SECRET)
            .seal(self.path(), version, manifest.heads)
            .unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn manifest(&self) -> Manifest {
        serde_json::from_slice(&fs::read(self.path().join("manifest.json")).unwrap()).unwrap()
    }

    fn edit(self, file: &str, edit: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Self {
        let path = self.path().join(file);
        fs::write(&path, edit(fs::read(&path).unwrap())).unwrap();
        self
    }

    fn load(&self) -> Result<Model, Refusal> {
        Model::load(self.path(), &trust())
    }
}

fn trust() -> Trust {
    Trust::keys([Signer::new(&SECRET).public_half().as_str()]).unwrap()
}

fn replace(text: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(from), "nothing to replace");
    text.replacen(from, to, 1).into_bytes()
}

/// The numbers of `random_vectors` in `models/training/export.py`.
fn vectors() -> Vec<Features> {
    let mut state = VECTOR_SEED;
    let mut number = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    };
    (0..VECTORS)
        .map(|_| std::array::from_fn::<f32, COUNT, _>(|_| number()))
        .collect()
}

#[test]
fn tract_answers_as_onnxruntime_did() {
    let model = Arc::new(Model::built_in().unwrap());
    let heads = &model.manifest().heads;
    let width = heads.types.len() + heads.roles.len();
    let bytes = fs::read(models().join("parity.f32")).unwrap();
    let (numbers, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty() && numbers.len() == VECTORS * width);
    let mut session = Session::new(model).unwrap();
    let vectors = vectors();
    // All at once, and one by one: the plans for 32, for 8 and for 1.
    let mut answers = session.raw(&vectors).unwrap();
    answers.extend(session.raw(&vectors[..8]).unwrap());
    for vector in &vectors[..64] {
        answers.extend(session.raw(&[*vector]).unwrap());
    }
    let order = (0..VECTORS).chain(0..8).chain(0..64);
    let mut most = 0f32;
    for (answer, vector) in answers.iter().zip(order) {
        assert_eq!(answer.len(), width);
        for (ours, theirs) in answer.iter().zip(&numbers[vector * width..]) {
            let theirs = f32::from_le_bytes(*theirs);
            most = most.max((ours - theirs).abs() / theirs.abs().max(1.0));
        }
    }
    println!("largest difference {most:e}");
    assert!(most <= DIFFERENCE, "{most}");
}

#[test]
fn an_opinion_of_nothing_said_is_no_type() {
    let model = Arc::new(Model::built_in().unwrap());
    let mut session = Session::new(model).unwrap();
    let window = Window::new([0.0; COUNT], [], MacAddr::default());
    let opinion = session.opinion(&window).unwrap();
    assert!(opinion.novelty > 0.5, "{}", opinion.novelty);
    let sum: f64 = opinion.roles.iter().map(|(_, chance)| chance).sum();
    assert!((sum - 1.0).abs() < 1e-3, "{sum}");
}

#[test]
fn a_model_signed_again_by_a_trusted_key_passes() {
    let copy = Copy::new().sealed(3);
    assert_eq!(copy.load().unwrap().manifest().version, 3);
}

#[test]
fn what_is_not_as_it_was_signed_is_refused() {
    let unsigned = Copy::new();
    assert!(
        matches!(unsigned.load(), Err(Refusal::Unsigned)),
        "another's key"
    );

    let copy = Copy::new()
        .sealed(3)
        .edit("manifest.json", |text| replace(text, "3", "4"));
    assert!(matches!(copy.load(), Err(Refusal::Unsigned)));

    let copy = Copy::new()
        .sealed(3)
        .edit("manifest.sig", |_| b"no digits".to_vec());
    assert!(matches!(copy.load(), Err(Refusal::Unsigned)));

    // Every file there is but the list itself: what it left out could be anything.
    let names = fs::read_dir(models().join("wardline")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: Vec<String> = names
        .filter(|name| !name.starts_with("manifest."))
        .collect();
    assert!(
        files.iter().any(|name| name == "prototypes.json"),
        "{files:?}"
    );
    for file in &files {
        let copy = Copy::new().sealed(3).edit(file, |mut bytes| {
            bytes.push(b' ');
            bytes
        });
        match copy.load() {
            Err(Refusal::Changed { file: named }) => assert_eq!(named, *file),
            other => panic!("{file}: {other:?}"),
        }
    }
}

#[test]
fn a_missing_or_oversized_file_is_refused() {
    let copy = Copy::new().sealed(3);
    fs::remove_file(copy.path().join("lexicon.json")).unwrap();
    assert!(matches!(copy.load(), Err(Refusal::Unreadable { .. })));

    let copy = Copy::new()
        .sealed(3)
        .edit("calibration.json", |_| vec![b' '; 1 << 20]);
    assert!(matches!(
        copy.load(),
        Err(Refusal::Oversized {
            file: "calibration.json",
            ..
        })
    ));
}

#[test]
fn a_signed_model_that_makes_no_sense_is_refused() {
    let other_answers = |text| replace(text, "\"outputs\":[[", "\"outputs\":[[9e9,");
    let copy = Copy::new().edit("golden.json", other_answers).sealed(3);
    assert!(matches!(
        copy.load(),
        Err(Refusal::Golden { vector: 0, .. })
    ));

    let copy = Copy::new()
        .edit("golden.json", |_| b"{\"vectors\":[]}".to_vec())
        .sealed(3);
    assert!(matches!(
        copy.load(),
        Err(Refusal::Nonsense {
            file: "golden.json",
            ..
        })
    ));

    let copy = Copy::new()
        .edit("calibration.json", |_| b"{\"enter\": 7}".to_vec())
        .sealed(3);
    assert!(matches!(
        copy.load(),
        Err(Refusal::Nonsense {
            file: "calibration.json",
            ..
        })
    ));

    let copy = Copy::new()
        .edit("model.onnx", |_| b"not a graph".to_vec())
        .sealed(3);
    assert!(matches!(copy.load(), Err(Refusal::Graph(_))));

    // The same number of letters, so that the file stays a valid protocol buffer.
    let copy = Copy::new()
        .edit("model.onnx", |mut bytes| {
            let place = bytes.windows(4).position(|word| word == b"Relu").unwrap();
            bytes[place..place + 4].copy_from_slice(b"Tanh");
            bytes
        })
        .sealed(3);
    match copy.load() {
        Err(Refusal::Graph(GraphFault::Operator(name))) => assert_eq!(name, "Tanh"),
        other => panic!("{other:?}"),
    }

    let copy = Copy::new();
    let mut heads = copy.manifest().heads;
    heads.types.pop();
    Signer::new(&SECRET).seal(copy.path(), 3, heads).unwrap();
    assert!(copy.load().is_err(), "one type fewer than the graph");
}

#[test]
fn a_model_for_other_features_is_refused() {
    let copy = Copy::new();
    let mut manifest = copy.manifest();
    manifest.schema = "0".repeat(64);
    let text = serde_json::to_vec(&manifest).unwrap();
    let signer = Signer::new(&SECRET);
    fs::write(copy.path().join("manifest.json"), &text).unwrap();
    fs::write(copy.path().join("manifest.sig"), signer.signature(&text)).unwrap();
    assert!(matches!(copy.load(), Err(Refusal::Schema)));
}

#[test]
fn an_older_model_may_not_replace_a_newer_one() {
    let [older, newer] = [4, 5].map(|version| Copy::new().sealed(version).load().unwrap());
    match older.may_replace(&newer) {
        Err(Refusal::Older { offered, current }) => assert_eq!((offered, current), (4, 5)),
        other => panic!("{other:?}"),
    }
    newer.may_replace(&older).unwrap();
    newer.may_replace(&newer).unwrap();
}

#[test]
fn a_model_that_passed_is_written_as_it_was_and_names_its_signer() {
    let good = Copy::new().sealed(5);
    let bundle = Bundle::read(good.path(), &trust()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for (name, bytes) in bundle.files() {
        fs::write(elsewhere.path().join(name), bytes).unwrap();
    }
    let again = Bundle::read(elsewhere.path(), &trust()).unwrap();
    assert_eq!((again.id(), &again.key_id), (bundle.id(), &bundle.key_id));
    assert!(bundle.id().starts_with("5-"));
    assert_ne!(bundle.key_id, Model::built_in().unwrap().key_id());
}

#[test]
fn a_spoilt_graph_never_brings_the_program_down() {
    let copy = Copy::new();
    let whole = fs::read(copy.path().join("model.onnx")).unwrap();
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    for round in 0..300 {
        let mut bytes = whole.clone();
        // Structure is at the beginning and the end, weights in between.
        for _ in 0..=random(3) {
            let edge = random(600);
            let place = if round % 2 == 0 {
                edge
            } else {
                bytes.len() - 1 - edge
            };
            bytes[place] = random(256) as u8;
        }
        if round % 5 == 0 {
            bytes.truncate(random(whole.len()));
        }
        fs::write(copy.path().join("model.onnx"), &bytes).unwrap();
        let heads = copy.manifest().heads;
        Signer::new(&SECRET).seal(copy.path(), 3, heads).unwrap();
        let loaded = Bundle::read(copy.path(), &trust()).and_then(|bundle| Model::new(&bundle));
        if loaded.is_ok() {
            // What passes answers the golden vectors: only names or unused bytes were changed.
            continue;
        }
    }
}
