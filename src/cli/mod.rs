//! The command line: clap types, one file per noun, and the way from a word to its command.
//! Not here: what a command means (the nouns), where requests go (`context.rs`), how results look (`ui`).
//! Rule: a verb builds a request, asks, and hands the reply to `ui`; a new noun is one variant and one arm below.

mod agent;
mod alert;
mod app;
mod approve;
mod audit;
mod catalog;
mod client;
mod command;
mod complete;
mod completions;
mod config;
mod connection;
mod context;
mod doctor;
mod events;
mod explain;
mod gateway;
mod generate;
mod health;
mod help;
mod import;
mod init;
mod integration;
mod interrupt;
mod known;
mod logs;
mod machine;
mod man;
mod memory;
mod metrics;
mod package;
mod parse;
mod policy;
mod pricing;
mod profile;
mod quickstart;
mod quota;
mod schedule;
mod secret;
mod server;
mod service;
mod skill;
mod status;
mod suggest;
mod token;
mod tool;
mod trace;
mod transport;
mod trial;
mod undo;
mod usage;
mod user;
mod version;
mod workflow;

use crate::error::Result;
use crate::ui::{Color, JsonMode, Options};
use clap::{Args, Parser, Subcommand, ValueEnum};
use context::Context;
pub use gateway::{Foreground, Serving};
pub use parse::fail;
use std::ffi::OsString;
use std::path::PathBuf;

/// The gateway in this very process; `main` hands it in, since the command line may not know the gateway's rooms.
pub type RunForeground = fn(&Foreground, &mut dyn FnMut(Serving)) -> Result<()>;

/// Runs one command line (the program's name first) and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>, foreground: RunForeground) -> u8 {
    parse::run(arguments.into_iter().collect(), foreground)
}

/// The whole command line as clap sees it, for help, man pages, completions and tests.
pub fn command() -> clap::Command {
    parse::command()
}

/// Every MCP server you use, behind one endpoint
#[derive(Debug, Parser)]
#[command(name = "umcp", version, propagate_version = false, disable_help_subcommand = true)]
#[command(allow_external_subcommands = true, infer_long_args = false, max_term_width = 100)]
#[command(after_long_help = "Run `umcp help all` for the tree of all commands.")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    noun: Option<Noun>,
}

/// Flags that every command takes, before or after its verb.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Print one JSON document; FIELDS keeps only these fields, such as name,state
    #[arg(long, global = true, value_name = "FIELDS", num_args = 0..=1, require_equals = true, value_delimiter = ',')]
    json: Option<Vec<String>>,
    /// Print only names or ids, and no notes
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Show all columns of tables, however narrow the terminal
    #[arg(long, global = true)]
    wide: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", value_enum)]
    color: Option<When>,
    /// Never ask; fail and name the flag that would have answered
    #[arg(long, global = true)]
    no_input: bool,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    yes: bool,
    /// Work as if started in this directory
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Keep everything of umcp in this folder, as `UMCP_HOME` does
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl Global {
    fn options(&self) -> Options {
        Options {
            json: match &self.json {
                None => JsonMode::Off,
                Some(fields) if fields.is_empty() => JsonMode::Whole,
                Some(fields) => JsonMode::Fields(fields.clone()),
            },
            quiet: self.quiet,
            color: match self.color {
                None | Some(When::Auto) => Color::Auto,
                Some(When::Always) => Color::Always,
                Some(When::Never) => Color::Never,
            },
            no_input: self.no_input,
            yes: self.yes,
            wide: self.wide,
        }
    }
}

// Where a variant has no words of its own, its arguments bring the help. Deferred: of forty nouns with hundreds of flags a
// command line needs one, and the others would be built at each start.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Noun {
    Init(init::Init),
    /// Add, show and run MCP servers
    #[command(aliases = ["servers", "mcp"])]
    Server(server::Command),
    /// Find and call the tools of your servers
    #[command(alias = "tools")]
    Tool(tool::Command),
    Call(tool::call::Call),
    Find(tool::search::Search),
    /// Install apps and make tools of any HTTP API
    #[command(alias = "apps")]
    App(app::Command),
    Install(Box<package::install::Install>),
    Uninstall(package::change::Uninstall),
    Outdated(package::outdated::Outdated),
    #[command(alias = "upgrade")]
    Update(package::update::Update),
    Rollback(package::change::Rollback),
    Sync(package::sync::Sync),
    Lock(package::lock::Command),
    /// Find servers and apps, and install them
    #[command(aliases = ["catalogue", "catalogs", "catalogues"])]
    Catalog(catalog::Command),
    /// Make tools of programs, scripts and requests
    #[command(alias = "commands")]
    Command(command::Command),
    /// Choose which servers and tools a client sees, and how
    #[command(alias = "profiles")]
    Profile(profile::Command),
    /// Decide what each client may do
    #[command(alias = "policies")]
    Policy(policy::Command),
    Approve(approve::Approve),
    /// Read and verify the record of calls and changes
    Audit(audit::Command),
    /// Manage keys for the HTTP endpoint
    #[command(alias = "tokens")]
    Token(token::Command),
    /// Sign in, and look after the accounts that did
    #[command(alias = "connections")]
    Connection(connection::Command),
    /// Describe how to sign in at services
    #[command(alias = "integrations")]
    Integration(integration::Command),
    /// Keep keys and passwords in an encrypted vault, and out of files
    #[command(alias = "secrets")]
    Secret(secret::Command),
    Serve(gateway::Serve),
    /// Start, stop and watch the daemon behind the endpoint
    Gateway(gateway::Command),
    /// Show how servers are reached, and what passed over the wire
    #[command(alias = "transports")]
    Transport(transport::Command),
    /// Check servers and reset circuit breakers
    Health(health::Command),
    /// Connect editors and agents to umcp, and back
    #[command(alias = "clients")]
    Client(client::Command),
    #[command(alias = "skills")]
    Skill(skill::Command),
    #[command(aliases = ["workflows", "wf"])]
    Workflow(workflow::Command),
    #[command(aliases = ["schedules", "cron"])]
    Schedule(schedule::Command),
    #[command(alias = "agents")]
    Agent(agent::Command),
    #[command(alias = "memories")]
    Memory(memory::Command),
    /// Show what calls cost in tokens, time and money
    Usage(usage::Command),
    /// Keep the prices that costs are reckoned with
    #[command(alias = "price")]
    Pricing(pricing::Command),
    /// Bound what clients, agents and tools may use
    #[command(aliases = ["quotas", "budget"])]
    Quota(quota::Command),
    #[command(alias = "metric")]
    Metrics(metrics::Command),
    #[command(alias = "traces")]
    Trace(trace::Command),
    #[command(alias = "alerts")]
    Alert(alert::Command),
    /// Say whom calls are accounted to
    #[command(alias = "users")]
    User(user::Command),
    /// Show and change settings
    Config(config::Command),
    Test(trial::Command),
    Generate(generate::Generate),
    Doctor(doctor::Doctor),
    Import(import::Import),
    Undo(undo::Undo),
    Quickstart(quickstart::Quickstart),
    Status(status::Status),
    Logs(logs::Logs),
    Events(events::Events),
    Explain(explain::Explain),
    Version(version::Version),
    Completions(completions::Completions),
    Man(man::Man),
    Help(help::Help),
    #[command(name = "__complete", hide = true)]
    Complete(complete::Complete),
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

impl Noun {
    fn run(self, ctx: &Context) -> Result<()> {
        match self {
            Self::Init(command) => command.run(ctx),
            Self::Server(command) => command.run(ctx),
            Self::Tool(command) => command.run(ctx),
            Self::Call(command) => command.run(ctx),
            Self::Find(command) => command.run(ctx),
            Self::App(command) => command.run(ctx),
            Self::Install(command) => command.run(ctx),
            Self::Uninstall(command) => command.run(ctx),
            Self::Outdated(command) => command.run(ctx),
            Self::Update(command) => command.run(ctx),
            Self::Rollback(command) => command.run(ctx),
            Self::Sync(command) => command.run(ctx),
            Self::Lock(command) => command.run(ctx),
            Self::Catalog(command) => command.run(ctx),
            Self::Command(command) => command.run(ctx),
            Self::Profile(command) => command.run(ctx),
            Self::Policy(command) => command.run(ctx),
            Self::Approve(command) => command.run(ctx),
            Self::Audit(command) => command.run(ctx),
            Self::Token(command) => command.run(ctx),
            Self::Connection(command) => command.run(ctx),
            Self::Integration(command) => command.run(ctx),
            Self::Secret(command) => command.run(ctx),
            Self::Serve(command) => command.run(ctx),
            Self::Gateway(command) => command.run(ctx),
            Self::Transport(command) => command.run(ctx),
            Self::Health(command) => command.run(ctx),
            Self::Client(command) => command.run(ctx),
            Self::Skill(command) => command.run(ctx),
            Self::Workflow(command) => command.run(ctx),
            Self::Schedule(command) => command.run(ctx),
            Self::Agent(command) => command.run(ctx),
            Self::Memory(command) => command.run(ctx),
            Self::Usage(command) => command.run(ctx),
            Self::Pricing(command) => command.run(ctx),
            Self::Quota(command) => command.run(ctx),
            Self::Metrics(command) => command.run(ctx),
            Self::Trace(command) => command.run(ctx),
            Self::Alert(command) => command.run(ctx),
            Self::User(command) => command.run(ctx),
            Self::Config(command) => command.run(ctx),
            Self::Test(command) => command.run(ctx),
            Self::Generate(command) => command.run(ctx),
            Self::Doctor(command) => command.run(ctx),
            Self::Import(command) => command.run(ctx),
            Self::Undo(command) => command.run(ctx),
            Self::Quickstart(command) => command.run(ctx),
            Self::Status(command) => command.run(ctx),
            Self::Logs(command) => command.run(ctx),
            Self::Events(command) => command.run(ctx),
            Self::Explain(command) => command.run(ctx),
            Self::Version(command) => command.run(ctx),
            Self::Completions(command) => command.run(ctx),
            Self::Man(command) => command.run(ctx),
            Self::Help(command) => command.run(ctx),
            Self::Complete(command) => command.run(ctx),
            Self::Other(words) => Err(suggest::unknown_command(&words)),
        }
    }
}
