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

impl Ledger {
    /// Notes a message of the client that is about to be sent.
    pub fn client_said(&mut self, message: Message, text: Option<&[u8]>) {
        match (message.method.as_deref(), message.id) {
            (Some(b"initialize"), Some(id)) => {
                let line = text.map(<[u8]>::to_vec);
                self.initialize = line.map(|line| Initialize { id: id.clone(), line, answered: false });
                self.initialized = None;
                self.asked.push(id);
            }
            (Some(_), Some(id)) => self.asked.push(id),
            (Some(b"notifications/initialized"), None) => self.initialized = text.map(<[u8]>::to_vec),
            (Some(b"notifications/cancelled"), None) => cancel(&mut self.asked, text),
            (None, Some(id)) => remove(&mut self.asking, &id),
            _ => {}
        }
    }

    /// Notes a message of the daemon that was handed to the client.
    pub fn daemon_said(&mut self, message: Message, text: Option<&[u8]>) {
        match (message.method.as_deref(), message.id) {
            (None, Some(id)) => {
                remove(&mut self.asked, &id);
                if let Some(initialize) = self.initialize.as_mut().filter(|it| it.id == id) {
                    initialize.answered = true;
                }
            }
            (Some(_), Some(id)) => self.asking.push(id),
            (Some(b"notifications/cancelled"), None) => cancel(&mut self.asking, text),
            _ => {}
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

/// A cancelled request is never answered, so nobody waits for it any more.
fn cancel(ids: &mut Vec<Vec<u8>>, text: Option<&[u8]>) {
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
    if let Some(Ok(line)) = text.map(serde_json::from_slice::<Cancelled>) {
        remove(ids, line.params.request_id.get().as_bytes());
    }
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
}
