//! The model is exchanged while the gateway runs: a good one is taken and remembered, a bad one
//! changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use wardline_classifier::model::{Manifest, Signer};
use wardline_control::{ClientError, ModelOrigin, ModelStatus, RefusedKind};

use crate::gateway::{Gateway, GatewayOptions};
use crate::lab::{Wire, WireOptions};
use crate::people::{speak, wait_for};

#[test]
fn a_good_model_is_taken_and_a_bad_one_leaves_it_in_use() {
    const TEST: &str = "a_good_model_is_taken_and_a_bad_one_leaves_it_in_use";
    let Some(wire) = Wire::new(TEST, WireOptions::default()) else {
        return;
    };
    let temp = tempfile::tempdir().expect("a directory");
    let mut gateway = Gateway::start(&wire, &GatewayOptions::default());
    speak(&gateway, &wire);
    let answers = |gateway: &Gateway| {
        wait_for(gateway, &wire, |identity| !identity.words.is_empty());
    };
    answers(&gateway);
    let first = in_use(&gateway);
    assert_eq!(first.origin, ModelOrigin::BuiltIn);

    let good = activate(&gateway, &copy(temp.path(), "good")).expect("it passes");
    let expected = (first.number, &first.key_id, ModelOrigin::Folder);
    assert_eq!((good.number, &good.key_id, good.origin), expected);

    let corrupt = copy(temp.path(), "corrupt");
    fs::write(corrupt.join("model.onnx"), b"not a graph").expect("written");
    let [unsigned, older] = ["unsigned", "older"].map(|name| copy(temp.path(), name));
    sign_again(&unsigned, first.number + 1);
    // Nobody else can make an older one that counts; what it says of itself is covered.
    let manifest = older.join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("readable");
    let version = |number| format!("\"version\": {number}");
    let text = text.replacen(&version(first.number), &version(first.number - 1), 1);
    fs::write(&manifest, text).expect("written");
    let bad = [
        (
            corrupt,
            "model.onnx of the model is not the file that was signed",
        ),
        (unsigned, "no trusted key"),
        (older, "no trusted key"),
        (temp.path().join("nowhere"), "cannot be read"),
        (PathBuf::from("good"), "absolute path"),
    ];
    for (folder, part) in bad {
        let Err(ClientError::Refused(refused)) = activate(&gateway, &folder) else {
            panic!("{} must be refused", folder.display());
        };
        assert_eq!(refused.kind, RefusedKind::Argument);
        assert!(refused.message.contains(part), "{refused}");
        assert_eq!(in_use(&gateway), good);
    }
    answers(&gateway);

    // The folder it came from is not needed again.
    fs::remove_dir_all(temp.path().join("good")).expect("removed");
    gateway.signal(Signal::KILL);
    gateway.wait();
    gateway.restart(&wire);
    gateway.wait_until_it_serves();
    answers(&gateway);
    assert_eq!(in_use(&gateway), good);
}

fn activate(gateway: &Gateway, folder: &Path) -> Result<ModelStatus, ClientError> {
    let folder = folder.display().to_string();
    gateway.ask(|c| async move { c.model_activate(Some(folder)).await })
}

fn in_use(gateway: &Gateway) -> ModelStatus {
    let status = gateway.ask(|c| async move { c.model_status().await });
    status.expect("one is in use")
}

/// The project's model.
fn copy(directory: &Path, name: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/wardline");
    let folder = directory.join(name);
    fs::create_dir(&folder).expect("a new folder");
    for entry in fs::read_dir(&project).expect("the project's model") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name");
        fs::copy(&path, folder.join(name)).expect("copied");
    }
    folder
}

/// By a key that the gateway does not trust.
fn sign_again(folder: &Path, number: u64) {
    let manifest = fs::read(folder.join("manifest.json")).expect("readable");
    let manifest: Manifest = serde_json::from_slice(&manifest).expect("a manifest");
    let signer = Signer::new(&[8; 32]);
    signer.seal(folder, number, manifest.heads).expect("signed");
}
