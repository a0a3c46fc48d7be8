//! `umcp serve`: what editors run. Hands its stdin and stdout to the daemon where the system can do that, else copies
//! lines between them; starts the daemon where needed and outlives its death. Not a gateway: it knows no tools and no
//! servers. Blocking std, no runtime. Rule: bytes are handed on as they come; of a message it reads only `id` and
//! `method`.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod guard;
pub mod ledger;
pub mod pump;
mod reconnect;
pub mod scan;

use super::lifecycle::{self, Starter};
use super::wire::{Hello, Mode};
use crate::error::Result;
use crate::paths::Paths;
use std::ffi::OsString;
use std::fs::File;

/// Set for tests and measurements: bytes are copied although the pipes could be handed over.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
const COPY: &str = "UMCP_TEST_COPY";

/// What was typed behind `umcp serve`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments {
    /// Empty: the client names itself in its handshake.
    pub client: String,
    pub profile: Option<String>,
}

impl Arguments {
    /// Understands `serve [--stdio] [--client NAME] [--profile NAME]`, the program's name left out. `None`:
    /// something else, such as `--help`, `--http` or a mistake, which the whole command line must look at.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut words = arguments.into_iter().map(|word| word.into_string().ok());
        if words.next()?? != "serve" {
            return None;
        }
        let mut parsed = Self::default();
        while let Some(word) = words.next() {
            let word = word?;
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_string())),
                None => (word.as_str(), None),
            };
            let value = match (flag, value) {
                ("--stdio", None) => continue,
                ("--client" | "--profile", Some(value)) => value,
                ("--client" | "--profile", None) => words.next()??,
                _ => return None,
            };
            match flag {
                "--client" => parsed.client = value,
                _ => parsed.profile = Some(value),
            }
        }
        Some(parsed)
    }
}

/// Serves the client on stdin and stdout until it leaves.
pub fn run(paths: &Paths, arguments: &Arguments) -> Result<()> {
    end_on_signals();
    let hello = Hello { profile: arguments.profile.clone(), ..Hello::new(Mode::Mcp, &arguments.client) };
    let options = lifecycle::Options { hello, starter: Starter::this_program()? };
    let (input, output) = stdio()?;
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    if std::env::var_os(COPY).is_none()
        && crate::daemon::handover::descriptors::can_be_handed_over(&input, &output)
    {
        return guard::serve(paths, options, input, output);
    }
    pump::serve(paths, &options, input, output)
}

/// stdin and stdout without the buffers of std, which would hold back parts of a line.
fn stdio() -> Result<(File, File)> {
    #[cfg(unix)]
    let pair = {
        use std::os::fd::AsFd;
        let input = std::io::stdin().as_fd().try_clone_to_owned();
        input.and_then(|input| Ok((input, std::io::stdout().as_fd().try_clone_to_owned()?)))
    };
    #[cfg(windows)]
    let pair = {
        use std::os::windows::io::AsHandle;
        let input = std::io::stdin().as_handle().try_clone_to_owned();
        input.and_then(|input| Ok((input, std::io::stdout().as_handle().try_clone_to_owned()?)))
    };
    let error = |error| {
        let error: std::io::Error = error;
        crate::error::Error::new(&crate::error::codes::IO, "stdin or stdout is closed").because(error)
    };
    pair.map(|(input, output)| (input.into(), output.into())).map_err(error)
}

/// A signal ends the bridge at once and in order: it owns nothing, and the daemon sees the connection close.
#[cfg(unix)]
fn end_on_signals() {
    extern "C" fn end(_signal: libc::c_int) {
        // SAFETY: `_exit` is safe in a signal handler.
        unsafe { libc::_exit(0) }
    }
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: the handler does nothing but `_exit`.
        unsafe { libc::signal(signal, end as *const () as libc::sighandler_t) };
    }
}

#[cfg(windows)]
fn end_on_signals() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_plain_line_of_editors_is_taken() {
        let parse = |line: &str| Arguments::parse(line.split(' ').map(OsString::from));
        let bridge = |client: &str, profile: Option<&str>| {
            Some(Arguments { client: client.into(), profile: profile.map(Into::into) })
        };
        let cases = [
            ("serve", bridge("", None)),
            ("serve --stdio", bridge("", None)),
            ("serve --client cursor --profile=work", bridge("cursor", Some("work"))),
            ("serve --http", None),
            ("serve --help", None),
            ("serve --client", None),
            ("serve --stdio=yes", None),
            ("server list", None),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line), expected, "{line}");
        }
    }
}
