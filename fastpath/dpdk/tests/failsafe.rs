//! When the process dies, hangs or leaves, the kernel bridge has the traffic; when it comes back, it
//! finds what it left.

mod common;

use common::{Lab, Wire, can_run};
use wardline_dpdk::{Link, xdp};

const PINGS: u32 = 50;

#[test]
fn the_kernel_takes_over_and_gives_back() {
    if !can_run("the_kernel_takes_over_and_gives_back") {
        return;
    }
    let lab = Lab::new("wldsafe", 1500);
    lab.bridge();
    assert_eq!(lab.ping(PINGS), PINGS, "the bridge alone");
    assert_eq!(programs(&lab), [Vec::<String>::new(), Vec::new()]);

    let wire = Wire::start(&lab);
    let first = program_numbers(&lab);
    assert_eq!(lab.ping(PINGS), PINGS, "the process");
    wire.kill();
    assert_eq!(lab.ping(PINGS), PINGS, "the bridge after a kill");
    assert_eq!(
        program_numbers(&lab),
        first,
        "the programs stay after a kill"
    );

    let wire = Wire::start(&lab);
    assert_eq!(
        program_numbers(&lab),
        first,
        "a new start uses the programs it finds"
    );
    assert_eq!(lab.ping(PINGS), PINGS, "the second process");
    wire.halt();
    assert_eq!(lab.ping(3), 0, "a halted process swallows every frame");
    for port in [&lab.left, &lab.right] {
        assert!(lab.within("x", || xdp::empty_socket_map(port)).unwrap());
    }
    assert_eq!(lab.ping(PINGS), PINGS, "the bridge beside a halted process");
    wire.kill();

    let wire = Wire::start(&lab);
    let pinging = std::thread::scope(|scope| {
        let pinging = scope.spawn(|| lab.ping(200));
        std::thread::sleep(std::time::Duration::from_millis(500));
        wire.stop();
        pinging.join().unwrap()
    });
    assert_eq!(
        pinging, 200,
        "nothing is lost when the process leaves as planned"
    );
    assert_eq!(
        program_numbers(&lab),
        first,
        "the programs stay after a planned exit"
    );

    for port in [&lab.left, &lab.right] {
        assert!(lab.within("x", || xdp::detach(port)).unwrap());
        assert!(
            !lab.within("x", || xdp::detach(port)).unwrap(),
            "nothing is left to take off"
        );
    }
    assert_eq!(programs(&lab), [Vec::<String>::new(), Vec::new()]);
    assert_eq!(lab.ping(PINGS), PINGS, "the interfaces given back");
}

fn programs(lab: &Lab) -> [Vec<String>; 2] {
    [&lab.left, &lab.right].map(|port| lab.within("x", || xdp::attached(port)).unwrap())
}

fn program_numbers(lab: &Lab) -> [u32; 2] {
    assert_eq!(programs(lab), [["xsk_def_prog"], ["xsk_def_prog"]]);
    [&lab.left, &lab.right].map(|port| {
        lab.within("x", || Link::of(port))
            .unwrap()
            .xdp_program
            .unwrap()
    })
}
