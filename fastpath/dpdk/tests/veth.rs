//! Frames through real ports over veth pairs: what comes out equals what went in, byte for byte and
//! in order, for each driver on either side.

mod common;

use std::time::{Duration, Instant};

use common::{Lab, RawSocket, can_run};
use wardline_dpdk::{
    Burst, Eal, EalConfig, HugePages, Layout, Link, Mempool, Port, PortConfig, PortSpec, Queue,
};

const PATIENCE: Duration = Duration::from_millis(500);

/// One test, since DPDK starts once in a process.
#[test]
fn frames_pass_unchanged() {
    if !can_run("frames_pass_unchanged") {
        return;
    }
    let eal = Eal::init(&EalConfig {
        memory_mb: 1024,
        huge: HugePages::Auto,
        worker_cpus: vec![0],
        pci: Vec::new(),
    })
    .unwrap();
    let cases = [
        (af_xdp as Driver, af_xdp as Driver, 1500),
        (af_packet, af_packet, 1500),
        (af_xdp, af_packet, 1500),
        (af_packet, af_xdp, 1500),
        (af_packet, af_packet, 9000),
        (af_xdp, af_xdp, 3498),
    ];
    for (number, (left, right, mtu)) in cases.into_iter().enumerate() {
        // DPDK keeps a port for the life of the process, so each case has its own names.
        let lab = Lab::new(&format!("wldveth{number}"), mtu);
        check(&eal, &lab, left(&lab.left), right(&lab.right), mtu);
    }
}

type Driver = fn(&str) -> PortSpec;

fn af_xdp(interface: &str) -> PortSpec {
    PortSpec::AfXdp {
        interface: interface.into(),
        busy_budget: None,
        force_copy: false,
    }
}

fn af_packet(interface: &str) -> PortSpec {
    PortSpec::AfPacket {
        interface: interface.into(),
    }
}

fn check(eal: &Eal, lab: &Lab, left: PortSpec, right: PortSpec, mtu: u16) {
    let pool = Mempool::new(eal, 12_000, mtu, Layout::of([&left, &right])).unwrap();
    let what = format!("{left:?} to {right:?}, MTU {mtu}");
    let (ports, mut queues) = lab.within("x", || open(eal, [left, right], pool, mtu));
    assert!(lab.within("x", || ports[0].is_link_up()).unwrap());
    let link = lab.within("x", || Link::of(&lab.left)).unwrap();
    assert!(
        link.promiscuous && link.up && link.carrier,
        "{what}: {link:?}"
    );

    let frames = common::frames(mtu);
    let (a, b) = (RawSocket::of(lab, "a"), RawSocket::of(lab, "b"));
    for (from, to) in [(&a, &b), (&b, &a)] {
        for some in frames.chunks(16) {
            for frame in some {
                from.send(frame);
            }
            forward(&mut queues, some.len());
        }
        for (number, frame) in frames.iter().enumerate() {
            let Some(received) = to.receive(PATIENCE) else {
                panic!(
                    "{what}: frame {number} of {} bytes did not arrive",
                    frame.len()
                );
            };
            assert!(received == *frame, "{what}: frame {number} changed");
        }
        assert_eq!(
            to.receive(Duration::from_millis(20)),
            None,
            "{what}: more came than was sent"
        );
    }
    let mut odd = common::odd_frames();
    if ports
        .iter()
        .all(|port| matches!(port.spec(), PortSpec::AfXdp { .. }))
    {
        odd.extend(common::frames_beyond_af_packet());
    }
    for (kind, frame) in &odd {
        a.send(frame);
        forward(&mut queues, 1);
        assert_eq!(b.receive(PATIENCE).as_ref(), Some(frame), "{what}: {kind}");
    }
    let [left, right] = [ports[0].stats(), ports[1].stats()];
    let (there, back) = ((frames.len() + odd.len()) as u64, frames.len() as u64);
    assert_eq!((left.rx_frames, right.tx_frames), (there, there), "{what}");
    assert_eq!((right.rx_frames, left.tx_frames), (back, back), "{what}");
}

fn open(eal: &Eal, specs: [PortSpec; 2], pool: Mempool, mtu: u16) -> (Vec<Port>, Vec<Queue>) {
    let mut ports = Vec::new();
    let mut queues = Vec::new();
    for spec in specs {
        let config = PortConfig {
            name: "test".into(),
            spec,
            mtu,
            descriptors: None,
        };
        let (port, queue) = Port::open(eal, &config, &[pool]).unwrap();
        ports.push(port);
        queues.extend(queue);
    }
    (ports, queues)
}

/// Forwards between both queues until `count` frames have passed.
fn forward(queues: &mut [Queue], count: usize) {
    let [left, right] = queues else {
        panic!("two queues")
    };
    let mut burst = Burst::new();
    let mut passed = 0;
    let deadline = Instant::now() + PATIENCE;
    while passed < count && Instant::now() < deadline {
        left.rx.receive(&mut burst);
        passed += right.tx.send(&mut burst, u64::MAX).sent;
        right.rx.receive(&mut burst);
        passed += left.tx.send(&mut burst, u64::MAX).sent;
    }
}
