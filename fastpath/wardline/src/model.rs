//! `wardline model`: which model is in use, whether one would be, and signing one.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use wardline_classifier::Role;
use wardline_classifier::model::{Heads, Model, Refusal, Signer, Trust};
use wardline_control::{Client, ModelOrigin, ModelStatus};

use crate::cli::{
    ControlArgs, ModelActivateArgs, ModelCheckArgs, ModelCommand, ModelKeyArgs, ModelSignArgs,
};
use crate::control::Link;
use crate::failure::Failure;
use crate::words;

pub(crate) fn run(
    control: &ControlArgs,
    command: &ModelCommand,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        ModelCommand::Status => status(control, out),
        ModelCommand::Activate(args) => activate(control, args, out),
        ModelCommand::Check(args) => check(args, out),
        ModelCommand::Roles => roles(out),
        ModelCommand::Key(args) => key(args, out),
        ModelCommand::Sign(args) => sign(args),
    }
}

fn status(control: &ControlArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let model = Link::open(&control.socket)?.call(Client::model_status)?;
    show(control, &model, out)
}

fn activate(
    control: &ControlArgs,
    args: &ModelActivateArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let absolute = |folder: &PathBuf| {
        let path = std::path::absolute(folder).ok()?;
        path.to_str().map(str::to_owned)
    };
    let folder = match &args.folder {
        Some(folder) => Some(absolute(folder).ok_or_else(|| {
            Failure::input(format!(
                "{} cannot be named to the fast path",
                folder.display()
            ))
        })?),
        None => None,
    };
    let link = Link::open(&control.socket)?;
    let model = link.call(|client| client.model_activate(folder))?;
    show(control, &model, out)
}

fn show(control: &ControlArgs, model: &ModelStatus, out: &mut dyn Write) -> Result<(), Failure> {
    if control.json {
        serde_json::to_writer_pretty(&mut *out, model)?;
        return Ok(writeln!(out)?);
    }
    let origin = match model.origin {
        ModelOrigin::BuiltIn => "built in",
        ModelOrigin::Folder => "from a folder",
    };
    Ok(writeln!(
        out,
        "Model {} {} ({origin}), signed by key {}, names the devices since {}.",
        model.name,
        model.number,
        model.key_id,
        words::rfc3339_s(model.activated_us / 1_000_000)
    )?)
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
