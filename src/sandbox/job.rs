//! What a tree of processes may use up, and the verdict when it took more.
//! Pure: who measures and who kills is the business of the one who started it.

use serde::Serialize;
use std::fmt;

/// Bounds of one tree of processes; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Limits {
    /// Bytes in memory, of all processes together.
    pub memory: Option<u64>,
    pub processes: Option<u64>,
    /// Bytes in the working folder, and of any one file.
    pub disk: Option<u64>,
    /// CPU time of all processes together, in milliseconds.
    pub cpu_ms: Option<u64>,
}

impl Limits {
    /// Whether there is nothing to watch.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a tree has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    pub memory: u64,
    pub processes: u64,
    /// Bytes in the working folder.
    pub disk: u64,
    pub cpu_ms: u64,
}

/// What can run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    Memory,
    Processes,
    Disk,
    Cpu,
    /// Bytes written to stdout and stderr.
    Output,
    /// Milliseconds since the start.
    Time,
}

impl Resource {
    /// The word of verdicts, for people and programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::Disk => "disk",
            Self::Cpu => "cpu",
            Self::Output => "output",
            Self::Time => "time",
        }
    }
}

/// The verdict on a tree that took more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Breach {
    pub resource: Resource,
    /// 0: the system stopped it at the bound.
    pub used: u64,
    pub allowed: u64,
}

impl Breach {
    /// The first bound that is passed, if one is.
    pub fn of(limits: &Limits, used: &Used) -> Option<Self> {
        let rows = [
            (Resource::Memory, limits.memory, used.memory),
            (Resource::Processes, limits.processes, used.processes),
            (Resource::Disk, limits.disk, used.disk),
            (Resource::Cpu, limits.cpu_ms, used.cpu_ms),
        ];
        rows.into_iter().find_map(|(resource, allowed, used)| {
            allowed.filter(|allowed| used > *allowed).map(|allowed| Self { resource, used, allowed })
        })
    }

    /// What the signal that ended a process says about a bound the system itself watched.
    pub fn of_signal(limits: &Limits, signal: i32) -> Option<Self> {
        let (resource, allowed) = match signal {
            SIGXFSZ => (Resource::Disk, limits.disk),
            SIGXCPU => (Resource::Cpu, limits.cpu_ms),
            _ => return None,
        };
        allowed.map(|allowed| Self { resource, used: 0, allowed })
    }
}

/// The numbers of Linux and macOS; no other system sends signals.
const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = |number: u64| match self.resource {
            Resource::Memory | Resource::Disk | Resource::Output => bytes(number),
            Resource::Cpu | Resource::Time => format!("{number} ms"),
            Resource::Processes => number.to_string(),
        };
        let Self { resource, used, allowed } = *self;
        write!(f, "it passed its limit of {}", resource.word())?;
        match used {
            0 => write!(f, " ({})", amount(allowed)),
            _ => write!(f, " ({} of {})", amount(used), amount(allowed)),
        }
    }
}

fn bytes(number: u64) -> String {
    match number {
        0..1024 => format!("{number} B"),
        1024..1_048_576 => format!("{} KiB", number >> 10),
        _ => format!("{} MiB", number >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bound_that_is_passed_is_the_verdict() {
        let limits = Limits { memory: Some(100 << 20), processes: Some(3), disk: Some(10), cpu_ms: None };
        let used = Used { memory: 100 << 20, processes: 3, disk: 10, cpu_ms: 1 << 40 };
        assert_eq!(Breach::of(&limits, &used), None, "a bound is reached before it is passed");
        for (used, expected) in [
            (Used { memory: 130 << 20, ..used }, "it passed its limit of memory (130 MiB of 100 MiB)"),
            (Used { processes: 4, ..used }, "it passed its limit of processes (4 of 3)"),
            (Used { disk: 2048, ..used }, "it passed its limit of disk (2 KiB of 10 B)"),
        ] {
            assert_eq!(Breach::of(&limits, &used).unwrap().to_string(), expected);
        }
        assert_eq!(Breach::of(&Limits::default(), &Used { memory: u64::MAX, ..used }), None);
    }

    #[test]
    fn a_signal_of_the_system_names_its_bound() {
        let limits = Limits { disk: Some(1 << 20), ..Limits::default() };
        let told = Breach::of_signal(&limits, SIGXFSZ).unwrap().to_string();
        assert_eq!(told, "it passed its limit of disk (1 MiB)");
        assert_eq!(Breach::of_signal(&limits, 9), None);
        assert_eq!(Breach::of_signal(&Limits::default(), SIGXFSZ), None);
    }
}
