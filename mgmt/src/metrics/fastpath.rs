//! The fast path's counters, as it shows them.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use wardline_control::view::{BehaviourStatus, ByReason, ClassifierStatus};
use wardline_control::{Counters, LinkState, PortStatus, SideCounters, Status, WorkerStatus};
use wardline_policy::{Reason, Side};

use super::series::{Labels, Series, flag, float, label};

/// What the fast path said; nothing while it is away.
#[derive(Debug)]
pub(super) struct Fastpath(pub Option<Status>);

impl Collector for Fastpath {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut series = Series(encoder);
        let help = "Whether the fast path answers";
        series.gauge("fastpath_up", help, flag(self.0.is_some()))?;
        let Some(status) = &self.0 else { return Ok(()) };
        process(&mut series, status)?;
        frames(&mut series, &status.counters)?;
        ports(&mut series, &status.ports)?;
        workers(&mut series, &status.workers)?;
        classifier(&mut series, &status.classifier)?;
        behaviour(&mut series, &status.behaviour)
    }
}

fn process(series: &mut Series<'_>, status: &Status) -> fmt::Result {
    let version = label("version", &status.software_version);
    series.gauges(
        "fastpath_info",
        "Version of the fast path",
        [(version, 1.0)],
    )?;
    series.gauge(
        "fastpath_start_time_seconds",
        "When the fast path started, since the epoch",
        seconds(status.started_us),
    )?;
    series.gauge(
        "fastpath_startup_seconds",
        "From the start of the fast path to the first look at both ports",
        float(status.startup_ms) / 1e3,
    )?;
    series.gauge(
        "fastpath_memory_bytes",
        "Memory of the packet path",
        f64::from(status.memory.mib) * 1_048_576.0,
    )?;
    series.gauge(
        "fastpath_devices",
        "Devices in the fast path's table",
        float(status.devices),
    )?;
    series.gauge(
        "fastpath_flows",
        "Conversations in the fast path's table",
        float(status.flows),
    )?;
    series.counter(
        "fastpath_events_dropped",
        "Events that nobody fetched in time",
        status.events_dropped,
    )?;
    policy(series, status)
}

fn policy(series: &mut Series<'_>, status: &Status) -> fmt::Result {
    let policy = &status.policy;
    series.gauge(
        "policy_generation",
        "Number of the policy in force since the fast path started",
        f64::from(policy.generation),
    )?;
    series.gauge(
        "policy_applied_time_seconds",
        "When the policy in force was applied, since the epoch",
        seconds(policy.applied_us),
    )?;
    series.gauge(
        "policy_on_trial",
        "Whether the policy is rolled back unless somebody confirms it",
        flag(policy.rollback_at_s.is_some()),
    )
}

fn frames(series: &mut Series<'_>, counters: &Counters) -> fmt::Result {
    let sides = [("ward", &counters.ward), ("core", &counters.core)];
    series.counters(
        "frames_received",
        "Frames received, by the side they came from",
        each(sides, |side| side.received),
    )?;
    series.counters(
        "frames_received_bytes",
        "Bytes received, by the side they came from",
        each(sides, |side| side.received_bytes),
    )?;
    series.counters(
        "frames_forwarded",
        "Frames sent out again, by the side they came from",
        each(sides, |side| side.forwarded),
    )?;
    series.counters(
        "frames_dropped",
        "Frames dropped, by the side they came from",
        each(sides, |side| side.dropped),
    )?;
    let verdicts = sides.into_iter().flat_map(|(side, counters)| {
        reasons(&counters.by_reason, move |reason| {
            vec![
                ("side", side.to_owned()),
                ("reason", reason.name().to_owned()),
                ("action", action(reason).to_owned()),
            ]
        })
    });
    series.counters(
        "verdicts",
        "Frames received, each under the one reason of its verdict",
        verdicts,
    )?;
    series.counters(
        "would_drop",
        "Frames forwarded only because their device does not enforce, by what they would have \
         been dropped for",
        reasons(&counters.would_drop, |reason| {
            label("reason", reason.name())
        })
        .filter(|(labels, _)| would_drop(labels)),
    )?;
    let refusals = [
        (label("to", "ward"), counters.refusals_to_ward),
        (label("to", "core"), counters.refusals_to_core),
    ];
    series.counters(
        "refusals",
        "Resets and unreachables of the appliance itself, by the side they went to",
        refusals,
    )?;
    series.counter("flows_begun", "Conversations begun", counters.flows_begun)
}

fn each(
    sides: [(&str, &SideCounters); 2],
    value: impl Fn(&SideCounters) -> u64,
) -> [(Labels, u64); 2] {
    sides.map(|(side, counters)| (label("side", side), value(counters)))
}

/// Every reason there is: one that never occurred is 0, so that its first time is seen as a rise.
fn reasons<'a>(
    by_reason: &'a ByReason,
    labels: impl Fn(Reason) -> Labels + 'a,
) -> impl Iterator<Item = (Labels, u64)> + 'a {
    let all = Reason::ALL.iter();
    all.map(move |reason| {
        let count = by_reason.get(reason).copied().unwrap_or(0);
        (labels(*reason), count)
    })
}

fn action(reason: Reason) -> &'static str {
    if reason.forwards() { "forward" } else { "drop" }
}

/// What forwards a frame cannot be what it would have been dropped for.
fn would_drop(labels: &Labels) -> bool {
    let reason = labels.first().and_then(|label| Reason::from_name(&label.1));
    reason.is_some_and(|reason| !reason.forwards())
}

fn ports(series: &mut Series<'_>, ports: &[PortStatus]) -> fmt::Result {
    let up = ports
        .iter()
        .map(|port| (of(port), flag(port.link == LinkState::Up)));
    series.gauges("port_up", "Whether the port has a link", up)?;
    type Field = fn(&PortStatus) -> u64;
    let fields: [(&str, &str, Field); 8] = [
        ("rx_frames", "Frames received, as the driver counts", |p| {
            p.stats.rx_frames
        }),
        ("rx_bytes", "Bytes received, as the driver counts", |p| {
            p.stats.rx_bytes
        }),
        ("tx_frames", "Frames sent, as the driver counts", |p| {
            p.stats.tx_frames
        }),
        ("tx_bytes", "Bytes sent, as the driver counts", |p| {
            p.stats.tx_bytes
        }),
        ("rx_missed", "Frames lost: receive ring full", |p| {
            p.stats.rx_missed
        }),
        ("rx_errors", "Frames damaged on arrival", |p| {
            p.stats.rx_errors
        }),
        ("rx_no_buffer", "Frames lost: no buffer free", |p| {
            p.stats.rx_no_buffer
        }),
        ("tx_errors", "Frames that the driver refused to send", |p| {
            p.stats.tx_errors
        }),
    ];
    for (name, help, field) in fields {
        let values = ports.iter().map(|port| (of(port), field(port)));
        series.counters(&format!("port_{name}"), help, values)?;
    }
    Ok(())
}

fn of(port: &PortStatus) -> Labels {
    let side = match port.side {
        Side::Ward => "ward",
        Side::Core => "core",
    };
    label("side", side)
}

fn workers(series: &mut Series<'_>, workers: &[WorkerStatus]) -> fmt::Result {
    type Field = fn(&WorkerStatus) -> u64;
    let fields: [(&str, &str, Field); 9] = [
        ("polls", "Rounds over both ports", |w| w.polls),
        ("empty_polls", "Rounds that found nothing", |w| {
            w.empty_polls
        }),
        ("parks", "Times a worker slept", |w| w.parks),
        ("bursts", "Bursts with at least one frame", |w| w.bursts),
        ("frames", "Frames in bursts", |w| w.frames),
        ("feature_windows", "Windows for the classifier", |w| {
            w.feature_windows
        }),
        (
            "unfetched",
            "Windows and samples not fetched in time",
            |w| w.unfetched.iter().sum(),
        ),
        ("handed_over", "Frames passed on to another worker", |w| {
            w.handed_over
        }),
        ("hand_over_drops", "Of these, lost", |w| w.hand_over_drops),
    ];
    for (name, help, field) in fields {
        let values = workers.iter().map(|worker| (number(worker), field(worker)));
        series.counters(&format!("worker_{name}"), help, values)?;
    }
    let spans: [(&str, &str, Field); 2] = [
        ("busy_seconds", "Time spent on bursts with frames", |w| {
            w.busy_ns
        }),
        ("elapsed_seconds", "Time since the worker started", |w| {
            w.elapsed_ns
        }),
    ];
    for (name, help, span) in spans {
        let values = workers
            .iter()
            .map(|worker| (number(worker), float(span(worker)) / 1e9));
        series.counters(&format!("worker_{name}"), help, values)?;
    }
    let longest = workers
        .iter()
        .map(|worker| (number(worker), float(worker.longest_round_ns) / 1e9));
    series.gauges(
        "worker_longest_round_seconds",
        "Longest time between two rounds since the metrics were read last, sleeps included: a \
         frame waited no longer than this to be looked at",
        longest,
    )
}

fn classifier(series: &mut Series<'_>, classifier: &ClassifierStatus) -> fmt::Result {
    series.gauge(
        "classifier_stations",
        "Stations that the classifier knows",
        float(classifier.stations),
    )?;
    series.counter(
        "classifier_stations_forgotten",
        "Stations that the classifier forgot to make room for others",
        classifier.stations_forgotten,
    )?;
    series.counter(
        "classifier_unobserved",
        "Samples and windows of stations that the classifier had no room for",
        classifier.unobserved,
    )
}

fn behaviour(series: &mut Series<'_>, behaviour: &BehaviourStatus) -> fmt::Result {
    series.gauge(
        "behaviour_devices",
        "Devices that are watched against their own past",
        float(behaviour.devices),
    )?;
    let counters = [
        (
            "devices_full",
            "Times something was told of a device that there was no room to watch",
            behaviour.devices_full,
        ),
        (
            "devices_forgotten",
            "Devices whose past was forgotten to make room for others",
            behaviour.devices_forgotten,
        ),
        (
            "services_full",
            "Services of a device that found no room in what is usual for it",
            behaviour.services_full,
        ),
        (
            "held_back",
            "Observations held back because of the alerts of the hour",
            behaviour.held_back,
        ),
        (
            "alerts_full",
            "Observations not told because the device had too many alerts",
            behaviour.alerts_full,
        ),
        (
            "events_lost",
            "Events that were gone before the watch over the devices read them",
            behaviour.events_lost,
        ),
    ];
    for (name, help, value) in counters {
        series.counter(&format!("behaviour_{name}"), help, value)?;
    }
    Ok(())
}

fn number(worker: &WorkerStatus) -> Labels {
    label("worker", worker.index.to_string())
}

fn seconds(us: u64) -> f64 {
    float(us) / 1e6
}
