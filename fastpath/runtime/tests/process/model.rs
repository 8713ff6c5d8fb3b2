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

/// Above the version of any model that the program was built with.
const NUMBER: u64 = 1_000_000;

#[test]
fn a_good_model_is_taken_and_a_bad_one_leaves_it_in_use() {
    const TEST: &str = "a_good_model_is_taken_and_a_bad_one_leaves_it_in_use";
    let Some(wire) = Wire::new(TEST, WireOptions::default()) else {
        return;
    };
    let temp = tempfile::tempdir().expect("a directory");
    let (ours, theirs) = (Signer::new(&[7; 32]), Signer::new(&[8; 32]));
    let key = temp.path().join("hospital.pub");
    fs::write(&key, ours.public_half()).expect("written");
    let trust = format!("[classifier]\ntrust = {key:?}\n");
    let options = GatewayOptions {
        extra: &trust,
        ..GatewayOptions::default()
    };
    let mut gateway = Gateway::start(&wire, &options);
    speak(&gateway, &wire);
    let first = gateway
        .ask(|c| async move { c.model_status().await })
        .expect("in use");
    assert_eq!(first.origin, ModelOrigin::BuiltIn);

    let model = |name: &str, signer: &Signer, number| copy(&temp.path().join(name), signer, number);
    let good = activate(&gateway, &model("good", &ours, NUMBER)).expect("it passes");
    assert_eq!((good.number, good.origin), (NUMBER, ModelOrigin::Folder));
    assert_ne!(good.key_id, first.key_id);

    let unsigned = model("unsigned", &theirs, NUMBER + 1);
    let older = model("older", &ours, NUMBER - 1);
    let corrupt = model("corrupt", &ours, NUMBER + 1);
    fs::write(corrupt.join("model.onnx"), b"not a graph").expect("written");
    let bad = [
        (unsigned, "no trusted key"),
        (older, "versions do not go back"),
        (
            corrupt,
            "model.onnx of the model is not the file that was signed",
        ),
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
    wait_for(&gateway, &wire, |identity| !identity.words.is_empty());

    // The folder it came from is not needed again.
    fs::remove_dir_all(temp.path().join("good")).expect("removed");
    gateway.signal(Signal::KILL);
    gateway.wait();
    gateway.restart(&wire);
    gateway.wait_until_it_serves();
    wait_for(&gateway, &wire, |identity| !identity.words.is_empty());
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

/// The project's model, signed by another key under another version.
fn copy(folder: &Path, signer: &Signer, number: u64) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/wardline");
    fs::create_dir(folder).expect("a new folder");
    for entry in fs::read_dir(&project).expect("the project's model") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name");
        fs::copy(&path, folder.join(name)).expect("copied");
    }
    let manifest = fs::read(folder.join("manifest.json")).expect("readable");
    let manifest: Manifest = serde_json::from_slice(&manifest).expect("a manifest");
    signer.seal(folder, number, manifest.heads).expect("signed");
    folder.to_owned()
}
