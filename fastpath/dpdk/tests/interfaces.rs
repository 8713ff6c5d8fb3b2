//! Kernel interfaces: what is refused at start and how, what is set, several queues, and the link
//! state as it changes.

mod common;

use std::io;
use std::time::{Duration, Instant};

use common::{Lab, RawSocket, Wire, can_run};
use wardline_dpdk::{
    Burst, Eal, EalConfig, Error, HugePages, Layout, LinkChange, LinkWatch, Mempool, Port,
    PortConfig, PortSpec, Queue, xdp,
};

const MTU: u16 = 1500;

/// One test, since DPDK starts once in a process.
#[test]
fn interfaces() {
    if !can_run("interfaces") {
        return;
    }
    let eal = Eal::init(&EalConfig {
        memory_mb: 512,
        huge: HugePages::Never,
        worker_cpus: vec![0],
        pci: Vec::new(),
    })
    .unwrap();
    assert_eq!(
        eal.memory().to_string(),
        "512 MiB without huge pages (--no-huge)"
    );
    let pools: Vec<Mempool> = (0..2)
        .map(|_| Mempool::new(&eal, Mempool::count_for(2), MTU, Layout::Pages).unwrap())
        .collect();

    what_cannot_work_is_refused(&eal, &pools);
    an_interface_in_use_is_refused(&eal, &pools);
    a_foreign_program_is_refused_and_stays(&eal, &pools);
    what_changes_frames_is_switched_off(&eal, &pools);
    every_queue_receives(&eal, &pools);
    a_dead_egress_does_not_stall(&eal, &pools);
    link_changes_are_seen();
}

fn what_cannot_work_is_refused(eal: &Eal, pools: &[Mempool]) {
    let lab = Lab::new("wldno", MTU);
    let left = &lab.left;
    let refused = |spec: PortSpec, mtu, pools: &[Mempool]| {
        lab.within("x", || open(eal, spec, mtu, pools))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused(af_xdp("wldnothing"), MTU, &pools[..1]),
        "there is no interface wldnothing; `ip link` lists those there are"
    );
    assert_eq!(
        refused(af_xdp("a,b=c"), MTU, &pools[..1]),
        "a,b=c: this is no name DPDK could use; rename the interface"
    );
    assert_eq!(
        refused(af_xdp(left), 1400, &pools[..1]),
        "wldnol: the interface has MTU 1500, the port is configured for 1400: make them equal \
         (`ip link set dev wldnol mtu 1400`), or frames would be lost in silence"
    );
    assert_eq!(
        refused(af_xdp(left), MTU, pools),
        "wldnol: it receives on 1 channels and 2 workers are configured: frames of the others \
         would take a way around the engine; make them equal (`ethtool -L wldnol combined 2`)"
    );
    let jumbo = Mempool::new(eal, 1023, 9000, Layout::Pages).unwrap();
    assert_eq!(
        refused(af_xdp(left), 9000, &[jumbo]),
        "test: MTU 9000 is too large: AF_XDP carries frames of 3520 bytes at most, which is an MTU \
         of 3498 with two VLAN tags, and less on some NICs; use af_packet or pci for more"
    );

    lab.run("x", &format!("ip addr add 10.78.0.1/24 dev {left}"));
    assert_eq!(
        refused(af_packet(left), MTU, &pools[..1]),
        "wldnol: it has the address 10.78.0.1, so it looks like the way to this machine; a \
         transparent port has none (`ip addr flush dev wldnol`)"
    );
    lab.run("x", &format!("ip addr flush dev {left}"));
    lab.bridge();
    assert_eq!(
        refused(af_packet(left), MTU, &pools[..1]),
        "wldnol: it belongs to a bridge or bond, which would forward every frame a second time; \
         take it out (`ip link set dev wldnol nomaster`) or use af_xdp"
    );
    assert_eq!(
        lab.within("x", || xdp::attached(left)).unwrap(),
        Vec::<String>::new()
    );
}

fn an_interface_in_use_is_refused(eal: &Eal, pools: &[Mempool]) {
    let lab = Lab::new("wlduse", MTU);
    lab.bridge();
    let _wire = Wire::start(&lab);
    let error = lab
        .within("x", || open(eal, af_xdp(&lab.left), MTU, &pools[..1]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "wldusel: another program uses queue 0 through AF_XDP; stop it first \
         (`bpftool net show dev wldusel` shows its program)"
    );
    assert_eq!(lab.ping(20), 20, "the other program goes on undisturbed");
}

fn a_foreign_program_is_refused_and_stays(eal: &Eal, pools: &[Mempool]) {
    let lab = Lab::new("wldxdp", MTU);
    let program = "/usr/lib/x86_64-linux-gnu/bpf/xdpfilt_alw_all.o";
    if !std::path::Path::new(program).exists() {
        return common::skipped("a foreign XDP program", "libxdp-dev's example programs");
    }
    lab.run(
        "x",
        &format!("ip link set {} xdp obj {program} sec xdp", lab.left),
    );
    let error = lab
        .within("x", || open(eal, af_xdp(&lab.left), MTU, &pools[..1]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "wldxdpl: another XDP program is on it (xdpfilt_alw_all); take it off \
         (`ip link set dev wldxdpl xdp off`)"
    );
    assert!(!lab.within("x", || xdp::detach(&lab.left)).unwrap());
    assert!(
        !lab.within("x", || xdp::empty_socket_map(&lab.left))
            .unwrap()
    );
    assert_eq!(
        lab.within("x", || xdp::attached(&lab.left)).unwrap(),
        ["xdpfilt_alw_all"]
    );
}

fn what_changes_frames_is_switched_off(eal: &Eal, pools: &[Mempool]) {
    let lab = Lab::new("wldoff", MTU);
    lab.run(
        "x",
        &format!("ethtool -K {} gro on rxvlan on tso on", lab.left),
    );
    lab.run("x", &format!("ip link set {} down", lab.left));
    lab.within("x", || open(eal, af_packet(&lab.left), MTU, &pools[..1]))
        .unwrap();
    let settings = lab.run("x", &format!("ethtool -k {}", lab.left));
    for offload in [
        "generic-receive-offload",
        "rx-vlan-offload",
        "tx-vlan-offload",
        "tx-tcp-segmentation",
        "generic-segmentation-offload",
        "large-receive-offload",
    ] {
        assert!(
            settings.contains(&format!("{offload}: off")),
            "{offload}: {settings}"
        );
    }
    assert!(
        lab.run("x", &format!("ip link show {}", lab.left))
            .contains(",UP,")
    );
}

fn every_queue_receives(eal: &Eal, pools: &[Mempool]) {
    let lab = Lab::with_queues("wldtwo", MTU, 2);
    let (port, mut queues) = lab
        .within("x", || open(eal, af_xdp(&lab.left), MTU, pools))
        .unwrap();
    assert_eq!(queues.len(), 2);
    assert!(
        !port.is_symmetric(),
        "workers have to sort flows themselves"
    );
    let a = RawSocket::of(&lab, "a");
    for number in 0..64 {
        a.send(&common::flow(number));
    }
    let mut received: Vec<Vec<u8>> = Vec::new();
    let mut burst = Burst::new();
    let deadline = Instant::now() + Duration::from_secs(2);
    while received.len() < 64 && Instant::now() < deadline {
        for queue in &mut queues {
            queue.rx.receive(&mut burst);
            received.extend(burst.frames().iter().map(|frame| frame.to_vec()));
        }
    }
    received.sort();
    let mut sent: Vec<Vec<u8>> = (0..64).map(common::flow).collect();
    sent.sort();
    assert!(received == sent, "{} of 64 frames", received.len());
    assert!(
        queues.iter().all(|queue| queue.rx.stats().received > 0),
        "{queues:?}"
    );

    drop(burst);
    let a = RawSocket::of(&lab, "a");
    for (number, queue) in (0..).zip(&mut queues) {
        assert_eq!(
            queue.tx.send_copies([common::flow(number).as_slice()]).sent,
            1
        );
        assert_eq!(
            a.receive(Duration::from_secs(1)),
            Some(common::flow(number))
        );
    }
}

/// A worker serves both directions: an egress that takes nothing must not stop it.
fn a_dead_egress_does_not_stall(eal: &Eal, pools: &[Mempool]) {
    for (name, driver) in [
        ("wlddx", af_xdp as fn(&str) -> PortSpec),
        ("wlddp", af_packet),
    ] {
        let lab = Lab::new(name, MTU);
        let (port, mut queues) = lab
            .within("x", || open(eal, driver(&lab.left), MTU, &pools[..1]))
            .unwrap();
        let queue = &mut queues[0];
        let a = RawSocket::of(&lab, "a");
        let frame = common::flow(1);
        lab.run("a", "ip link set eth0 down");
        assert!(!lab.within("x", || port.is_link_up()).unwrap());
        for _ in 0..100 {
            let sent = queue
                .tx
                .send_copies(std::iter::repeat_n(frame.as_slice(), 64));
            assert_eq!(sent.sent + sent.dropped, 64);
        }
        lab.run("a", "ip link set eth0 up");
        let deadline = Instant::now() + Duration::from_secs(2);
        while a.receive(Duration::ZERO).is_none() {
            assert!(
                Instant::now() < deadline,
                "{name}: nothing passes after the link came back"
            );
            queue.tx.send_copies([frame.as_slice()]);
        }
    }
}

fn link_changes_are_seen() {
    let lab = Lab::new("wldlnk", MTU);
    let mut watch = lab
        .within("x", || LinkWatch::new([lab.left.as_str()]))
        .unwrap();
    let mut next = || lab.within("x", || next_change(&mut watch)).unwrap();
    let first = next();
    assert_eq!(first.interface, lab.left);
    assert!(first.link.unwrap().carrier);
    lab.run("a", "ip link set eth0 down");
    assert!(!next().link.unwrap().carrier);
    lab.run("a", "ip link set eth0 up");
    assert!(next().link.unwrap().carrier);
    lab.run("x", &format!("ip link set {} mtu 1400", lab.left));
    assert_eq!(next().link.unwrap().mtu, 1400);
    lab.run("x", &format!("ip link del {}", lab.left));
    assert_eq!(next().link, None);
}

/// The kernel tells of the state of a link a moment after its cause.
fn next_change(watch: &mut LinkWatch) -> io::Result<LinkChange> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(change) = watch.changes()?.pop() {
            return Ok(change);
        }
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

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

fn open(
    eal: &Eal,
    spec: PortSpec,
    mtu: u16,
    pools: &[Mempool],
) -> Result<(Port, Vec<Queue>), Error> {
    let config = PortConfig {
        name: "test".into(),
        spec,
        mtu,
        descriptors: None,
    };
    Port::open(eal, &config, pools)
}
