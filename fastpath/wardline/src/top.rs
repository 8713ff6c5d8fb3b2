//! `wardline top`: a live view, refreshed every second.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};
use wardline_control::view::ByReason;
use wardline_control::{DeviceView, Status};
use wardline_policy::{DeviceKey, Reason};

use crate::cli::ControlArgs;
use crate::control::Link;
use crate::devices;
use crate::failure::Failure;
use crate::table::printable;
use crate::words;

const REFRESH: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &ControlArgs) -> Result<(), Failure> {
    if args.json || !io::stdout().is_terminal() {
        return Err(Failure::input(
            "`top` draws on a terminal; for programs there is `wardline status --json`",
        ));
    }
    let mut view = View::new(Sample::take(&Link::open(&args.socket)?)?);
    let mut terminal = ratatui::try_init()
        .map_err(|e| Failure::failed(format!("cannot use this terminal: {e}")))?;
    let result = watch(&args.socket, &mut view, |view| {
        terminal.draw(|frame| draw(frame, view)).map(|_| ())
    });
    ratatui::restore();
    result.map_err(|e| Failure::failed(format!("the terminal failed: {e}")))
}

/// Draws, waits for keys, samples again, until somebody leaves.
fn watch(
    socket: &Path,
    view: &mut View,
    mut draw: impl FnMut(&View) -> io::Result<()>,
) -> io::Result<()> {
    let mut link = None;
    loop {
        draw(view)?;
        let next = Instant::now() + REFRESH;
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            if !event::poll(left)? {
                break;
            }
            match event::read()? {
                Event::Key(key) if leaves(key) => return Ok(()),
                Event::Key(key) => view.scroll(key.code),
                _ => {}
            }
            draw(view)?;
        }
        // The fast path may restart under our eyes: connect again rather than leave.
        let open = match link.take() {
            Some(open) => Ok(open),
            None => Link::open(socket),
        };
        match open.and_then(|open| Sample::take(&open).map(|sample| (open, sample))) {
            Ok((open, sample)) => {
                link = Some(open);
                view.update(sample);
            }
            Err(failure) => view.trouble = Some(failure.message()),
        }
    }
}

fn leaves(key: KeyEvent) -> bool {
    let interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
    interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}

/// What is known at one moment.
struct Sample {
    status: Status,
    devices: Vec<DeviceView>,
    at: Instant,
}

impl Sample {
    fn take(link: &Link) -> Result<Self, Failure> {
        Ok(Self {
            status: link.call(|client| client.status())?,
            devices: link.devices()?,
            at: Instant::now(),
        })
    }
}

/// Two samples, whose difference is the rates.
struct View {
    before: Option<Sample>,
    now: Sample,
    /// Devices above the window.
    skipped: usize,
    /// Why there is no newer sample.
    trouble: Option<String>,
}

impl View {
    fn new(now: Sample) -> Self {
        Self {
            before: None,
            now,
            skipped: 0,
            trouble: None,
        }
    }

    fn update(&mut self, sample: Sample) {
        self.trouble = None;
        let before = std::mem::replace(&mut self.now, sample);
        // Another process counts from zero again.
        let same = before.status.pid == self.now.status.pid;
        self.before = same.then_some(before);
    }

    fn scroll(&mut self, key: KeyCode) {
        let last = self.now.devices.len().saturating_sub(1);
        self.skipped = match key {
            KeyCode::Up | KeyCode::Char('k') => self.skipped.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => (self.skipped + 1).min(last),
            KeyCode::PageUp => self.skipped.saturating_sub(10),
            KeyCode::PageDown => (self.skipped + 10).min(last),
            KeyCode::Home => 0,
            KeyCode::End => last,
            _ => self.skipped,
        };
    }

    /// Per second, of a counter that is read from both samples.
    fn rate(&self, counter: impl Fn(&Sample) -> u64) -> u64 {
        let Some(before) = &self.before else {
            return 0;
        };
        self.per_second(counter(&self.now).saturating_sub(counter(before)))
    }

    /// What was gained since the sample before.
    fn per_second(&self, gain: u64) -> u64 {
        let Some(before) = &self.before else {
            return 0;
        };
        let elapsed_ms = (self.now.at - before.at).as_millis().max(1);
        u64::try_from(u128::from(gain) * 1_000 / elapsed_ms).unwrap_or(u64::MAX)
    }
}

fn draw(frame: &mut Frame<'_>, view: &View) {
    let [head, ports, rest, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(5),
        Constraint::Min(5),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let [verdicts, devices] =
        Layout::horizontal([Constraint::Length(46), Constraint::Min(40)]).areas(rest);
    draw_head(frame, head, view);
    draw_ports(frame, ports, view);
    draw_verdicts(frame, verdicts, view);
    draw_devices(frame, devices, view);
    draw_foot(frame, foot, view);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let status = &view.now.status;
    let policy = match status.policy.origin.as_str() {
        "none" => "no policy: everything is observed".to_owned(),
        _ => format!("policy {} ({})", status.policy.name, status.policy.id),
    };
    let stopped = view.rate(|s| s.status.counters.ward.dropped + s.status.counters.core.dropped);
    let lines = vec![
        Line::from(printable(&format!(
            "Wardline, running for {}; {policy}",
            words::duration(status.uptime_s)
        )))
        .bold(),
        Line::from(format!(
            "{} devices, {} conversations, {} frames/s stopped",
            words::count(status.devices),
            words::count(status.flows),
            words::count(stopped)
        )),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_ports(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let rows = view.now.status.ports.iter().enumerate().map(|(i, port)| {
        let stat = |read: fn(&wardline_control::view::PortStats) -> u64| {
            view.rate(|s| s.status.ports.get(i).map_or(0, |p| read(&p.stats)))
        };
        Row::new([
            words::word(port.side),
            printable(&port.device),
            words::word(port.link),
            words::count(stat(|s| s.rx_frames)),
            bits(stat(|s| s.rx_bytes)),
            words::count(stat(|s| s.tx_frames)),
            bits(stat(|s| s.tx_bytes)),
            words::count(port.stats.rx_missed + port.stats.rx_no_buffer),
        ])
    });
    let widths = [6, 16, 8, 12, 12, 12, 12, 8].map(Constraint::Length);
    let headings = ["SIDE", "PORT", "LINK", "IN/s", "IN", "OUT/s", "OUT", "LOST"];
    frame.render_widget(table(rows, &widths, &headings, "Ports"), area);
}

fn draw_verdicts(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let mut rows = Vec::new();
    for &reason in Reason::ALL {
        let count = |s: &Sample| {
            of(&s.status.counters.ward.by_reason, reason)
                + of(&s.status.counters.core.by_reason, reason)
        };
        rows.push((reason, count(&view.now), view.rate(count), ""));
        let would = |s: &Sample| of(&s.status.counters.would_drop, reason);
        rows.push((reason, would(&view.now), view.rate(would), "would: "));
    }
    rows.retain(|(_, total, ..)| *total > 0);
    // What was stopped first; within it the busiest.
    rows.sort_by_key(|(reason, total, _, _)| (reason.forwards(), std::cmp::Reverse(*total)));
    let rows = rows.into_iter().map(|(reason, total, rate, prefix)| {
        let style = match (reason.forwards(), prefix.is_empty()) {
            (true, _) => Style::new(),
            (false, true) => Style::new().fg(Color::Red),
            (false, false) => Style::new().fg(Color::Yellow),
        };
        Row::new([
            format!("{prefix}{}", reason.name()),
            words::count(rate),
            words::count(total),
        ])
        .style(style)
    });
    let widths = [
        Constraint::Min(22),
        Constraint::Length(9),
        Constraint::Length(11),
    ];
    frame.render_widget(
        table(rows, &widths, &["REASON", "FRAMES/s", "FRAMES"], "Verdicts"),
        area,
    );
}

fn draw_devices(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let total = |d: &DeviceView| d.sent.bytes + d.got.bytes;
    let before: HashMap<DeviceKey, u64> = match &view.before {
        Some(sample) => sample.devices.iter().map(|d| (d.key, total(d))).collect(),
        None => HashMap::new(),
    };
    let gain = |d: &DeviceView| match before.get(&d.key) {
        Some(before) => view.per_second(total(d).saturating_sub(*before)),
        None => 0,
    };
    let devices = view.now.devices.iter();
    let mut rates: Vec<(u64, &DeviceView)> = devices.map(|d| (gain(d), d)).collect();
    rates.sort_by_key(|(rate, device)| (std::cmp::Reverse(*rate), device.key));
    let rows = rates.into_iter().skip(view.skipped).map(|(rate, d)| {
        let stopped = devices::stopped(d);
        let would: u64 = d.would_drop.values().sum();
        let stopped_style = if stopped > 0 {
            Color::Red
        } else {
            Color::Reset
        };
        Row::new([
            Cell::from(printable(&devices::name(d))),
            Cell::from(d.key.mac.to_string()),
            Cell::from(printable(d.role.as_deref().unwrap_or("-"))),
            Cell::from(words::word(d.mode)),
            Cell::from(bits(rate)),
            Cell::from(words::count(stopped)).fg(stopped_style),
            Cell::from(words::count(would)),
        ])
    });
    let widths = [
        Constraint::Min(14),
        Constraint::Length(17),
        Constraint::Length(16),
        Constraint::Length(11),
        Constraint::Length(10),
        Constraint::Length(9),
        Constraint::Length(9),
    ];
    let headings = [
        "DEVICE", "MAC", "ROLE", "MODE", "TRAFFIC", "STOPPED", "WOULD",
    ];
    frame.render_widget(table(rows, &widths, &headings, "Devices"), area);
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let line = match &view.trouble {
        Some(trouble) => Line::from(printable(trouble)).fg(Color::Red),
        None => Line::from("q leaves, arrows scroll the devices").dim(),
    };
    frame.render_widget(Paragraph::new(line), area);
}

fn table<'a>(
    rows: impl IntoIterator<Item = Row<'a>>,
    widths: &[Constraint],
    headings: &[&'static str],
    title: &'static str,
) -> Table<'a> {
    let heading = Row::new(headings.to_vec()).style(Style::new().add_modifier(Modifier::BOLD));
    Table::new(rows, widths.to_vec())
        .header(heading)
        .block(Block::new().borders(Borders::TOP).title(title))
}

fn of(counters: &ByReason, reason: Reason) -> u64 {
    counters.get(&reason).copied().unwrap_or(0)
}

/// Bytes per second as people measure lines.
fn bits(bytes_per_s: u64) -> String {
    let text = words::bytes(bytes_per_s.saturating_mul(8));
    format!("{}bit/s", text.strip_suffix('B').unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    /// Built from JSON, as it comes from the fast path.
    fn sample(frames: u64, at: Instant) -> Sample {
        let none = json!({"received": 0, "received_bytes": 0, "forwarded": 0, "dropped": 0,
            "by_reason": {}});
        let ward = json!({"received": frames, "received_bytes": 0, "forwarded": 0,
            "dropped": frames, "by_reason": {"no-rule": frames}});
        let status = json!({
            "software_version": "1", "pid": 7, "started_us": 0, "uptime_s": 60,
            "startup_ms": 1, "memory": {"huge_pages": false, "note": "", "mib": 64},
            "ports": [{"side": "ward", "driver": "af_xdp", "device": "ward0", "mtu": 1500,
                "queues": 1, "link": "up", "stats": {"rx_frames": frames,
                "rx_bytes": frames * 125, "tx_frames": 0, "tx_bytes": 0, "rx_missed": 0,
                "rx_errors": 0, "rx_no_buffer": 0, "tx_errors": 0}}],
            "workers": [],
            "counters": {"ward": ward, "core": none, "would_drop": {}, "refusals_to_ward": 0,
                "refusals_to_core": 0, "flows_begun": 0},
            "policy": {"id": "abc", "name": "ward.toml", "applied_us": 0, "generation": 1,
                "next_boundary_s": null, "rollback_at_s": null, "origin": "control"},
            "devices": 1, "flows": 0, "events_dropped": 0,
        });
        let device = json!({
            "key": {"mac": "00:09:fb:00:00:01", "vlan": {"outer": 0, "inner": 0}},
            "name": "pump-1\u{1b}[2J", "role": "infusion-pump", "mode": "enforce",
            "care": "therapy", "addresses": [], "first_seen_us": 0, "last_seen_us": 0,
            "dhcp": null, "sent": {"frames": frames, "bytes": frames * 125},
            "got": {"frames": 0, "bytes": 0}, "by_reason": {"no-rule": frames},
            "would_drop": {}, "flows": 0, "wrong_side": 0,
        });
        Sample {
            status: serde_json::from_value(status).unwrap(),
            devices: vec![serde_json::from_value(device).unwrap()],
            at,
        }
    }

    fn screen(view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(140, 20)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn rates_are_differences_over_time() {
        let start = Instant::now();
        let mut view = View::new(sample(1_000, start));
        assert!(screen(&view).contains("0 frames/s stopped"));
        view.update(sample(3_000, start + Duration::from_secs(2)));
        let screen = screen(&view);
        for text in [
            "1,000 frames/s stopped",
            "policy ward.toml (abc)",
            "ward0",
            "1.0 Mbit/s",
            "no-rule",
            "3,000",
            "infusion-pump",
            "pump-1\u{fffd}[2J",
        ] {
            assert!(screen.contains(text), "{text:?} is missing in\n{screen}");
        }
    }

    #[test]
    fn another_process_begins_from_zero() {
        let start = Instant::now();
        let mut view = View::new(sample(9_000, start));
        let mut next = sample(10, start + Duration::from_secs(1));
        next.status.pid = 8;
        view.update(next);
        assert!(screen(&view).contains(" 0 frames/s stopped"));
        view.trouble = Some("cannot reach the fast path".to_owned());
        assert!(screen(&view).contains("cannot reach the fast path"));
    }

    #[test]
    fn the_list_of_devices_stops_at_its_ends() {
        let mut view = View::new(sample(1, Instant::now()));
        for key in [
            KeyCode::Up,
            KeyCode::PageDown,
            KeyCode::End,
            KeyCode::Char('j'),
        ] {
            view.scroll(key);
            assert_eq!(view.skipped, 0);
        }
    }
}
