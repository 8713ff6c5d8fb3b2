//! Frames that are handed out for whoever reads what devices say of themselves.

use wardline_policy::{Reason, Side};

use crate::lab::*;

impl Lab {
    /// The frames handed out since the last call, given back.
    fn sampled(&mut self) -> Vec<(Side, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(sample) = self.engine.next_sample() {
            all.push((sample.from, sample.bytes().to_vec()));
            self.engine.give_back(sample);
        }
        all
    }
}

#[test]
fn of_a_conversation_the_beginning_is_handed_out_in_order() {
    let mut lab = Lab::new();
    let mut sent = Vec::new();
    for n in 0..100u8 {
        let (from, frame) = if n % 2 == 0 {
            (Side::Ward, udp(&MODALITY, &PACS, (6000, 5000), &[n]))
        } else {
            (Side::Core, udp(&PACS, &MODALITY, (5000, 6000), &[n]))
        };
        lab.send(from, &frame);
        sent.push((from, frame));
    }
    let sampled = lab.sampled();
    assert!((30..=40).contains(&sampled.len()), "{}", sampled.len());
    assert_eq!(sampled, sent[..sampled.len()]);
    lab.wait(1);
    passes(
        lab.ward(&udp(&MODALITY, &PACS, (6000, 5000), b"late")),
        Reason::Established,
    );
    assert!(lab.sampled().is_empty(), "only the beginning");
}

#[test]
fn what_is_denied_or_for_a_group_is_handed_out_as_well() {
    let mut lab = Lab::new();
    let denied = udp(&PUMP, &ATTACKER, (40_000, 9), b"x");
    drops(lab.ward(&denied), Reason::NoRule);
    let question = udp_group(&PUMP, v4("224.0.0.251"), (5353, 5353), b"who");
    lab.ward(&question);
    assert_eq!(
        lab.sampled(),
        [(Side::Ward, denied), (Side::Ward, question)]
    );
}

#[test]
fn a_scan_takes_no_more_than_the_share_of_its_device() {
    let mut lab = Lab::new();
    for port in 0..2_000 {
        lab.ward(&syn(&PUMP, &ATTACKER, (40_000, port)));
    }
    let of_the_scan = lab.sampled().len();
    assert!((100..=300).contains(&of_the_scan), "{of_the_scan}");
    lab.ward(&udp(&MODALITY, &PACS, (6000, 5000), b"q"));
    assert_eq!(lab.sampled().len(), 1, "others have theirs");
}
