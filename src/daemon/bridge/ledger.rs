//! What the bridge must remember to outlive a daemon: requests in flight, both ways, and the client's handshake.
//! Pure: no sockets, no threads. Rule: every request of the client is answered once, by a daemon or by us.

use super::scan::Message;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The client's `initialize`, to be said again to the next daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialize {
    pub id: Vec<u8>,
    pub line: Vec<u8>,
    pub answered: bool,
}

/// Who owes whom an answer.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Raw ids of the client's requests that no daemon answered yet, oldest first.
    asked: Vec<Vec<u8>>,
    /// Raw ids of the daemon's requests that the client did not answer yet.
    asking: Vec<Vec<u8>>,
    initialize: Option<Initialize>,
    /// The client's `notifications/initialized` line.
    initialized: Option<Vec<u8>>,
}

/// Where a daemon that is gone left its client.
#[derive(Debug, Default)]
pub struct Left {
    pub ledger: Ledger,
    /// What it had read and not worked through.
    pub unread: Vec<u8>,
    /// The client's bytes up to the next line break belong to a message that was given up.
    pub skip: bool,
    /// The client may have got the beginning of a line without its end.
    pub within: bool,
    /// The client was gone before.
    pub ended: bool,
}

/// One change of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The client asked to initialise. An empty line: too long to be kept.
    Initialize { id: Vec<u8>, line: Vec<u8> },
    /// The client's `notifications/initialized`.
    Initialized { line: Vec<u8> },
    /// A request of the client.
    Asked(Vec<u8>),
    /// Nobody waits for this request any more: answered or cancelled.
    Answered(Vec<u8>),
    /// A request of the daemon.
    Asking(Vec<u8>),
    /// The client need not answer this request any more.
    Told(Vec<u8>),
}

impl Note {
    /// What a message of the client changes.
    pub fn of_client(message: Message, text: Option<&[u8]>) -> Option<Self> {
        let line = || text.unwrap_or_default().to_vec();
        match (message.method.as_deref(), message.id) {
            (Some(b"initialize"), Some(id)) => Some(Self::Initialize { id, line: line() }),
            (Some(_), Some(id)) => Some(Self::Asked(id)),
            (Some(b"notifications/initialized"), None) => Some(Self::Initialized { line: line() }),
            // A cancelled request is never answered, so nobody waits for it any more.
            (Some(b"notifications/cancelled"), None) => cancelled(text).map(Self::Answered),
            (None, Some(id)) => Some(Self::Told(id)),
            _ => None,
        }
    }

    /// What a message of the daemon changes.
    pub fn of_daemon(message: Message, text: Option<&[u8]>) -> Option<Self> {
        match (message.method.as_deref(), message.id) {
            (None, Some(id)) => Some(Self::Answered(id)),
            (Some(_), Some(id)) => Some(Self::Asking(id)),
            (Some(b"notifications/cancelled"), None) => cancelled(text).map(Self::Told),
            _ => None,
        }
    }
}

impl Ledger {
    /// Notes a message of the client that is about to be sent.
    pub fn client_said(&mut self, message: Message, text: Option<&[u8]>) {
        if let Some(note) = Note::of_client(message, text) {
            self.apply(note);
        }
    }

    /// Notes a message of the daemon that was handed to the client.
    pub fn daemon_said(&mut self, message: Message, text: Option<&[u8]>) {
        if let Some(note) = Note::of_daemon(message, text) {
            self.apply(note);
        }
    }

    pub fn apply(&mut self, note: Note) {
        match note {
            Note::Initialize { id, line } => {
                let kept = (!line.is_empty()).then_some(line);
                self.initialize = kept.map(|line| Initialize { id: id.clone(), line, answered: false });
                self.initialized = None;
                self.asked.push(id);
            }
            Note::Initialized { line } => self.initialized = (!line.is_empty()).then_some(line),
            Note::Asked(id) => self.asked.push(id),
            Note::Answered(id) => {
                remove(&mut self.asked, &id);
                if let Some(initialize) = self.initialize.as_mut().filter(|it| it.id == id) {
                    initialize.answered = true;
                }
            }
            Note::Asking(id) => self.asking.push(id),
            Note::Told(id) => remove(&mut self.asking, &id),
        }
    }

    /// The notes that make an empty ledger this one.
    pub fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut open = None;
        if let Some(Initialize { id, line, answered }) = &self.initialize {
            notes.push(Note::Initialize { id: id.clone(), line: line.clone() });
            match answered {
                true => notes.push(Note::Answered(id.clone())),
                false => open = self.asked.iter().position(|known| known == id),
            }
        }
        notes.extend(self.initialized.iter().map(|line| Note::Initialized { line: line.clone() }));
        let asked = self.asked.iter().enumerate().filter(|(at, _)| Some(*at) != open);
        notes.extend(asked.map(|(_, id)| Note::Asked(id.clone())));
        notes.extend(self.asking.iter().map(|id| Note::Asking(id.clone())));
        notes
    }

    /// Takes back a message of the client that the next daemon will read itself.
    pub fn unsay(&mut self, message: &Message) {
        if let Message { id: Some(id), method: Some(method) } = message {
            remove(&mut self.asked, id);
            let is_it = |it: &Initialize| it.id == *id && !it.answered && method == b"initialize";
            if self.initialize.as_ref().is_some_and(is_it) {
                self.initialize = None;
            }
        }
    }

    /// Whether the client waits for nothing.
    pub fn is_settled(&self) -> bool {
        self.asked.is_empty()
    }

    /// What to say again to a new daemon: `initialize`, and `initialized` where the client got that far.
    pub fn handshake(&self) -> (Option<Initialize>, Option<Vec<u8>>) {
        (self.initialize.clone(), self.initialized.clone())
    }

    /// Settles everything with a daemon that is gone: the lines to hand to the client. An `initialize` in flight
    /// stays open, as the next daemon will answer it.
    pub fn settle(&mut self) -> Vec<u8> {
        let open = self.initialize.as_ref().filter(|it| !it.answered).map(|it| it.id.clone());
        let mut lines = Vec::new();
        for id in std::mem::take(&mut self.asked) {
            if Some(&id) == open.as_ref() {
                self.asked.push(id);
            } else {
                lines.extend(interrupted(&id));
            }
        }
        for id in std::mem::take(&mut self.asking) {
            lines.extend_from_slice(
                br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"#,
            );
            lines.extend(id);
            lines.extend_from_slice(b",\"reason\":\"the umcp daemon ended\"}}\n");
        }
        lines
    }
}

/// The answer to a request whose daemon died.
pub fn interrupted(id: &[u8]) -> Vec<u8> {
    let mut line = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    line.extend_from_slice(id);
    line.extend_from_slice(
        b",\"error\":{\"code\":-32000,\"message\":\"the umcp daemon ended while it worked on this request; \
          it is being started again and the request may be retried\",\"data\":{\"code\":\"UM0302\",\"retryable\":true}}}\n",
    );
    line
}

/// Told to a client whose handshake was replayed: the new daemon may offer other tools.
pub const LIST_CHANGED: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n";

fn remove(ids: &mut Vec<Vec<u8>>, id: &[u8]) {
    if let Some(at) = ids.iter().position(|known| known == id) {
        ids.remove(at);
    }
}

/// The id that a `notifications/cancelled` names.
fn cancelled(text: Option<&[u8]>) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Cancelled<'a> {
        #[serde(borrow)]
        params: Params<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        #[serde(borrow)]
        request_id: &'a RawValue,
    }
    let line = serde_json::from_slice::<Cancelled>(text?).ok()?;
    Some(line.params.request_id.get().as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::bridge::scan::Scanner;

    fn ledger(client: &str, daemon: &str) -> Ledger {
        let mut ledger = Ledger::default();
        Scanner::default().feed(client.as_bytes(), &mut |message, text| ledger.client_said(message, text));
        Scanner::default().feed(daemon.as_bytes(), &mut |message, text| ledger.daemon_said(message, text));
        ledger
    }

    fn settled(mut ledger: Ledger) -> Vec<serde_json::Value> {
        let lines = String::from_utf8(ledger.settle()).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn what_is_in_flight_is_answered_once() {
        let client = "{\"id\":1,\"method\":\"tools/list\"}\n{\"id\":\"x\",\"method\":\"tools/call\"}\n\
            {\"id\":3,\"method\":\"tools/call\"}\n{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":3}}\n";
        let daemon = "{\"id\":1,\"result\":{}}\n{\"id\":8,\"method\":\"ping\"}\n";
        let lines = settled(ledger(client, daemon));
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["id"], &lines[0]["error"]["code"]), (&"x".into(), &(-32000).into()));
        assert_eq!(lines[1]["params"]["requestId"], 8);
    }

    #[test]
    fn an_initialize_in_flight_waits_for_the_next_daemon() {
        let line = r#"{"id":0,"method":"initialize","params":{}}"#;
        let mut ledger = ledger(&format!("{line}\n"), "");
        assert_eq!(ledger.settle(), b"");
        assert!(!ledger.is_settled());
        let (initialize, initialized) = ledger.handshake();
        assert_eq!(initialize.unwrap(), Initialize { id: b"0".into(), line: line.into(), answered: false });
        assert_eq!(initialized, None);
    }

    #[test]
    fn the_handshake_is_remembered_whole() {
        let ledger = ledger(
            "{\"id\":0,\"method\":\"initialize\"}\n{\"method\":\"notifications/initialized\"}\n",
            "{\"id\":0,\"result\":{}}\n",
        );
        let (initialize, initialized) = ledger.handshake();
        assert!(initialize.unwrap().answered && ledger.is_settled());
        assert_eq!(initialized.unwrap(), br#"{"method":"notifications/initialized"}"#);
    }

    #[test]
    fn a_ledger_is_its_notes() {
        let hello = "{\"id\":0,\"method\":\"initialize\"}\n";
        let cases = [
            ("", ""),
            (hello, ""),
            (
                "{\"id\":5,\"method\":\"a\"}\n{\"id\":0,\"method\":\"initialize\"}\n",
                "{\"id\":9,\"method\":\"ping\"}\n",
            ),
            (
                "{\"id\":0,\"method\":\"initialize\"}\n{\"method\":\"notifications/initialized\"}\n{\"id\":0,\"method\":\"b\"}\n",
                "{\"id\":0,\"result\":{}}\n{\"id\":\"x\",\"method\":\"ping\"}\n",
            ),
        ];
        for (client, daemon) in cases {
            let ledger = ledger(client, daemon);
            let mut again = Ledger::default();
            ledger.notes().into_iter().for_each(|note| again.apply(note));
            let sorted = |ledger: &Ledger| {
                let mut asked = ledger.asked.clone();
                asked.sort();
                (asked, ledger.asking.clone(), ledger.handshake())
            };
            assert_eq!(sorted(&again), sorted(&ledger), "{client}");
        }
    }

    #[test]
    fn what_the_next_daemon_reads_itself_is_taken_back() {
        let mut ledger = ledger(
            "{\"id\":0,\"method\":\"initialize\"}\n{\"id\":1,\"method\":\"a\"}\n{\"id\":2,\"method\":\"b\"}\n",
            "",
        );
        Scanner::default().feed(
            b"{\"id\":0,\"method\":\"initialize\"}\n{\"id\":2,\"method\":\"b\"}\n{\"id\":1,\"result\":{}}\n",
            &mut |message, _| ledger.unsay(&message),
        );
        let lines = settled(ledger);
        assert_eq!((lines.len(), &lines[0]["id"]), (1, &1.into()));
    }
}
