//! The program: one call into the library, and its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(umcp::cli::run(std::env::args_os(), umcp::cli::no_foreground))
}
