//! HTTP: nginx on the core side, `wrk` on the ward side.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::interrupt;
use crate::process::{Process, output};
use crate::wire::space::Namespace;

/// TCP port of the server.
pub const PORT: u16 = 80;
/// How long the server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(5);

/// The web server, with one object of each size it was asked for; ended when dropped.
#[derive(Debug)]
pub struct Server {
    _process: Process,
    address: SocketAddr,
}

impl Server {
    /// Starts nginx in the namespace with objects of these sizes in bytes, and waits until it
    /// listens.
    ///
    /// # Errors
    /// When it does not start: its log says why.
    pub fn start(
        namespace: &Namespace,
        address: SocketAddr,
        sizes: &[u64],
        scratch: &Path,
    ) -> Result<Self> {
        let home = scratch.join("nginx");
        write_objects(&home, sizes)?;
        let configuration = home.join("nginx.conf");
        fs::write(&configuration, configure(&home, address))
            .with_context(|| format!("writing {}", configuration.display()))?;
        let mut command = mortal(namespace, "nginx");
        command.arg("-c").arg(configuration).arg("-p").arg(&home);
        let mut process = Process::start("nginx", &mut command, &scratch.join("nginx.log"))?;
        wait_for_listener(namespace, address, &mut process)?;
        Ok(Self {
            _process: process,
            address,
        })
    }

    /// Address of the object of `size` bytes.
    pub fn url(&self, size: u64) -> String {
        format!("http://{}/{size}", self.address)
    }
}

/// A program in the namespace that does not outlive the harness, whatever happens to that.
pub fn mortal(namespace: &Namespace, program: &str) -> Command {
    let mut command = namespace.command("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

fn write_objects(home: &Path, sizes: &[u64]) -> Result<()> {
    let objects = home.join("objects");
    fs::create_dir_all(&objects).with_context(|| format!("creating {}", objects.display()))?;
    for size in sizes {
        let content = vec![b'w'; usize::try_from(*size).context("size of an object")?];
        let path = objects.join(size.to_string());
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// One process: the server has one CPU core. The many requests of one connection are those of the
/// throughput test (RFC 9411, section 7.3).
fn configure(home: &Path, address: SocketAddr) -> String {
    let home = home.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {home}/{kind};\n"))
        .concat();
    format!(
        "user root;\ndaemon off;\nmaster_process off;\npid {home}/pid;\nerror_log stderr;\n\
         worker_rlimit_nofile 16384;\nevents {{ worker_connections 8192; multi_accept on; }}\n\
         http {{\n  access_log off;\n  sendfile on;\n  tcp_nopush on;\n  \
         keepalive_requests 1000000000;\n  keepalive_timeout 60;\n{temporary}  \
         open_file_cache max=64 inactive=600s;\n  open_file_cache_valid 600s;\n  \
         server {{ listen {address} backlog=4096; root {home}/objects; }}\n}}\n"
    )
}

/// Waits until somebody listens at `address`, seen from the server's own namespace.
///
/// # Errors
/// When nobody does in time, or whoever should has ended.
pub fn wait_for_listener(
    namespace: &Namespace,
    address: SocketAddr,
    server: &mut Process,
) -> Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        let open = namespace.within(|| {
            Ok(TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok())
        })?;
        if open {
            return Ok(());
        }
        server.check()?;
        ensure!(
            Instant::now() < deadline,
            "nothing listens at {address} after {START_LIMIT:?}"
        );
        interrupt::sleep(Duration::from_millis(20))?;
    }
}

/// What `wrk` asks for.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// Whole address of the object.
    pub url: &'a str,
    /// Connections at once.
    pub connections: u32,
    /// A new connection for each transaction.
    pub close: bool,
    /// How long, in whole seconds.
    pub seconds: u32,
}

/// What `wrk` got.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Got {
    /// Transactions that were answered.
    pub transactions: u64,
    /// Of these, or beside them, those that failed: refused, broken, late, or not answered `2xx`.
    pub failed: u64,
    /// Answered transactions a second.
    pub per_second: f64,
}

/// Offers a load in the namespace and reports what came of it.
///
/// # Errors
/// When `wrk` does not run, or says nothing that can be read.
pub fn offer(namespace: &Namespace, load: &Load<'_>) -> Result<Got> {
    interrupt::check()?;
    let mut command = namespace.command("wrk");
    command.args(["--threads", "1", "--timeout", "2s"]);
    command.args(["--connections", &load.connections.to_string()]);
    command.args(["--duration", &format!("{}s", load.seconds)]);
    if load.close {
        command.args(["--header", "Connection: close"]);
    }
    let said = output(command.arg(load.url))?;
    interrupt::check()?;
    let got = read_wrk(&said)?;
    if got.transactions == 0 {
        bail!("not one transaction with {} succeeded", load.url);
    }
    Ok(got)
}

/// Reads the summary that `wrk` prints.
fn read_wrk(said: &str) -> Result<Got> {
    let after = |mark: &str| said.lines().find_map(|line| line.trim().strip_prefix(mark));
    let transactions = said
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .and_then(|(count, _)| count.parse().ok());
    let per_second = after("Requests/sec:").and_then(|rate| rate.trim().parse().ok());
    let (Some(transactions), Some(per_second)) = (transactions, per_second) else {
        bail!("wrk says nothing of requests: {}", said.trim());
    };
    let sockets = after("Socket errors:").map_or(0, sum_of_numbers);
    let answers = after("Non-2xx or 3xx responses:").map_or(0, sum_of_numbers);
    Ok(Got {
        transactions,
        failed: sockets + answers,
        per_second,
    })
}

fn sum_of_numbers(text: &str) -> u64 {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse::<u64>().ok())
        .sum()
}

/// The programs of Debian that this file starts, for a check before the first measurement.
pub const PROGRAMS: [&str; 2] = ["nginx", "wrk"];

/// Whether a program is installed.
pub fn is_installed(program: &str) -> bool {
    let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"];
    places
        .iter()
        .any(|place| Path::new(place).join(program).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: &str = "Running 2s test @ http://10.77.0.1:80/1024
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.23ms  456.78us  12.34ms   78.90%
    Req/Sec    25.01k     1.02k   26.50k    70.00%
  49876 requests in 2.01s, 60.12MB read
Requests/sec:  24813.93
Transfer/sec:     29.91MB
";

    #[test]
    fn the_summary_of_a_calm_run_is_read() {
        let got = read_wrk(CALM).unwrap();
        assert_eq!(
            got,
            Got {
                transactions: 49_876,
                failed: 0,
                per_second: 24_813.93
            }
        );
    }

    #[test]
    fn every_kind_of_failure_counts() {
        let said = CALM.replace(
            "Requests/sec:",
            "  Socket errors: connect 1, read 2, write 0, timeout 40\n  \
             Non-2xx or 3xx responses: 5\nRequests/sec:",
        );
        assert_eq!(read_wrk(&said).unwrap().failed, 48);
    }

    #[test]
    fn what_is_no_summary_is_an_error_with_the_words() {
        let error = read_wrk("unable to connect to 10.77.0.1:80").unwrap_err();
        assert!(error.to_string().contains("unable to connect"), "{error}");
    }
}
