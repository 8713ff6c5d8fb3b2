//! Reading with positions: every complaint names file, line, key and what to do.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wardline_engine::Limits;

use super::{Config, Driver, Port};

/// What is wrong with a configuration; one line for each complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    path: PathBuf,
    /// Line (0: the file as a whole), column and sentence.
    complaints: Vec<(usize, usize, String)>,
}

impl ConfigError {
    pub(super) fn read(path: &Path, error: &std::io::Error) -> Self {
        Self {
            path: path.to_owned(),
            complaints: vec![(0, 0, format!("cannot read the configuration: {error}"))],
        }
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (line, column, sentence)) in self.complaints.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            let path = self.path.display();
            if *line == 0 {
                write!(f, "{newline}{path}: {sentence}")?;
            } else {
                write!(f, "{newline}{path}:{line}:{column}: {sentence}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Parses and checks a whole file.
pub(super) fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let mut report = Report {
        path,
        text,
        complaints: Vec::new(),
    };
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(e) => return Err(report.syntax(&e)),
    };
    unknown_keys(
        &table,
        Config::schema().as_value(),
        &mut Vec::new(),
        &mut report,
    );
    report.settle()?;
    let config: Config = match toml::from_str(text) {
        Ok(config) => config,
        Err(e) => return Err(report.syntax(&e)),
    };
    values(&config, |key, sentence| {
        report.complain(span_of(&table, key), format!("{key}: {sentence}"));
    });
    report.settle()?;
    Ok(config)
}

struct Report<'a> {
    path: &'a Path,
    text: &'a str,
    complaints: Vec<(usize, usize, String)>,
}

impl Report<'_> {
    fn complain(&mut self, span: Option<Range<usize>>, sentence: String) {
        let (line, column) = span.map_or((0, 0), |s| position(self.text, s.start));
        self.complaints.push((line, column, sentence));
    }

    fn syntax(mut self, error: &toml::de::Error) -> ConfigError {
        // The parser's message may take several lines; ours takes one.
        let message = error.message().replace('\n', ", ");
        self.complain(error.span(), message);
        self.into_error()
    }

    fn settle(&mut self) -> Result<(), ConfigError> {
        if self.complaints.is_empty() {
            return Ok(());
        }
        self.complaints.sort();
        Err(ConfigError {
            path: self.path.to_owned(),
            complaints: std::mem::take(&mut self.complaints),
        })
    }

    fn into_error(self) -> ConfigError {
        ConfigError {
            path: self.path.to_owned(),
            complaints: self.complaints,
        }
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    (line, 1 + before.len() - line_start)
}

/// Walks the file along the schema.
fn unknown_keys<'a>(
    table: &'a DeTable<'_>,
    schema: &Json,
    parents: &mut Vec<&'a str>,
    report: &mut Report<'_>,
) {
    let Some(known) = schema.get("properties").and_then(Json::as_object) else {
        return;
    };
    for (key, value) in table {
        let name: &str = key.get_ref();
        match (known.get(name), value.get_ref()) {
            (None, _) => {
                let sentence = unknown_key(name, parents, known.keys().map(String::as_str));
                report.complain(Some(key.span()), sentence);
            }
            (Some(schema), DeValue::Table(inner)) => {
                parents.push(name);
                unknown_keys(inner, schema, parents, report);
                parents.pop();
            }
            (Some(_), _) => {}
        }
    }
}

fn unknown_key<'a>(
    name: &str,
    parents: &[&str],
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let place = if parents.is_empty() {
        "at the top level".to_owned()
    } else {
        format!("in [{}]", parents.join("."))
    };
    let mut sentence = format!("unknown key `{name}` {place}");
    let nearest = known
        .clone()
        .map(|k| (strsim::jaro_winkler(name, k), k))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity > 0.7);
    // Writing to a String cannot fail.
    let _ = match nearest {
        Some((_, key)) => write!(sentence, "; did you mean `{key}`?"),
        None => write!(
            sentence,
            "; known keys: {}",
            known.collect::<Vec<_>>().join(", ")
        ),
    };
    sentence
}

/// Position of a dotted key; of its nearest parent that is written down, if it is a default.
fn span_of(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let mut span = None;
    let mut table = Some(table);
    for part in key.split('.') {
        let Some((found, value)) = table.and_then(|t| entry(t, part)) else {
            break;
        };
        span = Some(found);
        table = match value {
            DeValue::Table(inner) => Some(inner),
            _ => None,
        };
    }
    span
}

fn entry<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<(Range<usize>, &'a DeValue<'i>)> {
    table
        .iter()
        .find(|(key, _)| key.get_ref() == name)
        .map(|(key, value)| (key.span(), Spanned::get_ref(value)))
}

/// Values that are of the right type and still cannot work.
fn values(config: &Config, mut complain: impl FnMut(&str, String)) {
    port("ports.ward", &config.ports.ward, &mut complain);
    port("ports.core", &config.ports.core, &mut complain);
    if config.ports.ward.mtu != config.ports.core.mtu {
        complain(
            "ports.core.mtu",
            format!(
                "{} differs from the ward port's {}; a wire has one MTU, since nobody tells the \
                 sender when a frame is too long for the far side",
                config.ports.core.mtu, config.ports.ward.mtu
            ),
        );
    }
    if config.ports.ward.driver == config.ports.core.driver
        && !config.ports.ward.device().is_empty()
        && config.ports.ward.device() == config.ports.core.device()
    {
        complain(
            "ports.core",
            format!(
                "both ports name `{}`; the wire needs two",
                config.ports.core.device()
            ),
        );
    }
    workers(config, &mut complain);
    memory(config, &mut complain);
    limits(&config.limits, &mut complain);
    if config.control.mode & !0o777 != 0 {
        complain(
            "control.mode",
            format!(
                "{} is no file mode; write it in octal, such as 0o660",
                config.control.mode
            ),
        );
    }
    if config.control.mode & 0o007 != 0 {
        complain(
            "control.mode",
            "must not let everybody in; use 0o600 or 0o660".to_owned(),
        );
    }
}

fn port(key: &str, port: &Port, complain: &mut impl FnMut(&str, String)) {
    let names = [
        ("interface", &port.interface),
        ("address", &port.address),
        ("devargs", &port.devargs),
    ];
    let driver = port.driver.name();
    let wanted = match port.driver {
        Driver::AfXdp | Driver::AfPacket => "interface",
        Driver::Pci => "address",
        Driver::Devargs => "devargs",
    };
    for (name, value) in names {
        match value {
            None if name == wanted => {
                complain(key, format!("driver `{driver}` needs `{wanted} = \"…\"`"))
            }
            Some(_) if name != wanted => complain(
                &format!("{key}.{name}"),
                format!("driver `{driver}` takes `{wanted}`, not `{name}`; remove it"),
            ),
            Some(value) if value.is_empty() => {
                complain(&format!("{key}.{name}"), "is empty".to_owned());
            }
            _ => {}
        }
    }
    let max = port.driver.max_mtu();
    if !(68..=max).contains(&port.mtu) {
        let advice = if port.driver == Driver::AfXdp {
            "; longer frames need driver `pci` or `af_packet`"
        } else {
            ""
        };
        complain(
            &format!("{key}.mtu"),
            format!(
                "{} is outside what {driver} carries, 68 to {max} bytes{advice}",
                port.mtu
            ),
        );
    }
}

fn workers(config: &Config, complain: &mut impl FnMut(&str, String)) {
    let workers = &config.workers;
    if !(1..=64).contains(&workers.count) {
        complain(
            "workers.count",
            format!("{} is not between 1 and 64", workers.count),
        );
    }
    if !(10..=10_000).contains(&workers.max_park_us) {
        complain(
            "workers.max_park_us",
            format!(
                "{} is not between 10 and 10,000; for no sleep at all set poll = \"busy\"",
                workers.max_park_us
            ),
        );
    }
    let Some(cores) = &workers.cores else { return };
    if cores.len() != usize::from(workers.count) {
        complain(
            "workers.cores",
            format!(
                "names {} cores for {} workers; name one for each",
                cores.len(),
                workers.count
            ),
        );
    }
    let mut sorted = cores.clone();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|w| w[0] == w[1]) {
        complain(
            "workers.cores",
            format!(
                "names core {} twice; two workers cannot share one",
                twice[0]
            ),
        );
    }
}

fn memory(config: &Config, complain: &mut impl FnMut(&str, String)) {
    let memory = &config.memory;
    if let Some(buffers) = memory.buffers.filter(|b| !(2_048..=8_388_608).contains(b)) {
        complain(
            "memory.buffers",
            format!("{buffers} is not between 2,048 and 8,388,608"),
        );
    }
    if let Some(mib) = memory.mib.filter(|m| !(64..=65_536).contains(m)) {
        complain("memory.mib", format!("{mib} is not between 64 and 65,536"));
    }
}

fn limits(limits: &Limits, complain: &mut impl FnMut(&str, String)) {
    const TABLE: u32 = 16 * 1024 * 1024;
    const WEEK_S: u32 = 7 * 86_400;
    let ranges = [
        ("devices", limits.devices, 1, 1_048_576),
        ("flows", limits.flows, 64, TABLE),
        ("half_open_divisor", limits.half_open_divisor, 1, 64),
        ("flows_per_device", limits.flows_per_device, 1, TABLE),
        (
            "half_open_per_device",
            limits.half_open_per_device,
            1,
            TABLE,
        ),
        ("new_flows_per_burst", limits.new_flows_per_burst, 1, 64),
        ("fragments", limits.fragments, 1, 1_048_576),
        ("bindings", limits.bindings, 1, TABLE),
        ("answer_windows", limits.answer_windows, 1, 1_048_576),
        ("dns_answers", limits.dns_answers, 1, TABLE),
        ("events", limits.events, 1, 1_048_576),
        ("windows", limits.windows, 1, 1_048_576),
        ("window_s", limits.window_s, 0, 3_600),
        ("samples", limits.samples, 0, 65_536),
        ("tcp_established_s", limits.tcp_established_s, 7_440, WEEK_S),
        ("tcp_transitory_s", limits.tcp_transitory_s, 240, WEEK_S),
        ("udp_s", limits.udp_s, 120, WEEK_S),
        ("icmp_s", limits.icmp_s, 60, WEEK_S),
        ("fragment_s", limits.fragment_s, 1, 120),
        ("midstream_grace_s", limits.midstream_grace_s, 0, 86_400),
    ];
    for (name, value, min, max) in ranges {
        if !(min..=max).contains(&value) {
            complain(
                &format!("limits.{name}"),
                format!("{value} is not between {min} and {max}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
[ports.ward]
driver = "af_xdp"
interface = "eth0"

[ports.core]
driver = "af_xdp"
interface = "eth1"
"#;

    fn errors(text: &str) -> String {
        parse(Path::new("f.toml"), text)
            .expect_err("it must be refused")
            .to_string()
    }

    #[test]
    fn two_ports_are_enough() {
        let config = parse(Path::new("f.toml"), MINIMAL).expect("minimal");
        assert_eq!(config.ports.ward.mtu, 1_500);
        assert_eq!(config.poll(), super::super::Poll::Adaptive);
        assert_eq!(config.limits, Limits::default());
    }

    #[test]
    fn unknown_keys_are_named_with_line_and_nearest() {
        let text = format!(
            "{MINIMAL}interfce = \"x\"\n[workers]\ncont = 2\n[limits]\nflow = 1\n[zzz]\na = 1\n"
        );
        assert_eq!(
            errors(&text),
            "f.toml:9:1: unknown key `interfce` in [ports.core]; did you mean `interface`?\n\
             f.toml:11:1: unknown key `cont` in [workers]; did you mean `count`?\n\
             f.toml:13:1: unknown key `flow` in [limits]; did you mean `flows`?\n\
             f.toml:14:2: unknown key `zzz` at the top level; known keys: behaviour, classifier, control, limits, log, \
             memory, policy, ports, state, workers"
        );
    }

    #[test]
    fn syntax_and_types_are_named_with_line() {
        assert_eq!(
            errors("[ports.ward\n"),
            "f.toml:1:12: unclosed table, expected `]`"
        );
        assert_eq!(
            errors("[ports.ward]\ndriver = \"xdp\"\n"),
            "f.toml:2:10: unknown variant `xdp`, expected one of `af_xdp`, `af_packet`, `pci`, \
             `devargs`"
        );
        assert_eq!(errors(""), "f.toml:1:1: missing field `ports`");
    }

    #[test]
    fn values_that_cannot_work_are_named_together() {
        let text = r#"
[ports.ward]
driver = "af_xdp"
address = "0000:03:00.0"
mtu = 9000

[ports.core]
driver = "pci"
address = "0000:03:00.1"

[workers]
count = 2
cores = [1, 1]
max_park_us = 0

[control]
mode = 0o666

[limits]
udp_s = 3
"#;
        assert_eq!(
            errors(text),
            "f.toml:2:8: ports.ward: driver `af_xdp` needs `interface = \"…\"`\n\
             f.toml:4:1: ports.ward.address: driver `af_xdp` takes `interface`, not `address`; \
             remove it\n\
             f.toml:5:1: ports.ward.mtu: 9000 is outside what af_xdp carries, 68 to 3498 bytes; \
             longer frames need driver `pci` or `af_packet`\n\
             f.toml:7:8: ports.core.mtu: 1500 differs from the ward port's 9000; a wire has one \
             MTU, since nobody tells the sender when a frame is too long for the far side\n\
             f.toml:13:1: workers.cores: names core 1 twice; two workers cannot share one\n\
             f.toml:14:1: workers.max_park_us: 0 is not between 10 and 10,000; for no sleep at \
             all set poll = \"busy\"\n\
             f.toml:17:1: control.mode: must not let everybody in; use 0o600 or 0o660\n\
             f.toml:20:1: limits.udp_s: 3 is not between 120 and 604800"
        );
    }

    #[test]
    fn the_same_interface_twice_is_refused() {
        let text = MINIMAL.replace("eth1", "eth0");
        assert_eq!(
            errors(&text),
            "f.toml:6:8: ports.core: both ports name `eth0`; the wire needs two"
        );
    }
}
