//! Faults of the process itself: before it speaks, while it lives, after it should have died.
//! Also the two services of the operating system that tests need: stderr and random numbers.
//! Rule: nothing outlives 60 seconds, and nothing runs that was not asked for.

use crate::faults::{self, Fault};
use crate::world::World;
use ring::rand::{SecureRandom, SystemRandom};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a process may outlive its orders.
pub const LINGER: Duration = Duration::from_secs(60);

/// What happens before the transport opens.
pub fn before_transport(world: &World) {
    if world.faults.get("exit-at-start").is_some() {
        for line in [
            "fixture-server: starting",
            "fixture-server: the disk of the moon is full",
            "fixture-server: giving up",
        ] {
            complain(line);
        }
        crate::die(1);
    }
    if let Some(fault) = world.faults.get("slow-start") {
        std::thread::sleep(Duration::from_millis(fault.number(2000)));
    }
    if let Some(fault) = world.faults.get("double-fork") {
        leave_a_daemon(fault);
    }
    if let Some(fault) = world.faults.get("stderr-flood") {
        let mebibytes = fault.number(64);
        std::thread::spawn(move || flood(mebibytes));
    }
    if let Some(fault) = world.faults.get("burn-cpu") {
        let seconds = fault.number(5);
        std::thread::spawn(move || burn(seconds));
    }
}

/// What needs the runtime: deaf ears for SIGTERM, and the list that changes by itself.
pub fn in_runtime(world: &Arc<World>) {
    #[cfg(unix)]
    if world.faults.get("ignore-eof-and-term").is_some() {
        tokio::spawn(async {
            let kind = tokio::signal::unix::SignalKind::terminate();
            let mut signals = tokio::signal::unix::signal(kind).expect("SIGTERM can be caught");
            signals.recv().await;
            tokio::time::sleep(LINGER).await;
            crate::die(0);
        });
    }
    if let Some(wait) = world.options.list_changed_after_ms {
        let world = Arc::clone(world);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            world.add_tool("late_tool");
        });
    }
}

/// After the end of input: a well-behaved process goes, a deaf one stays for a while.
pub async fn after_input(world: &World) {
    if world.faults.get("ignore-eof-and-term").is_some() {
        tokio::time::sleep(LINGER).await;
    }
}

/// The faults of a single call that cost something before the answer.
pub async fn burden(faults: &[Fault]) {
    if let Some(fault) = faults::find(faults, "stderr-flood") {
        let mebibytes = fault.number(64);
        aside(move || flood(mebibytes)).await;
    }
    if let Some(fault) = faults::find(faults, "burn-cpu") {
        let seconds = fault.number(5);
        aside(move || burn(seconds)).await;
    }
    #[cfg(unix)]
    appetite(faults).await;
}

/// Appetites of a call: what they start runs on beside the answer, which comes only when it is over.
#[cfg(unix)]
pub async fn appetite(faults: &[Fault]) {
    use crate::probe;
    type Taking = fn(u64) -> std::io::Result<()>;
    let rows: [(&str, u64, Taking); 3] = [
        ("memory-leak", 128, probe::memory),
        ("fork-bomb", 40, probe::forks),
        ("fill-disk", 32, |mebibytes| probe::disk(".", mebibytes)),
    ];
    for (name, default, take) in rows {
        if let Some(fault) = faults::find(faults, name) {
            let amount = fault.number(default);
            aside(move || {
                if let Err(error) = take(amount) {
                    complain(&format!("fixture-server: {name}: {error}"));
                }
            })
            .await;
        }
    }
}

/// Writes one line to stderr; a closed stderr is nobody's problem.
pub fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub fn random_below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).expect("the operating system has random bytes");
    u64::from_le_bytes(bytes) % bound.max(1)
}

/// Life of a daemonised process: the first becomes a session leader and leaves a second behind, which sleeps.
pub fn linger(seconds: u64, note: Option<&Path>) {
    let seconds = seconds.min(LINGER.as_secs());
    let Some(note) = note else {
        std::thread::sleep(Duration::from_secs(seconds));
        return;
    };
    #[cfg(unix)]
    // SAFETY: setsid has no preconditions; it fails harmlessly when this process leads its group already.
    unsafe {
        libc::setsid();
    }
    let Some(child) = spawn_self(&["linger", "--seconds", &seconds.to_string()]) else { return };
    if let Err(error) = std::fs::write(note, child.id().to_string()) {
        complain(&format!("fixture-server: {}: {error}", note.display()));
    }
}

fn leave_a_daemon(fault: &Fault) {
    let Some(note) = &fault.argument else {
        complain("fixture-server: double-fork needs a path for the pid");
        crate::die(2);
    };
    if let Some(mut child) = spawn_self(&["linger", "--note", note]) {
        // The middle process ends at once; its child then belongs to init.
        let _ = child.wait();
    }
}

fn spawn_self(arguments: &[&str]) -> Option<std::process::Child> {
    let program = std::env::current_exe().ok()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok()
}

/// Runs something slow in a thread and waits for it without holding up the runtime.
async fn aside(work: impl FnOnce() + Send + 'static) {
    let (done, waits) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    let _ = waits.await;
}

fn flood(mebibytes: u64) {
    let line = [b"flood ".repeat(170).as_slice(), b"end\n"].concat();
    let mut stderr = std::io::stderr().lock();
    for _ in 0..mebibytes * 1024 {
        if stderr.write_all(&line).is_err() {
            return;
        }
    }
}

fn burn(seconds: u64) {
    let end = Instant::now() + Duration::from_secs(seconds.min(LINGER.as_secs()));
    let mut sum = 0_u64;
    while Instant::now() < end {
        for number in 0..10_000_u64 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(number));
        }
    }
}
