//! The noun `alerts`: rules over what is measured, what they found, and their history. What is measured comes in as names
//! with values; this room decides and keeps rows, the daemon looks at the clock.
//! Rule: that an alert fires, or no longer, is one commit before anybody is told.

pub mod rule;

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Series, Table, Writer, tables};
use serde::{Deserialize, Serialize};

const ALERTS: Table<Stored> = Table::new(tables::ALERTS);
const TURNS: Series<Stored> = Series::new(tables::ALERT_TURNS);
/// Rules at most: each is evaluated every few seconds.
const MOST: u64 = 200;
/// Turns of the history kept.
const KEPT: u64 = 5_000;

/// A rule or a turn as JSON text, so that a later version can add fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    json: String,
}

impl Row for Stored {
    const KIND: u8 = 110;
    const VERSION: u16 = 1;
}

impl Stored {
    fn new(value: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_string(value);
        json.map(|json| Self { json }).map_err(|error| Error::bug("an alert is no JSON").because(error))
    }

    fn open<T: for<'de> Deserialize<'de>>(&self) -> Result<T> {
        serde_json::from_str(&self.json)
            .map_err(|error| Error::new(&codes::STORE_DAMAGED, "an alert cannot be read").because(error))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    pub fn parse(word: &str) -> std::result::Result<Self, String> {
        let found = Self::ALL.into_iter().find(|severity| severity.word() == word);
        found.ok_or_else(|| "one of info, warning, critical".into())
    }
}

/// A rule: when its expression holds for so long, somebody should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub name: String,
    pub expression: String,
    /// What is counted is counted within this time.
    pub window_ms: u64,
    /// How long it has to hold.
    pub for_ms: u64,
    pub severity: Severity,
    pub description: Option<String>,
    pub created: Timestamp,
    /// Until then it is not told.
    pub silenced_until: Option<Timestamp>,
    /// Since when it fires.
    pub firing: Option<Timestamp>,
}

impl Alert {
    pub fn is_silenced(&self, now: Timestamp) -> bool {
        self.silenced_until.is_some_and(|until| until > now)
    }
}

/// An alert as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Standing {
    pub alert: Alert,
    /// Since when it holds without firing yet.
    pub pending: Option<Timestamp>,
    /// What its expression found; nothing where nobody looked.
    pub verdict: Option<rule::Verdict>,
}

/// An alert began to fire, or ceased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub at: Timestamp,
    pub alert: String,
    pub severity: Severity,
    pub firing: bool,
    /// The values that its expression named.
    pub because: String,
    pub silenced: bool,
}

impl Turn {
    /// The same in a line.
    pub fn told(&self) -> String {
        let word = if self.firing { "fires" } else { "ceased" };
        format!("alert {} ({}) {word}: {}", self.alert, self.severity.word(), self.because)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List,
    Show {
        name: String,
    },
    /// `replace`: in the place of one that is there, which no longer fires.
    Put {
        alert: Box<Alert>,
        replace: bool,
    },
    Delete {
        names: Vec<String>,
    },
    /// Without an end it is told again.
    Silence {
        names: Vec<String>,
        until: Option<Timestamp>,
    },
    /// What the daemon found.
    Turned {
        turns: Vec<Turn>,
    },
    /// Newest first.
    History {
        name: Option<String>,
        limit: u32,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Alerts(Vec<Alert>),
    Turns(Vec<Turn>),
}

impl Request {
    pub fn writes(&self) -> bool {
        !matches!(self, Self::List | Self::Show { .. } | Self::History { .. })
    }

    /// Whether other rules are to be watched afterwards.
    pub fn changes_rules(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::Delete { .. } | Self::Silence { .. })
    }
}

pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::Show { name } => find(tx, name).map(|alert| Reply::Alerts(vec![alert])),
        Request::History { name, limit } => {
            let mut turns = Vec::new();
            for (_, row) in tx.last(&TURNS, KEPT as usize, None, None)? {
                let turn: Turn = row.open()?;
                if name.as_ref().is_none_or(|name| *name == turn.alert) {
                    turns.push(turn);
                }
                if turns.len() >= *limit as usize {
                    break;
                }
            }
            Ok(Reply::Turns(turns))
        }
        _ => all(tx).map(Reply::Alerts),
    }
}

fn all(tx: &Reader) -> Result<Vec<Alert>> {
    tx.all(&ALERTS)?.into_iter().map(|(_, row)| row.open()).collect()
}

fn find(tx: &Reader, name: &str) -> Result<Alert> {
    if let Some(row) = tx.get(&ALERTS, name)? {
        return row.open();
    }
    let names: Vec<String> = all(tx)?.into_iter().map(|alert| alert.name).collect();
    let error = Error::new(&codes::ALERT_NOT_FOUND, format!("no alert named `{name}`"));
    Err(match crate::documents::near(name, names.iter().map(String::as_str)) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("umcp alert list"),
    })
}

pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    let changed = match request {
        Request::Put { alert, replace } => vec![put(tx, *alert, replace)?],
        Request::Delete { names } => {
            let gone: Vec<Alert> = names.iter().map(|name| find(tx, name)).collect::<Result<_>>()?;
            for alert in &gone {
                tx.remove(&ALERTS, &alert.name)?;
            }
            gone
        }
        Request::Silence { names, until } => {
            let mut silenced = Vec::new();
            for name in &names {
                let alert = Alert { silenced_until: until, ..find(tx, name)? };
                tx.put(&ALERTS, name, &Stored::new(&alert)?)?;
                silenced.push(alert);
            }
            silenced
        }
        Request::Turned { turns } => {
            for turn in &turns {
                tx.push(&TURNS, turn.at, &Stored::new(turn)?)?;
                // Deleted meanwhile: nothing is left that could fire.
                if let Some(row) = tx.get(&ALERTS, &turn.alert)? {
                    let alert = Alert { firing: turn.firing.then_some(turn.at), ..row.open()? };
                    tx.put(&ALERTS, &turn.alert, &Stored::new(&alert)?)?;
                }
            }
            tx.trim_to(&TURNS, KEPT)?;
            return Ok(Reply::Turns(turns));
        }
        Request::List | Request::Show { .. } | Request::History { .. } => return read(tx, &request),
    };
    Ok(Reply::Alerts(changed))
}

fn put(tx: &mut Writer, alert: Alert, replace: bool) -> Result<Alert> {
    rule::check(&alert)?;
    let before = tx.get(&ALERTS, &alert.name)?;
    if before.is_some() && !replace {
        return Err(Error::new(&codes::ALERT_EXISTS, format!("an alert `{}` exists already", alert.name))
            .hint("--replace puts this one in its place"));
    }
    if before.is_none() && tx.count(&ALERTS)? >= MOST {
        return Err(Error::new(&codes::ALERT_INVALID, format!("there are {MOST} alerts, which is the most"))
            .hint("umcp alert delete NAME"));
    }
    tx.put(&ALERTS, &alert.name, &Stored::new(&alert)?)?;
    Ok(alert)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn alert(name: &str) -> Alert {
        Alert {
            name: name.into(),
            expression: "error_rate > 0.5".into(),
            window_ms: 60_000,
            for_ms: 0,
            severity: Severity::Warning,
            description: None,
            created: Timestamp(1),
            silenced_until: None,
            firing: None,
        }
    }

    fn ask(store: &Store, request: Request) -> Result<Reply> {
        match request.writes() {
            true => store.write(|tx| write(tx, request)),
            false => store.read(|tx| read(tx, &request)),
        }
    }

    fn alerts(reply: Result<Reply>) -> Vec<Alert> {
        match reply.unwrap() {
            Reply::Alerts(alerts) => alerts,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rules_and_their_turns_are_kept() {
        let store = Store::memory();
        let put = |name: &str, replace| ask(&store, Request::Put { alert: Box::new(alert(name)), replace });
        alerts(put("slow", false));
        assert!(put("slow", false).unwrap_err().is(&codes::ALERT_EXISTS));
        let turn = |at, firing| Turn {
            at: Timestamp(at),
            alert: "slow".into(),
            severity: Severity::Warning,
            firing,
            because: "error_rate = 1".into(),
            silenced: false,
        };
        ask(&store, Request::Turned { turns: vec![turn(5, true)] }).unwrap();
        assert_eq!(alerts(ask(&store, Request::List))[0].firing, Some(Timestamp(5)));
        let silence = Request::Silence { names: vec!["slow".into()], until: Some(Timestamp(9)) };
        let silenced = alerts(ask(&store, silence));
        assert!(silenced[0].is_silenced(Timestamp(8)) && !silenced[0].is_silenced(Timestamp(9)));
        ask(&store, Request::Turned { turns: vec![turn(7, false)] }).unwrap();
        assert_eq!(alerts(ask(&store, Request::Show { name: "slow".into() }))[0].firing, None);
        let history =
            |name: Option<&str>| match ask(&store, Request::History { name: name.map(Into::into), limit: 9 })
            {
                Ok(Reply::Turns(turns)) => {
                    turns.into_iter().map(|turn| (turn.at.0, turn.firing)).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            };
        assert_eq!(history(None), [(7, false), (5, true)]);
        assert_eq!(history(Some("other")), []);
        alerts(put("slow", true));
        alerts(ask(&store, Request::Delete { names: vec!["slow".into()] }));
        let gone = ask(&store, Request::Delete { names: vec!["slow".into()] }).unwrap_err();
        assert!(gone.is(&codes::ALERT_NOT_FOUND));
        // What was found of one that is gone is history all the same.
        ask(&store, Request::Turned { turns: vec![turn(9, true)] }).unwrap();
        assert_eq!((alerts(ask(&store, Request::List)).len(), history(None).len()), (0, 3));
    }
}
