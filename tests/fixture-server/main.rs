//! The MCP server the tests talk to: every conformance name, both eras, five transports, faults on demand.
//! It is not a client of this project's library and not built on an SDK: it writes raw JSON, so that it can misbehave.
//! Rule: without `--fault` it behaves as the specification of the era says; `--help` lists the faults.

mod args;
mod call;
mod conformance;
mod elicit;
mod faults;
mod headers;
mod http;
mod legacy_http;
mod listen;
mod media;
mod plain;
#[cfg(unix)]
mod probe;
mod prompts;
mod resources;
mod route;
mod rpc;
mod seal;
mod session;
mod sse;
mod startup;
mod stdio;
mod tasks;
mod tools;
mod websocket;
mod wire;
mod world;

use args::{Cli, Transport};
use clap::Parser;
use std::sync::Arc;
use world::World;

fn main() {
    let cli = Cli::parse();
    if let Transport::Linger { seconds, note } = &cli.transport {
        startup::linger(*seconds, note.as_deref());
        return;
    }
    #[cfg(unix)]
    if let Transport::Probe { act, arguments } = &cli.transport {
        probe::run(act, arguments);
    }
    let world = Arc::new(World::new(cli.options));
    startup::before_transport(&world);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a current-thread runtime needs nothing but memory and one epoll handle");
    let outcome = runtime.block_on(async {
        startup::in_runtime(&world);
        match cli.transport {
            Transport::Stdio => stdio::serve(world).await,
            Transport::Http { port } => http::serve_tcp(world, port, http::Kind::Streamable).await,
            Transport::Sse { port } => http::serve_tcp(world, port, http::Kind::TwoEndpoints).await,
            Transport::Ws { port } => websocket::serve(world, port).await,
            #[cfg(unix)]
            Transport::Unix { path } => http::serve_unix(world, &path).await,
            Transport::Linger { .. } => Ok(()),
            #[cfg(unix)]
            Transport::Probe { .. } => Ok(()),
        }
    });
    if let Err(error) = outcome {
        startup::complain(&format!("fixture-server: {error}"));
        die(2);
    }
    // A blocked reader thread of standard input must not keep the process alive.
    die(0);
}

/// Ends the process at once, as a crashing server does.
#[allow(clippy::exit, reason = "a test peer that crashes on demand has to exit in the middle of things")]
fn die(code: i32) -> ! {
    std::process::exit(code)
}
