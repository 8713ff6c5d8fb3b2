//! The key a box signs its journal with. It is made on the box and never leaves it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;

/// The key in this file; a new one when there is no such file. Only its owner may read it.
///
/// # Errors
/// When the file cannot be read or made, or holds something else.
pub fn key_of_this_box(path: &Path) -> io::Result<SigningKey> {
    match fs::read_to_string(path) {
        Ok(text) => read(text.trim_end()).ok_or_else(|| {
            let sentence = "it does not hold a key of 64 hexadecimal digits";
            io::Error::new(io::ErrorKind::InvalidData, sentence)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(error),
    }
}

fn read(text: &str) -> Option<SigningKey> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
    Some(SigningKey::from_bytes(&bytes.try_into().ok()?))
}

fn make(path: &Path) -> io::Result<SigningKey> {
    let mut secret = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    // Under another name until it is whole: half a key would lock everybody out.
    let fresh = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    writeln!(file, "{}", HEXLOWER.encode(&secret))?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    Ok(SigningKey::from_bytes(&secret))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses() {
        let temp = tempfile::tempdir().expect("a directory");
        let path = temp.path().join("key");
        let made = key_of_this_box(&path).expect("made");
        assert_eq!(key_of_this_box(&path).expect("read"), made);
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = key_of_this_box(&temp.path().join("other")).expect("made");
        assert_ne!(other, made);
    }

    #[test]
    fn a_file_that_holds_no_key_is_left_alone() {
        let temp = tempfile::tempdir().expect("a directory");
        let path = temp.path().join("key");
        fs::write(&path, "half a k").expect("written");
        let error = key_of_this_box(&path).expect_err("no key");
        assert!(error.to_string().contains("64 hexadecimal digits"));
        assert_eq!(fs::read_to_string(&path).expect("there"), "half a k");
    }
}
