//! What can be typed.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use wardline_control::DEFAULT_SOCKET;
use wardline_policy::{MacAddr, Mode, Reason};

/// Protects medical devices on the network: shows what they do, checks and applies what they may
/// do, and says what an allowed list would have done to recorded traffic.
#[derive(Debug, Parser)]
#[command(name = "wardline", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 it failed, 2 wrong usage or bad input.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub control: ControlArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct ControlArgs {
    /// Control socket of the running fast path
    #[arg(long, global = true, env = "WARDLINE_SOCKET", default_value = DEFAULT_SOCKET)]
    #[arg(value_name = "PATH", hide_env_values = true)]
    pub socket: PathBuf,
    /// Print JSON for programs instead of tables for people
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the packet process (runs `wardline-fastpath` with these arguments)
    #[command(disable_help_flag = true)]
    Fastpath(SiblingArgs),
    /// Start the management plane: REST API, inventory, audit (runs `wardline-mgmt` with these
    /// arguments)
    #[command(disable_help_flag = true)]
    Mgmt(SiblingArgs),
    /// Verify, export and report who changed what (runs `wardline-mgmt audit`)
    #[command(disable_help_flag = true)]
    Audit(SiblingArgs),
    /// Collect what a maintainer needs, without secrets or patient data (runs `wardline-mgmt
    /// support-bundle`)
    #[command(disable_help_flag = true)]
    SupportBundle(SiblingArgs),
    /// Ports, counters and the policy in force, at a glance
    Status,
    /// The devices seen, what they are and how they fare
    Devices(DevicesArgs),
    /// Say what a device is, or take that back
    Role(RoleArgs),
    /// Devices that do not behave as they used to
    Alerts(AlertsArgs),
    /// Conversations in progress: who talks to whom, and why it may
    Flows(FlowsArgs),
    /// Check, apply, show and compare allowed lists
    Policy(PolicyArgs),
    /// What happened: devices seen, conversations stopped, policies applied
    Events(EventsArgs),
    /// Live view of devices, rates and verdicts
    Top,
    /// Stop the running fast path as planned: the kernel's bridge carries on meanwhile
    Stop(StopArgs),
    /// What a policy would have done to recorded traffic; without one, what is in it
    Replay(Box<ReplayArgs>),
    /// Check a policy document (the same as `policy check`)
    Check(CheckArgs),
    /// Name the devices in recorded traffic: what each is, how sure that is, and why
    Classify(ClassifyArgs),
    /// Check and sign models
    Model(ModelArgs),
    /// What a model sees of the devices in recorded traffic: a row for each device and window
    Features(FeaturesArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page (troff)
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct SiblingArgs {
    /// Arguments of that program, such as --config FILE; --help lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    pub arguments: Vec<OsString>,
}

impl SiblingArgs {
    /// The arguments behind the program's own subcommand.
    pub(crate) fn behind(&self, subcommand: &str) -> Vec<OsString> {
        let arguments = self.arguments.iter().cloned();
        std::iter::once(subcommand.into())
            .chain(arguments)
            .collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Give the interfaces back as well, instead of leaving them attached for the next start
    #[arg(long)]
    pub detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// Only devices of this role
    #[arg(long)]
    pub role: Option<String>,
    /// Only the device with this MAC address, with what it is taken for and why
    #[arg(long)]
    pub mac: Option<MacAddr>,
    /// Only devices in this mode
    #[arg(long, value_parser = mode)]
    pub mode: Option<Mode>,
}

#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    #[command(subcommand)]
    pub command: RoleCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Confirm or correct the role of a device
    Set(RoleSetArgs),
    /// What was said of a device counts no more: it is what it looks like
    Clear(RoleClearArgs),
    /// Print what is learnt from the devices people named, signed and without addresses, for
    /// retraining
    Export,
}

#[derive(Debug, Args)]
pub(crate) struct RoleSetArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Its role; `wardline model roles` lists all
    pub role: String,
    #[command(flatten)]
    pub words: WordsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RoleClearArgs {
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub words: WordsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// MAC address of the device
    pub mac: MacAddr,
    /// VLAN of the device as `wardline devices` prints it (`10`, `10.20`, `-` for none); only needed
    /// when the address is in several
    #[arg(long, value_name = "VLAN", allow_hyphen_values = true)]
    pub vlan: Option<String>,
}

/// What goes into the record of a person's word.
#[derive(Debug, Args)]
pub(crate) struct WordsArgs {
    /// How it is known
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who says it
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    pub who: String,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    pub command: Option<AlertsCommand>,
    /// Those that ended lately as well
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// What the alert is about is usual for the device from now on
    Accept(AcceptArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// Number of the alert
    pub id: u64,
    #[command(flatten)]
    pub words: WordsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FlowsArgs {
    /// Only conversations of the device with this MAC address
    #[arg(long)]
    pub mac: Option<MacAddr>,
    /// Only conversations with this address at either end
    #[arg(long)]
    pub address: Option<IpAddr>,
    /// Only conversations with this port at either end
    #[arg(long)]
    pub port: Option<u16>,
    /// Only conversations let through for this reason
    #[arg(long, value_parser = reason)]
    pub reason: Option<Reason>,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a document without a running fast path
    Check(CheckArgs),
    /// Put a document in force; on any error the old one stays
    Apply(ApplyArgs),
    /// Print the document in force
    Show,
    /// Say what a document would change, item by item
    Diff(DiffArgs),
    /// Keep a policy that was applied with --confirm-within
    Confirm(ConfirmArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Policy document, TOML or (by the ending .json) JSON; `-` is standard input
    #[arg(value_name = "POLICY")]
    pub policy: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// Policy document, TOML or (by the ending .json) JSON; `-` is standard input
    #[arg(value_name = "POLICY")]
    pub policy: PathBuf,
    /// Roll back by itself unless `policy confirm` comes within so many seconds
    #[arg(long, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub confirm_within: Option<u32>,
    /// Refuse unless this policy is in force now
    #[arg(long, value_name = "ID")]
    pub expect: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The document to compare with the one in force, or with --from
    #[arg(value_name = "POLICY")]
    pub policy: PathBuf,
    /// Compare with this document instead of the one in force
    #[arg(long, value_name = "POLICY")]
    pub from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// Id of the policy to keep; left out: the one in force
    #[arg(value_name = "ID")]
    pub id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Wait for new events until interrupted
    #[arg(long, short)]
    pub follow: bool,
    /// Only what was stopped or would have been
    #[arg(long)]
    pub denied: bool,
}

#[derive(Debug, Args)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct ReplayArgs {
    /// Captures (pcap or pcapng, plain or gzip; `-` is standard input), read one after the other
    #[arg(value_name = "CAPTURE", required_unless_present = "ward")]
    pub captures: Vec<PathBuf>,
    /// Policy document, TOML or (by the ending .json) JSON
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Give the device with this MAC address the rules of a MUD file (RFC 8520); may be repeated.
    /// A device the policy does not list is taken to be untagged and enforced
    #[arg(long, value_name = "MAC=FILE", value_parser = mac_and_file)]
    pub mud: Vec<(MacAddr, PathBuf)>,
    /// Stations on the devices' side; everything else is the hospital's
    #[arg(long, value_name = "MAC,…", value_delimiter = ',')]
    pub ward_macs: Vec<MacAddr>,
    /// Capture taken on the devices' side of the box, together with --core
    #[arg(long, value_name = "CAPTURE", requires = "core")]
    #[arg(conflicts_with_all = ["captures", "ward_macs"])]
    pub ward: Option<PathBuf>,
    /// Capture taken on the hospital's side of the box, with the same clock
    #[arg(long, value_name = "CAPTURE", requires = "ward")]
    pub core: Option<PathBuf>,
    /// Put every device in this mode, whatever the policy says
    #[arg(long)]
    pub mode: Option<ReplayMode>,
    /// Write the packets that would have been forwarded
    #[arg(long, value_name = "OUT.pcapng")]
    pub write_forwarded: Option<PathBuf>,
    /// Write the packets that would have been dropped, each with its reason as a comment
    #[arg(long, value_name = "OUT.pcapng")]
    pub write_dropped: Option<PathBuf>,
}

const REPLAY_HELP: &str = "\
Which side a packet came from: its file with --ward and --core; its source MAC address with \
--ward-macs; else its source MAC address by the devices the policy lists. Without any of these it \
is guessed: a station that is spoken to before it speaks, or that gives out addresses or names, is \
on the hospital's side.

With --json: one object a line for each packet (type, index, time, side, device, flow, verdict, \
reason, rule), and a summary as the last line. The verdict is forward, would-drop or drop; the \
reason of would-drop is the one it would have been dropped for.";

/// The steps of the ladder a replay can be forced to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReplayMode {
    /// Forward everything
    Observe,
    /// Forward everything, say what would have been dropped
    Simulate,
    /// Drop what is not allowed
    Enforce,
}

#[derive(Debug, Args)]
#[command(after_help = CLASSIFY_HELP)]
pub(crate) struct ClassifyArgs {
    /// Captures (pcap or pcapng, plain or gzip; `-` is standard input). A device that is in several
    /// is answered once, from all of them
    #[arg(value_name = "CAPTURE", required = true)]
    pub captures: Vec<PathBuf>,
    /// Answer each capture for itself
    #[arg(long)]
    pub each: bool,
    /// Folder of a signed model to use instead of the built-in one
    #[arg(long, value_name = "FOLDER")]
    pub model: Option<PathBuf>,
}

const CLASSIFY_HELP: &str = "\
A device is a MAC address that spoke. Its role is named only when one role is left and probable \
enough; else `roles` are those it may have, and `role` is unknown.

With --json: one object a line for each device (mac, vlan, addresses, role, roles, probability, \
may_enforce, type, vendor, model, serial, software, asset_tags, speaks_for, conflict, evidence, \
features, would_change, first_seen, last_seen; with --each also capture). may_enforce says that the \
device itself proved its role.

Exit codes: 1 when no device is in the captures, 2 when one of them could not be read to its end.";

#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    #[command(subcommand)]
    pub command: ModelCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Which model names the devices in the running fast path
    Status,
    /// Put a model in use in the running fast path, without interrupting it
    Activate(ModelActivateArgs),
    /// Say whether a model would be used, or why not
    Check(ModelCheckArgs),
    /// Print the names of all roles there are, a line each
    Roles,
    /// Make a key to sign models with, and print its public half
    Key(ModelKeyArgs),
    /// List the files of a model in a manifest and sign it
    Sign(ModelSignArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ModelActivateArgs {
    /// Folder of the model; left out: the one that the fast path was built with
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ModelCheckArgs {
    /// Folder of the model; left out: the one that is built in
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// File with the public half of a key to trust in place of the project's
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ModelKeyArgs {
    /// Where to write it; must not exist
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ModelSignArgs {
    /// Folder of the model
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// The key
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// JSON with the types, their roles, and the roles of the model, in the order of its output
    #[arg(long, value_name = "FILE")]
    pub heads: PathBuf,
    /// Version of the model: above that of every model before
    #[arg(long, value_name = "N")]
    pub number: u64,
}

#[derive(Debug, Args)]
#[command(after_help = FEATURES_HELP)]
pub(crate) struct FeaturesArgs {
    /// Captures (pcap or pcapng, plain or gzip), each read for itself
    #[arg(value_name = "CAPTURE", required = true)]
    pub captures: Vec<PathBuf>,
    /// How the rows are written
    #[arg(long, default_value = "csv")]
    pub format: Table,
    /// What the devices really are: JSON, from MAC address (or any name, with a member `mac`) to
    /// `type` (or `name`, a part and a number) and `role`. Rows of other devices are left out
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Where to write; left out: standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

const FEATURES_HELP: &str = "\
Columns: capture, mac, type, role; scope (window, or so-far: all traffic up to the end); frames; \
began and seconds (when the device was heard first, and how long ago that is); the numbers; and \
three lists separated by tabs: facts (what the device had said by then, with what belongs to one \
unit masked), evidence (what that weighs for roles, as log-odds), first (lengths of its first \
frames, negative for those to it).";

/// Formats of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    /// Comma-separated text
    Csv,
    /// Apache Parquet
    Parquet,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// All commands in one page.
pub(crate) fn man_page(out: &mut dyn Write) -> io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    let mut root = Cli::command();
    root.build();
    for command in root.get_subcommands().filter(|c| !c.is_hide_set()) {
        subcommand_sections(command, &mut page)?;
    }
    out.write_all(&page)
}

fn subcommand_sections(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    if command.get_name() == "help" {
        return Ok(());
    }
    let title = command.get_bin_name().unwrap_or(command.get_name());
    writeln!(page, ".SH {}", title.to_uppercase().replace('-', "\\-"))?;
    let man = clap_mangen::Man::new(command.clone());
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    for nested in command.get_subcommands() {
        subcommand_sections(nested, page)?;
    }
    Ok(())
}

fn mode(text: &str) -> Result<Mode, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "a mode is one of observe, simulate, enforce, isolate, break-glass".to_owned())
}

fn reason(text: &str) -> Result<Reason, String> {
    Reason::from_name(text).ok_or_else(|| {
        let names: Vec<_> = Reason::ALL.iter().map(|r| r.name()).collect();
        format!("a reason is one of {}", names.join(", "))
    })
}

fn mac_and_file(text: &str) -> Result<(MacAddr, PathBuf), String> {
    let (mac, file) = text
        .split_once('=')
        .ok_or("write MAC=FILE, such as 00:09:fb:12:34:56=pump.json")?;
    let mac = mac.parse::<MacAddr>().map_err(|e| e.to_string())?;
    if file.is_empty() {
        return Err("the file is missing behind `=`".to_owned());
    }
    Ok((mac, file.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn reserved_words_explain_themselves() {
        assert_eq!(mode("enforce"), Ok(Mode::Enforce));
        assert!(mode("enforced").unwrap_err().contains("break-glass"));
        assert!(reason("nope").unwrap_err().contains("no-rule"));
        assert!(mac_and_file("00:09:fb:12:34:56").is_err());
        assert!(mac_and_file("00:09:fb:12:34=x").is_err());
        assert!(mac_and_file("00:09:fb:12:34:56=x=y").is_ok());
    }
}
