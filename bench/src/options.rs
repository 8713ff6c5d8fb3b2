//! What a run was asked to do, as every suite gets it.

use std::ops::Range;
use std::path::PathBuf;

/// The wishes of the person at the command line, and where things lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A corner of the matrix only, with short windows.
    pub quick: bool,
    /// How often every system has its turn at every corner.
    pub rounds: u32,
    /// Suites, systems and corner families to keep; empty: everything.
    pub only: Vec<String>,
    /// Directory with the programs `wardline` and `wardline-fastpath`.
    pub programs: PathBuf,
    /// Directory for files of this run; removed at its end.
    pub scratch: PathBuf,
}

impl Options {
    /// The numbers of the rounds. The loop over them is the outermost one at a corner, and the
    /// loop over systems is inside, so that ratios compare neighbours in time.
    pub fn round(&self) -> Range<u32> {
        0..self.rounds
    }

    /// Whether `name` is wanted. `kind` lists all names of its sort (the systems of a suite, its
    /// corner families): a sort that `only` does not mention is not restricted.
    pub fn wants(&self, kind: &[&str], name: &str) -> bool {
        let mut restricts = self
            .only
            .iter()
            .filter(|word| kind.contains(&word.as_str()))
            .peekable();
        restricts.peek().is_none() || restricts.any(|word| word == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(words: &[&str]) -> Options {
        Options {
            quick: true,
            rounds: 3,
            only: words.iter().map(ToString::to_string).collect(),
            programs: PathBuf::new(),
            scratch: PathBuf::new(),
        }
    }

    #[test]
    fn each_sort_of_name_is_restricted_on_its_own() {
        let systems = ["wardline", "testpmd io"];
        let families = ["flows", "rules"];
        let options = only(&["wardline"]);
        assert!(options.wants(&systems, "wardline"));
        assert!(!options.wants(&systems, "testpmd io"));
        assert!(options.wants(&families, "rules"));
        assert!(only(&[]).wants(&systems, "testpmd io"));
    }

    #[test]
    fn rounds_are_numbered_from_zero() {
        assert_eq!(only(&[]).round().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
