//! How a server is to be shut in: what its entry says, what the settings say, and what both come to.
//! Pure data; the places on disk are found by `plan.rs`, and the system is told by the back ends.

use super::job::Limits;
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The three ways to run a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// As any program of the user.
    Off,
    /// Everything but keys, browsers and umcp's own files; no new privileges.
    Default,
    /// Nothing but the system, its own program, its working folder and what its entry allows.
    Strict,
}

impl Base {
    /// The words of the setting `sandbox.profile`, in the order of the variants.
    pub const WORDS: &[&str] = &["off", "default", "strict"];

    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// Something a sandbox stands guard over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Reads and writes of files.
    Files,
    /// Connections to the network, as far as the entry limits them.
    Network,
    /// System calls that no server needs.
    Syscalls,
    /// The memory and environment of the user's other processes.
    Processes,
}

impl Guard {
    pub const ALL: &[Self] = &[Self::Files, Self::Network, Self::Syscalls, Self::Processes];

    pub fn word(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Network => "network",
            Self::Syscalls => "syscalls",
            Self::Processes => "processes",
        }
    }
}

/// What of the network may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub enum Net {
    #[default]
    Any,
    None,
    /// TCP connections to these ports, of any host; nothing listens.
    Ports(Vec<u16>),
}

impl Net {
    /// Reads `any`, `none`, or ports such as `443` or `*:443`.
    pub fn parse(words: &[String]) -> Result<Self> {
        match words {
            [one] if one == "any" => return Ok(Self::Any),
            [one] if one == "none" => return Ok(Self::None),
            _ => {}
        }
        let mut ports = words.iter().map(|word| port(word)).collect::<Result<Vec<u16>>>()?;
        ports.sort_unstable();
        ports.dedup();
        Ok(Self::Ports(ports))
    }

    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Any => vec!["any".into()],
            Self::None => vec!["none".into()],
            Self::Ports(ports) => ports.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<Net> for Vec<String> {
    fn from(net: Net) -> Self {
        net.words()
    }
}

impl TryFrom<Vec<String>> for Net {
    type Error = Error;

    fn try_from(words: Vec<String>) -> Result<Self> {
        Self::parse(&words)
    }
}

fn port(word: &str) -> Result<u16> {
    let number = word.strip_prefix("*:").unwrap_or(word);
    match number.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ if number.contains(':') => Err(Error::new(
            &codes::VALUE_INVALID,
            format!("`{word}` names a host, and only ports can be limited here"),
        )
        .hint("give `*:PORT`, `any` or `none`")),
        _ => Err(Error::new(&codes::VALUE_INVALID, format!("`{word}` is no part of the network"))
            .hint("give a port such as 443, `any` or `none`")),
    }
}

/// What one server's entry says about its sandbox. The default leaves everything to the settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sandbox {
    /// `None` takes the setting `sandbox.profile`.
    pub profile: Option<Base>,
    /// Files and folders it may read, also where the profile hides them.
    pub read: Vec<String>,
    /// Files and folders it may write, and therefore read.
    pub write: Vec<String>,
    /// `None`: none under `strict`, any otherwise.
    pub net: Option<Net>,
    /// It does not start where one of these cannot be enforced.
    pub require: Vec<Guard>,
    /// Bytes its processes may hold in memory together; 0 is no bound, `None` the setting.
    pub memory: Option<u64>,
    /// Processes it may consist of; 0 is no bound, `None` the setting.
    pub processes: Option<u32>,
    /// Bytes in its working folder, and of any one file it writes; 0 is no bound, `None` the setting.
    pub disk: Option<u64>,
}

/// What the settings say for servers that say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    pub base: Base,
    /// 0 is half of this machine's memory.
    pub memory: u64,
    pub processes: u32,
    pub disk: u64,
}

/// What is in force for one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chosen {
    pub base: Base,
    pub read: Vec<String>,
    pub write: Vec<String>,
    pub net: Net,
    pub require: Vec<Guard>,
    pub limits: Limits,
}

impl Sandbox {
    /// Fills in what the entry leaves open. `memory` is what this machine has.
    pub fn over(&self, defaults: &Defaults, memory: u64) -> Chosen {
        let base = self.profile.unwrap_or(defaults.base);
        let mut require = self.require.clone();
        if base == Base::Strict {
            require.extend([Guard::Files, Guard::Network, Guard::Syscalls]);
        }
        require.sort_unstable();
        require.dedup();
        let net = if base == Base::Strict { Net::None } else { Net::Any };
        let off = base == Base::Off;
        let share = if defaults.memory == 0 { memory / 2 } else { defaults.memory };
        // Without a sandbox only what the entry itself says counts.
        let bound = |own: Option<u64>, setting: u64| {
            Some(own.unwrap_or(if off { 0 } else { setting })).filter(|bound| *bound > 0)
        };
        Chosen {
            base,
            read: self.read.clone(),
            write: self.write.clone(),
            net: self.net.clone().unwrap_or(net),
            require,
            limits: Limits {
                memory: bound(self.memory, share),
                processes: bound(self.processes.map(u64::from), defaults.processes.into()),
                disk: bound(self.disk, if base == Base::Strict { defaults.disk } else { 0 }),
                cpu_ms: None,
            },
        }
    }

    /// The stricter of what two entries of one server say; of two with one profile, what both allow.
    ///
    /// What says nothing takes nothing away from the other.
    pub fn stricter(&self, other: &Self) -> Self {
        let silent = Self::default();
        if *other == silent {
            return self.clone();
        }
        if *self == silent && other.base() != Base::Off {
            return other.clone();
        }
        match (self.base() as usize).cmp(&(other.base() as usize)) {
            Ordering::Greater => self.clone(),
            Ordering::Less => other.clone(),
            Ordering::Equal => self.both(other),
        }
    }

    /// The profile, where what is left to the settings counts as the default.
    fn base(&self) -> Base {
        self.profile.unwrap_or(Base::Default)
    }

    fn both(&self, other: &Self) -> Self {
        let common =
            |a: &[String], b: &[String]| a.iter().filter(|place| b.contains(place)).cloned().collect();
        // Zero is no bound.
        fn least<T: Ord + Default>(a: Option<T>, b: Option<T>) -> Option<T> {
            a.into_iter().chain(b).filter(|bound| *bound != T::default()).min()
        }
        let mut require: Vec<Guard> = self.require.iter().chain(&other.require).copied().collect();
        require.sort_unstable();
        require.dedup();
        Self {
            profile: self.profile.or(other.profile),
            read: common(&self.read, &other.read),
            write: common(&self.write, &other.write),
            net: self.narrower(other),
            require,
            memory: least(self.memory, other.memory),
            processes: least(self.processes, other.processes),
            disk: least(self.disk, other.disk),
        }
    }

    fn narrower(&self, other: &Self) -> Option<Net> {
        match (&self.net, &other.net) {
            // Unsaid is nothing under `strict`, and everything else where.
            (None, net) | (net, None) => net.clone().filter(|_| self.base() != Base::Strict),
            (Some(Net::None), _) | (_, Some(Net::None)) => Some(Net::None),
            (Some(Net::Any), net) | (net, Some(Net::Any)) => net.clone(),
            (Some(Net::Ports(a)), Some(Net::Ports(b))) => {
                let both: Vec<u16> = a.iter().filter(|port| b.contains(port)).copied().collect();
                Some(if both.is_empty() { Net::None } else { Net::Ports(both) })
            }
        }
    }

    /// Refuses what would be ignored: a sandbox that is off guards nothing.
    pub fn check(&self) -> Result<()> {
        let says =
            !(self.read.is_empty() && self.write.is_empty() && self.net.is_none() && self.require.is_empty());
        if self.profile == Some(Base::Off) && says {
            return Err(Error::new(
                &codes::VALUE_INVALID,
                "a sandbox that is `off` allows and requires nothing",
            )
            .hint("give the profile `default` or `strict`"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Defaults = Defaults { base: Base::Default, memory: 0, processes: 512, disk: 1 << 30 };

    #[test]
    fn the_network_is_read_and_hosts_are_refused() {
        let parse = |words: &[&str]| {
            Net::parse(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
                .map_err(|error| error.message)
        };
        assert_eq!(parse(&["any"]), Ok(Net::Any));
        assert_eq!(parse(&["none"]), Ok(Net::None));
        assert_eq!(parse(&["443", "*:80", "443"]), Ok(Net::Ports(vec![80, 443])));
        for (word, expected) in [
            ("example.com:443", "`example.com:443` names a host, and only ports can be limited here"),
            ("web", "`web` is no part of the network"),
            ("0", "`0` is no part of the network"),
        ] {
            assert_eq!(parse(&[word]), Err(expected.to_string()));
        }
        for net in [Net::Any, Net::None, Net::Ports(vec![1, 2])] {
            assert_eq!(Net::parse(&net.words()).unwrap(), net);
        }
    }

    #[test]
    fn an_entry_stands_over_the_settings() {
        let plain = Sandbox::default().over(&DEFAULTS, 8 << 30);
        let limits = Limits { memory: Some(4 << 30), processes: Some(512), disk: None, cpu_ms: None };
        let expected = Chosen {
            base: Base::Default,
            read: vec![],
            write: vec![],
            net: Net::Any,
            require: vec![],
            limits,
        };
        assert_eq!(plain, expected);
        let strict = Sandbox { profile: Some(Base::Strict), memory: Some(1), ..Sandbox::default() };
        let strict = strict.over(&DEFAULTS, 8 << 30);
        assert_eq!(
            (strict.net, strict.limits.memory, strict.limits.disk),
            (Net::None, Some(1), Some(1 << 30))
        );
        assert_eq!(strict.require, [Guard::Files, Guard::Network, Guard::Syscalls]);
        let off = Sandbox { profile: Some(Base::Off), processes: Some(5), ..Sandbox::default() };
        assert_eq!(off.over(&DEFAULTS, 8 << 30).limits, Limits { processes: Some(5), ..Limits::default() });
        let free = Sandbox { memory: Some(0), ..Sandbox::default() };
        assert_eq!(free.over(&DEFAULTS, 8 << 30).limits.memory, None);
    }

    #[test]
    fn a_sandbox_that_is_off_takes_no_lists() {
        let mut sandbox = Sandbox { profile: Some(Base::Off), memory: Some(1), ..Sandbox::default() };
        assert!(sandbox.check().is_ok());
        sandbox.read.push("/a".into());
        assert!(sandbox.check().is_err());
    }

    #[test]
    fn the_stricter_of_two_wins_whichever_comes_first() {
        let of = |profile: Option<Base>, net: Option<Net>, write: &[&str], memory| Sandbox {
            profile,
            net,
            write: write.iter().map(ToString::to_string).collect(),
            memory,
            ..Sandbox::default()
        };
        let strict = of(Some(Base::Strict), None, &["/a"], None);
        let open = of(Some(Base::Strict), Some(Net::Ports(vec![443])), &["/a", "/b"], Some(9));
        let off = of(Some(Base::Off), None, &[], None);
        let silent = Sandbox::default();
        for (a, b, expected) in [
            (&strict, &off, &strict),
            (&strict, &silent, &strict),
            (
                &off,
                &Sandbox { memory: Some(9), ..silent.clone() },
                &Sandbox { memory: Some(9), ..silent.clone() },
            ),
            (&strict, &open, &of(Some(Base::Strict), None, &["/a"], Some(9))),
            (
                &open,
                &of(Some(Base::Strict), Some(Net::Ports(vec![80])), &["/b"], Some(5)),
                &of(Some(Base::Strict), Some(Net::None), &["/b"], Some(5)),
            ),
            (&silent, &silent, &silent),
        ] {
            assert_eq!((&a.stricter(b), &b.stricter(a)), (expected, expected));
        }
        // An entry that says nothing does not take back what the user said.
        assert_eq!(off.stricter(&silent), off);
    }
}
