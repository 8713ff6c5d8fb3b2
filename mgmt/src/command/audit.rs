//! `audit verify`, `audit export` and `audit report`. They only read, also while the service runs
//! and on a copy that somebody took away.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use futures::TryStreamExt as _;

use super::{Failure, state_dir};
use wardline_mgmt::audit::report::{Format, Period, Report};
use wardline_mgmt::audit::{Finding, Head, Line, Verdict, Verifier, log};
use wardline_mgmt::store::{MAIN_FILE, StoreError, read_only};
use wardline_mgmt::time::Time;

/// Bytes of a line of an export. A record holds at most a change of a policy document.
const LINE_BYTES: u64 = 64 * 1024 * 1024;
/// Days that a report is about, unless it is said since when.
const REPORTED_DAYS: i64 = 30;

/// The record of who changed what
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Say whether any record was altered, removed or put elsewhere; exit code 1 if so
    Verify(VerifyArgs),
    /// Print all records with their proofs, as JSON lines
    Export(ExportArgs),
    /// Print what an auditor reads: policies in force, changes by person, and why
    Report(ReportArgs),
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// State directory, or a copy of one; left out: the one of the configuration
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    state: Option<PathBuf>,
    /// An export to verify in its place
    #[arg(long, value_name = "EXPORT.jsonl", requires = "key")]
    file: Option<PathBuf>,
    /// The appliance's public key, `audit.pub` in its state directory
    #[arg(long, value_name = "FILE", requires = "file")]
    key: Option<PathBuf>,
    /// The head that was kept apart, `audit.head`: shows whether the end was cut off
    #[arg(long, value_name = "FILE", requires = "file")]
    head: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// State directory; left out: the one of the configuration
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Only records behind this number
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u32,
}

#[derive(Debug, Args)]
struct ReportArgs {
    /// State directory; left out: the one of the configuration
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Its beginning, a day or a time in UTC; left out: 30 days before its end
    #[arg(long, value_name = "TIME", value_parser = beginning)]
    since: Option<Time>,
    /// Its end, a day (which belongs to it) or a time in UTC; left out: now
    #[arg(long, value_name = "TIME", value_parser = end)]
    until: Option<Time>,
    /// How it is written: `markdown` or `html`
    #[arg(long, default_value = "markdown", value_parser = format)]
    format: Format,
}

/// Runs what was typed; true when nothing is wrong with the log.
///
/// # Errors
/// When it could not be done.
pub async fn run(args: &AuditArgs, config: &Path) -> Result<bool, Failure> {
    match &args.command {
        AuditCommand::Verify(args) => verify(args, config).await,
        AuditCommand::Export(args) => export(args, config).await.map(|()| true),
        AuditCommand::Report(args) => report(args, config).await.map(|()| true),
    }
}

async fn verify(args: &VerifyArgs, config: &Path) -> Result<bool, Failure> {
    let verdict = match (&args.file, &args.key) {
        (Some(file), Some(key)) => verify_file(file, key, args.head.as_deref())?,
        _ => verify_state(&state_dir(args.state.as_deref(), config)?).await?,
    };
    let mut out = io::stdout().lock();
    let told = if args.json {
        serde_json::to_writer_pretty(&mut out, &verdict)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        tell(&mut out, &verdict)
    };
    printed(told)?;
    Ok(verdict.findings.is_empty())
}

fn tell(out: &mut impl Write, verdict: &Verdict) -> io::Result<()> {
    for finding in &verdict.findings {
        writeln!(out, "record {}: {}", finding.seq, finding.what)?;
    }
    for note in &verdict.notes {
        writeln!(out, "note, record {}: {}", note.seq, note.what)?;
    }
    let Verdict { records, last, .. } = verdict;
    match verdict.findings.len() {
        0 => writeln!(
            out,
            "{records} records up to number {last}: none is altered, missing or out of place"
        ),
        count => writeln!(
            out,
            "{records} records up to number {last}: {count} findings"
        ),
    }
}

async fn verify_state(dir: &Path) -> Result<Verdict, Failure> {
    let verifier = Verifier::beside(dir).map_err(|error| anyhow!(error))?;
    let db = match read_only(&dir.join(MAIN_FILE)).await {
        Ok(db) => db,
        // Nothing of it can be read, which is a finding like any other.
        Err(error @ StoreError::Damaged(_)) => {
            let mut verdict = verifier.finish();
            verdict.findings.push(Finding {
                seq: 0,
                what: error.to_string(),
            });
            return Ok(verdict);
        }
        Err(error) => return Err(anyhow::Error::from(error).into()),
    };
    let verdict = log::verify(&db, verifier).await;
    db.close().await;
    Ok(verdict)
}

fn verify_file(file: &Path, key: &Path, head: Option<&Path>) -> Result<Verdict, Failure> {
    let at = |path: &Path| format!("cannot read {}", path.display());
    let text = |path: &Path| std::fs::read_to_string(path).with_context(|| at(path));
    let head = head.map(|path| -> anyhow::Result<Head> {
        serde_json::from_str(&text(path)?).with_context(|| at(path))
    });
    let mut verifier = Verifier::new(&text(key)?, head.transpose()?)
        .map_err(|error| anyhow!("{}: {error}", key.display()))?;
    let mut lines = BufReader::new(File::open(file).with_context(|| at(file))?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limited = (&mut lines).take(LINE_BYTES).read_until(b'\n', &mut line);
        if limited.with_context(|| at(file))? == 0 {
            return Ok(verifier.finish());
        }
        match serde_json::from_slice::<Line>(&line) {
            Ok(line) => drop(verifier.take(&line)),
            Err(_) => verifier.take_unreadable(),
        }
    }
}

async fn export(args: &ExportArgs, config: &Path) -> Result<(), Failure> {
    let db = open(&state_dir(args.state.as_deref(), config)?).await?;
    let newest = log::newest(&db).await.map_err(anyhow::Error::from)?;
    let mut lines = Box::pin(log::lines(db.clone(), args.after.into(), newest));
    let mut out = BufWriter::new(io::stdout().lock());
    while let Some(line) = lines.try_next().await.map_err(anyhow::Error::from)? {
        let text = serde_json::to_string(&line).map_err(anyhow::Error::from)?;
        if !printed(writeln!(out, "{text}"))? {
            return Ok(());
        }
    }
    printed(out.flush())?;
    Ok(())
}

async fn report(args: &ReportArgs, config: &Path) -> Result<(), Failure> {
    let dir = state_dir(args.state.as_deref(), config)?;
    let until = args.until.unwrap_or_else(Time::now);
    let since = args
        .since
        .unwrap_or_else(|| until.plus_s(-REPORTED_DAYS * 86_400));
    if since >= until {
        return Err(Failure::Usage("--since is not before --until".to_owned()));
    }
    let verdict = verify_state(&dir).await?;
    let db = open(&dir).await?;
    let key = std::fs::read_to_string(dir.join("audit.pub")).context("cannot read audit.pub")?;
    let period = Period { since, until };
    let report = Report::read(&db, period, key.trim().to_owned(), Some(verdict)).await;
    let text = report.map_err(anyhow::Error::from)?.write(args.format);
    printed(io::stdout().write_all(text.as_bytes()))?;
    Ok(())
}

async fn open(dir: &Path) -> Result<sqlx::SqlitePool, Failure> {
    let path = dir.join(MAIN_FILE);
    let opened = read_only(&path).await;
    Ok(opened.with_context(|| format!("cannot read {}", path.display()))?)
}

/// False when whoever read our output went away, which is their right.
fn printed(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(anyhow::Error::from(error).context("cannot print").into()),
    }
}

fn beginning(text: &str) -> Result<Time, String> {
    text.parse()
        .or_else(|_| format!("{text}T00:00:00Z").parse())
        .map_err(|_: String| "expected 2026-01-31 or 2026-01-31T08:30:00Z".to_owned())
}

/// A day belongs to the report as a whole.
fn end(text: &str) -> Result<Time, String> {
    match text.parse() {
        Ok(time) => Ok(time),
        Err(_) => beginning(text).map(|day: Time| day.plus_s(86_400)),
    }
}

fn format(text: &str) -> Result<Format, String> {
    serde_json::from_value(text.into()).map_err(|_| "it is `markdown` or `html`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_belongs_to_its_report_from_midnight_to_midnight() {
        let (from, to) = (beginning("2026-01-31"), end("2026-01-31"));
        let (from, to) = (from.expect("a day"), to.expect("a day"));
        assert_eq!(to.us() - from.us(), 86_400_000_000);
        assert_eq!(from.to_string(), "2026-01-31T00:00:00.000000Z");
        assert_eq!(
            end("2026-01-31T08:30:00Z"),
            beginning("2026-01-31T08:30:00Z")
        );
        assert!(beginning("yesterday").is_err() && format("pdf").is_err());
    }
}
