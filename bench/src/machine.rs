//! What a figure depends on besides the programs: the machine, and the versions of what ran.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::process::output;

/// Debian packages whose versions are noted.
const PACKAGES: [&str; 6] = [
    "dpdk",
    "iperf3",
    "nftables",
    "nginx",
    "openvswitch-switch-dpdk",
    "wrk",
];

/// The machine and the versions, as far as they can be found out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Facts {
    /// When the run began, RFC 3339.
    pub time: String,
    /// Model of the CPU.
    pub cpu: String,
    /// CPUs this process may use.
    pub cpus: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Kernel release.
    pub kernel: String,
    /// Size of a huge page, and how many there were before the run.
    pub huge_pages: String,
    /// Load averages before the run; with anything else running, the figures are noise.
    pub load_before: String,
    /// Installed packages and their versions; what is missing is not installed.
    pub packages: BTreeMap<String, String>,
    /// The compiler.
    pub rustc: String,
    /// The commit that was measured; `+changes` when the tree was not clean.
    pub commit: String,
    /// The build profile of Wardline's programs.
    pub profile: String,
}

impl Facts {
    /// Of this machine, now. What cannot be found out stays empty.
    pub fn collect(programs: &Path) -> Self {
        let meminfo = read("/proc/meminfo");
        let kib = |name: &str| {
            field(&meminfo, name).and_then(|v| v.split_whitespace().next()?.parse().ok())
        };
        Self {
            time: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: kib("MemTotal").unwrap_or(0u64) / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            huge_pages: format!(
                "{} of {}",
                field(&meminfo, "HugePages_Total").unwrap_or_default(),
                field(&meminfo, "Hugepagesize").unwrap_or_default()
            ),
            load_before: read("/proc/loadavg").trim().to_owned(),
            packages: PACKAGES.iter().filter_map(|name| package(name)).collect(),
            rustc: say("rustc", &["--version"]),
            commit: commit(),
            profile: profile(programs),
        }
    }

    /// As a list in Markdown.
    pub fn markdown(&self, command: &str, rounds: u32) -> String {
        let packages: Vec<String> = self
            .packages
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        let lines = [
            ("command", format!("`{command}`")),
            ("rounds", rounds.to_string()),
            ("time", self.time.clone()),
            ("CPU", format!("{}, {} usable", self.cpu, self.cpus)),
            ("memory", format!("{} MiB", self.memory_mib)),
            ("kernel", self.kernel.clone()),
            ("huge pages before", self.huge_pages.clone()),
            ("load before", self.load_before.clone()),
            ("packages", packages.join(", ")),
            ("compiler", self.rustc.clone()),
            ("commit", self.commit.clone()),
            ("profile", self.profile.clone()),
        ];
        let mut text = String::new();
        for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "- {name}: {value}");
        }
        text.push('\n');
        text
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value of `name : value` in a file of such lines.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.trim_start().starts_with(':'))
    })?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn say(program: &str, arguments: &[&str]) -> String {
    let said = output(Command::new(program).args(arguments)).unwrap_or_default();
    said.trim().to_owned()
}

fn package(name: &str) -> Option<(String, String)> {
    let format = "${db:Status-Status} ${Version}";
    let said = say("dpkg-query", &["--show", "--showformat", format, name]);
    let version = said.strip_prefix("installed ")?;
    Some((name.to_owned(), version.to_owned()))
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        say(
            "git",
            &[&["-C", env!("CARGO_MANIFEST_DIR")], arguments].concat(),
        )
    };
    let clean = git(&["status", "--porcelain"]).is_empty();
    let commit = git(&["rev-parse", "HEAD"]);
    if clean {
        commit
    } else {
        format!("{commit}+changes")
    }
}

/// Cargo puts programs into a directory named after their profile, `dev` into `debug`.
fn profile(programs: &Path) -> String {
    let folder = programs.file_name().unwrap_or_default().to_string_lossy();
    let checks = if cfg!(debug_assertions) {
        "with"
    } else {
        "without"
    };
    format!("{folder}, {checks} debug assertions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "HugePages_Total:       0\nHugepagesize:       2048 kB\nmodel name\t: A CPU\n";
        assert_eq!(field(text, "Hugepagesize").unwrap(), "2048 kB");
        assert_eq!(field(text, "model name").unwrap(), "A CPU");
        assert_eq!(field(text, "HugePages"), None);
    }

    #[test]
    fn this_machine_has_a_kernel_and_a_compiler() {
        let facts = Facts::collect(Path::new("target/debug"));
        assert!(!facts.kernel.is_empty());
        assert!(facts.rustc.starts_with("rustc"), "{}", facts.rustc);
        assert!(facts.profile.starts_with("debug"));
    }
}
