//! The program: the line that editors run goes straight to the bridge, everything else to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let first = args.nth(1);
    let code = match first.as_deref().and_then(|arg| arg.to_str()) {
        Some("__daemon") => umcp::daemon::host::run(),
        _ => 2,
    };
    ExitCode::from(code)
}
