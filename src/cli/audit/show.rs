//! How records, verdicts and counts of the audit trail look.

use crate::audit::{self, Entry, Event, Record, Verdict};
use crate::clock::Timestamp;
use crate::ui::{Cell, Column, Output, Page, State, Table, text};
use serde::Serialize;

/// A record with its place in the chain.
#[derive(Serialize)]
pub struct Shown {
    number: u64,
    time: String,
    record: serde_json::Value,
    hash: String,
    previous: String,
    #[serde(skip)]
    parsed: Option<Record>,
}

impl Shown {
    pub fn new(entry: Entry) -> Self {
        let parsed = entry.record();
        Self {
            number: entry.number,
            time: parsed.as_ref().map_or_else(String::new, |record| record.at.rfc3339()),
            record: serde_json::from_str(&entry.body).unwrap_or_default(),
            hash: entry.hash,
            previous: entry.previous,
            parsed,
        }
    }

    /// Who, what, and what came of it.
    fn words(&self) -> (State, String, String, String) {
        match self.parsed.as_ref().map(|record| &record.event) {
            Some(Event::Call(call)) => {
                let by = call.rule.as_ref().map_or(String::new(), |rule| format!(" ({rule})"));
                let state = match (call.decision.as_str(), call.outcome.as_str()) {
                    ("refused", _) => State::Fail,
                    (_, "ok") => State::Ok,
                    _ => State::Warn,
                };
                let outcome = match call.decision.as_str() {
                    "refused" => format!("refused{by}"),
                    "allow" => call.outcome.clone(),
                    decision => format!("{decision}{by}, {}", call.outcome),
                };
                (state, call.client.clone(), what(call), outcome)
            }
            Some(Event::Change { what, names }) => (State::Ok, "you".into(), what.clone(), names.join(", ")),
            Some(Event::Approval { client, server, tool, allowed, by, .. }) => {
                let (state, word) =
                    if *allowed { (State::Ok, "allowed") } else { (State::Fail, "not allowed") };
                let by = if by == "client" {
                    format!("the user of {client}")
                } else {
                    by.replace("approve", "you")
                };
                (state, by, format!("approval of {server}.{tool}"), format!("{word} to {client}"))
            }
            Some(Event::Refused { address, reason, .. }) => {
                (State::Fail, address.clone(), "a request over HTTP".into(), format!("not let in: {reason}"))
            }
            Some(Event::Lost { records, from, until }) => (
                State::Fail,
                String::new(),
                "records lost".into(),
                format!("{records} between {} and {}", from.rfc3339(), until.rfc3339()),
            ),
            Some(Event::Purge { through, records, .. }) => (
                State::Ok,
                "you".into(),
                "audit purge".into(),
                format!("{records} records, through {through}"),
            ),
            None => (State::Warn, String::new(), "a record of a later version".into(), String::new()),
        }
    }
}

impl Output for Shown {
    const KIND: &'static str = "audit.show/1";

    fn human(&self, page: &mut Page) {
        let (state, who, what, outcome) = self.words();
        page.mark(state, format!("{} {who}: {what}: {outcome}", self.number));
        let record = serde_json::to_string_pretty(&self.record).unwrap_or_default();
        page.pairs([
            ("time", &self.time),
            ("record", &record),
            ("hash", &self.hash),
            ("previous", &self.previous),
        ]);
    }

    fn ids(&self) -> Vec<String> {
        vec![self.hash.clone()]
    }
}

#[derive(Serialize)]
#[serde(transparent)]
pub struct Entries {
    pub entries: Vec<Shown>,
    #[serde(skip)]
    pub now: Timestamp,
}

impl Output for Entries {
    const KIND: &'static str = "audit.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("no").right().optional(2),
            Column::new("when"),
            Column::new("who"),
            Column::new("what"),
            Column::new("outcome").wraps(),
        ];
        let mut table = Table::new("no records yet", columns);
        for shown in &self.entries {
            let (state, who, what, outcome) = shown.words();
            let when = shown.parsed.as_ref().map_or(String::new(), |record| text::ago(self.now, record.at));
            table.row([
                Cell::from(shown.number.to_string()),
                when.into(),
                who.into(),
                what.into(),
                Cell::state(state, &outcome),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.entries.iter().map(|shown| shown.number.to_string()).collect()
    }
}

#[derive(Serialize)]
#[serde(transparent)]
pub struct Verified(pub Verdict);

impl Output for Verified {
    const KIND: &'static str = "audit.verify/1";

    fn human(&self, page: &mut Page) {
        let Verdict { records, first, last, head, faults, lost, .. } = &self.0;
        let records = text::plural(usize::try_from(*records).unwrap_or(usize::MAX), "record");
        for fault in faults {
            page.mark(State::Fail, format!("record {}: {}", fault.number, fault.problem));
        }
        if faults.is_empty() {
            let range = match (first, last) {
                (Some(first), Some(last)) => format!(", {first} to {last}"),
                _ => String::new(),
            };
            page.mark(State::Ok, format!("{records}{range}: each follows the one before"));
        }
        if *lost > 0 {
            let lost = text::plural(usize::try_from(*lost).unwrap_or(usize::MAX), "record");
            page.mark(State::Warn, format!("{lost} could not be kept: umcp audit list --kind lost"));
        }
        if let Some(head) = head {
            page.text(format!("head {head}"));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.head.iter().cloned().collect()
    }
}

#[derive(Serialize)]
pub struct Counted {
    pub since: String,
    #[serde(flatten)]
    pub report: audit::Report,
}

impl Output for Counted {
    const KIND: &'static str = "audit.report/1";

    fn human(&self, page: &mut Page) {
        let it = &self.report;
        let plural =
            |count: u64, noun: &str| text::plural(usize::try_from(count).unwrap_or(usize::MAX), noun);
        page.text(format!(
            "since {}: {}, {} refused, {} approved, {} failed; {}",
            self.since,
            plural(it.calls, "call"),
            it.refused,
            it.approved,
            it.failed,
            plural(it.changes, "change")
        ));
        if it.not_let_in > 0 {
            page.text(format!("{} over HTTP not let in", plural(it.not_let_in, "request")));
        }
        for (title, counts) in [("client", &it.clients), ("tool", &it.tools)] {
            if !counts.is_empty() {
                let columns =
                    [Column::new(title), Column::new("calls").right(), Column::new("refused").right()];
                let mut table = Table::new("", columns);
                for (name, (calls, refused)) in counts {
                    table.row([Cell::from(name), text::number(*calls).into(), text::number(*refused).into()]);
                }
                page.blank().table(table);
            }
        }
        for (title, counts) in [("rule", &it.rules), ("change", &it.changed)] {
            if !counts.is_empty() {
                let mut table = Table::new("", [Column::new(title), Column::new("times").right()]);
                for (name, count) in counts {
                    table.row([Cell::from(name), text::number(*count).into()]);
                }
                page.blank().table(table);
            }
        }
    }
}

#[derive(Serialize)]
pub struct Exported {
    pub records: usize,
    pub file: String,
}

impl Output for Exported {
    const KIND: &'static str = "audit.export/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("{} written to {}", text::plural(self.records, "record"), self.file));
    }
}

#[derive(Serialize)]
pub struct Purged {
    pub records: u64,
}

impl Output for Purged {
    const KIND: &'static str = "audit.purged/1";

    fn human(&self, page: &mut Page) {
        let records = usize::try_from(self.records).unwrap_or(usize::MAX);
        page.mark(State::Ok, format!("{} removed", text::plural(records, "record")));
    }
}

/// What was called, by its kind.
fn what(call: &audit::Call) -> String {
    let path = format!("{}.{}", call.server, call.tool);
    if call.kind.is_empty() { path } else { format!("{} {path}", call.kind) }
}
