//! One act that a sandbox may forbid, tried once: `fixture-server probe ACT ARGUMENT...` exits 0 if it succeeded, else 1
//! with the system's answer on stdout. No MCP here.
//! Rule: nothing is harmed when an act succeeds; whoever asks gives decoys, and every appetite is bounded.

use std::ffi::CString;
use std::fs;
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// However much was asked for.
const MOST_MIB: u64 = 512;
const MOST_FORKS: u64 = 100;
const LONGEST: Duration = Duration::from_secs(20);

/// Tries the act and ends.
pub fn run(act: &str, arguments: &[String]) -> ! {
    let outcome = attempt(act, arguments);
    let mut stdout = io::stdout();
    let code = match outcome {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(stdout, "{error}");
            1
        }
    };
    let _ = stdout.flush();
    crate::die(code)
}

fn attempt(act: &str, arguments: &[String]) -> io::Result<()> {
    let text = |index: usize| arguments.get(index).map(String::as_str).unwrap_or_default();
    let number = || text(0).parse::<u64>().unwrap_or(0);
    match act {
        "read" => filled(fs::read(text(0))?),
        "write" => fs::write(text(0), "written by the probe"),
        "list" => filled(fs::read_dir(text(0))?.flatten().map(|_| 1).collect()),
        "read-by-link" => {
            let _ = fs::remove_file(text(1));
            std::os::unix::fs::symlink(text(0), text(1))?;
            filled(fs::read(text(1))?)
        }
        "hard-link" => {
            let _ = fs::remove_file(text(1));
            fs::hard_link(text(0), text(1))?;
            filled(fs::read(text(1))?)
        }
        "move" => {
            fs::write(text(0), "x")?;
            fs::rename(text(0), text(1))
        }
        "environ" => filled(fs::read(format!("/proc/{}/environ", number()))?),
        "tcp" => TcpStream::connect(("127.0.0.1", port(number()))).map(drop),
        "listen" => TcpListener::bind(("127.0.0.1", 0)).map(drop),
        "udp" => UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", ("127.0.0.1", port(number()))).map(drop),
        "unix" => UnixStream::connect(text(0)).map(drop),
        "pair" => UnixStream::pair().map(drop),
        "memory" => memory(number()),
        "forks" => forks(number()),
        "disk" => disk(text(0), text(1).parse().unwrap_or(0)),
        "cpu" => burn(Duration::from_millis(number())),
        "output" => output(number()),
        "sleep" => {
            std::thread::sleep(Duration::from_millis(number()).min(LONGEST));
            Ok(())
        }
        other => of_kernel(other, number(), text(0)),
    }
}

/// What no library wraps.
fn of_kernel(act: &str, number: u64, text: &str) -> io::Result<()> {
    let pid = libc::pid_t::try_from(number).unwrap_or(0);
    let path = CString::new(text).unwrap_or_default();
    // SAFETY: plain system calls; the path ends with a zero, and no other memory is handed in.
    let answer = unsafe {
        match act {
            "signal" => libc::c_long::from(libc::kill(pid, libc::SIGCONT)),
            "ptrace" => {
                libc::ptrace(libc::PTRACE_SEIZE, pid, std::ptr::null_mut::<u8>(), std::ptr::null_mut::<u8>())
            }
            "user-namespace" => libc::c_long::from(libc::unshare(libc::CLONE_NEWUSER)),
            "io-uring" => {
                alive(libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null::<u8>()), libc::EFAULT)
            }
            "keyctl" => libc::syscall(libc::SYS_keyctl, 0, -3, 1),
            "bpf" => alive(libc::syscall(libc::SYS_bpf, 0, std::ptr::null::<u8>(), 0), libc::EINVAL),
            "uncover" => {
                // In a namespace of its own, where that is allowed, one has every right.
                libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS);
                libc::c_long::from(libc::umount2(path.as_ptr(), libc::MNT_DETACH))
            }
            _ => return Err(io::Error::other(format!("no act named `{act}`"))),
        }
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A call that got as far as looking at its arguments was not refused.
fn alive(answer: libc::c_long, expected: i32) -> libc::c_long {
    let looked = io::Error::last_os_error().raw_os_error() == Some(expected);
    if answer < 0 && looked { 0 } else { answer }
}

fn filled(found: Vec<u8>) -> io::Result<()> {
    if found.is_empty() { Err(io::Error::other("empty")) } else { Ok(()) }
}

fn port(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(0)
}

/// Takes memory step by step and keeps it for a while.
pub fn memory(mebibytes: u64) -> io::Result<()> {
    let mut kept = Vec::new();
    for _ in 0..mebibytes.min(MOST_MIB) {
        kept.push(vec![1_u8; 1 << 20]);
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(LONGEST / 4);
    std::hint::black_box(&kept);
    Ok(())
}

/// Starts processes that sleep, each a copy of this program.
pub fn forks(count: u64) -> io::Result<()> {
    let program = std::env::current_exe()?;
    for _ in 0..count.min(MOST_FORKS) {
        // Nobody waits: whoever started this one ends them all.
        std::process::Command::new(&program).args(["linger", "--seconds", "30"]).spawn()?;
    }
    std::thread::sleep(LONGEST / 4);
    Ok(())
}

/// Fills a folder with files of one mebibyte.
pub fn disk(folder: &str, mebibytes: u64) -> io::Result<()> {
    let block = vec![7_u8; 1 << 20];
    for number in 0..mebibytes.min(MOST_MIB) {
        fs::write(format!("{folder}/fill-{number}"), &block)?;
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(LONGEST / 4);
    Ok(())
}

fn burn(time: Duration) -> io::Result<()> {
    let end = Instant::now() + time.min(LONGEST);
    while Instant::now() < end {
        std::hint::black_box(0);
    }
    Ok(())
}

fn output(mebibytes: u64) -> io::Result<()> {
    let block = vec![b'x'; 1 << 20];
    for _ in 0..mebibytes.min(MOST_MIB) {
        io::stdout().write_all(&block)?;
    }
    Ok(())
}
