//! `wardline-memory`: bytes for each conversation, device and rule, counted by the allocator.

use anyhow::Result;
use clap::Parser;
use wardline_bench::memory::{Kept, samples};

/// What one more conversation, device or rule takes
#[derive(Debug, Parser)]
#[command(name = "wardline-memory")]
struct Cli {
    /// As samples of the harness
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let samples = samples(count)?;
    if Cli::parse().json {
        println!("{}", serde_json::to_string_pretty(&samples)?);
        return Ok(());
    }
    for sample in &samples {
        println!(
            "{:<30} {:>8.1} {}",
            sample.metric, sample.value, sample.unit
        );
    }
    Ok(())
}

/// Live bytes once it is made: what was allocated on the way and freed again is not in it.
fn count(make: &mut dyn FnMut() -> Result<Kept>) -> Result<u64> {
    let mut kept = None;
    let counted = allocation_counter::measure(|| kept = Some(make()));
    kept.transpose()?;
    Ok(u64::try_from(counted.bytes_current)?)
}

#[cfg(test)]
mod tests {
    use wardline_engine::{Engine, Limits};
    use wardline_policy::PolicySnapshot;

    use super::*;

    fn engine(flows: u32) -> Result<Kept> {
        let limits = Limits {
            flows,
            ..Limits::default()
        };
        let policy = PolicySnapshot::observe_all().into();
        Ok(Kept::Engine(Box::new(Engine::new(limits, 1, policy, 0))))
    }

    fn flow_table(flows: u32) -> usize {
        match engine(flows).unwrap() {
            Kept::Engine(engine) => engine.table_bytes().flows,
            Kept::Policy(_) => 0,
        }
    }

    #[test]
    fn what_is_freed_does_not_count() {
        let counted = count(&mut || {
            drop(std::hint::black_box(vec![0u8; 1 << 20]));
            engine(1 << 10)
        });
        let again = count(&mut || engine(1 << 10));
        assert_eq!(counted.unwrap(), again.unwrap());
    }

    #[test]
    fn the_allocator_sees_no_less_than_the_engine_says_of_its_tables() {
        let counted = |flows| count(&mut || engine(flows)).unwrap();
        let growth = counted(1 << 14) - counted(1 << 13);
        let said = flow_table(1 << 14) - flow_table(1 << 13);
        assert!(growth >= said as u64, "{growth} is less than {said}");
    }
}
