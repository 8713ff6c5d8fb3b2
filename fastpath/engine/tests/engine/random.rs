//! Random traffic: what holds for every frame.

use proptest::collection::vec;
use proptest::prelude::*;
use wardline_engine::{Limits, Verdict};
use wardline_policy::reason::Class;
use wardline_policy::{Cast, Initiator, Query, Side};

use crate::lab::*;

const STATIONS: [&Station; 7] = [
    &MODALITY, &PUMP, &MONITOR, &UNLISTED, &PACS, &CONSUMER, &ATTACKER,
];
const PORTS: [u16; 7] = [104, 22, 2575, 4000, 5000, 40_000, 3702];

#[derive(Debug, Clone)]
enum Shape {
    Tcp(u8),
    Udp,
    Group,
    Arp,
    Noise(Vec<u8>),
}

#[derive(Debug, Clone)]
struct Step {
    ward: bool,
    from: usize,
    to: usize,
    ports: (usize, usize),
    shape: Shape,
    wait_s: u64,
    /// Bytes turned over, to break headers.
    damage: Option<(usize, u8)>,
}

fn step() -> impl Strategy<Value = Step> {
    let shape = prop_oneof![
        4 => (0u8..32).prop_map(Shape::Tcp),
        3 => Just(Shape::Udp),
        1 => Just(Shape::Group),
        1 => Just(Shape::Arp),
        1 => vec(any::<u8>(), 0..100).prop_map(Shape::Noise),
    ];
    let damage = proptest::option::weighted(0.1, (12usize..60, any::<u8>()));
    let ports = (0..PORTS.len(), 0..PORTS.len());
    let wait = prop_oneof![8 => Just(0u64), 1 => 0u64..400];
    (
        any::<bool>(),
        0..STATIONS.len(),
        0..STATIONS.len(),
        ports,
        shape,
        wait,
        damage,
    )
        .prop_map(|(ward, from, to, ports, shape, wait_s, damage)| Step {
            ward,
            from,
            to,
            ports,
            shape,
            wait_s,
            damage,
        })
}

impl Step {
    fn side(&self) -> Side {
        if self.ward { Side::Ward } else { Side::Core }
    }

    fn frame(&self) -> Vec<u8> {
        let (from, to) = (STATIONS[self.from], STATIONS[self.to]);
        let ports = (PORTS[self.ports.0], PORTS[self.ports.1]);
        let mut frame = match &self.shape {
            Shape::Tcp(flags) => tcp(from, to, ports, *flags, (1000, 5000), b"data"),
            Shape::Udp => udp(from, to, ports, b"data"),
            Shape::Group => udp_group(from, v4("239.255.255.250"), ports, b"data"),
            Shape::Arp => arp_request(from, to.ip),
            Shape::Noise(bytes) => bytes.clone(),
        };
        if let Some((at, bits)) = self.damage
            && let Some(byte) = frame.get_mut(at)
        {
            *byte ^= bits;
        }
        frame
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn observed_devices_get_every_frame_the_wire_can_carry(steps in vec(step(), 1..200)) {
        let mut lab = Lab::in_mode("observe");
        for step in &steps {
            lab.wait(step.wait_s);
            let verdict = lab.send(step.side(), &step.frame());
            let wire = verdict.reason.class() == Class::Wire;
            prop_assert!(verdict.reason.forwards() || wire, "{step:?}: {verdict:?}");
        }
    }

    #[test]
    fn tables_of_any_size_keep_their_counters_right(steps in vec(step(), 1..200)) {
        let limits = Limits {
            devices: 4,
            flows: 8,
            flows_per_device: 3,
            half_open_per_device: 2,
            fragments: 2,
            bindings: 4,
            answer_windows: 1,
            dns_answers: 1,
            events: 4,
            ..Limits::default()
        };
        let mut lab = Lab::young(WARD, limits);
        for step in &steps {
            lab.wait(step.wait_s);
            lab.send(step.side(), &step.frame());
            lab.engine.idle(lab.now_ns, 16);
            lab.check_counters();
        }
        prop_assert!(lab.engine.flows().count() <= 8);
        prop_assert!(lab.engine.devices().count() <= 4);
    }

    /// Under a policy that is put in force anew before each frame no frame can take the shortest
    /// way, and its verdict is the same.
    #[test]
    fn the_shortest_way_leads_to_the_same_verdict(steps in vec(step(), 1..300)) {
        let (mut short, mut long) = (Lab::new(), Lab::new());
        for step in &steps {
            short.wait(step.wait_s);
            long.wait(step.wait_s);
            let policy = long.engine.snapshot().clone();
            long.engine.set_snapshot(policy);
            let frame = step.frame();
            let verdict = short.send(step.side(), &frame);
            prop_assert_eq!(verdict, long.send(step.side(), &frame), "{:?}", step);
        }
        let flows = |lab: &Lab| lab.engine.flows().collect::<Vec<_>>();
        prop_assert_eq!(flows(&short), flows(&long));
        let devices = |lab: &Lab| lab.engine.devices().collect::<Vec<_>>();
        prop_assert_eq!(devices(&short), devices(&long));
        prop_assert_eq!(short.engine.counters(), long.engine.counters());
    }

    /// A unicast packet between stations passes under enforcement only if policy allows its
    /// conversation in one direction or the other, or as an answer.
    #[test]
    fn nothing_passes_that_policy_denies_both_ways(steps in vec(step(), 1..200)) {
        let mut lab = Lab::new();
        for step in &steps {
            lab.wait(step.wait_s);
            let verdict = lab.send(step.side(), &step.frame());
            let unicast = matches!(step.shape, Shape::Tcp(_) | Shape::Udp);
            if unicast && step.damage.is_none() && verdict.reason.forwards() {
                prop_assert!(allowed(&lab, step, &verdict), "{step:?}: {verdict:?}");
            }
        }
    }
}

fn allowed(lab: &Lab, step: &Step, verdict: &Verdict) -> bool {
    if verdict.reason == wardline_policy::Reason::Answer {
        return true;
    }
    let (from, to) = (STATIONS[step.from], STATIONS[step.to]);
    let (device, peer) = if step.ward { (from, to) } else { (to, from) };
    let policy = lab.engine.snapshot();
    let entry = |mac| {
        policy.lookup(&wardline_policy::DeviceKey {
            mac: wardline_policy::MacAddr(mac),
            vlan: Default::default(),
        })
    };
    let ports = (PORTS[step.ports.0], PORTS[step.ports.1]);
    // What the engine may know of the peer at most.
    let tags = [wardline_policy::PeerTag::Device(entry(peer.mac))];
    let query = |initiator, (source_port, destination_port): (u16, u16), destination| Query {
        initiator,
        cast: Cast::Unicast,
        peer: peer.ip.into(),
        destination,
        protocol: if matches!(step.shape, Shape::Udp) {
            17
        } else {
            6
        },
        source_port,
        destination_port,
        tags: &tags,
    };
    let reversed = (ports.1, ports.0);
    let (by_device, by_peer) = if step.ward {
        (ports, reversed)
    } else {
        (reversed, ports)
    };
    policy
        .decide(
            entry(device.mac),
            &query(Initiator::Device, by_device, peer.ip.into()),
        )
        .allow
        || policy
            .decide(
                entry(device.mac),
                &query(Initiator::Peer, by_peer, device.ip.into()),
            )
            .allow
}
