//! One device against its own past.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use wardline_policy::{DeviceKey, Initiator};

use super::alert::{Cause, Finding, Kind, News, Way};
use super::beacon::Beacons;
use super::drift::{Change, Drift};
use super::habit::{Habits, Novelty};
use super::input::{Conversation, Looks, Minute, Outcome};
use super::ledger::{Alerts, Desk, Sink};
use super::scan::{Scan, Spread};
use super::settings::{HOUR, SECOND, Settings};
use super::volume::{Excess, Volume};
use super::words;

/// A beacon is over when so many of its calls did not come.
const MISSED_CALLS: u64 = 6;
/// Services named in a sentence.
const NAMED: usize = 3;

/// What is kept of one device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Watched {
    pub(crate) key: DeviceKey,
    pub(crate) last_ns: u64,
    /// How long it was observed; a pause counts as an hour at most.
    observed_ns: u64,
    conversations: u64,
    /// Whether enough was seen to speak of it.
    is_learnt: bool,
    habits: Habits,
    outgoing: Spread,
    incoming: Spread,
    beacons: Beacons,
    volume: Volume,
    drift: Drift,
    pub(crate) alerts: Alerts,
}

/// What a device needs of its surroundings to judge.
pub(crate) struct Watch<'a, 'b> {
    pub(crate) now_ns: u64,
    pub(crate) settings: &'a Settings,
    pub(crate) desk: &'a mut Desk,
    pub(crate) sink: Sink<'b>,
}

impl Watched {
    pub(crate) fn new(key: DeviceKey, now_ns: u64) -> Self {
        Self {
            key,
            last_ns: now_ns,
            observed_ns: 0,
            conversations: 0,
            is_learnt: false,
            habits: Habits::default(),
            outgoing: Spread::default(),
            incoming: Spread::default(),
            beacons: Beacons::default(),
            volume: Volume::default(),
            drift: Drift::default(),
            alerts: Alerts::default(),
        }
    }

    pub(crate) fn is_learnt(&self) -> bool {
        self.is_learnt
    }

    /// Of two devices, the one with the earlier time makes room first: who was watched for long is
    /// given as much patience.
    pub(crate) fn kept_until_ns(&self) -> u64 {
        self.last_ns.saturating_add(self.observed_ns)
    }

    pub(crate) fn converse(&mut self, conversation: &Conversation<'_>, watch: &mut Watch<'_, '_>) {
        self.observe(watch);
        self.conversations += 1;
        let news = News::of(conversation);
        let denied = conversation.outcome == Outcome::Denied;
        let clean = !self.alerts.is_alarmed();
        self.volume.turn(watch.now_ns, clean, watch.settings);
        self.volume
            .talked(news.peer, [conversation.sent, conversation.received]);
        let out = news.initiator == Initiator::Device;
        let period = (out && watch.settings.is_external(news.peer))
            .then(|| self.beacons.called(news.peer, conversation.began_ns))
            .flatten();
        if !self.is_learnt {
            self.learn(&news, denied, period.is_some(), watch);
            return;
        }
        let novelty = self.habits.novelty(&news);
        if let Some(novelty) = novelty.filter(|novelty| !self.still_learns(*novelty, &news, watch))
        {
            self.judge(novelty, &news, conversation, watch);
        }
        if let Some(period_ns) = period.filter(|_| !self.habits.is_regular(&news)) {
            self.report(beacon(&news, period_ns, watch.settings), watch);
        }
    }

    pub(crate) fn minute(&mut self, minute: &Minute, watch: &mut Watch<'_, '_>) {
        self.observe(watch);
        let bytes = [minute.sent, minute.received];
        let clean = !self.alerts.is_alarmed();
        let now_ns = watch.now_ns;
        for way in Way::ALL {
            if self.volume.is_high(way, bytes[way as usize]) {
                self.alerts.sustain(&Cause::Volume(way), now_ns);
            }
        }
        let excess = self.volume.minute(now_ns, bytes, clean, watch.settings);
        if self.is_learnt {
            for excess in excess {
                let mut finding = flood(&excess, self.observed_ns, watch.settings);
                if excess.peer.is_none() {
                    // A conversation that lasts is often accounted for at its end only.
                    finding.ties = self.alerts.suspects(now_ns, watch.settings);
                }
                self.report(finding, watch);
            }
        }
    }

    pub(crate) fn looks(&mut self, looks: &Looks<'_>, watch: &mut Watch<'_, '_>) {
        self.observe(watch);
        if !self.is_learnt {
            self.drift.learn(looks.confirmed, looks.roles);
            return;
        }
        let now_ns = watch.now_ns;
        match self.drift.window(now_ns, looks.confirmed, looks.roles) {
            Some(Change::Back) => {
                let Watch { desk, sink, .. } = watch;
                self.alerts.resolve(&Cause::Role, now_ns, desk, sink);
            }
            Some(away) => {
                let finding = drifted(away, now_ns);
                finding
                    .into_iter()
                    .for_each(|finding| self.report(finding, watch));
            }
            None => {}
        }
    }

    pub(crate) fn forget_looks(&mut self) {
        self.drift.forget();
    }

    pub(crate) fn advance(&mut self, watch: &mut Watch<'_, '_>) {
        let Watch {
            now_ns,
            settings,
            desk,
            sink,
        } = watch;
        self.alerts.advance(*now_ns, desk, settings, sink);
    }

    /// Makes what an alert is about usual.
    pub(crate) fn accept(&mut self, causes: &[Cause], news: &[News], watch: &Watch<'_, '_>) {
        for news in news {
            self.habits.learn(news, self.observed_ns);
            self.habits.set_regular(news);
        }
        for cause in causes {
            match cause {
                Cause::Scan(Initiator::Device) => self.outgoing.accept(watch.now_ns),
                Cause::Scan(Initiator::Peer) => self.incoming.accept(watch.now_ns),
                Cause::Volume(_) => self.volume.accept(watch.settings),
                Cause::Peer(_) | Cause::Service(..) | Cause::Role => {}
            }
        }
    }

    /// Everything that is kept, in entries.
    pub(crate) fn size(&self) -> usize {
        self.habits.size()
            + self.outgoing.size()
            + self.incoming.size()
            + self.beacons.size()
            + self.volume.size()
            + self.alerts.iter().count()
    }

    fn observe(&mut self, watch: &Watch<'_, '_>) {
        let pause_ns = watch.now_ns.saturating_sub(self.last_ns);
        self.observed_ns += pause_ns.min(HOUR);
        self.last_ns = watch.now_ns;
        let settings = watch.settings;
        let long = self.observed_ns >= settings.learn_s * SECOND;
        let enough = long && self.conversations >= settings.learn_conversations;
        self.is_learnt |= enough || self.observed_ns >= settings.learn_at_most_s * SECOND;
    }

    fn learn(&mut self, news: &News, denied: bool, regular: bool, watch: &mut Watch<'_, '_>) {
        let fresh = self.habits.novelty(news).is_some();
        if !self.habits.learn(news, self.observed_ns) {
            watch.desk.counters.services_full += 1;
        }
        if fresh {
            self.spread(news).learn(news, denied, watch.now_ns);
        }
        if regular {
            self.habits.set_regular(news);
        }
    }

    /// A service whose peers kept changing until lately goes on learning them, unless something
    /// is wrong with the device.
    fn still_learns(&mut self, novelty: Novelty, news: &News, watch: &Watch<'_, '_>) -> bool {
        let settings = watch.settings;
        let known_service = matches!(novelty, Novelty::Peer { service: false, .. });
        let settled_ns = settings.learn_s * SECOND / 2;
        let learns = known_service
            && self.observed_ns < settings.learn_at_most_s * SECOND
            && !self.alerts.is_alarmed()
            && self.habits.is_unsettled(news, self.observed_ns, settled_ns);
        if learns {
            self.habits.learn(news, self.observed_ns);
        }
        learns
    }

    fn judge(
        &mut self,
        novelty: Novelty,
        news: &News,
        conversation: &Conversation<'_>,
        watch: &mut Watch<'_, '_>,
    ) {
        let denied = conversation.outcome == Outcome::Denied;
        let (now_ns, settings) = (watch.now_ns, watch.settings);
        match self.spread(news).tried(news, denied, now_ns, settings) {
            Some(Scan::GoesOn) => self.alerts.sustain(&Cause::Scan(news.initiator), now_ns),
            Some(Scan::Seen(finding)) => self.report(finding, watch),
            None => {
                let mut finding = self.describe(novelty, news, denied, settings);
                for way in Way::ALL {
                    let bytes = [conversation.sent, conversation.received][way as usize];
                    if self.volume.explains(way, bytes) {
                        finding.ties.push(Cause::Volume(way));
                    }
                }
                self.report(finding, watch);
            }
        }
    }

    fn describe(
        &self,
        novelty: Novelty,
        news: &News,
        denied: bool,
        settings: &Settings,
    ) -> Finding {
        let external = settings.is_external(news.peer);
        let (kind, weight) = match novelty {
            Novelty::Service => (Kind::NewService, 0.3),
            Novelty::Direction
            | Novelty::Peer {
                direction: true, ..
            } => (Kind::NewDirection, 0.5),
            Novelty::Peer { service: true, .. } => (Kind::NewPeer, 0.4),
            Novelty::Peer { .. } => (Kind::NewPeer, 0.3),
        };
        let outside = if external { 0.2 } else { 0.0 };
        let lateral = words::is_lateral(news.protocol, news.port);
        let along = if lateral { 0.2 } else { 0.0 };
        let mut sentence = self.sentence(novelty, news, external);
        if denied {
            sentence.push_str(" Policy refused it.");
        }
        Finding {
            kind,
            score: weight + outside + along,
            sentence,
            cause: Cause::Peer(news.peer),
            also: vec![Cause::Service(news.initiator, news.service.clone())],
            ties: vec![Cause::Scan(news.initiator)],
            settle_ns: settings.settle_s * SECOND,
            quiet_ns: settings.quiet_s * SECOND,
            news: Some(news.clone()),
        }
    }

    fn sentence(&self, novelty: Novelty, news: &News, external: bool) -> String {
        let peer = if external {
            format!("{} (outside the house)", news.peer)
        } else {
            news.peer.to_string()
        };
        let service = &news.service;
        let opened = match news.initiator {
            Initiator::Device => format!("It opened a conversation with {peer}: {service}."),
            Initiator::Peer => format!("{peer} opened a conversation with it: {service}."),
        };
        let observed = words::span(self.observed_ns);
        let usual = |peer: Option<IpAddr>| words::list(&self.habits.services(peer), NAMED);
        let rest = match (novelty, news.initiator) {
            (Novelty::Service, _) => {
                let known = usual(Some(news.peer));
                format!("In {observed} it was only {known} with that address.")
            }
            (Novelty::Direction, Initiator::Device) => {
                format!("In {observed} it never called that address but was called by it.")
            }
            (Novelty::Direction, Initiator::Peer) => {
                format!("In {observed} that address never called it but was called by it.")
            }
            (
                Novelty::Peer {
                    direction: true, ..
                },
                Initiator::Device,
            ) => {
                format!("In {observed} it never opened a conversation at all.")
            }
            (
                Novelty::Peer {
                    direction: true, ..
                },
                Initiator::Peer,
            ) => {
                format!("In {observed} nobody ever opened a conversation with it.")
            }
            (Novelty::Peer { service: true, .. }, _) => {
                let known = usual(None);
                format!(
                    "In {observed} it had nothing to do with that address, nor with anybody that \
                     way; it uses {known}."
                )
            }
            (Novelty::Peer { .. }, _) => {
                format!("In {observed} it had nothing to do with that address.")
            }
        };
        format!("{opened} {rest}")
    }

    fn report(&mut self, finding: Finding, watch: &mut Watch<'_, '_>) {
        let Watch {
            now_ns,
            settings,
            desk,
            sink,
        } = watch;
        self.alerts
            .report(self.key, finding, *now_ns, desk, settings, sink);
    }

    fn spread(&mut self, news: &News) -> &mut Spread {
        match news.initiator {
            Initiator::Device => &mut self.outgoing,
            Initiator::Peer => &mut self.incoming,
        }
    }
}

fn beacon(news: &News, period_ns: u64, settings: &Settings) -> Finding {
    Finding {
        kind: Kind::Beacon,
        score: 0.7,
        sentence: format!(
            "It calls {} (outside the house) about every {}, as regularly as a program that waits \
             for orders: {}.",
            news.peer,
            words::span(period_ns),
            news.service
        ),
        cause: Cause::Peer(news.peer),
        also: Vec::new(),
        ties: Vec::new(),
        settle_ns: 0,
        quiet_ns: (settings.quiet_s * SECOND).max(MISSED_CALLS * period_ns),
        news: Some(news.clone()),
    }
}

fn flood(excess: &Excess, observed_ns: u64, settings: &Settings) -> Finding {
    let verb = match excess.way {
        Way::Sent => "sent",
        Way::Received => "received",
    };
    let most = match excess.peer {
        Some(peer) if excess.way == Way::Sent => format!(" Most of it went to {peer}."),
        Some(peer) => format!(" Most of it came from {peer}."),
        None => String::new(),
    };
    // One tenth more for each doubling above the limit.
    let doublings = (excess.total as f32 / excess.limit.max(1) as f32).log2();
    Finding {
        kind: Kind::Volume,
        score: (0.5 + 0.1 * doublings).clamp(0.5, 0.9),
        sentence: format!(
            "It {verb} {} within this hour; in {} the most around this time of day was {} an \
             hour.{most}",
            words::bytes(excess.total),
            words::span(observed_ns),
            words::bytes(excess.largest)
        ),
        cause: Cause::Volume(excess.way),
        also: excess.peer.map(Cause::Peer).into_iter().collect(),
        ties: Vec::new(),
        settle_ns: 0,
        quiet_ns: settings.quiet_s * SECOND,
        news: None,
    }
}

fn drifted(change: Change, now_ns: u64) -> Option<Finding> {
    let Change::Away {
        role,
        confirmed,
        since_ns,
        now,
    } = change
    else {
        return None;
    };
    let known = if confirmed {
        "It was confirmed to be one."
    } else {
        "It looked like one all the time it was learnt."
    };
    let instead = match now {
        Some(other) => format!("it looks like: {}", other.words()),
        None => "it looks like nothing known".into(),
    };
    Some(Finding {
        kind: Kind::RoleDrift,
        score: if now.is_some() { 0.7 } else { 0.5 },
        sentence: format!(
            "It no longer behaves as: {}. For {} {instead}. {known}",
            role.words(),
            words::span(now_ns.saturating_sub(since_ns))
        ),
        cause: Cause::Role,
        also: Vec::new(),
        ties: Vec::new(),
        settle_ns: 0,
        // Windows end it, not silence.
        quiet_ns: u64::MAX,
        news: None,
    })
}
