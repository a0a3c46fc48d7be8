//! The program: the line that editors run goes straight to the bridge, the daemon to its host, everything else to
//! the command line.

use std::process::ExitCode;
use umcp::cli::{self, Foreground};
use umcp::daemon::bridge::{self, Arguments};
use umcp::daemon::host::{self, Ready};
use umcp::error::{Error, Result, codes};
use umcp::paths::Paths;
use umcp::ui::{Options, Ui};

fn main() -> ExitCode {
    let code = match std::env::args_os().nth(1) {
        Some(first) if first == "__daemon" => host::run(),
        _ => match Arguments::parse(std::env::args_os().skip(1)) {
            Some(arguments) => serve(&arguments),
            None => cli::run(std::env::args_os(), foreground),
        },
    };
    ExitCode::from(code)
}

fn serve(arguments: &Arguments) -> u8 {
    let run = || -> Result<()> { bridge::run(&Paths::from_env()?, arguments) };
    match run() {
        Ok(()) => 0,
        Err(error) => {
            Ui::new(Options::default()).error(&error);
            error.kind().exit()
        }
    }
}

/// The gateway in this process, until a signal or `umcp gateway stop`.
fn foreground(asked: &Foreground) -> Result<()> {
    let ui = Ui::new(Options::default());
    let options = host::Options {
        http: asked.http.clone(),
        insecure: asked.insecure,
        no_key: asked.no_key,
        foreground: true,
    };
    let mut running = None;
    host::serve(&options, &mut |ready| match ready {
        Ready::Serving(Some(address)) => ui.note(&format!("listening on http://{address}/mcp")),
        Ready::Serving(None) => ui.note("listening on the local socket"),
        Ready::Running(pid) => running = Some(pid),
    })?;
    match running {
        None => Ok(()),
        Some(pid) => {
            let process = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            Err(Error::new(&codes::DAEMON_START, format!("a daemon runs already{process}"))
                .hint("umcp gateway stop"))
        }
    }
}
