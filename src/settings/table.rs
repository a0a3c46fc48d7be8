//! One row per setting: its name, unit and bounds, what it is for, and how to read and write it.
//! `config show`, `config schema` and the loader all work from these rows.

use super::{Authorization, Settings};
use crate::documents::near;
use crate::error::{Error, Result, codes};
use crate::sandbox::Base;
use serde_json::Value;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Millis,
    Bytes,
    Count,
    /// Not a number: `true` or `false`.
    Flag,
    /// One of these words; the number is its place among them.
    Word(&'static [&'static str]),
}

/// The types settings have, each as the number the table works with.
trait Plain: Copy {
    fn number(self) -> u64;
    fn of(number: u64) -> Self;
}

impl Plain for u64 {
    fn number(self) -> u64 {
        self
    }
    fn of(number: u64) -> Self {
        number
    }
}

impl Plain for u32 {
    fn number(self) -> u64 {
        self.into()
    }
    fn of(number: u64) -> Self {
        // The bounds of the row keep the number inside.
        Self::try_from(number).unwrap_or(Self::MAX)
    }
}

impl Plain for bool {
    fn number(self) -> u64 {
        self.into()
    }
    fn of(number: u64) -> Self {
        number != 0
    }
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// `section.name`, as in `config.yaml` and on the command line.
    pub key: &'static str,
    pub about: &'static str,
    pub unit: Unit,
    pub least: u64,
    pub most: u64,
    get: fn(&Settings) -> u64,
    set: fn(&mut Settings, u64),
}

/// The longest time a setting takes: a day.
const DAY: u64 = 86_400_000;

impl Plain for Base {
    fn number(self) -> u64 {
        self as u64
    }
    fn of(number: u64) -> Self {
        [Self::Off, Self::Default, Self::Strict][usize::try_from(number.min(2)).unwrap_or(1)]
    }
}

impl Plain for Authorization {
    fn number(self) -> u64 {
        self as u64
    }
    fn of(number: u64) -> Self {
        [Self::Tokens, Self::Jwt, Self::Server][usize::try_from(number.min(2)).unwrap_or(0)]
    }
}

const WAYS_IN: Unit = Unit::Word(Authorization::WORDS);
const PROFILES: Unit = Unit::Word(Base::WORDS);

macro_rules! settings {
    ($($section:ident.$name:ident $unit:path, $least:literal ..= $most:expr, $about:literal;)*) => {
        /// Every setting, in the order in which lists show them.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            key: concat!(stringify!($section), ".", stringify!($name)),
            about: $about,
            unit: $unit,
            least: $least,
            most: $most,
            get: |settings| settings.$section.$name.number(),
            set: |settings, value| settings.$section.$name = Plain::of(value),
        }),*];
    };
}

settings! {
    servers.start_timeout_ms Unit::Millis, 100..=DAY, "A server must have finished its first exchange within this time.";
    servers.call_timeout_ms Unit::Millis, 100..=DAY, "A call must be answered within this time.";
    servers.idle_stop_ms Unit::Millis, 0..=DAY, "A server without a call for this long is stopped; 0 never.";
    servers.concurrency Unit::Count, 1..=100_000, "Calls in flight at one server.";
    servers.queue Unit::Count, 0..=1_000_000, "Calls waiting beyond those; more are refused as busy.";
    gateway.idle_exit_ms Unit::Millis, 0..=DAY, "The daemon leaves after this long without a client or another reason to stay.";
    gateway.page_size Unit::Count, 1..=100_000, "Tools on one page of a list.";
    gateway.result_limit Unit::Bytes, 0..=1_073_741_824, "Results above this are stored and replaced by a head and a handle; 0 never.";
    gateway.instructions_limit Unit::Bytes, 0..=1_048_576, "Bytes of instructions of all servers together.";
    gateway.first_list_ms Unit::Millis, 0..=DAY, "A list waits this long for servers that were never listed before.";
    gateway.body_limit Unit::Bytes, 1_024..=1_073_741_824, "Largest body of an HTTP request.";
    gateway.own_tools Unit::Flag, 0..=1, "Whether clients see umcp's own tools.";
    gateway.keep_calls Unit::Count, 0..=100_000_000, "Records of calls that are kept.";
    gateway.keep_call_days Unit::Count, 1..=36_500, "Records of calls that are older, in days, go.";
    gateway.address_rate Unit::Count, 0..=1_000_000, "HTTP requests of one address within a minute; 0 is no bound.";
    gateway.client_rate Unit::Count, 0..=1_000_000, "HTTP requests with one key within a minute; 0 is no bound.";
    gateway.authorization WAYS_IN, 0..=2, "What opens the HTTP endpoint beside keys: nothing (tokens), signed tokens of trusted issuers (jwt), or tokens that umcp gives to clients you allow (server).";
    policy.ask_timeout_ms Unit::Millis, 100..=DAY, "A call that waits for the user's approval is refused after this long.";
    policy.ask_clients Unit::Flag, 0..=1, "Whether the user is asked through the client too, or by `umcp approve` alone.";
    policy.hold_changed_tools Unit::Flag, 0..=1, "Whether a changed definition holds a tool back even when its server was never approved.";
    audit.calls Unit::Flag, 0..=1, "Whether the audit trail records calls; changes and approvals always are.";
    audit.keep_records Unit::Count, 1_000..=100_000_000, "Records of the audit trail that are kept.";
    sandbox.profile PROFILES, 0..=2, "How servers are shut in whose entry says nothing: off, default or strict.";
    sandbox.memory Unit::Bytes, 0..=1_125_899_906_842_624, "Memory of one server with all it starts; 0 is half of the machine's.";
    sandbox.processes Unit::Count, 0..=100_000, "Processes of one server; 0 is no bound.";
    sandbox.disk Unit::Bytes, 0..=1_125_899_906_842_624, "Bytes in the folder of a strict server; 0 is no bound.";
    schedules.keep_daemon Unit::Flag, 0..=1, "Whether the daemon stays while a schedule has something to come.";
    schedules.keep_runs Unit::Count, 1..=100_000, "Rows of the history of each schedule that are kept.";
    schedules.keep_days Unit::Count, 1..=36_500, "Rows of the history of schedules that are older, in days, go.";
}

impl Setting {
    /// The variable that sets it: `UMCP_SECTION__NAME`.
    pub fn variable(&self) -> String {
        format!("UMCP_{}", self.key.to_ascii_uppercase().replace('.', "__"))
    }

    /// Section and name.
    pub fn path(&self) -> [&'static str; 2] {
        let (section, name) = self.key.split_once('.').expect("every key has a section");
        [section, name]
    }

    /// The value in some settings.
    pub fn value(&self, settings: &Settings) -> Value {
        self.shown((self.get)(settings))
    }

    /// Writes a value as a user typed it: a number, for times also `30s`, for sizes also `16MiB`; returns it.
    pub fn write(&self, settings: &mut Settings, text: &str) -> Result<Value> {
        let value = self.parse(text).ok_or_else(|| self.refuse(text))?;
        (self.set)(settings, value);
        Ok(self.shown(value))
    }

    fn shown(&self, number: u64) -> Value {
        match self.unit {
            Unit::Flag => (number != 0).into(),
            Unit::Word(words) => words[usize::try_from(number).unwrap_or(0).min(words.len() - 1)].into(),
            Unit::Millis | Unit::Bytes | Unit::Count => number.into(),
        }
    }

    fn parse(&self, text: &str) -> Option<u64> {
        let text = text.trim().replace('_', "");
        if self.unit == Unit::Flag {
            return match text.as_str() {
                "true" => Some(1),
                "false" => Some(0),
                _ => None,
            };
        }
        if let Unit::Word(words) = self.unit {
            return words.iter().position(|word| *word == text.trim_matches('"')).map(|place| place as u64);
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().ok()?;
        let factor = match (self.unit, text[digits..].trim()) {
            (_, "") => 1,
            (Unit::Millis, "ms") => 1,
            (Unit::Millis, "s") => 1000,
            (Unit::Millis, "m" | "min") => 60_000,
            (Unit::Millis, "h") => 3_600_000,
            (Unit::Bytes, "B") => 1,
            (Unit::Bytes, "KiB" | "K" | "k") => 1 << 10,
            (Unit::Bytes, "MiB" | "M") => 1 << 20,
            (Unit::Bytes, "GiB" | "G") => 1 << 30,
            _ => return None,
        };
        number.checked_mul(factor).filter(|value| (self.least..=self.most).contains(value))
    }

    fn refuse(&self, text: &str) -> Error {
        let unit = match self.unit {
            Unit::Millis => " milliseconds (`30s` and `5m` work too)",
            Unit::Bytes => " bytes (`64KiB` and `16MiB` work too)",
            Unit::Count => "",
            Unit::Word(words) => {
                return Error::new(&codes::VALUE_INVALID, format!("`{text}` is no value for `{}`", self.key))
                    .hint(format!("`{}` takes {}", self.key, words.join(", ")));
            }
            Unit::Flag => {
                return Error::new(&codes::VALUE_INVALID, format!("`{text}` is no value for `{}`", self.key))
                    .hint(format!("`{}` takes `true` or `false`", self.key));
            }
        };
        let Self { key, least, most, .. } = self;
        Error::new(&codes::VALUE_INVALID, format!("`{text}` is no value for `{key}`"))
            .hint(format!("`{key}` takes a whole number from {least} to {most}{unit}"))
    }
}

/// The setting of that name, or an error that names the nearest one.
pub fn find(key: &str) -> Result<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key).ok_or_else(|| {
        let error = Error::new(&codes::SETTING_UNKNOWN, format!("there is no setting `{key}`"));
        match near(key, SETTINGS.iter().map(|setting| setting.key)) {
            Some(meant) => error.hint(format!("did you mean `{meant}`?")),
            None => error.hint("umcp config show"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_row_and_every_default_fits() {
        let defaults = serde_json::to_value(Settings::default()).unwrap();
        let fields: Vec<String> = defaults
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(section, fields)| {
                fields.as_object().unwrap().keys().map(move |name| format!("{section}.{name}"))
            })
            .collect();
        assert_eq!(fields, SETTINGS.iter().map(|setting| setting.key).collect::<Vec<_>>());
        for setting in SETTINGS {
            let mut settings = Settings::default();
            let value = setting.value(&settings);
            assert_eq!(setting.write(&mut settings, &value.to_string()).unwrap(), value, "{}", setting.key);
            assert_eq!(settings, Settings::default());
            for edge in [setting.least, setting.most].map(|edge| setting.shown(edge)) {
                setting.write(&mut settings, &edge.to_string()).unwrap();
                assert_eq!(setting.value(&settings), edge, "{}", setting.key);
            }
        }
    }

    #[test]
    fn values_are_read_with_their_units() {
        for (key, text, expected) in [
            ("servers.call_timeout_ms", "30s", Some(30_000)),
            ("servers.call_timeout_ms", "5m", Some(300_000)),
            ("servers.call_timeout_ms", "5 min", Some(300_000)),
            ("servers.call_timeout_ms", "5MiB", None),
            ("servers.call_timeout_ms", "1", None),
            ("gateway.body_limit", "16MiB", Some(16 << 20)),
            ("gateway.body_limit", "-1", None),
            ("gateway.page_size", "1_000", Some(1000)),
            ("gateway.page_size", "1k", None),
            ("gateway.page_size", "", None),
            ("gateway.own_tools", "1", None),
        ] {
            let read = find(key).unwrap().write(&mut Settings::default(), text);
            assert_eq!(read.ok(), expected.map(Value::from), "{key} {text}");
        }
        let mut settings = Settings::default();
        find("gateway.own_tools").unwrap().write(&mut settings, "false").unwrap();
        assert!(!settings.gateway.own_tools);
        assert_eq!(find("gateway.pagesize").unwrap_err().hints, ["did you mean `gateway.page_size`?"]);
    }
}
