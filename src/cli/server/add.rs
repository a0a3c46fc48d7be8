//! `umcp server add`: one new entry from a spec, a URL or a command line.

use super::super::context::Context;
use super::super::machine::variable;
use super::super::secret::tell_plain;
use super::change::Changed;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::sandbox::{Base, Guard, Net, Sandbox};
use crate::servers::formats::shut;
use crate::servers::model::{EraChoice, Sharing, Transport};
use crate::servers::spec::{self, Guess};
use crate::servers::{self, Server, formats};
use crate::setup::programs;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Add a server from a package, URL, file or command
///
/// SPEC is a URL, `npm:PACKAGE`, `pypi:PACKAGE`, `builtin:NAME`, or the path of a program or of a .py or .js file.
/// With `--url` or `-- COMMAND` the word before is the server's name; after a package, `--` begins the arguments
/// of its program.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp server add npm:@modelcontextprotocol/server-everything\n  umcp server add https://example.com/mcp --header 'Authorization=Bearer ${TOKEN}'\n  umcp server add notes --env NOTES_DIR=/tmp -- python3 notes.py"
)]
pub struct Add {
    /// What to add; with --url or a command, its name
    #[arg(value_name = "SPEC")]
    spec: Option<String>,
    /// Where the server listens: http(s), ws(s), unix or pipe
    #[arg(long, conflicts_with = "command")]
    url: Option<String>,
    /// The command that runs the server, or the arguments of the package's program
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Call it this instead of the name derived from SPEC
    #[arg(long)]
    name: Option<String>,
    /// Set a variable for the server; values may hold ${VAR} and secret://NAME
    #[arg(long, value_name = "K=V")]
    env: Vec<String>,
    /// Send a header with every HTTP request
    #[arg(long, value_name = "K=V")]
    header: Vec<String>,
    /// Run the server in this directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// A directory the server is told it may use; builtin:files opens no other
    #[arg(long, value_name = "DIR")]
    root: Vec<String>,
    /// Speak this transport instead of probing
    #[arg(long, value_enum)]
    transport: Option<Wire>,
    /// Tag the server, to choose it by profile
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// One process for all clients, or one for each
    #[arg(long, value_enum)]
    sharing: Option<Share>,
    /// Show its tools under their own names, without the server's prefix
    #[arg(long)]
    verbatim: bool,
    /// Speak this protocol era instead of probing
    #[arg(long, value_enum)]
    era: Option<EraWord>,
    /// Longest time a call may take, such as 30s or 2m
    #[arg(long, value_name = "TIME", value_parser = formats::own::parse_time)]
    timeout: Option<u64>,
    /// How its process is shut in; the setting sandbox.profile if left out
    #[arg(long, value_name = "PROFILE", value_parser = PossibleValuesParser::new(Base::WORDS))]
    sandbox: Option<String>,
    /// Let it read this, also where its sandbox hides it
    #[arg(long, value_name = "PATH")]
    allow_read: Vec<String>,
    /// Let it write this, and read it
    #[arg(long, value_name = "PATH")]
    allow_write: Vec<String>,
    /// Let it connect to this: any, none or *:PORT; once for each port
    #[arg(long, value_name = "NET")]
    allow_net: Vec<String>,
    /// Do not start it where this cannot be guarded
    #[arg(long, value_name = "GUARD", value_parser = PossibleValuesParser::new(Guard::ALL.iter().map(|guard| guard.word())))]
    require: Vec<String>,
    /// Memory of all its processes, such as 512MiB
    #[arg(long, value_name = "SIZE", value_parser = shut::parse_size)]
    max_memory: Option<u64>,
    /// Processes it may consist of
    #[arg(long, value_name = "N")]
    max_processes: Option<u32>,
    /// Say what it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Put it in the place of a server of the same name
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wire {
    Stdio,
    Http,
    Sse,
    #[value(name = "websocket", alias = "ws")]
    WebSocket,
    Socket,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Share {
    Shared,
    PerClient,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EraWord {
    Auto,
    Legacy,
    Modern,
}

impl Add {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let replace = self.replace;
        let server = self.server(ctx)?;
        let missing = missing_program(&server);
        let given = server.clone();
        match ctx.call(servers::Request::Add { servers: vec![server], replace })? {
            Reply::Server(servers::Reply::Servers(added)) => {
                if let Some(line) = missing {
                    ctx.ui.warn(&line);
                }
                tell_plain(ctx, [&given]);
                let next = added.first().map(|server| format!("try it: umcp server test {}", server.name));
                ctx.ui.show(&Changed::new("added", &added).then(next))
            }
            other => engine::unexpected(&other),
        }
    }

    fn server(self, ctx: &Context) -> Result<Server> {
        let guess = guess(self.spec.as_deref(), self.url.as_deref(), &self.command)?;
        let transport = force(guess.transport, self.transport)?;
        let only_arguments = self.spec.as_deref().is_some_and(is_package);
        let typed_here = names_a_file(&self.command, only_arguments);
        let mut server = servers::fresh(self.name.unwrap_or(guess.name), transport, ctx.clock.now());
        server.env = pairs("--env", &self.env)?;
        server.headers = pairs("--header", &self.header)?;
        server.roots = self.root.iter().map(|root| absolute_root(root)).collect::<Result<_>>()?;
        server.cwd = match self.cwd {
            Some(dir) => Some(absolute(&dir)?),
            // The daemon works elsewhere; what was typed here means files of this folder.
            None => typed_here.then(|| absolute(".")).transpose()?,
        };
        server.sandbox = Sandbox {
            profile: self.sandbox.as_deref().map(shut::profile).transpose()?,
            read: self.allow_read.iter().map(|place| absolute(place)).collect::<Result<_>>()?,
            write: self.allow_write.iter().map(|place| absolute(place)).collect::<Result<_>>()?,
            net: (!self.allow_net.is_empty()).then(|| Net::parse(&self.allow_net)).transpose()?,
            require: self.require.iter().map(|word| shut::guard(word)).collect::<Result<_>>()?,
            memory: self.max_memory,
            processes: self.max_processes,
            disk: None,
        };
        server.tags = self.tag;
        server.verbatim = self.verbatim;
        server.description = self.description;
        server.limits.call_timeout_ms = self.timeout;
        server.sharing = match self.sharing {
            Some(Share::PerClient) => Sharing::PerClient,
            Some(Share::Shared) | None => Sharing::Shared,
        };
        server.era = match self.era {
            Some(EraWord::Legacy) => EraChoice::Legacy,
            Some(EraWord::Modern) => EraChoice::Modern,
            Some(EraWord::Auto) | None => EraChoice::Auto,
        };
        Ok(server)
    }
}

/// Says that the command is not to be found now. It may be installed later, so the entry is made all the same.
pub fn missing_program(server: &Server) -> Option<String> {
    let Transport::Stdio { command, .. } = &server.transport else { return None };
    let own = server.env.get("PATH").cloned();
    let path = own.or_else(|| variable("PATH")).unwrap_or_default();
    if command.contains("${") || path.contains("${") {
        return None;
    }
    if programs::find(command, &path).is_some() {
        return missing_script(server);
    }
    if command.contains(['/', '\\']) {
        return Some(format!("there is no program `{command}`"));
    }
    let meant = programs::nearest(command, &path);
    let meant = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
    Some(format!("`{command}` is not found on PATH{meant}"))
}

/// Why the script that an interpreter is to run will not be found, if so.
fn missing_script(server: &Server) -> Option<String> {
    let Transport::Stdio { command, args } = &server.transport else { return None };
    let program = Path::new(command).file_stem()?.to_string_lossy().to_lowercase();
    let interpreters = ["python", "node", "bun", "deno", "tsx", "ruby", "php", "perl", "bash", "sh"];
    if !interpreters
        .iter()
        .any(|known| program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') == *known)
    {
        return None;
    }
    let script = args.iter().find(|word| !word.starts_with('-') && *word != "run")?;
    let endings = ["py", "js", "mjs", "cjs", "ts", "rb", "php", "pl", "sh"];
    let path = Path::new(script);
    let is_script = path.extension().is_some_and(|end| endings.iter().any(|known| end == *known));
    // A flag may have eaten the word, and what is put in later is not known yet.
    if !is_script
        || script.contains("://")
        || server.cwd.iter().chain([script]).any(|text| text.contains('$'))
    {
        return None;
    }
    let place = server.cwd.as_ref().map_or_else(|| path.to_path_buf(), |cwd| Path::new(cwd).join(path));
    (!place.exists()).then(|| format!("there is no script `{}`", place.display()))
}

fn guess(spec: Option<&str>, url: Option<&str>, command: &[String]) -> Result<Guess> {
    if let Some(url) = url {
        let name = spec.map_or_else(|| spec::url_name(url), String::from);
        return Ok(Guess { name, transport: Transport::from_url(url)? });
    }
    if let Some(package) = spec.filter(|spec| is_package(spec))
        && !command.is_empty()
    {
        return with_arguments(spec::read(package, locate)?, command);
    }
    if let Some((program, args)) = command.split_first() {
        let name = spec.map_or_else(|| spec::command_name(program, args), String::from);
        return Ok(Guess {
            name,
            transport: Transport::Stdio { command: program_path(program)?, args: args.to_vec() },
        });
    }
    let Some(spec) = spec else {
        return Err(Error::new(&codes::USAGE, "nothing to add was named")
            .hint("umcp server add npm:@modelcontextprotocol/server-everything")
            .hint("umcp server add --help"));
    };
    spec::read(spec, locate)
}

/// Whether a word says what to run and so cannot be the name of a command after it.
fn is_package(spec: &str) -> bool {
    ["npm:", "pypi:", "builtin:"].iter().any(|kind| spec.starts_with(kind))
}

/// A package's program with the arguments that were typed after `--`.
fn with_arguments(mut guess: Guess, arguments: &[String]) -> Result<Guess> {
    match &mut guess.transport {
        Transport::Stdio { args, .. } => args.extend_from_slice(arguments),
        _ => {
            return Err(Error::new(&codes::USAGE, format!("`builtin:{}` takes no arguments", guess.name))
                .hint("umcp server add --help"));
        }
    }
    Ok(guess)
}

/// The absolute path of a file that exists; a bare word counts only with a folder before it.
fn locate(text: &str) -> Option<PathBuf> {
    let is_path = text.contains(['/', '\\']) || text.ends_with(".py") || text.ends_with(".js");
    let path = std::path::absolute(text).ok()?;
    (is_path && !text.starts_with('@') && path.is_file()).then_some(path)
}

/// Whether a word of a command line is a file or folder as seen from here.
fn names_a_file(command: &[String], only_arguments: bool) -> bool {
    command.iter().enumerate().any(|(index, word)| {
        let path = Path::new(word);
        // The program is looked up on PATH unless it has a folder before it.
        let counts = only_arguments || index > 0 || word.contains(['/', '\\']);
        counts && !word.is_empty() && path.is_relative() && path.exists()
    })
}

/// A program with a folder before it, as it is known from anywhere; a bare word is looked up on PATH.
fn program_path(program: &str) -> Result<String> {
    match program.contains(['/', '\\']) && Path::new(program).is_file() {
        true => absolute(program),
        false => Ok(program.into()),
    }
}

fn absolute(path: &str) -> Result<String> {
    if path.contains("${") || path.starts_with('~') {
        return Ok(path.into());
    }
    let full =
        std::path::absolute(path).map_err(|error| crate::paths::io_error("find", path.as_ref(), &error))?;
    Ok(full.to_string_lossy().into_owned())
}

/// `K=V` or `K: V`, the form in which headers are copied.
pub fn pairs(flag: &str, words: &[String]) -> Result<std::collections::BTreeMap<String, String>> {
    let pair = |word: &String| {
        let split =
            word.split_once('=').filter(|(key, _)| !key.contains(':')).or_else(|| word.split_once(": "));
        let (key, value) = split.filter(|(key, _)| !key.trim().is_empty()).ok_or_else(|| {
            Error::new(&codes::USAGE, format!("`{word}` is not of the form NAME=VALUE"))
                .hint(format!("{flag} NAME=VALUE"))
        })?;
        Ok((key.trim().to_string(), value.to_string()))
    };
    words.iter().map(pair).collect()
}

fn force(transport: Transport, word: Option<Wire>) -> Result<Transport> {
    let Some(word) = word else { return Ok(transport) };
    match (word, transport) {
        (Wire::Http, Transport::Http { url, .. }) => Ok(Transport::Http { url, probe: false }),
        (Wire::Sse, Transport::Http { url, .. }) => Ok(Transport::Sse { url }),
        (Wire::WebSocket, Transport::WebSocket { url } | Transport::Http { url, .. }) => {
            Ok(Transport::WebSocket { url: url.replacen("http", "ws", 1) })
        }
        (Wire::Stdio, same @ Transport::Stdio { .. }) | (Wire::Socket, same @ Transport::Socket { .. }) => {
            Ok(same)
        }
        (_, other) => {
            let wanted =
                word.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default();
            let message = format!("`{}` cannot be reached over `{wanted}`", other.target());
            Err(Error::new(&codes::USAGE, message).hint("leave --transport out to let umcp find out"))
        }
    }
}

/// A root as the daemon, which works elsewhere, must know it; URIs and references stay as written.
fn absolute_root(root: &str) -> Result<String> {
    match root.contains("://") || root.starts_with("~/") || root.contains("${") {
        true => Ok(root.into()),
        false => absolute(root),
    }
}
