//! Heads of text protocols that look like HTTP: a first line, then lines of name and value.

/// The head of a message as far as it is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    /// The first line.
    pub(super) first: &'a [u8],
    headers: &'a [u8],
    /// Whether its empty last line is there.
    pub(super) whole: bool,
}

impl<'a> Head<'a> {
    /// `None` before the end of the first line.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (first, rest) = split_line(bytes)?;
        let mut end = 0;
        while let Some((line, after)) = split_line(&rest[end..]) {
            if line.is_empty() {
                let headers = &rest[..end];
                return Some(Self {
                    first,
                    headers,
                    whole: true,
                });
            }
            end = rest.len() - after.len();
        }
        Some(Self {
            first,
            headers: &rest[..end],
            whole: false,
        })
    }

    /// Values of all headers of one of these names, in any case.
    pub(super) fn values(&self, names: &'static [&str]) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.headers;
        let lines = core::iter::from_fn(move || {
            let (line, after) = split_line(rest)?;
            rest = after;
            Some(line)
        });
        lines.filter_map(move |line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = line[..colon].trim_ascii();
            let known = names
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
            known.then(|| line[colon + 1..].trim_ascii())
        })
    }

    /// The value of the first of them.
    pub(super) fn value(&self, names: &'static [&str]) -> Option<&'a [u8]> {
        self.values(names).next()
    }
}

/// A line without its end, and what follows it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_in_any_case_and_only_whole() {
        let head = Head::read(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nuser-AGENT : x y \r\nServer: cut")
            .unwrap();
        assert_eq!(head.first, b"OPTIONS * RTSP/1.0");
        assert_eq!(head.value(&["User-Agent"]), Some(&b"x y"[..]));
        assert_eq!(head.value(&["Server"]), None);
        assert!(!head.whole);
        let head = Head::read(b"A\nB: 1\n\nB: 2\n").unwrap();
        assert!(head.whole && head.values(&["B"]).count() == 1);
        assert!(Head::read(b"OPTIONS").is_none());
    }
}
