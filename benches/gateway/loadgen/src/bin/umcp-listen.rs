//! Becomes umcp's daemon and has it listen for HTTP clients: for a program whose command line cannot say so.
//!
//!   umcp-listen SOCKET ADDRESS PROGRAM
//!
//! A forked child waits for the socket, says the two lines and leaves, so that the daemon is measured alone.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

fn ask(socket: &str, address: &str) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else { return false };
    let hello = r#"{"umcp":1,"version":"0.1.0","mode":"call","client":"bench","pid":1}"#;
    let listen =
        format!(r#"{{"live":{{"listen":{{"address":"{address}","insecure":false,"no_key":true}}}}}}"#);
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone().expect("clone"));
    stream.write_all(format!("{hello}\n{listen}\n").as_bytes()).is_ok()
        && (0..2).all(|_| reader.read_line(&mut line).is_ok_and(|n| n > 0))
}

fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    let [socket, address, program] = &a[..] else { panic!("SOCKET ADDRESS PROGRAM") };
    let parent = std::process::id();
    // Forked twice, so that the daemon has no child of ours to reap.
    // SAFETY: one thread so far; the children use no lock of the parent.
    match unsafe { libc::fork() } {
        0 if unsafe { libc::fork() } == 0 => {
            // SAFETY: asks whether the process lives.
            while unsafe { libc::kill(parent as i32, 0) } == 0 && !ask(socket, address) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        0 => {}
        child => {
            // SAFETY: plain system call on our own child.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            panic!("{}", Command::new(program).arg("__daemon").exec());
        }
    }
}
