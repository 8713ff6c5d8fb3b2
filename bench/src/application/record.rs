//! What is found while the suite runs.

use anyhow::Result;

use super::dut::System;
use crate::{Absent, Better, Findings, Sample, Suite, interrupt};

/// Where samples belong.
#[derive(Debug, Clone)]
pub struct Place {
    /// The system.
    pub system: System,
    /// The round.
    pub round: u32,
    /// The corner.
    pub corner: String,
}

/// Collects the findings.
#[derive(Debug, Default)]
pub struct Record {
    findings: Findings,
}

impl Record {
    /// Everything found.
    pub fn findings(self) -> Findings {
        self.findings
    }

    /// Adds a number.
    pub fn add(&mut self, place: &Place, metric: &str, unit: &str, value: f64, better: Better) {
        self.findings.samples.push(Sample {
            suite: Suite::Application,
            corner: place.corner.clone(),
            system: place.system.name().to_owned(),
            round: place.round,
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            value,
            better,
        });
    }

    /// Keeps a failure as something absent, once for each corner of a system.
    ///
    /// # Errors
    /// When the run was interrupted, which is no finding.
    pub fn note(&mut self, system: System, corner: &str, outcome: Result<()>) -> Result<()> {
        interrupt::check()?;
        if let Err(error) = outcome {
            let said = format!("{error:#}");
            // What follows the first line quotes the input of some tool.
            let reason = said.lines().next().unwrap_or_default();
            eprintln!("application: {} is absent: {reason}", system.name());
            self.absent(system, corner, reason.to_owned());
        }
        Ok(())
    }

    /// Says that a system, or one corner of it, could not be measured.
    pub fn absent(&mut self, system: System, corner: &str, reason: String) {
        let absent = Absent {
            suite: Suite::Application,
            corner: corner.to_owned(),
            system: system.name().to_owned(),
            reason,
        };
        let place = |absent: &Absent| (absent.system.clone(), absent.corner.clone());
        if self
            .findings
            .absent
            .iter()
            .all(|known| place(known) != place(&absent))
        {
            self.findings.absent.push(absent);
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_failure_is_told_once_for_each_corner_with_its_causes() {
        let mut record = Record::default();
        for corner in ["goodput", "goodput", "held"] {
            let outcome = Err(anyhow!("no such device").context("binding"));
            record.note(System::Bridge, corner, outcome).unwrap();
        }
        record.note(System::Direct, "goodput", Ok(())).unwrap();
        let absent = record.findings().absent;
        assert_eq!(absent.len(), 2);
        assert_eq!(absent[0].reason, "binding: no such device");
        assert_eq!(absent[0].system, "linux bridge");
    }
}
