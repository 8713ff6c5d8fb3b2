//! What an auditor reads: which policy was in force, what was changed, by whom and why.

mod page;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sqlx::SqlitePool;
use utoipa::ToSchema;

use super::{Body, Head, Verdict};
use crate::store::StoreError;
use crate::time::Time;
use page::{Page, Table};

/// Records that a report tells one by one; the export has all.
const TOLD: i64 = 1_000;
/// Records of policies, by subject.
const POLICIES: (&str, &str) = ("policy/", "policy0");
/// The operations after which another version is in force.
const IN_FORCE: [&str; 3] = ["apply_policy", "adopt_policy", "roll_back_policy"];

/// The time a report is about: from `since` on, up to `until` but not with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its beginning.
    pub since: Time,
    /// Its end.
    pub until: Time,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Markdown.
    #[default]
    Markdown,
    /// A page of HTML.
    Html,
}

/// What an auditor reads.
#[derive(Debug)]
pub struct Report {
    made: Time,
    period: Period,
    public_key: String,
    head: Option<Head>,
    verdict: Option<Verdict>,
    in_force: Vec<InForce>,
    policies: Vec<Body>,
    people: Vec<(String, String, i64, Time, Time)>,
    all: Vec<Body>,
}

/// A version and since when it was in force.
#[derive(Debug, Clone, PartialEq, Eq)]
struct InForce {
    since: Time,
    version: Option<i64>,
    who: String,
    reason: String,
}

impl Report {
    /// Reads what happened in a period. `public_key` verifies the records; `verdict` is what came
    /// out of that, if it was done.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(
        db: &SqlitePool,
        period: Period,
        public_key: String,
        verdict: Option<Verdict>,
    ) -> Result<Self, StoreError> {
        let head: Option<(i64, String, String)> =
            sqlx::query_as("SELECT seq, hash, signature FROM audit ORDER BY seq DESC LIMIT 1")
                .fetch_optional(db)
                .await?;
        Ok(Self {
            made: Time::now(),
            period,
            public_key,
            head: head.map(|(seq, hash, signature)| Head {
                seq,
                hash,
                signature,
            }),
            verdict,
            in_force: in_force(db, period).await?,
            policies: policies(db, period).await?,
            people: people(db, period).await?,
            all: all(db, period).await?,
        })
    }

    /// The report as text.
    pub fn write(&self, format: Format) -> String {
        let page = self.page();
        match format {
            Format::Markdown => page.markdown(),
            Format::Html => page.html(),
        }
    }

    fn page(&self) -> Page {
        let Period { since, until } = self.period;
        let mut page = Page::new("Audit report");
        page.text(format!(
            "From {since} to {until}, made at {}. All times are UTC.",
            self.made
        ));
        self.write_proof(&mut page);
        page.heading("Policy in force");
        page.table(Table::new(
            ["Since", "Version", "Put in force by", "Reason"],
            self.in_force.iter().map(InForce::cells),
        ));
        page.text("The text of a version: `GET /api/v1/policies/{number}`.");
        page.heading("Changes of policy");
        page.table(records(&self.policies));
        page.heading("Changes by person");
        let people = self.people.iter().map(|(who, operation, count, from, to)| {
            [
                who.clone(),
                operation.clone(),
                count.to_string(),
                from.to_string(),
                to.to_string(),
            ]
        });
        page.table(Table::new(
            ["Who", "Operation", "Changes", "First", "Last"],
            people,
        ));
        page.heading("All changes");
        page.table(records(&self.all));
        page
    }

    fn write_proof(&self, page: &mut Page) {
        page.heading("Proof");
        match &self.head {
            Some(head) => page.text(format!(
                "The log's newest record is number {} with the hash `{}`; its records are signed \
                 with the key whose public half is `{}`.",
                head.seq, head.hash, self.public_key
            )),
            None => page.text("The log has no records yet."),
        }
        match &self.verdict {
            None => page.text(
                "This report does not verify the log: export it (`GET /api/v1/audit/export`) and \
                 run `wardline audit verify --file EXPORT --key KEY`.",
            ),
            Some(verdict) if verdict.findings.is_empty() => {
                page.text(format!(
                    "All {} records were verified when this report was made: none is altered, \
                     missing or out of place.",
                    verdict.records
                ));
                for note in &verdict.notes {
                    page.text(format!("Record {}: {}.", note.seq, note.what));
                }
            }
            Some(verdict) => {
                page.text("THE LOG IS NOT AS IT WAS WRITTEN:");
                page.table(Table::new(
                    ["Record", "What is wrong"],
                    verdict
                        .findings
                        .iter()
                        .map(|finding| [finding.seq.to_string(), finding.what.clone()]),
                ));
            }
        }
    }
}

impl InForce {
    /// What a record says of the policy that is in force after it.
    fn after(body: &Body) -> Self {
        let number = |value: &Json| value.as_i64().or_else(|| value.get("number")?.as_i64());
        Self {
            since: body.time,
            version: body.after.as_ref().and_then(number),
            who: body.who.clone(),
            reason: body.reason.clone().unwrap_or_default(),
        }
    }

    fn cells(&self) -> [String; 4] {
        let version = self.version.map(|number| number.to_string());
        [
            self.since.to_string(),
            version.unwrap_or_else(|| "none".to_owned()),
            self.who.clone(),
            self.reason.clone(),
        ]
    }
}

fn records(bodies: &[Body]) -> Table {
    let table = Table::new(
        ["Record", "Time", "Who", "Operation", "Subject", "Reason"],
        bodies.iter().map(|body| {
            [
                body.seq.to_string(),
                body.time.to_string(),
                body.who.clone(),
                body.operation.clone(),
                body.subject.clone(),
                body.reason.clone().unwrap_or_default(),
            ]
        }),
    );
    if i64::try_from(bodies.len()).is_ok_and(|told| told < TOLD) {
        table
    } else {
        table.note(format!(
            "Only the first {TOLD} are told; the export has all."
        ))
    }
}

/// What was in force when the period began, and each change within it.
async fn in_force(db: &SqlitePool, period: Period) -> Result<Vec<InForce>, StoreError> {
    let mut found = Vec::new();
    let before: Vec<String> = sqlx::query_scalar(
        "SELECT body FROM audit WHERE operation IN (?1, ?2, ?3) AND time_us < ?4 \
         ORDER BY seq DESC LIMIT 1",
    )
    .bind(IN_FORCE[0])
    .bind(IN_FORCE[1])
    .bind(IN_FORCE[2])
    .bind(period.since.us())
    .fetch_all(db)
    .await?;
    found.extend(bodies(&before).iter().map(InForce::after));
    let within: Vec<String> = sqlx::query_scalar(
        "SELECT body FROM audit WHERE operation IN (?1, ?2, ?3) \
         AND time_us >= ?4 AND time_us < ?5 ORDER BY seq LIMIT ?6",
    )
    .bind(IN_FORCE[0])
    .bind(IN_FORCE[1])
    .bind(IN_FORCE[2])
    .bind(period.since.us())
    .bind(period.until.us())
    .bind(TOLD)
    .fetch_all(db)
    .await?;
    found.extend(bodies(&within).iter().map(InForce::after));
    Ok(found)
}

async fn policies(db: &SqlitePool, period: Period) -> Result<Vec<Body>, StoreError> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT body FROM audit WHERE time_us >= ?1 AND time_us < ?2 \
         AND (operation = 'set_device_mode' OR subject >= ?3 AND subject < ?4) \
         ORDER BY seq LIMIT ?5",
    )
    .bind(period.since.us())
    .bind(period.until.us())
    .bind(POLICIES.0)
    .bind(POLICIES.1)
    .bind(TOLD)
    .fetch_all(db)
    .await?;
    Ok(bodies(&found))
}

async fn people(
    db: &SqlitePool,
    period: Period,
) -> Result<Vec<(String, String, i64, Time, Time)>, StoreError> {
    let found: Vec<(String, String, i64, i64, i64)> = sqlx::query_as(
        "SELECT who, operation, count(*), min(time_us), max(time_us) FROM audit \
         WHERE time_us >= ?1 AND time_us < ?2 GROUP BY who, operation \
         ORDER BY who, operation LIMIT ?3",
    )
    .bind(period.since.us())
    .bind(period.until.us())
    .bind(TOLD)
    .fetch_all(db)
    .await?;
    let read = |(who, operation, count, from, to)| {
        (
            who,
            operation,
            count,
            Time::from_us(from),
            Time::from_us(to),
        )
    };
    Ok(found.into_iter().map(read).collect())
}

async fn all(db: &SqlitePool, period: Period) -> Result<Vec<Body>, StoreError> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT body FROM audit WHERE time_us >= ?1 AND time_us < ?2 ORDER BY seq LIMIT ?3",
    )
    .bind(period.since.us())
    .bind(period.until.us())
    .bind(TOLD)
    .fetch_all(db)
    .await?;
    Ok(bodies(&found))
}

/// Those that can be read; the others are findings of the verifier.
fn bodies(texts: &[String]) -> Vec<Body> {
    let read = texts.iter().map(|text| serde_json::from_str(text));
    read.filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Actor, Record, Store};

    async fn write(store: &Store, who: &str, record: Record) {
        let actor = Actor {
            who: who.to_owned(),
            address: None,
        };
        let change = store.change(actor).await.expect("a change");
        change.commit(record).await.expect("kept");
    }

    async fn told(store: &Store, period: Period) -> String {
        let report = Report::read(store.main.read(), period, "key".to_owned(), None).await;
        report.expect("read").write(Format::Markdown)
    }

    #[tokio::test]
    async fn a_report_says_what_was_in_force_and_why() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).await.expect("a store");
        let apply = |number: i64, why: &str| {
            let record = Record::new("apply_policy", format!("policy/{number}"));
            record
                .because(Some(why))
                .after(&serde_json::json!({ "number": number }))
        };
        write(
            &store,
            "user:anna",
            apply(1, "the first | with <b>bars</b>"),
        )
        .await;
        let between = Time::now();
        write(&store, "user:otto", apply(2, "a new pump")).await;
        let back = Record::new("roll_back_policy", "policy/2").after(&1);
        write(&store, "system", back.because(Some("nobody confirmed"))).await;
        write(
            &store,
            "user:anna",
            Record::new("update_device", "device/x"),
        )
        .await;

        let later = between.plus_s(3_600);
        let text = told(
            &store,
            Period {
                since: between,
                until: later,
            },
        )
        .await;
        let (_, forced) = text.split_once("## Policy in force").expect("a section");
        let (forced, rest) = forced
            .split_once("## Changes of policy")
            .expect("a section");
        let versions: Vec<_> = forced
            .lines()
            .filter_map(|line| line.split(" | ").nth(1))
            .skip(1)
            .collect();
        assert_eq!(versions, ["1", "2", "1"], "{forced}");
        assert!(
            forced.contains("the first \\| with &lt;b>bars&lt;/b>"),
            "{forced}"
        );
        assert!(
            rest.contains("| user:otto | apply\\_policy | 1 |"),
            "{rest}"
        );
        assert!(!rest.contains("the first"), "{rest}");
        let nothing = told(
            &store,
            Period {
                since: later,
                until: later.plus_s(1),
            },
        )
        .await;
        assert!(nothing.contains("nobody confirmed"), "{nothing}");
        assert!(!nothing.contains("update\\_device"), "{nothing}");
    }
}
