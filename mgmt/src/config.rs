//! The configuration: one TOML file, read once at start.
//!
//! The JSON Schema generated from these types is the one list of known keys; it is published as
//! `docs/mgmt.schema.json`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use wardline_settings::{Complain, ConfigError};

use crate::auth::Role;

/// Configuration of the management plane. Every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where people and programs reach it.
    pub listen: Listen,
    /// What survives a restart.
    pub state: State,
    /// The other process.
    pub fastpath: Fastpath,
    /// How long what was seen is kept.
    pub history: History,
    /// Models that may be put in use.
    pub models: Models,
    /// How long people stay logged in.
    pub sessions: Sessions,
    /// What keeps anybody from asking too much.
    pub limits: Limits,
    /// An identity provider that vouches for users.
    #[schemars(with = "Oidc")]
    pub oidc: Option<Oidc>,
    /// A collector of traces (OpenTelemetry).
    #[schemars(with = "Traces")]
    pub traces: Option<Traces>,
    /// Log output.
    pub log: Log,
}

/// Where people and programs reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Address and port, TLS only.
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// Names and addresses in the certificate that is made at the first start, besides
    /// `localhost`, the host's name and the address listened on.
    pub names: Vec<String>,
    /// Certificate chain (PEM) to use in place of one made here. Read again when it changes.
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    pub key: Option<PathBuf>,
    /// Authorities (PEM) whose client certificates are asked for; who comes with one is listed
    /// under `/certificates`. Read again when it changes.
    pub client_ca: Option<PathBuf>,
}

/// What survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// Directory for the databases, keys and certificates; for this process's user only.
    pub dir: PathBuf,
}

/// The other process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fastpath {
    /// Its control socket.
    pub socket: PathBuf,
    /// How often its devices are looked at, in seconds.
    pub devices_every_s: u64,
    /// How often its conversations are looked at, in seconds.
    pub flows_every_s: u64,
}

/// How long what was seen is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// Days that flow history is kept.
    pub days: u32,
    /// Size of the flow history in MiB; the oldest days make room.
    pub mib: u64,
}

/// Models that may be put in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Folder with a folder for each; the fast path must be able to read it as well.
    pub dir: PathBuf,
    /// File with the public half of the key that signs models, in place of the project's.
    pub key: Option<PathBuf>,
}

/// How long people stay logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// Minutes without a request after which a session ends.
    pub idle_minutes: u32,
    /// Hours after the login at which it ends at the latest.
    pub hours: u32,
}

/// What keeps anybody from asking too much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests a second of one user, token or certificate, or of one address before anybody
    /// logged in there; twice as many at once.
    pub requests_per_second: u32,
}

/// An identity provider that vouches for users, by OpenID Connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// The provider, as it calls itself: `https://…`.
    pub issuer: String,
    /// What the provider calls us.
    pub client_id: String,
    /// File with the secret that the provider gave us; absent for a public client.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// Where browsers reach us: `https://HOST:PORT/api/v1/login/oidc/callback`, as the provider
    /// has it on its list.
    pub redirect_url: String,
    /// What is asked for beside `openid`.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// The claim that says what a user may do, a text or a list of texts; dots lead into objects.
    pub role_claim: String,
    /// The role for each value of the claim. Who has several gets the first of administrator,
    /// security, biomed, auditor, viewer.
    pub roles: BTreeMap<String, Role>,
    /// Authority (PEM) that the provider's own certificate comes from, in place of those of the
    /// system.
    #[serde(default)]
    pub ca_certificate: Option<PathBuf>,
}

/// A collector of traces: OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// Where it takes them: `https://…/v1/traces`. Without TLS only on this machine.
    pub endpoint: String,
    /// Authority (PEM) that its certificate comes from, in place of those of the system.
    #[serde(default)]
    pub ca_certificate: Option<PathBuf>,
    /// File with what is sent as `Authorization`, such as `Bearer …`.
    #[serde(default)]
    pub authorization_file: Option<PathBuf>,
    /// How many of a hundred requests are traced. One that comes with a `traceparent` is traced if
    /// that says so.
    #[serde(default = "all")]
    pub sample_percent: u8,
}

/// Log output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Least severe level to write.
    pub level: LogLevel,
}

/// Level of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something a person should look at.
    Warn,
    /// Starts, stops, changes.
    Info,
    /// For finding a fault.
    Debug,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Each complaint with line and what to do.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        wardline_settings::load(path, values)
    }

    /// The JSON Schema of the file.
    pub fn schema() -> schemars::Schema {
        let mut schema = wardline_settings::schema::<Self>();
        schema.insert("title".into(), "Wardline management configuration".into());
        schema
    }
}

fn values(config: &Config, complain: Complain<'_>) {
    match (&config.listen.certificate, &config.listen.key) {
        (Some(_), None) => complain("listen.certificate", "needs `key` beside it".to_owned()),
        (None, Some(_)) => complain("listen.key", "needs `certificate` beside it".to_owned()),
        _ => {}
    }
    let ranges = [
        (
            "fastpath.devices_every_s",
            config.fastpath.devices_every_s,
            1,
            3_600,
        ),
        (
            "fastpath.flows_every_s",
            config.fastpath.flows_every_s,
            1,
            300,
        ),
        ("history.days", u64::from(config.history.days), 1, 3_650),
        ("history.mib", config.history.mib, 64, 1_048_576),
        (
            "sessions.idle_minutes",
            u64::from(config.sessions.idle_minutes),
            1,
            1_440,
        ),
        ("sessions.hours", u64::from(config.sessions.hours), 1, 168),
        (
            "limits.requests_per_second",
            u64::from(config.limits.requests_per_second),
            1,
            1_000_000,
        ),
    ];
    for (key, value, min, max) in ranges {
        if !(min..=max).contains(&value) {
            complain(key, format!("{value} is not between {min} and {max}"));
        }
    }
    if let Some(oidc) = &config.oidc {
        provider(oidc, complain);
    }
    if let Some(traces) = &config.traces {
        collector(traces, complain);
    }
}

fn collector(traces: &Traces, complain: Complain<'_>) {
    let url = reqwest::Url::parse(&traces.endpoint).ok();
    let own = ["localhost", "127.0.0.1", "[::1]"];
    let fits = url.is_some_and(|url| {
        url.scheme() == "https" || url.host_str().is_some_and(|host| own.contains(&host))
    });
    if !fits {
        complain(
            "traces.endpoint",
            "must begin with `https://`, or be on this machine".to_owned(),
        );
    }
    if traces.sample_percent > 100 {
        let sentence = format!("{} is not between 0 and 100", traces.sample_percent);
        complain("traces.sample_percent", sentence);
    }
}

fn provider(oidc: &Oidc, complain: Complain<'_>) {
    for (key, url) in [
        ("oidc.issuer", &oidc.issuer),
        ("oidc.redirect_url", &oidc.redirect_url),
    ] {
        if !url.starts_with("https://") {
            complain(key, "must begin with `https://`".to_owned());
        }
    }
    if !oidc.redirect_url.ends_with(crate::auth::oidc::CALLBACK) {
        let sentence = format!("must end with `{}`", crate::auth::oidc::CALLBACK);
        complain("oidc.redirect_url", sentence);
    }
    if oidc.roles.is_empty() {
        complain(
            "oidc.roles",
            "nobody gets a role: name at least one".to_owned(),
        );
    }
}

fn all() -> u8 {
    100
}

fn usual_scopes() -> Vec<String> {
    ["profile", "email"].map(str::to_owned).to_vec()
}

impl LogLevel {
    /// The same in the words of `tracing`.
    pub const fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8_443)),
            names: Vec::new(),
            certificate: None,
            key: None,
            client_ca: None,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            dir: "/var/lib/wardline-mgmt".into(),
        }
    }
}

impl Default for Fastpath {
    fn default() -> Self {
        Self {
            socket: wardline_control::DEFAULT_SOCKET.into(),
            devices_every_s: 10,
            flows_every_s: 30,
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self {
            days: 90,
            mib: 8_192,
        }
    }
}

impl Default for Models {
    fn default() -> Self {
        Self {
            dir: "/var/lib/wardline/models".into(),
            key: None,
        }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            idle_minutes: 30,
            hours: 12,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 500,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> String {
        wardline_settings::parse::<Config>(Path::new("m.toml"), text, values)
            .expect_err("it must be refused")
            .to_string()
    }

    #[test]
    fn nothing_need_be_said() {
        let config: Config =
            wardline_settings::parse(Path::new("m.toml"), "", values).expect("defaults");
        assert_eq!(config, Config::default());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(
            errors("[listen]\naddres = \"[::1]:8443\"\n"),
            "m.toml:2:1: unknown key `addres` in [listen]; did you mean `address`?"
        );
        assert_eq!(
            errors("[listen]\nkey = \"k.pem\"\n[history]\ndays = 0\n"),
            "m.toml:2:1: listen.key: needs `certificate` beside it\n\
             m.toml:4:1: history.days: 0 is not between 1 and 3650"
        );
        let oidc = "[oidc]\nissuer = \"http://id\"\nclient_id = \"w\"\nrole_claim = \"groups\"\n\
                    redirect_url = \"https://w/api/v1/login/oidc/callback\"\n[oidc.roles]\n";
        assert_eq!(
            errors(oidc),
            "m.toml:2:1: oidc.issuer: must begin with `https://`\n\
             m.toml:6:7: oidc.roles: nobody gets a role: name at least one"
        );
        assert_eq!(
            errors("[traces]\nendpoint = \"http://collector/v1/traces\"\nsample_percent = 101\n"),
            "m.toml:2:1: traces.endpoint: must begin with `https://`, or be on this machine\n\
             m.toml:3:1: traces.sample_percent: 101 is not between 0 and 100"
        );
        let typo = oidc.replace("role_claim", "role_clam");
        let expected = "unknown key `role_clam` in [oidc]; did you mean `role_claim`?";
        assert!(errors(&typo).contains(expected), "{}", errors(&typo));
    }

    #[test]
    fn published_schema_is_the_one_in_force() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mgmt.schema.json");
        let mut text = serde_json::to_string_pretty(&Config::schema()).expect("JSON");
        text.push('\n');
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &text).expect("written");
        }
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            text == published,
            "docs/mgmt.schema.json is stale: run this test with UPDATE_SCHEMA=1"
        );
    }
}
