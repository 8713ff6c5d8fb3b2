//! What holds for any traffic under any small policy.

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};
use wardline_engine::Action;
use wardline_policy::reason::Class;
use wardline_policy::{Cast, DeviceKey, Initiator, MacAddr, Query, Reason, Side, VlanKey};

use crate::frames::*;
use crate::ward::*;

const INSIDE: [Station; 3] = [PUMP, MONITOR, GUEST];
const OUTSIDE: [Station; 3] = [SERVER, SECOND, STRANGER];
const PORTS: [u16; 3] = [104, 514, 5000];
const ETHERNET_LEN: usize = 14;

/// One rule: direction, peer, protocol, port, action.
fn rule() -> impl Strategy<Value = String> {
    let peer = prop_oneof![
        Just("\"any\"".to_string()),
        (0..3_usize).prop_map(|n| {
            let [a, b, c, d] = OUTSIDE[n].ip;
            format!("{{ address = \"{a}.{b}.{c}.{d}\" }}")
        }),
    ];
    let direction = prop_oneof![Just("from-device"), Just("to-device")];
    let action = prop_oneof![3 => Just("allow"), 1 => Just("deny")];
    let protocol = prop_oneof![Just("tcp"), Just("udp")];
    (direction, peer, protocol, proptest::sample::select(&PORTS), action).prop_map(
        |(direction, peer, protocol, port, action)| {
            format!(
                "direction = \"{direction}\"\npeer = {peer}\nprotocol = \"{protocol}\"\nports = {port}\naction = \"{action}\"\n"
            )
        },
    )
}

fn policy(mode: &'static str) -> impl Strategy<Value = String> {
    proptest::collection::vec(rule(), 0..6).prop_map(move |rules| {
        let mut text = format!(
            "version = 1\nname = \"random\"\n[defaults]\nmode = \"{mode}\"\nunlisted_mode = \"{mode}\"\n[roles.r]\n"
        );
        for (n, rule) in rules.iter().enumerate() {
            text += &format!("[[roles.r.rules]]\nname = \"rule-{n}\"\n{rule}");
        }
        for (n, device) in [PUMP, MONITOR].iter().enumerate() {
            let mac = MacAddr(device.mac);
            text += &format!("[[devices]]\nname = \"d{n}\"\nmac = \"{mac}\"\nrole = \"r\"\n");
        }
        text
    })
}

#[derive(Debug, Clone)]
struct Step {
    from: Side,
    device: usize,
    peer: usize,
    udp: bool,
    flags: u8,
    ports: (u16, u16),
    seq: u32,
    wait_ms: u64,
    /// What is done to the finished frame: a byte to flip, a length to cut to.
    spoil: Option<(usize, u8, usize)>,
}

impl Step {
    fn ends(&self) -> (Station, Station) {
        let (device, peer) = (INSIDE[self.device], OUTSIDE[self.peer]);
        match self.from {
            Side::Ward => (device, peer),
            Side::Core => (peer, device),
        }
    }

    fn frame(&self) -> Vec<u8> {
        let (from, to) = self.ends();
        let mut frame = if self.udp {
            udp(&from, &to, self.ports, b"payload")
        } else {
            tcp(
                &from,
                &to,
                self.ports,
                self.flags,
                (self.seq, self.seq),
                b"x",
            )
        };
        if let Some((at, xor, len)) = self.spoil {
            let at = at % frame.len();
            frame[at] ^= xor;
            frame.truncate(len.max(1));
        }
        frame
    }
}

fn step(spoils: bool) -> impl Strategy<Value = Step> {
    let port = || prop_oneof![proptest::sample::select(&PORTS), 40_000..40_003_u16];
    let spoil = if spoils {
        proptest::option::of((0..70_usize, any::<u8>(), 1..100_usize)).boxed()
    } else {
        Just(None).boxed()
    };
    (
        prop_oneof![Just(Side::Ward), Just(Side::Core)],
        (0..3_usize, 0..3_usize),
        any::<bool>(),
        proptest::sample::select(&[SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK]),
        (port(), port()),
        prop_oneof![Just(1000_u32), any::<u32>()],
        prop_oneof![4 => Just(0_u64), 1 => 0..200_000_u64],
        spoil,
    )
        .prop_map(
            |(from, (device, peer), udp, flags, ports, seq, wait_ms, spoil)| Step {
                from,
                device,
                peer,
                udp,
                flags,
                ports,
                seq,
                wait_ms,
                spoil,
            },
        )
}

fn steps(spoils: bool) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(spoils), 1..80)
}

/// Whether the policy lets this packet begin a conversation.
fn decided(w: &Ward, step: &Step) -> bool {
    let snapshot = w.engine.snapshot();
    let (from, to) = step.ends();
    let device = INSIDE[step.device];
    let key = DeviceKey {
        mac: MacAddr(device.mac),
        vlan: VlanKey::default(),
    };
    let query = Query {
        initiator: match step.from {
            Side::Ward => Initiator::Device,
            Side::Core => Initiator::Peer,
        },
        cast: Cast::Unicast,
        peer: OUTSIDE[step.peer].ip.into(),
        destination: to.ip.into(),
        protocol: if step.udp { 17 } else { 6 },
        source_port: step.ports.0,
        destination_port: step.ports.1,
        tags: &[],
    };
    debug_assert_ne!(from, to);
    snapshot.decide(snapshot.lookup(&key), &query).allow
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        // A failure prints its seed, and is run again from here until somebody names it.
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/rows_engine.proptest-regressions",
        ))),
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config(1024))]

    /// In `enforce` nothing begins that the policy denies, and what it allows begins.
    #[test]
    fn enforced_devices_begin_what_policy_allows(policy in policy("enforce"), steps in steps(false)) {
        let mut w = Ward::under(&policy);
        for step in &steps {
            w.wait_ms(step.wait_ms);
            let begun = w.engine.counters().flows_begun;
            let verdict = w.burst(step.from, &[step.frame()])[0];
            let began = w.engine.counters().flows_begun > begun;
            let allowed = decided(&w, step);
            if verdict.reason == Reason::Allowed {
                prop_assert!(allowed, "{:?} for {:?}", verdict, step);
            }
            prop_assert!(!began || allowed, "{:?} for {:?}", verdict, step);
            let opens = step.udp || step.flags == SYN;
            if opens && allowed {
                let passes = verdict.reason.forwards()
                    || matches!(verdict.reason, Reason::TcpWindow | Reason::TcpNoHandshake);
                prop_assert!(passes, "{:?} for {:?}", verdict, step);
            }
            prop_assert!(!matches!(verdict.reason, Reason::MidstreamPickup | Reason::Observed));
        }
        w.check_counters();
    }

    /// In `observe` everything is forwarded that a wire can carry, whatever it is.
    #[test]
    fn observed_devices_lose_nothing(policy in policy("observe"), steps in steps(true)) {
        let mut w = Ward::under(&policy);
        for step in &steps {
            w.wait_ms(step.wait_ms);
            let verdict = w.burst(step.from, &[step.frame()])[0];
            let wire = verdict.reason.class() == Class::Wire;
            prop_assert!(
                wire || verdict.action == Action::Forward(step.from.other()),
                "{:?} for {:?}", verdict, step
            );
            prop_assert!(!wire || step.spoil.is_some());
            if step.frame().len() < ETHERNET_LEN {
                prop_assert_eq!(verdict.reason, Reason::Runt);
            }
        }
        w.check_counters();
    }

    /// The answer to what was let through is let through.
    #[test]
    fn replies_of_what_passes_pass(policy in policy("enforce"), steps in steps(false)) {
        let mut w = Ward::under(&policy);
        for step in steps.iter().filter(|s| s.udp) {
            w.wait_ms(step.wait_ms);
            let verdict = w.burst(step.from, &[step.frame()])[0];
            if verdict.reason.forwards() {
                let (from, to) = step.ends();
                let reply = udp(&to, &from, (step.ports.1, step.ports.0), b"reply");
                let answer = w.burst(step.from.other(), &[reply])[0];
                prop_assert!(answer.reason.forwards(), "{:?} for the reply of {:?}", answer, step);
            }
        }
    }

    /// Any bytes, in any mode, from any side, in bursts: a verdict for each, and they add up.
    #[test]
    fn no_bytes_upset_the_engine(
        policy in prop_oneof![policy("enforce"), policy("simulate"), policy("isolate")],
        bursts in proptest::collection::vec(proptest::collection::vec(step(true), 1..64), 1..6),
        noise in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut w = Ward::under(&policy);
        for burst in &bursts {
            let mut frames: Vec<Vec<u8>> = burst.iter().map(Step::frame).collect();
            if let Some(first) = frames.first_mut() {
                first.splice(12.min(first.len()).., noise.iter().copied());
            }
            for side in [Side::Ward, Side::Core] {
                w.burst(side, &frames);
            }
            w.wait_ms(burst[0].wait_ms);
            w.engine.idle(w.now_ns, 1000);
        }
        w.check_counters();
    }

    /// One frame at a time or all in one burst: the same verdicts.
    #[test]
    fn bursts_are_only_faster(policy in policy("enforce"), steps in proptest::collection::vec(step(false), 1..30)) {
        let steps: Vec<Step> = steps.into_iter().filter(|s| s.from == Side::Ward).collect();
        let frames: Vec<Vec<u8>> = steps.iter().map(Step::frame).collect();
        let (mut one, mut all) = (Ward::under(&policy), Ward::under(&policy));
        let together: Vec<Reason> = all.burst(Side::Ward, &frames).iter().map(|v| v.reason).collect();
        let apart: Vec<Reason> = frames
            .iter()
            .map(|f| one.burst(Side::Ward, std::slice::from_ref(f))[0].reason)
            .collect();
        prop_assert_eq!(together, apart);
    }
}
