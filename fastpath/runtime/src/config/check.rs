//! Values that are of the right type and still cannot work.

use wardline_engine::Limits;
use wardline_settings::Complain;

use super::{Config, Driver, Port};

/// Complains of each.
pub(super) fn values(config: &Config, complain: Complain<'_>) {
    port("ports.ward", &config.ports.ward, complain);
    port("ports.core", &config.ports.core, complain);
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
    workers(config, complain);
    memory(config, complain);
    limits(&config.limits, complain);
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

fn port(key: &str, port: &Port, complain: Complain<'_>) {
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

fn workers(config: &Config, complain: Complain<'_>) {
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

fn memory(config: &Config, complain: Complain<'_>) {
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

fn limits(limits: &Limits, complain: Complain<'_>) {
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
    use std::path::Path;

    use super::*;

    fn parse(path: &Path, text: &str) -> Result<Config, wardline_settings::ConfigError> {
        wardline_settings::parse(path, text, values)
    }

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
