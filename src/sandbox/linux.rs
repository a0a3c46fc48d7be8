//! The back end for Linux, with nothing installed: an own view of the mounts for hidden places, Landlock for lists and
//! for other processes, a filter of system calls, limits of resources. Applied between fork and exec, so that no
//! other program has to be started for it.
//! Rule: what runs in the child makes system calls only; everything it needs was built before.

mod landlock;
mod mounts;
mod syscalls;

use super::plan::{Files, Plan};
use super::profile::{Base, Guard, Net};
use crate::error::{Error, Result, codes};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The first version of Landlock that allows to move files between folders.
const MOVES: i32 = 2;
/// The first that covers every way to change a file.
const WHOLE: i32 = 3;
/// The first that knows the network.
const PORTS: i32 = 4;

/// What the kernel offers to the current user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// Version of Landlock; 0 is none.
    pub landlock: i32,
    /// Whether a process may have its own view of the mounts.
    pub mounts: bool,
    /// Whether system calls can be filtered, on this processor.
    pub filter: bool,
}

/// Who the child runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
}

impl Identity {
    pub fn current() -> Self {
        // SAFETY: asks for two numbers.
        unsafe { Self { uid: libc::geteuid(), gid: libc::getegid() } }
    }
}

impl Support {
    /// Nothing at all.
    pub const NONE: Self = Self { landlock: 0, mounts: false, filter: false };

    /// Asks the kernel, for mounts by a child that tries.
    pub fn probe() -> Self {
        Self {
            landlock: landlock::version(),
            mounts: mounts::work(Identity::current()),
            filter: syscalls::work(),
        }
    }

    /// What is guarded when a plan is carried out here.
    pub fn guards(self, plan: &Plan) -> Vec<Guard> {
        let holds = |guard: &Guard| match (guard, plan.base) {
            (_, Base::Off) => false,
            (Guard::Files, Base::Strict) => self.landlock >= WHOLE,
            (Guard::Files, _) => self.mounts || self.landlock >= MOVES,
            (Guard::Network, _) => match plan.net {
                Net::Any => true,
                Net::None => self.filter,
                Net::Ports(_) => self.filter && self.landlock >= PORTS,
            },
            (Guard::Syscalls, _) => self.filter,
            (Guard::Processes, _) => self.landlock >= MOVES,
        };
        Guard::ALL.iter().copied().filter(holds).collect()
    }

    /// Why a guard is missing.
    pub fn why_not(self, guard: Guard) -> String {
        let landlock = match self.landlock {
            0 => "the kernel has no Landlock, or it is switched off".to_string(),
            version => format!("the kernel's Landlock has version {version}, which is too old for it"),
        };
        match guard {
            Guard::Syscalls => "system calls cannot be filtered on this machine".into(),
            Guard::Network if !self.filter => "system calls cannot be filtered on this machine".into(),
            _ if self.landlock >= PORTS => "the profile in force does not guard it".into(),
            _ => landlock,
        }
    }
}

/// Everything a child needs to shut itself in.
#[derive(Debug)]
pub struct Prepared {
    limits: Vec<(libc::c_uint, libc::rlimit)>,
    mounts: Option<mounts::Mounts>,
    ruleset: Option<OwnedFd>,
    filter: Vec<libc::sock_filter>,
    /// Root gives up the capabilities that see through all of this.
    root: bool,
    guards: Vec<Guard>,
}

/// Kernel modules, raw memory, tracing, administration (mounts), and looking at any process or through programs of
/// the kernel. Measured: with the fifth, root reads the environment of others whatever Landlock says.
const SEEING: [libc::c_ulong; 6] = [16, 17, 19, 21, 38, 39];

pub(super) fn prepare(plan: &Plan, support: Support, identity: Identity) -> Result<Prepared> {
    let mut prepared = Prepared {
        limits: limits(plan),
        mounts: None,
        ruleset: None,
        filter: Vec::new(),
        root: identity.uid == 0 && plan.base != Base::Off,
        guards: support.guards(plan),
    };
    if plan.base == Base::Off {
        return Ok(prepared);
    }
    if let Files::Hide(places) = &plan.files
        && support.mounts
        && !places.is_empty()
    {
        prepared.mounts = Some(mounts::Mounts::over(places, identity));
    }
    let masked = support.mounts;
    prepared.ruleset = landlock::ruleset(plan, support.landlock, masked).map_err(|error| {
        // Rules are files for as long as they are made.
        let full = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM));
        let code = if full { &codes::UPSTREAM_RESOURCES } else { &codes::SANDBOX_FAILED };
        Error::new(code, "the kernel refused the rules of the sandbox").because(error)
    })?;
    if support.filter {
        prepared.filter = syscalls::filter(plan);
    }
    Ok(prepared)
}

/// Bounds that the kernel itself holds for each process.
fn limits(plan: &Plan) -> Vec<(libc::c_uint, libc::rlimit)> {
    let both = |resource, bound| (resource, libc::rlimit { rlim_cur: bound, rlim_max: bound });
    let mut limits = Vec::new();
    if plan.base != Base::Off {
        // A dump of its memory would hold its secrets.
        limits.push(both(libc::RLIMIT_CORE, 0));
    }
    limits.extend(plan.limits.disk.map(|bytes| both(libc::RLIMIT_FSIZE, bytes)));
    limits.extend(plan.limits.cpu_ms.map(|ms| {
        let seconds = ms.div_ceil(1000);
        (libc::RLIMIT_CPU, libc::rlimit { rlim_cur: seconds, rlim_max: seconds + 1 })
    }));
    limits
}

impl Prepared {
    /// What is guarded in the child.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// Shuts in the process that `command` is going to start. One that cannot be shut in is not started; what
    /// `spawn` then returns is explained by [`Prepared::failure`].
    pub fn attach(self, command: &mut Command) {
        // SAFETY: `enter` makes system calls only; it neither allocates nor takes a lock.
        unsafe { command.pre_exec(move || self.enter()) };
    }

    /// Shuts in the process that calls it. For a child on its way to a program: makes system calls only.
    ///
    /// # Errors
    /// See [`Prepared::failure`].
    pub fn enter(&self) -> io::Result<()> {
        for (resource, limit) in &self.limits {
            // SAFETY: reads a structure that outlives the call. The type of the number differs between C libraries.
            step(1, unsafe { libc::setrlimit(*resource as _, limit) })?;
        }
        if let Some(mounts) = &self.mounts {
            mounts.enter()?;
        }
        if self.root {
            for capability in SEEING {
                // SAFETY: a number. A kernel that does not know it cannot grant it either.
                unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
            }
        }
        if self.ruleset.is_none() && self.filter.is_empty() {
            return Ok(());
        }
        // SAFETY: sets a flag of this process.
        step(5, unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        if let Some(ruleset) = &self.ruleset {
            landlock::restrict(ruleset.as_raw_fd())?;
        }
        syscalls::install(&self.filter)
    }

    /// Whether it failed because the child shared our memory; kernels before 4.3 give no own user namespace then.
    pub fn needs_own_memory(error: &io::Error) -> bool {
        error.raw_os_error() == Some(2 * STEP + libc::EINVAL)
    }

    /// Which step of shutting in failed, if it was one of these that kept a command from starting.
    pub fn failure(error: &io::Error) -> Option<Error> {
        let number = error.raw_os_error().filter(|number| *number > STEP)?;
        let what = match number / STEP {
            1 => "its limits could not be set",
            2 => "it could not get its own view of the mounts",
            3 => "its identity could not be kept in its own view of the mounts",
            4 => "a place could not be hidden",
            5 => "new privileges could not be renounced",
            6 => "the kernel did not take its rules",
            7 => "the kernel did not take its filter of system calls",
            _ => return None,
        };
        let error = Error::new(&codes::SANDBOX_FAILED, format!("the sandbox failed: {what}"));
        Some(error.because(io::Error::from_raw_os_error(number % STEP)))
    }
}

#[cfg(test)]
impl Prepared {
    /// One whose step of this number fails, for tests of whoever starts the child.
    pub fn failing(step: i32) -> Self {
        let nothing = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let mut prepared = Self {
            limits: Vec::new(),
            mounts: None,
            ruleset: None,
            filter: Vec::new(),
            root: false,
            guards: Vec::new(),
        };
        match step {
            1 => prepared.limits.push((9999, nothing)),
            // An empty folder cannot cover a file.
            4 => prepared.mounts = Some(mounts::Mounts::of_folders(&["/dev/null"], Identity::current())),
            6 => prepared.ruleset = std::fs::File::open("/dev/null").ok().map(OwnedFd::from),
            _ => prepared.filter.push(libc::sock_filter { code: u16::MAX, jt: 0, jf: 0, k: 0 }),
        }
        prepared
    }
}

/// Errors of the child come back as a single number: the step, and what the system said.
const STEP: i32 = 10_000;

fn step(step: i32, answer: libc::c_int) -> io::Result<()> {
    if answer >= 0 {
        return Ok(());
    }
    Err(failed(step, &io::Error::last_os_error()))
}

fn failed(step: i32, error: &io::Error) -> io::Error {
    io::Error::from_raw_os_error(step * STEP + error.raw_os_error().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::job::Limits;

    fn plan(base: Base, net: Net) -> Plan {
        Plan { base, files: Files::Hide(Vec::new()), net, require: Vec::new(), limits: Limits::default() }
    }

    #[test]
    fn what_is_guarded_follows_from_what_the_kernel_offers() {
        use Guard::{Files, Network, Processes, Syscalls};
        let kernel = |landlock, mounts, filter| Support { landlock, mounts, filter };
        for (support, base, net, expected) in [
            (kernel(7, true, true), Base::Strict, Net::None, vec![Files, Network, Syscalls, Processes]),
            (kernel(7, true, true), Base::Off, Net::Any, vec![]),
            (kernel(2, false, true), Base::Strict, Net::None, vec![Network, Syscalls, Processes]),
            (kernel(2, false, false), Base::Default, Net::Any, vec![Files, Network, Processes]),
            (kernel(0, true, false), Base::Default, Net::None, vec![Files]),
            (kernel(3, true, true), Base::Strict, Net::Ports(vec![443]), vec![Files, Syscalls, Processes]),
            (Support::NONE, Base::Default, Net::Any, vec![Network]),
        ] {
            assert_eq!(support.guards(&plan(base, net.clone())), expected, "{support:?} {base:?} {net:?}");
        }
    }

    #[test]
    fn a_failed_step_is_told_apart_from_a_missing_program() {
        let told = Prepared::failure(&failed(4, &io::Error::from_raw_os_error(libc::EPERM))).unwrap();
        assert_eq!(told.message, "the sandbox failed: a place could not be hidden");
        assert!(Prepared::failure(&io::Error::from_raw_os_error(libc::ENOENT)).is_none());
    }
}
