//! The program: the line that editors run goes straight to the bridge, the daemon to its host, everything else to
//! the command line.

use std::process::ExitCode;
use umcp::cli::{self, Foreground, Serving};
use umcp::daemon::bridge::{self, Arguments};
use umcp::daemon::host::{self, Ready};
use umcp::error::Result;
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
    run().map_or_else(|error| cli::fail(&Ui::new(Options::default()), &error), |()| 0)
}

fn foreground(asked: &Foreground, announce: &mut dyn FnMut(Serving)) -> Result<()> {
    let Foreground { http } = asked.clone();
    host::serve(&host::Options { http, foreground: true }, &mut |ready| match ready {
        Ready::Serving(listening) => announce(Serving::Ready(listening)),
        Ready::Running(pid) => announce(Serving::Running(pid)),
    })
}
