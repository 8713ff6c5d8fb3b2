//! `wardline model`: whether a model would be used, and signing one.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use wardline_classifier::Role;
use wardline_classifier::model::{Heads, Model, Refusal, Signer, Trust};

use crate::cli::{ModelCheckArgs, ModelCommand, ModelKeyArgs, ModelSignArgs};
use crate::failure::Failure;

pub(crate) fn run(command: &ModelCommand, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        ModelCommand::Check(args) => check(args, out),
        ModelCommand::Roles => roles(out),
        ModelCommand::Key(args) => key(args, out),
        ModelCommand::Sign(args) => sign(args),
    }
}

fn check(args: &ModelCheckArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let trust = match &args.trust {
        Some(file) => Trust::keys([text(file)?.as_str()]),
        None => Trust::project(),
    };
    let trust = trust.map_err(refused)?;
    let model = match &args.folder {
        Some(folder) => Model::load(folder, &trust),
        None => Model::built_in(),
    };
    let model = model.map_err(refused)?;
    let manifest = model.manifest();
    writeln!(
        out,
        "Model {} {} passes: it tells {} types and {} roles apart.",
        manifest.name,
        manifest.version,
        manifest.heads.types.len(),
        manifest.heads.roles.len()
    )?;
    Ok(())
}

fn roles(out: &mut dyn Write) -> Result<(), Failure> {
    for role in Role::ALL {
        writeln!(out, "{role}")?;
    }
    Ok(())
}

fn key(args: &ModelKeyArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let mut secret = [0; 32];
    let random = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut secret));
    random.map_err(|error| Failure::failed(format!("there is no randomness: {error}")))?;
    let signer = Signer::new(&secret);
    let mut options = OpenOptions::new();
    let create = options.write(true).create_new(true).mode(0o600);
    create
        .open(&args.file)
        .and_then(|mut file| writeln!(file, "{}", signer.secret_half()))
        .map_err(|error| {
            Failure::failed(format!("cannot write {}: {error}", args.file.display()))
        })?;
    writeln!(out, "{}", signer.public_half())?;
    Ok(())
}

fn sign(args: &ModelSignArgs) -> Result<(), Failure> {
    let no_key = || Failure::input(format!("{} holds no key", args.key.display()));
    let signer = Signer::from_hex(&text(&args.key)?).ok_or_else(no_key)?;
    let heads: Heads = serde_json::from_str(&text(&args.heads)?)
        .map_err(|error| Failure::input(format!("{}: {error}", args.heads.display())))?;
    signer
        .seal(&args.folder, args.number, heads)
        .map_err(refused)
}

fn text(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file)
        .map_err(|error| Failure::input(format!("cannot read {}: {error}", file.display())))
}

fn refused(refusal: Refusal) -> Failure {
    Failure::input(refusal.to_string())
}
