//! Becomes one of the two processes. They are programs of their own so that this one links neither
//! DPDK nor a database.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;

/// The packet process.
pub(crate) const FASTPATH: &str = "wardline-fastpath";
/// The management plane.
pub(crate) const MGMT: &str = "wardline-mgmt";

/// Returns only when the program cannot be started.
pub(crate) fn run(
    program: &str,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(), Failure> {
    let program = find(
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
    let error = Command::new(&program).args(arguments).exec();
    Err(Failure::failed(format!(
        "cannot start {}: {error}",
        program.display()
    )))
}

/// Beside this program first, so that a build never starts an installed version.
fn find(program: &str, this: Option<&Path>, path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
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
