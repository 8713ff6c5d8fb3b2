//! `wardline audit …`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use futures::TryStreamExt as _;
use wardline_mgmt::audit::{Line, Verifier};
use wardline_mgmt::config::Config;
use wardline_mgmt::store::audit_lines;

/// Who changed what.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Find whatever was altered, removed or put elsewhere; exit code 1 when something was
    Verify(Verify),
    /// Print the log, one JSON object a line, with what it takes to verify it
    Export,
}

/// What to verify.
#[derive(Debug, Args)]
pub struct Verify {
    /// An export in place of the log of this appliance
    #[arg(long, value_name = "FILE", requires = "key")]
    file: Option<PathBuf>,
    /// The appliance's public key (`audit.pub` in its state directory), for an export
    #[arg(long, value_name = "FILE", requires = "file")]
    key: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

impl Audit {
    /// Does it, whether the service runs or not.
    pub fn run(&self, config: &Config) -> Result<()> {
        match self {
            Self::Verify(verify) => verify.run(&config.state.dir),
            Self::Export => export(&config.state.dir),
        }
    }
}

impl Verify {
    fn run(&self, state: &Path) -> Result<()> {
        let verifier = match (&self.file, &self.key) {
            (Some(file), Some(key)) => {
                let text = std::fs::read_to_string(key)
                    .with_context(|| format!("cannot read {}", key.display()))?;
                let mut verifier = Verifier::new(&text, None).map_err(anyhow::Error::msg)?;
                from_file(file, |line| verifier.take(line))?;
                verifier
            }
            _ => {
                let mut verifier = Verifier::beside(state).map_err(anyhow::Error::msg)?;
                from_state(state, |line| {
                    verifier.take(&line);
                    Ok(())
                })?;
                verifier
            }
        };
        let verdict = verifier.finish();
        if self.json {
            println!("{}", serde_json::to_string(&verdict)?);
        } else {
            for finding in &verdict.findings {
                println!("record {} {}", finding.seq, finding.what);
            }
            println!(
                "{} records, the last is number {}",
                verdict.records, verdict.last
            );
        }
        ensure!(
            verdict.findings.is_empty(),
            "the audit log is not as it was written: {} findings",
            verdict.findings.len()
        );
        Ok(())
    }
}

fn export(state: &Path) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    from_state(state, |line| {
        serde_json::to_writer(&mut out, &line)?;
        Ok(out.write_all(b"\n")?)
    })?;
    Ok(out.flush()?)
}

fn from_file(file: &Path, mut take: impl FnMut(&Line)) -> Result<()> {
    let doing = || format!("cannot read {}", file.display());
    let reader = BufReader::new(File::open(file).with_context(doing)?);
    for (number, text) in reader.lines().enumerate() {
        let text = text.with_context(doing)?;
        match serde_json::from_str(&text) {
            Ok(line) => take(&line),
            Err(error) => bail!("{}:{}: no record: {error}", file.display(), number + 1),
        }
    }
    Ok(())
}

fn from_state(state: &Path, mut take: impl FnMut(Line) -> Result<()>) -> Result<()> {
    super::wait(async {
        let pool = audit_lines::open(state).await?;
        let mut lines = audit_lines::stream(&pool);
        while let Some(line) = lines.try_next().await? {
            take(line)?;
        }
        Ok(())
    })
}
