//! One alert for one cause: which alert an observation belongs to, when it is told, when it ends.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use wardline_policy::DeviceKey;

use super::alert::{Alert, Cause, Finding, Kind, Notice, State};
use super::settings::{Counters, HOUR, SECOND, Settings};

/// Alerts kept of one device, the ended ones included.
const ALERTS: usize = 16;
/// Peers remembered that alerts about several devices may have in common.
const LEADERS: usize = 64;

/// Where notices go.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Notice<'_>);

/// What all devices share.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Desk {
    next_id: u64,
    rate: Hourly,
    leaders: Vec<Leader>,
    pub(crate) counters: Counters,
}

/// The first alert that was told of what a peer does, and when one about any device was told last.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Leader {
    peer: IpAddr,
    kind: Kind,
    device: DeviceKey,
    id: u64,
    last_ns: u64,
}

impl Desk {
    /// The alert about another device that this one is the same as.
    fn join(&mut self, alert: &Alert, now_ns: u64, settings: &Settings) -> Option<u64> {
        let (peer, kind) = (alert.common_peer()?, alert.kind()?);
        let same = |leader: &&mut Leader| {
            let recent = now_ns.saturating_sub(leader.last_ns) < settings.gather_s * SECOND;
            recent && leader.peer == peer && leader.kind == kind && leader.device != alert.device
        };
        let leader = self.leaders.iter_mut().find(same)?;
        leader.last_ns = now_ns;
        Some(leader.id)
    }

    /// Others may join this alert.
    fn lead(&mut self, alert: &Alert, now_ns: u64) {
        let (Some(peer), Some(kind)) = (alert.common_peer(), alert.kind()) else {
            return;
        };
        self.leaders.retain(|l| l.peer != peer || l.kind != kind);
        if self.leaders.len() >= LEADERS {
            let oldest = (0..LEADERS).min_by_key(|at| self.leaders[*at].last_ns);
            self.leaders.swap_remove(oldest.unwrap_or(0));
        }
        self.leaders.push(Leader {
            peer,
            kind,
            device: alert.device,
            id: alert.id,
            last_ns: now_ns,
        });
    }
}

/// The alerts of one device.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Alerts {
    list: Vec<Alert>,
    rate: Hourly,
}

impl Alerts {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.list.iter()
    }

    /// Peers of young alerts: what may explain an excess that nobody has accounted for yet.
    pub(crate) fn suspects(&self, now_ns: u64, settings: &Settings) -> Vec<Cause> {
        let alive = |alert: &&Alert| !alert.is_over() && is_young(alert, now_ns, settings);
        let alerts = self.list.iter().filter(alive);
        alerts.flat_map(|a| a.peers().map(Cause::Peer)).collect()
    }

    /// Whether something is wrong with the device, told or not.
    pub(crate) fn is_alarmed(&self) -> bool {
        self.list.iter().any(|alert| !alert.is_over())
    }

    /// Since when, in nanoseconds.
    pub(crate) fn alarmed_since(&self) -> Option<u64> {
        let open = self.list.iter().filter(|alert| !alert.is_over());
        open.map(|alert| alert.began_ns).min()
    }

    pub(crate) fn take(&mut self, id: u64) -> Option<Alert> {
        let at = self.list.iter().position(|alert| alert.id == id)?;
        Some(self.list.remove(at))
    }

    /// Takes an observation in.
    pub(crate) fn report(
        &mut self,
        device: DeviceKey,
        finding: Finding,
        now_ns: u64,
        desk: &mut Desk,
        settings: &Settings,
        sink: Sink<'_>,
    ) {
        match self.belongs(&finding, now_ns, settings) {
            Some(at) => self.fold(at, finding, now_ns, desk, settings, sink),
            None => self.open(device, finding, now_ns, desk),
        }
        self.promote(now_ns, desk, settings, sink);
    }

    /// Says again that the cause of an alert is still there.
    pub(crate) fn sustain(&mut self, cause: &Cause, now_ns: u64) {
        let alive = |alert: &&mut Alert| !alert.is_over() && alert.causes.contains(cause);
        for alert in self.list.iter_mut().filter(alive) {
            alert.last_ns = alert.last_ns.max(now_ns);
        }
    }

    /// Ends what has this cause and was found out not to go on.
    pub(crate) fn resolve(&mut self, cause: &Cause, now_ns: u64, desk: &mut Desk, sink: Sink<'_>) {
        let is_about = |alert: &Alert| alert.causes.first() == Some(cause);
        self.close(is_about, now_ns, desk, sink);
    }

    /// Time goes on: tells what has settled, ends what is quiet, forgets what is long over.
    pub(crate) fn advance(
        &mut self,
        now_ns: u64,
        desk: &mut Desk,
        settings: &Settings,
        sink: Sink<'_>,
    ) {
        self.promote(now_ns, desk, settings, sink);
        self.close(|alert| is_quiet(alert, now_ns), now_ns, desk, sink);
        let suppress_ns = settings.suppress_s * SECOND;
        self.list.retain(|alert| match alert.state {
            State::Ended { at_ns } => now_ns.saturating_sub(at_ns) < suppress_ns,
            State::Pending { .. } | State::Open => true,
        });
    }

    /// The alert with the same cause, or a young one that is tied to it. One that is over takes
    /// nothing but what it has said already.
    fn belongs(&self, finding: &Finding, now_ns: u64, settings: &Settings) -> Option<usize> {
        let same = |alert: &Alert| alert.causes.contains(&finding.cause);
        let tied = |alert: &Alert| is_young(alert, now_ns, settings) && is_tied(alert, finding);
        let find = |test: &dyn Fn(&Alert) -> bool| self.list.iter().position(test);
        find(&|alert| !alert.is_over() && same(alert))
            .or_else(|| find(&|alert| !alert.is_over() && tied(alert)))
            .or_else(|| find(&|alert| alert.says(finding.kind) && same(alert)))
    }

    fn fold(
        &mut self,
        at: usize,
        finding: Finding,
        now_ns: u64,
        desk: &mut Desk,
        settings: &Settings,
        sink: Sink<'_>,
    ) {
        desk.counters.folded += 1;
        self.absorb(at, &finding, desk);
        let Some(alert) = self.list.get_mut(at) else {
            return;
        };
        let news = alert.add(now_ns, finding);
        match alert.state {
            State::Ended { .. } => {
                alert.state = State::Open;
                // What comes and goes is told less and less often.
                let most = settings.suppress_s * SECOND / 4;
                alert.quiet_ns = alert.quiet_ns.saturating_mul(2).min(most);
                desk.counters.resumed += 1;
                sink(Notice::Resumed(alert));
            }
            State::Open if news => sink(Notice::Changed(alert)),
            State::Pending { .. } | State::Open => {}
        }
    }

    /// Alerts after this one that nobody was told of and that the finding explains go into it.
    fn absorb(&mut self, at: usize, finding: &Finding, desk: &mut Desk) {
        let mut place = 0;
        self.list.retain(|alert| {
            let pending = matches!(alert.state, State::Pending { .. });
            let explained = place > at && pending && is_tied(alert, finding);
            place += 1;
            desk.counters.folded += u64::from(explained);
            !explained
        });
    }

    fn open(&mut self, device: DeviceKey, finding: Finding, now_ns: u64, desk: &mut Desk) {
        if self.list.len() >= ALERTS {
            let Some(oldest) = self.list.iter().position(Alert::is_over) else {
                desk.counters.alerts_full += 1;
                return;
            };
            self.list.remove(oldest);
        }
        let id = desk.next_id;
        desk.next_id += 1;
        self.list.push(Alert::new(id, device, now_ns, finding));
    }

    /// Ends the alerts that pass the test; what nobody was told of goes without a word.
    fn close(
        &mut self,
        test: impl Fn(&Alert) -> bool,
        now_ns: u64,
        desk: &mut Desk,
        sink: Sink<'_>,
    ) {
        self.list.retain_mut(|alert| {
            if alert.is_over() || !test(alert) {
                return true;
            }
            let told = alert.state == State::Open;
            if told {
                alert.state = State::Ended { at_ns: now_ns };
                desk.counters.ended += 1;
                sink(Notice::Ended(alert));
            }
            told
        });
    }

    /// Tells what has settled, as far as the rates allow.
    fn promote(&mut self, now_ns: u64, desk: &mut Desk, settings: &Settings, sink: Sink<'_>) {
        for alert in &mut self.list {
            let State::Pending { due_ns, held } = alert.state else {
                continue;
            };
            // What the rate held back is told as long as it goes on.
            if now_ns < due_ns || (held && is_quiet(alert, now_ns)) {
                continue;
            }
            if let Some(leader) = desk.join(alert, now_ns, settings) {
                alert.part_of = Some(leader);
                alert.state = State::Open;
                desk.counters.joined += 1;
                sink(Notice::Joined(alert));
                continue;
            }
            let own = self.rate.has_room(settings.device_alerts_per_hour, now_ns);
            let all = desk.rate.has_room(settings.alerts_per_hour, now_ns);
            if own && all {
                self.rate.take(settings.device_alerts_per_hour, now_ns);
                desk.rate.take(settings.alerts_per_hour, now_ns);
                alert.state = State::Open;
                desk.counters.raised += 1;
                desk.lead(alert, now_ns);
                sink(Notice::Raised(alert));
            } else if !held {
                alert.state = State::Pending { due_ns, held: true };
                desk.counters.over_device_rate += u64::from(!own);
                desk.counters.over_rate += u64::from(own);
            }
        }
    }
}

/// Whether its cause was not seen for long enough.
fn is_quiet(alert: &Alert, now_ns: u64) -> bool {
    now_ns.saturating_sub(alert.last_ns) >= alert.quiet_ns
}

/// Whether new things still belong to it rather than to an alert of their own.
fn is_young(alert: &Alert, now_ns: u64, settings: &Settings) -> bool {
    now_ns.saturating_sub(alert.began_ns) < settings.gather_s * SECOND
}

fn is_tied(alert: &Alert, finding: &Finding) -> bool {
    let mut ties = finding.also.iter().chain(&finding.ties);
    ties.any(|tie| alert.causes.contains(tie))
}

/// A limit of so many an hour, with as many at once as an hour allows: the generic cell rate
/// algorithm, which keeps one number.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Hourly {
    due_ns: u64,
}

impl Hourly {
    fn next(self, per_hour: u32, now_ns: u64) -> u64 {
        let share_ns = HOUR / u64::from(per_hour.max(1));
        self.due_ns.max(now_ns).saturating_add(share_ns)
    }

    fn has_room(self, per_hour: u32, now_ns: u64) -> bool {
        self.next(per_hour, now_ns) <= now_ns.saturating_add(HOUR)
    }

    fn take(&mut self, per_hour: u32, now_ns: u64) {
        self.due_ns = self.next(per_hour, now_ns);
    }
}
