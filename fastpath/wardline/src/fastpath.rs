//! Becomes the packet process. It is a program of its own so that this one links no DPDK.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::FastpathArgs;
use crate::failure::Failure;

const PROGRAM: &str = "wardline-fastpath";

/// Returns only when the program cannot be started.
pub(crate) fn run(args: &FastpathArgs) -> Result<(), Failure> {
    let program = find(
        env::current_exe().ok().as_deref(),
        env::var_os("PATH").as_deref(),
    )
    .ok_or_else(|| {
        Failure::failed(format!(
            "cannot find `{PROGRAM}` beside this program, in PATH or in libexec; \
                 install it, or build it with `cargo build -p wardline-fastpath`"
        ))
    })?;
    let error = Command::new(&program).args(&args.arguments).exec();
    Err(Failure::failed(format!(
        "cannot start {}: {error}",
        program.display()
    )))
}

/// Beside this program first, so that a build never starts an installed version.
fn find(this: Option<&Path>, path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
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
        .map(|folder| folder.join(PROGRAM))
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
            fs::write(place.join(PROGRAM), "").unwrap();
        }
        let this = near.join("wardline");
        fs::write(&this, "").unwrap();
        let here = near.canonicalize().unwrap().join(PROGRAM);
        assert_eq!(find(Some(&this), Some(far.as_os_str())), Some(here.clone()));
        fs::remove_file(&here).unwrap();
        assert_eq!(
            find(Some(&this), Some(far.as_os_str())),
            Some(far.join(PROGRAM))
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
