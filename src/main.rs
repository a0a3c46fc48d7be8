//! The program: the line that editors run goes straight to the bridge, the daemon to its host, everything else to
//! the command line.

use std::process::ExitCode;
use umcp::daemon::bridge::{self, Arguments};
use umcp::daemon::host;
use umcp::error::Result;
use umcp::paths::Paths;
use umcp::ui::{Options, Ui};

fn main() -> ExitCode {
    let code = match std::env::args_os().nth(1) {
        Some(first) if first == "__daemon" => host::run(),
        _ => match Arguments::parse(std::env::args_os().skip(1)) {
            Some(arguments) => serve(&arguments),
            None => 2,
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
