//! Standard input and output: one JSON message per line, one conversation per process.
//! Reading and writing happen in threads, because pipes block. Rule: only the writer thread touches stdout.

use crate::route;
use crate::rpc::{self, RpcError};
use crate::session::Session;
use crate::wire::{self, Out};
use crate::{startup, world::World};
use serde_json::Value;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Serves until the end of input.
pub async fn serve(world: Arc<World>) -> std::io::Result<()> {
    let (sink, source) = wire::channel();
    let writer = std::thread::spawn(move || write_all(source));
    let session = Session::new("stdio".to_owned());
    session.set_general(sink.clone());
    world.open_session(Arc::clone(&session));
    if world.faults.get("banner").is_some() {
        let banner = b"Fixture server, test edition\nlistening on standard input...\n".to_vec();
        let _ = sink.send(Out::Raw(banner));
    }
    let mut lines = read_lines();
    while let Some(line) = lines.recv().await {
        match serde_json::from_slice::<Value>(&line) {
            Ok(message) => route::receive(&world, &session, message, &sink),
            Err(error) => {
                let error = RpcError::new(rpc::PARSE_ERROR, error.to_string());
                let _ = sink.send(Out::Message(rpc::error_message(&Value::Null, &error)));
            }
        }
    }
    startup::after_input(&world).await;
    within_a_second(|| !session.is_busy()).await;
    let _ = sink.send(Out::End);
    within_a_second(|| writer.is_finished()).await;
    Ok(())
}

async fn within_a_second(reached: impl Fn() -> bool) {
    for _ in 0..200 {
        if reached() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn read_lines() -> mpsc::UnboundedReceiver<Vec<u8>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            }
        }
    });
    receiver
}

fn write_all(mut source: wire::Source) {
    let mut output = std::io::stdout().lock();
    while let Some(out) = source.blocking_recv() {
        let bytes = match out {
            Out::Message(message) => format!("{message}\n").into_bytes(),
            Out::Raw(bytes) => bytes,
            Out::Stall => break,
            Out::End => return,
            Out::OpenStream | Out::CloseStream => continue,
        };
        if output.write_all(&bytes).and_then(|()| output.flush()).is_err() {
            return;
        }
    }
    // A stalled stream stays open and silent; whoever sends into it is not to be disturbed.
    while source.blocking_recv().is_some() {}
}
