//! Any DPDK device by its arguments: rings, capture files and the null device; full queues; own
//! frames; workers. Every buffer returns to its pool.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use common::can_run;
use wardline_dpdk::{
    BURST, Burst, Eal, EalConfig, Error, HugePages, Layout, Mempool, Port, PortConfig, PortSpec,
    Queue,
};

const MTU: u16 = 1500;
const BUFFERS: u32 = 8191;

/// One test, since DPDK starts once in a process.
#[test]
fn any_device_by_its_arguments() {
    if !can_run("any_device_by_its_arguments") {
        return;
    }
    let config = EalConfig {
        memory_mb: 256,
        huge: HugePages::Auto,
        worker_cpus: vec![0],
        pci: Vec::new(),
    };
    let eal = Eal::init(&config).unwrap();
    assert!(matches!(Eal::init(&config), Err(Error::AlreadyInitialised)));
    let pool = Mempool::new(&eal, BUFFERS, MTU, Layout::Spread).unwrap();

    a_ring_gives_back_what_it_got(&eal, pool);
    a_full_ring_drops_and_counts(&eal, pool);
    a_subset_leaves_and_the_rest_is_freed(&eal, pool);
    frames_move_from_burst_to_burst(&eal, pool);
    a_capture_file_is_copied(&eal, pool);
    frames_beyond_the_mtu_are_dropped(&eal, pool);
    the_null_device_has_as_many_frames_as_asked(&eal, pool);
    refusals(&eal, pool);
    workers(&eal);
}

fn a_ring_gives_back_what_it_got(eal: &Eal, pool: Mempool) {
    let (port, mut queue) = open(eal, "net_ring0", pool).unwrap();
    assert!(port.is_link_up().unwrap());
    let frames = common::frames(MTU);
    let sent = queue.tx.send_copies(frames.iter().map(Vec::as_slice));
    assert_eq!((sent.sent, sent.dropped), (frames.len(), 0));
    let mut burst = Burst::new();
    let mut received: Vec<Vec<u8>> = Vec::new();
    while queue.rx.receive(&mut burst) > 0 {
        received.extend(burst.frames().iter().map(|frame| frame.to_vec()));
    }
    assert!(
        received == frames,
        "frames come out as they went in and in order"
    );
    assert_eq!(port.stats().rx_frames, frames.len() as u64);
    assert_eq!(pool.available(), BUFFERS);
}

fn a_full_ring_drops_and_counts(eal: &Eal, pool: Mempool) {
    let (_, mut queue) = open(eal, "net_ring1", pool).unwrap();
    let frame = common::frame(&[], 60);
    let sent = queue
        .tx
        .send_copies(std::iter::repeat_n(frame.as_slice(), 2000));
    // A ring of 1024 places holds one less.
    assert_eq!((sent.sent, sent.dropped), (1023, 2000 - 1023));
    assert_eq!(
        (queue.tx.stats().sent, queue.tx.stats().full),
        (1023, 2000 - 1023)
    );
    assert_eq!(pool.available(), BUFFERS - 1023);
    let mut burst = Burst::new();
    while queue.rx.receive(&mut burst) > 0 {}
    assert_eq!(queue.rx.stats().received, 1023);
    assert_eq!(pool.available(), BUFFERS);

    let too_long = vec![0; usize::from(MTU) + 23];
    assert_eq!(queue.tx.send_copies([too_long.as_slice()]).dropped, 1);
    assert_eq!(queue.tx.stats().no_buffer, 1);
}

fn a_subset_leaves_and_the_rest_is_freed(eal: &Eal, pool: Mempool) {
    let (_, mut source) = open(eal, "net_ring2", pool).unwrap();
    let (_, mut target) = open(eal, "net_ring3", pool).unwrap();
    let frames: Vec<Vec<u8>> = (0..BURST).map(|n| vec![n as u8; 60 + n]).collect();
    source.tx.send_copies(frames.iter().map(Vec::as_slice));
    let mut burst = Burst::new();
    assert_eq!(source.rx.receive(&mut burst), BURST);

    let odd = 0xaaaa_aaaa_aaaa_aaaa;
    assert_eq!(target.tx.send(&mut burst, odd).sent, BURST / 2);
    assert_eq!(burst.held(), !odd);
    assert_eq!(
        target.tx.send(&mut burst, odd).sent,
        0,
        "what left cannot leave again"
    );
    for (number, frame) in burst.frames().iter().enumerate() {
        let expected: &[u8] = if number % 2 == 0 {
            &frames[number]
        } else {
            &[]
        };
        assert_eq!(*frame, expected);
    }
    burst.clear();
    assert!(burst.is_empty() && burst.frames().is_empty());

    assert_eq!(target.rx.receive(&mut burst), BURST / 2);
    for (number, frame) in burst.frames().iter().enumerate() {
        assert_eq!(*frame, frames[2 * number + 1]);
    }
    drop(burst);
    assert_eq!(pool.available(), BUFFERS);
}

fn frames_move_from_burst_to_burst(eal: &Eal, pool: Mempool) {
    let (_, mut source) = open(eal, "net_ring5", pool).unwrap();
    let frames: Vec<Vec<u8>> = (0..6).map(|n| vec![n; 60]).collect();
    source.tx.send_copies(frames.iter().map(Vec::as_slice));
    let (mut left, mut right) = (Burst::new(), Burst::new());
    assert_eq!(source.rx.receive(&mut left), frames.len());
    let mut places = Vec::new();
    left.split_off(0b10_1001, |index, frame| {
        places.push(index);
        right.push(frame).unwrap();
    });
    assert_eq!(places, [0, 3, 5]);
    let numbers = |burst: &Burst| burst.frames().iter().map(|f| f[0]).collect::<Vec<_>>();
    assert_eq!((numbers(&left), left.held()), (vec![1, 2, 4], 0b111));
    assert_eq!((numbers(&right), right.held()), (vec![0, 3, 5], 0b111));

    left.split_off(u64::MAX, |_, frame| drop(frame));
    assert!(left.is_empty());
    assert_eq!(source.tx.send(&mut right, u64::MAX).sent, 3);
    assert_eq!(source.rx.receive(&mut left), 3);
    assert_eq!(numbers(&left), [0, 3, 5]);
    drop((left, right));
    assert_eq!(pool.available(), BUFFERS);
}

fn a_capture_file_is_copied(eal: &Eal, pool: Mempool) {
    let scratch = Scratch::new("copy");
    let (input, output) = (scratch.path("in.pcap"), scratch.path("out.pcap"));
    let frames = common::frames(MTU);
    write_capture(&input, &frames);
    let devargs = format!(
        "net_pcap0,rx_pcap={},tx_pcap={}",
        input.display(),
        output.display()
    );
    let (_, mut queue) = open(eal, &devargs, pool).unwrap();
    let mut burst = Burst::new();
    while queue.rx.receive(&mut burst) > 0 {
        queue.tx.send(&mut burst, u64::MAX);
    }
    assert_eq!(queue.tx.stats().sent, frames.len() as u64);
    // The driver buffers what it writes until the process ends, so only the beginning is there.
    let copied = read_capture(&output);
    assert!(
        !copied.is_empty() && frames.starts_with(&copied),
        "{} frames",
        copied.len()
    );
    assert_eq!(pool.available(), BUFFERS);
}

fn frames_beyond_the_mtu_are_dropped(eal: &Eal, pool: Mempool) {
    let scratch = Scratch::new("long");
    let input = scratch.path("in.pcap");
    let lens = [60, 1522, 1523, 2500, 9000, 61];
    let frames: Vec<Vec<u8>> = lens.iter().map(|&len| vec![7; len]).collect();
    write_capture(&input, &frames);
    let (_, mut queue) =
        open(eal, &format!("net_pcap1,rx_pcap={}", input.display()), pool).unwrap();
    let mut burst = Burst::new();
    let mut received = Vec::new();
    while queue.rx.receive(&mut burst) > 0 {
        received.extend(burst.frames().iter().map(|frame| frame.len()));
    }
    assert_eq!(received, [60, 1522, 61]);
    assert_eq!(queue.rx.stats().oversize, 3);
    drop(burst);
    assert_eq!(pool.available(), BUFFERS);
}

fn the_null_device_has_as_many_frames_as_asked(eal: &Eal, pool: Mempool) {
    let (_, mut queue) = open(eal, "net_null0,size=64", pool).unwrap();
    let mut burst = Burst::new();
    for _ in 0..100 {
        assert_eq!(queue.rx.receive(&mut burst), BURST);
        assert!(burst.frames().iter().all(|frame| frame.len() == 64));
        assert_eq!(queue.tx.send(&mut burst, u64::MAX).sent, BURST);
    }
    drop(burst);
    assert_eq!(pool.available(), BUFFERS);
}

fn refusals(eal: &Eal, pool: Mempool) {
    let error = open(eal, "net_ring0", pool).unwrap_err().to_string();
    assert_eq!(error, "test: the device is another port already");
    let error = open(eal, "net_nonsense0", pool).unwrap_err().to_string();
    assert!(
        error.starts_with("test: DPDK has no driver for \"net_nonsense0\""),
        "{error}"
    );
    let error = open(eal, "net_pcap9,rx_pcap=/nonexistent", pool)
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nonexistent"), "{error}");
    let small = Mempool::new(eal, 1023, 100, Layout::Spread).unwrap();
    let error = open(eal, "net_ring4", small).unwrap_err().to_string();
    assert_eq!(
        error,
        "test: frames of 1522 bytes do not fit into buffers for 122"
    );
    let error = Mempool::new(eal, 100, MTU, Layout::Spread)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "100 packet buffers are too few: 512 is the least");
    let error = Mempool::new(eal, 1 << 24, MTU, Layout::Spread)
        .unwrap_err()
        .to_string();
    assert!(error.contains("raise the memory size"), "{error}");
}

fn workers(eal: &Eal) {
    let [lcore] = *eal.workers() else {
        panic!("one worker: {:?}", eal.workers())
    };
    assert_eq!(eal.launch(lcore, || 6 * 7).unwrap().join().unwrap(), 42);
    let error = eal
        .launch(lcore, || panic!("on purpose"))
        .unwrap()
        .join()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("worker on lcore {lcore}: panicked: on purpose")
    );
    assert_eq!(
        eal.launch(lcore, || "again").unwrap().join().unwrap(),
        "again"
    );
    assert!(eal.launch(99, || ()).is_err());
}

fn open(eal: &Eal, devargs: &str, pool: Mempool) -> Result<(Port, Queue), Error> {
    let config = PortConfig {
        name: "test".into(),
        spec: PortSpec::Devargs {
            devargs: devargs.into(),
        },
        mtu: MTU,
        descriptors: None,
    };
    let (port, mut queues) = Port::open(eal, &config, &[pool])?;
    Ok((port, queues.remove(0)))
}

/// A directory that is gone when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wld-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write_capture(path: &Path, frames: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for frame in frames {
        let len = frame.len() as u32;
        for word in [0, 0, len, len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    fs::File::create(path).unwrap().write_all(&bytes).unwrap();
}

/// The whole frames of a capture file, which may end within one.
fn read_capture(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some(header) = rest.get(..16) {
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let Some(frame) = rest.get(16..16 + len) else {
            break;
        };
        frames.push(frame.to_vec());
        rest = &rest[16 + len..];
    }
    frames
}
