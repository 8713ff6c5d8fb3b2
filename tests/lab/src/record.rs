//! The ward on file: a kernel bridge in the gateway's place, everybody at work by a seeded
//! timetable, every frame that crosses the box in a capture, and beside it who was who.
//!
//! The ward's own hosts do their exchanges; guests drawn from `cast.toml` bring what the layout has
//! only once or not at all: other makers, firmwares, stacks, habits and roles. All of it is
//! emulated, and the labels say so.

mod cast;
mod join;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use wardline_capture::Reader;
use wardline_classifier::Role;

use self::cast::Player;
use crate::demo::interrupt::Interrupt;
use crate::demo::write_whole;
use crate::exchange::{self, Exchange};
use crate::layout::{HOSTS, Side};
use crate::ward::{Options, Ward, tail};

/// Exchanges under way at once.
const AT_ONCE: usize = 3;
/// Mean pause between two runs of one exchange, drawn for each, in seconds.
const PAUSE_S: (f64, f64) = (12.0, 45.0);
/// Part of the time in which the guests come, one after the other.
const ARRIVALS: f64 = 0.25;

/// What to record.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Prefix of everything the ward makes.
    pub name: String,
    /// How long the ward works once it is up.
    pub duration: Duration,
    /// What decides who plays and when.
    pub seed: u64,
    /// Directory of `seed-N.pcap` and of `labels.json`, which all recordings there share.
    pub out: PathBuf,
}

/// Who a hardware address is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// What whoever looks at its traffic should find; `None` where no role names it.
    pub role: Option<Role>,
    /// Its name on the ward.
    pub name: String,
    /// Always: nothing here is a device.
    pub emulated: bool,
    /// Which programs and libraries play it.
    pub stack: String,
    /// Maker, firmware or habit it imitates.
    pub variant: String,
}

/// Records to the end; true when every program held out.
///
/// # Errors
/// When the ward does not come up, or the lab itself fails. The ward is taken down all the same.
pub fn run(recording: &Recording) -> Result<bool> {
    let interrupt = Interrupt::install(&recording.name)?;
    let out = &recording.out;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let file = out.join(format!("seed-{}.pcap", recording.seed));
    let players = cast::draw(recording.seed)?;
    let options = Options {
        name: recording.name.clone(),
        guests: players.iter().map(|player| player.guest.clone()).collect(),
        capture: Some(std::path::absolute(&file)?),
        ..Options::default()
    };
    let stage = Stage(Some(Ward::up(&options)?));
    let played = stage.play(recording, &players, &interrupt)?;
    stage.strike()?;
    if interrupt.came() {
        println!("interrupted");
        return Ok(false);
    }
    let frames = count_frames(&file)?;
    let (seen, silent): (Vec<_>, Vec<_>) = labels(&players)
        .into_iter()
        .partition(|(mac, _)| frames.contains_key(mac));
    add_labels(&out.join("labels.json"), &seen)?;
    println!(
        "{}: {} frames, {} devices; {} exchanges done, {} failed",
        file.display(),
        frames.values().sum::<u64>(),
        seen.len(),
        played.done,
        played.failures.len()
    );
    for sentence in played.failures.iter().chain(&played.ended) {
        println!("{sentence}");
    }
    if !silent.is_empty() {
        let names: Vec<_> = silent.iter().map(|(_, label)| &*label.name).collect();
        println!("never seen at the box: {}", names.join(", "));
    }
    Ok(played.ended.is_empty())
}

/// What happened while the ward was recorded.
#[derive(Debug, Default)]
struct Played {
    done: usize,
    /// Exchanges that failed, in sentences: a busy machine and lossy cables have some.
    failures: Vec<String>,
    /// Programs that ended before the recording did, in sentences.
    ended: Vec<String>,
}

/// The ward, taken down when dropped.
#[derive(Debug)]
struct Stage(Option<Ward>);

impl Stage {
    fn play(
        &self,
        recording: &Recording,
        players: &[Player],
        interrupt: &Interrupt,
    ) -> Result<Played> {
        let ward = self.0.as_ref().context("the ward is down already")?;
        let end = Instant::now() + recording.duration;
        let mut rng = Rng::with_seed(recording.seed);
        let mut exchanges = exchange::all();
        rng.shuffle(&mut exchanges);
        let shares = exchanges.chunks(exchanges.len().div_ceil(AT_ONCE));
        let mut played = thread::scope(|scope| {
            let workers: Vec<_> = shares
                .map(|share| (share, rng.fork()))
                .map(|(share, rng)| scope.spawn(|| work(ward, share, rng, end, interrupt)))
                .collect();
            arrive(ward, recording, players, &mut rng, interrupt)?;
            let mut played = Played::default();
            for worker in workers {
                let worked = worker.join().ok().context("a worker panicked")?;
                played.done += worked.done;
                played.failures.extend(worked.failures);
            }
            anyhow::Ok(played)
        })?;
        played.ended = ended(ward);
        Ok(played)
    }

    fn strike(mut self) -> Result<()> {
        self.0.take().map_or(Ok(()), Ward::down)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(ward) = self.0.take()
            && let Err(error) = ward.down()
        {
            eprintln!("the ward could not be removed: {error:#}");
        }
    }
}

/// The guests come, the hospital's first, since the devices ask for them.
fn arrive(
    ward: &Ward,
    recording: &Recording,
    players: &[Player],
    rng: &mut Rng,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut order: Vec<&Player> = players.iter().collect();
    rng.shuffle(&mut order);
    order.sort_by_key(|player| player.guest.side == Side::Ward);
    let pause = recording.duration.mul_f64(ARRIVALS) / u32::try_from(order.len().max(1))?;
    for player in order {
        if interrupt.came() {
            break;
        }
        join::join(ward, player, recording.seed)
            .with_context(|| format!("{} cannot join the ward", player.guest.name))?;
        interrupt.wait(pause.mul_f64(2.0 * rng.f64()));
    }
    Ok(())
}

/// Does a share of the exchanges again and again, each in its own rhythm, until the end.
fn work(
    ward: &Ward,
    share: &[Exchange],
    mut rng: Rng,
    end: Instant,
    interrupt: &Interrupt,
) -> Played {
    let mut played = Played::default();
    let mut agenda: Vec<(Instant, f64, &Exchange)> = share
        .iter()
        .map(|exchange| {
            let mean_s = PAUSE_S.0 + rng.f64() * (PAUSE_S.1 - PAUSE_S.0);
            let first = Instant::now() + Duration::from_secs_f64(rng.f64() * mean_s);
            (first, mean_s, exchange)
        })
        .collect();
    while let Some((due, mean_s, exchange)) = agenda.iter_mut().min_by_key(|(due, ..)| *due) {
        interrupt.wait((*due).min(end).saturating_duration_since(Instant::now()));
        if interrupt.came() || Instant::now() >= end {
            break;
        }
        let outcome = exchange.perform(ward);
        played.done += 1;
        if !outcome.success && !interrupt.came() {
            let (name, detail) = (outcome.name, outcome.detail);
            played.failures.push(format!("{name} failed: {detail}"));
        }
        *due = Instant::now() + Duration::from_secs_f64(*mean_s * (0.5 + rng.f64()));
    }
    played
}

fn ended(ward: &Ward) -> Vec<String> {
    let programs = ward.programs().into_iter();
    programs
        .filter(|(_, alive)| !alive)
        .map(|(program, _)| {
            let said = tail(&ward.log(&program.host, &program.service));
            format!(
                "{} on {} ended early: {said}",
                program.service, program.host
            )
        })
        .collect()
}

/// Every host by its hardware address.
fn labels(players: &[Player]) -> Vec<(String, Label)> {
    let hosts = HOSTS.iter().map(|host| {
        let label = Label {
            role: host.role,
            name: host.name.to_owned(),
            emulated: true,
            stack: "the ward's own, see its README".to_owned(),
            variant: host.plays.to_owned(),
        };
        (host.mac.to_owned(), label)
    });
    let guests = players.iter().map(|player| {
        let label = Label {
            role: player.role,
            name: player.guest.name.clone(),
            emulated: true,
            stack: player.stack.clone(),
            variant: player.variant.clone(),
        };
        (player.guest.mac.clone(), label)
    });
    hosts.chain(guests).collect()
}

/// Adds to the labels of the recordings in the same directory.
fn add_labels(file: &Path, fresh: &[(String, Label)]) -> Result<()> {
    let mut labels: BTreeMap<String, Label> = match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text)
            .with_context(|| format!("{} holds no labels", file.display()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", file.display()));
        }
    };
    for (mac, label) in fresh {
        let role = label.role;
        if let Some(before) = labels.insert(mac.clone(), label.clone()) {
            ensure!(
                before.role == role,
                "{mac} had another role in an earlier recording: record into a fresh directory"
            );
        }
    }
    write_whole(file, &serde_json::to_string_pretty(&labels)?)
}

/// Frames in a capture by the hardware address that sent them.
fn count_frames(file: &Path) -> Result<HashMap<String, u64>> {
    let mut reader = Reader::open(file).with_context(|| format!("reading {}", file.display()))?;
    let mut frames = HashMap::new();
    while let Some(packet) = reader.next_packet()? {
        if let Some(source) = packet.data.get(6..12) {
            let mac: Vec<String> = source.iter().map(|byte| format!("{byte:02x}")).collect();
            *frames.entry(mac.join(":")).or_default() += 1;
        }
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, role: Option<Role>) -> Label {
        Label {
            role,
            name: name.to_owned(),
            emulated: true,
            stack: "none".to_owned(),
            variant: "none".to_owned(),
        }
    }

    #[test]
    fn recordings_in_one_directory_share_their_labels() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("labels.json");
        let pump = (
            "00:d0:75:00:00:01".to_owned(),
            label("p", Some(Role::InfusionPump)),
        );
        let recorder = ("00:0c:29:00:00:02".to_owned(), label("r", None));
        add_labels(&file, std::slice::from_ref(&pump)).unwrap();
        add_labels(&file, std::slice::from_ref(&recorder)).unwrap();
        let read: BTreeMap<String, Label> =
            serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(read, BTreeMap::from([pump.clone(), recorder]));

        let other = (pump.0, label("p", Some(Role::Ventilator)));
        let refused = add_labels(&file, &[other]).unwrap_err().to_string();
        assert!(refused.contains("another role"), "{refused}");
    }

    #[test]
    fn frames_are_counted_by_who_sent_them() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("two.pcap");
        // A pcap header for Ethernet, then the same frame of 14 bytes twice.
        let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([0xff, 0xff, 0, 0, 1, 0, 0, 0]);
        for _ in 0..2 {
            bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 14, 0, 0, 0]);
            bytes.extend([0xff; 6]);
            bytes.extend([0, 0xd0, 0x75, 0, 0, 1, 8, 6]);
        }
        fs::write(&file, bytes).unwrap();
        let frames = count_frames(&file).unwrap();
        assert_eq!(frames, HashMap::from([("00:d0:75:00:00:01".to_owned(), 2)]));
    }

    #[test]
    fn no_guest_has_the_hardware_address_of_a_host() {
        for seed in 0..50 {
            let labels = labels(&cast::draw(seed).unwrap());
            let unique: BTreeMap<_, _> = labels.iter().cloned().collect();
            assert_eq!(unique.len(), labels.len());
        }
    }
}
