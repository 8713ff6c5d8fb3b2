//! Which CPUs the harness may use, and for what.

use std::fs;

use anyhow::{Context, Result, bail};

/// One CPU for the packets and one for everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpus {
    /// Forwards.
    pub packets: usize,
    /// Control threads, main threads, the harness's own questions.
    pub rest: usize,
}

/// The last CPU this process may use forwards: the first ones have more interrupts to serve.
///
/// # Errors
/// With one CPU only the two would be in each other's way.
pub fn choose() -> Result<Cpus> {
    let path = "/proc/self/status";
    let status = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .and_then(|list| parse(list.trim()))
        .with_context(|| format!("{path} names no CPUs"))?;
    match list.as_slice() {
        [rest, .., packets] => Ok(Cpus {
            packets: *packets,
            rest: *rest,
        }),
        _ => bail!(
            "the measurement needs two CPUs and may use {} only",
            list.len()
        ),
    }
}

/// `0-3,8` as numbers.
fn parse(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cpus_is_ranges_and_single_ones() {
        assert_eq!(parse("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(parse("3"), Some(vec![3]));
        assert_eq!(parse("a"), None);
    }
}
