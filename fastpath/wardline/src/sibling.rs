//! Becomes another program of Wardline: the packet process, so that this one links no DPDK, or the
//! management plane, so that this one links neither TLS nor a database.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// The packet process.
pub(crate) const FASTPATH: &str = "wardline-fastpath";
/// The management plane.
pub(crate) const MANAGEMENT: &str = "wardline-mgmt";

/// Runs `program` with a subcommand of its own, if any, and the arguments that were typed. Returns
/// only when it cannot be started.
pub(crate) fn run(
    program: &str,
    subcommand: Option<&str>,
    arguments: &[OsString],
) -> Result<(), Failure> {
    let found = find(
        program,
        env::current_exe().ok().as_deref(),
        env::var_os("PATH").as_deref(),
    )
    .ok_or_else(|| {
        Failure::failed(format!(
            "cannot find `{program}` beside this program, in PATH or in libexec; \
                 install it, or build it with `cargo build -p {program}`"
        ))
    })?;
    let error = Command::new(&found).args(subcommand).args(arguments).exec();
    Err(Failure::failed(format!(
        "cannot start {}: {error}",
        found.display()
    )))
}

/// Beside this program first, so that a build never starts an installed version.
fn find(program: &str, this: Option<&Path>, path: Option<&OsStr>) -> Option<PathBuf> {
    let beside = this
        .and_then(|exe| exe.canonicalize().ok())
        .and_then(|exe| exe.parent().map(Path::to_owned));
    let libexec = beside
        .as_ref()
        .map(|folder| folder.join("../libexec/wardline"));
    let in_path = path.into_iter().flat_map(env::split_paths);
    beside
        .into_iter()
        .chain(in_path)
        .chain(libexec)
        .chain([PathBuf::from("/usr/libexec/wardline")])
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_sibling_comes_before_the_path() {
        let folder = env::temp_dir().join(format!("wardline-find-{}", std::process::id()));
        let (near, far) = (folder.join("near"), folder.join("far"));
        for place in [&near, &far] {
            fs::create_dir_all(place).unwrap();
            fs::write(place.join(FASTPATH), "").unwrap();
        }
        let this = near.join("wardline");
        fs::write(&this, "").unwrap();
        let here = near.canonicalize().unwrap().join(FASTPATH);
        assert_eq!(
            find(FASTPATH, Some(&this), Some(far.as_os_str())),
            Some(here.clone())
        );
        fs::remove_file(&here).unwrap();
        assert_eq!(
            find(FASTPATH, Some(&this), Some(far.as_os_str())),
            Some(far.join(FASTPATH))
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
