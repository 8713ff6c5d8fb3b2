//! A start line and header fields, as HTTP, SSDP and their kind write them (RFC 9112).
//!
//! Devices write lines ending in a bare line feed, blanks before the colon and letters outside
//! ASCII; all of that is read. Only lines that have come whole are.

/// Longest start line looked at, in bytes: longer ones are no start line of anything.
pub(super) const LINE_MAX: usize = 4_096;

/// The beginning of a message up to its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    /// The first line, without its end.
    pub(super) start: &'a [u8],
    fields: &'a [u8],
    /// What follows the empty line; `None` while that line has not come.
    pub(super) body: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// Reads the lines that are there. `None` when not even the start line is whole.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let start = line(&mut rest)?;
        let fields = rest;
        while let Some(line) = line(&mut rest) {
            if line.is_empty() {
                return Some(Self {
                    start,
                    fields,
                    body: Some(rest),
                });
            }
        }
        Some(Self {
            start,
            fields,
            body: None,
        })
    }

    /// The value of the first field of that name, whatever its case; empty ones count as absent.
    pub(super) fn field(&self, name: &str) -> Option<&'a [u8]> {
        let mut rest = self.fields;
        while let Some(line) = line(&mut rest).filter(|line| !line.is_empty()) {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else {
                continue;
            };
            let value = line[colon + 1..].trim_ascii();
            if line[..colon]
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_bytes())
                && !value.is_empty()
            {
                return Some(value);
            }
        }
        None
    }
}

/// The next line without its end, if it has come whole.
pub(super) fn line<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = bytes
        .iter()
        .take(LINE_MAX)
        .position(|&byte| byte == b'\n')?;
    let line = &bytes[..end];
    *bytes = &bytes[end + 1..];
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Whether bytes may be the beginning of `word`, or begin with it.
pub(super) fn may_begin(bytes: &[u8], word: &[u8]) -> bool {
    let len = bytes.len().min(word.len());
    bytes[..len] == word[..len]
}

/// A path without query and fragment.
pub(super) fn path(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| b"?#;".contains(byte));
    &target[..end.unwrap_or(target.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_count() {
        let head = Head::read(b"GET / HTTP/1.1\r\nHost : a\nUser-Agent: b").unwrap();
        assert_eq!(head.start, b"GET / HTTP/1.1");
        assert_eq!(head.field("host"), Some(&b"a"[..]));
        assert_eq!(head.field("user-agent"), None);
        assert_eq!(head.body, None);
        assert!(Head::read(b"GET / HTTP/1.1").is_none());
    }

    #[test]
    fn a_field_of_the_body_is_none() {
        let head = Head::read(b"HTTP/1.1 200 OK\r\n\r\nServer: x\r\n").unwrap();
        assert_eq!(head.field("server"), None);
        assert_eq!(head.body, Some(&b"Server: x\r\n"[..]));
    }

    #[test]
    fn a_path_has_no_query() {
        assert_eq!(path(b"/a/b?token=1"), b"/a/b");
        assert_eq!(path(b"/a;session=1"), b"/a");
    }
}
