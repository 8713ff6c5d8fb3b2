//! Starting DPDK's environment abstraction layer (EAL), and running workers on its lcores.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{DpdkError, Error};
use crate::log;

/// Whether packet memory comes from huge pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// When enough are free.
    #[default]
    Auto,
    /// Never.
    Never,
    /// Always; starting without them is an error.
    Always,
}

/// How to start DPDK.
#[derive(Clone, Debug)]
pub struct EalConfig {
    /// Memory for packets in MiB.
    pub memory_mb: u32,
    /// Where that memory comes from.
    pub huge: HugePages,
    /// The CPU of each worker; worker `i` gets lcore `i + 1`. The calling thread becomes lcore 0
    /// and may run on any CPU the process may use.
    pub worker_cpus: Vec<u32>,
    /// PCI addresses (`0000:03:00.0`) DPDK may take. No other device is ever touched.
    pub pci: Vec<String>,
}

/// Where packet memory came from, to be said at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Huge pages.
    Huge {
        /// Size of the reservation in MiB.
        memory_mb: u32,
    },
    /// Ordinary pages.
    Ordinary {
        /// Size of the reservation in MiB.
        memory_mb: u32,
    },
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Huge { memory_mb } => write!(f, "{memory_mb} MiB in huge pages"),
            Self::Ordinary { memory_mb } => {
                write!(f, "{memory_mb} MiB without huge pages (--no-huge)")
            }
        }
    }
}

/// DPDK, started. There is one in a process.
///
/// Dropping it does nothing: DPDK's own clean-up closes every port, which would take the XDP
/// program off the interfaces and so interrupt the kernel's fallback path. The memory is private to
/// the process and goes with it.
#[derive(Debug)]
pub struct Eal {
    memory: Memory,
    workers: Vec<u32>,
}

static STARTED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Starts DPDK. The calling thread becomes its main lcore.
    ///
    /// # Errors
    /// When it was started before, when huge pages are required and missing, or when DPDK refuses.
    pub fn init(config: &EalConfig) -> Result<Self, Error> {
        let memory = choose_memory(config)?;
        let arguments = arguments(config, memory)?;
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(Error::AlreadyInitialised);
        }
        log::capture();
        tracing::debug!(?arguments, "starting DPDK");
        let mut argv: Vec<*mut c_char> = arguments.iter().map(|a| a.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(argv.len()).map_err(|_| Error::Config {
            what: "too many PCI addresses or workers".into(),
        })?;
        argv.push(std::ptr::null_mut());
        // SAFETY: argv holds `count` NUL-terminated strings and a final null pointer; DPDK permutes
        // the array and copies what it keeps before it returns.
        let parsed = unsafe { dpdk_sys::rte_eal_init(count, argv.as_mut_ptr()) };
        if parsed < 0 {
            return Err(Error::Eal {
                cause: DpdkError::last(),
                said: log::recent(),
            });
        }
        warn_of_known_faults(Self::version());
        Ok(Self {
            memory,
            workers: worker_lcores(),
        })
    }

    /// The version of the DPDK library in use, such as "DPDK 22.11.11".
    pub fn version() -> &'static str {
        // SAFETY: returns a string constant.
        let text = unsafe { CStr::from_ptr(dpdk_sys::rte_version()) };
        text.to_str().unwrap_or("DPDK")
    }

    /// Where packet memory came from.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// The worker lcores, in the order of [`EalConfig::worker_cpus`].
    pub fn workers(&self) -> &[u32] {
        &self.workers
    }

    /// Runs `work` on a worker lcore until it returns.
    ///
    /// Workers are EAL lcores rather than threads of our own because these have a packet buffer
    /// cache of their own from the start and are pinned by DPDK.
    ///
    /// # Errors
    /// When there is no such worker or it is running already.
    pub fn launch<R: Send + 'static>(
        &self,
        lcore: u32,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<Worker<R>, Error> {
        if !self.workers.contains(&lcore) {
            return Err(Error::Worker {
                lcore,
                what: "there is no such worker".into(),
            });
        }
        let result = std::sync::Arc::new(Mutex::new(None));
        let slot = std::sync::Arc::clone(&result);
        let job: Job = Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            if let Ok(mut slot) = slot.lock() {
                *slot = Some(outcome);
            }
        });
        let raw = Box::into_raw(Box::new(job)).cast::<c_void>();
        // SAFETY: run_job matches the expected signature and takes ownership of `raw` exactly once;
        // the closure is 'static and Send.
        let code = unsafe { dpdk_sys::rte_eal_remote_launch(Some(run_job), raw, lcore) };
        if code != 0 {
            // SAFETY: the launch was refused, so nothing else owns `raw`.
            drop(unsafe { Box::from_raw(raw.cast::<Job>()) });
            return Err(Error::Worker {
                lcore,
                what: DpdkError::from_return(code).to_string(),
            });
        }
        Ok(Worker { lcore, result })
    }
}

/// Work running on a worker lcore.
#[derive(Debug)]
pub struct Worker<R> {
    lcore: u32,
    result: std::sync::Arc<Mutex<Option<std::thread::Result<R>>>>,
}

impl<R> Worker<R> {
    /// The lcore it runs on.
    pub fn lcore(&self) -> u32 {
        self.lcore
    }

    /// Waits for the work to return.
    ///
    /// # Errors
    /// When it panicked.
    pub fn join(self) -> Result<R, Error> {
        // SAFETY: any lcore number may be given; the call waits for that lcore to be idle.
        unsafe { dpdk_sys::rte_eal_wait_lcore(self.lcore) };
        let outcome = self.result.lock().ok().and_then(|mut slot| slot.take());
        match outcome {
            Some(Ok(value)) => Ok(value),
            Some(Err(panic)) => Err(Error::Worker {
                lcore: self.lcore,
                what: format!("panicked: {}", panic_text(panic.as_ref())),
            }),
            None => Err(Error::Worker {
                lcore: self.lcore,
                what: "left no result".into(),
            }),
        }
    }
}

/// Before 22.11.9 the AF_XDP driver read freed memory when it counted bytes, and `net_null` copied
/// wrongly.
fn warn_of_known_faults(version: &str) {
    if has_known_faults(version) {
        tracing::warn!("{version} has faults that 22.11.9 mends; update the library");
    }
}

fn has_known_faults(version: &str) -> bool {
    let release = version.trim_start_matches("DPDK ").strip_prefix("22.11");
    let minor = release
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or("0");
    release.is_some() && minor.parse::<u32>().is_ok_and(|minor| minor < 9)
}

type Job = Box<dyn FnOnce() + Send>;

extern "C" fn run_job(raw: *mut c_void) -> c_int {
    // SAFETY: `raw` comes from Box::into_raw in `launch`, which gave up its ownership.
    let job = unsafe { Box::from_raw(raw.cast::<Job>()) };
    job();
    0
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

fn worker_lcores() -> Vec<u32> {
    let mut workers = Vec::new();
    let mut lcore = u32::MAX;
    loop {
        // SAFETY: the call takes any lcore number and reads tables that no longer change.
        lcore = unsafe { dpdk_sys::rte_get_next_lcore(lcore, 1, 0) };
        if lcore >= dpdk_sys::RTE_MAX_LCORE {
            return workers;
        }
        workers.push(lcore);
    }
}

fn choose_memory(config: &EalConfig) -> Result<Memory, Error> {
    let memory_mb = config.memory_mb;
    let ordinary = Memory::Ordinary { memory_mb };
    let huge = Memory::Huge { memory_mb };
    let enough = free_huge_mb() >= u64::from(memory_mb);
    match config.huge {
        HugePages::Never => Ok(ordinary),
        HugePages::Auto if enough => Ok(huge),
        HugePages::Auto => Ok(ordinary),
        HugePages::Always if enough => Ok(huge),
        HugePages::Always => Err(Error::NoHugePages {
            wanted_2mb: memory_mb.div_ceil(2),
        }),
    }
}

/// Free huge pages of every size, in MiB.
fn free_huge_mb() -> u64 {
    let Ok(sizes) = fs::read_dir("/sys/kernel/mm/hugepages") else {
        return 0;
    };
    sizes
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let kib: u64 = name
                .strip_prefix("hugepages-")?
                .strip_suffix("kB")?
                .parse()
                .ok()?;
            let free = fs::read_to_string(entry.path().join("free_hugepages")).ok()?;
            Some(kib * free.trim().parse::<u64>().ok()? / 1024)
        })
        .sum()
}

fn arguments(config: &EalConfig, memory: Memory) -> Result<Vec<CString>, Error> {
    let mut list = vec!["wardline".to_owned()];
    list.push("--lcores".into());
    list.push(lcore_map(config)?);
    match memory {
        // No files shared with other processes: restarts find no leftovers, several can coexist.
        Memory::Huge { memory_mb } => {
            list.extend(["--in-memory".into(), "-m".into(), memory_mb.to_string()]);
        }
        // 22.11 refuses --in-memory here; --no-shconf has the same effect on ordinary memory.
        Memory::Ordinary { memory_mb } => {
            list.extend(["--no-huge".into(), "--no-shconf".into()]);
            list.extend(["-m".into(), memory_mb.to_string()]);
        }
    }
    list.extend(["--no-telemetry".into(), "--log-level=*:warning".into()]);
    if config.pci.is_empty() {
        // Nobody but the CPU reads the buffers, so physical addresses do not matter; going by them,
        // a pool would fall into as many pieces as it has huge pages.
        list.extend(["--no-pci".into(), "--iova-mode=va".into()]);
    }
    for address in &config.pci {
        if !address.starts_with(|first: char| first.is_ascii_hexdigit()) {
            return Err(Error::Config {
                what: format!("\"{address}\" is no PCI address such as 0000:03:00.0"),
            });
        }
        list.extend(["-a".into(), address.clone()]);
    }
    list.into_iter()
        .map(|argument| {
            CString::new(argument).map_err(|error| Error::Config {
                what: format!("a DPDK argument holds a NUL byte: {error}"),
            })
        })
        .collect()
}

fn lcore_map(config: &EalConfig) -> Result<String, Error> {
    let allowed = allowed_cpus();
    let most = dpdk_sys::RTE_MAX_LCORE as usize - 1;
    if config.worker_cpus.is_empty() || config.worker_cpus.len() > most {
        return Err(Error::Config {
            what: format!(
                "1 to {most} workers are possible, not {}",
                config.worker_cpus.len()
            ),
        });
    }
    if let Some(cpu) = config.worker_cpus.iter().find(|cpu| !allowed.contains(cpu)) {
        return Err(Error::Config {
            what: format!("worker CPU {cpu} is not one this process may use ({allowed:?})"),
        });
    }
    let all: Vec<String> = allowed.iter().map(u32::to_string).collect();
    let mut map = format!("0@({})", all.join(","));
    for (index, cpu) in config.worker_cpus.iter().enumerate() {
        map.push_str(&format!(",{}@{cpu}", index + 1));
    }
    Ok(map)
}

/// The CPUs this process may run on, as its affinity mask says.
fn allowed_cpus() -> Vec<u32> {
    // SAFETY: an all-zero cpu_set_t is valid, the size given is its size, and CPU_ISSET stays
    // within it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return Vec::new();
        }
        (0..libc::CPU_SETSIZE as usize)
            .filter(|&cpu| libc::CPU_ISSET(cpu, &set))
            .filter_map(|cpu| u32::try_from(cpu).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> EalConfig {
        EalConfig {
            memory_mb: 64,
            huge: HugePages::Never,
            worker_cpus: vec![allowed_cpus()[0]],
            pci: Vec::new(),
        }
    }

    #[test]
    fn ordinary_memory_never_meets_the_option_it_excludes() {
        let memory = choose_memory(&config()).unwrap();
        let arguments = arguments(&config(), memory).unwrap();
        let has = |text: &str| {
            arguments
                .iter()
                .any(|argument| argument.to_str() == Ok(text))
        };
        assert!(has("--no-huge") && has("--no-shconf") && has("--no-pci"));
        assert!(!has("--in-memory"));
    }

    #[test]
    fn configurations_that_cannot_work_are_refused() {
        let refused = |config: &EalConfig| arguments(config, Memory::Ordinary { memory_mb: 64 });
        let error = |config| refused(&config).unwrap_err().to_string();
        let pci = |address: &str| EalConfig {
            pci: vec![address.into()],
            ..config()
        };
        assert!(refused(&pci("0000:03:00.0")).is_ok());
        assert_eq!(
            error(pci("--vdev=net_null0")),
            "\"--vdev=net_null0\" is no PCI address such as 0000:03:00.0"
        );
        let cpus = |worker_cpus| EalConfig {
            worker_cpus,
            ..config()
        };
        assert_eq!(
            error(cpus(Vec::new())),
            "1 to 127 workers are possible, not 0"
        );
        let nowhere = error(cpus(vec![9999]));
        assert!(nowhere.starts_with("worker CPU 9999 is not one this process may use"));
    }

    #[test]
    fn old_releases_are_known() {
        let faulty = ["DPDK 22.11.0", "DPDK 22.11", "DPDK 22.11.8"];
        assert!(faulty.into_iter().all(has_known_faults));
        let good = ["DPDK 22.11.9", "DPDK 22.11.11", "DPDK 24.11.2", "DPDK"];
        assert!(!good.into_iter().any(has_known_faults));
    }

    #[test]
    fn huge_pages_that_must_be_there_are_missed_by_name() {
        let config = EalConfig {
            memory_mb: u32::MAX,
            huge: HugePages::Always,
            ..config()
        };
        let error = choose_memory(&config).unwrap_err().to_string();
        assert!(
            error.contains("sysctl vm.nr_hugepages=2147483648"),
            "{error}"
        );
    }
}
