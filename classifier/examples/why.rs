use wardline_capture::Reader;
use wardline_classifier::decide::{Calibration, decide};
use wardline_classifier::device::Evidence;
use wardline_classifier::observer::{Limits, Observer};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    for capture in &args[2..] {
        let mut reader = Reader::open(std::path::Path::new(capture)).unwrap();
        let mut observer = Observer::new(Limits::default());
        while let Ok(Some(packet)) = reader.next_packet() {
            observer.frame(packet.time_ns, packet.data, packet.original_bytes as usize);
        }
        for station in observer.stations() {
            let mac = station.key().mac.to_string();
            if args[1] != "all" && !mac.eq_ignore_ascii_case(&args[1]) {
                continue;
            }
            let evidence = Evidence::of(station);
            let a = decide(&evidence, None, &Calibration::default());
            println!(
                "{capture} {mac} = {} p={:.3} enforce={} conflict={:?}",
                a.words(),
                a.probability,
                a.may_enforce,
                a.conflict
            );
            println!(
                "   {:?} other {:.3}",
                &a.chances.ranked()[..4],
                a.chances.other()
            );
            println!("   {:?} {:?} {:?}", a.kind, a.vendor, a.identity);
            println!(
                "   {:?} tags {:?} for {:?}",
                a.would_change, a.asset_tags, a.speaks_for
            );
            for n in evidence.noted() {
                let w: Vec<_> = n
                    .meaning
                    .weights
                    .iter()
                    .filter(|w| w.log_odds > -4.9)
                    .map(|w| format!("{} {:.1}", w.role, w.log_odds))
                    .collect();
                println!(
                    "      {:?} {}={}  {}",
                    n.meaning.family,
                    n.fact.field,
                    n.fact.value,
                    w.join(", ")
                );
            }
        }
    }
}
