//! Reads an event stream (`text/event-stream`) as it comes in, in pieces of any size.
//! It knows nothing of what the events say. Data of one line, as all JSON is, is cut out and not copied.

use crate::error::{Error, Result, codes};
use bytes::{Buf, Bytes, BytesMut};
use std::time::Duration;

/// Longer data is an error, not memory.
const MAX_DATA: usize = crate::upstream::link::MAX_LINE;

/// One event. Data may be empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Empty means `message`.
    pub name: Bytes,
    pub data: Bytes,
}

impl Event {
    /// Whether it carries a message of the protocol.
    pub fn is_message(&self) -> bool {
        !self.data.is_empty() && matches!(&self.name[..], b"" | b"message")
    }
}

/// The state between two pieces.
#[derive(Debug, Default)]
pub struct Events {
    buffer: BytesMut,
    scanned: usize,
    started: bool,
    /// A line ended in a carriage return; a line feed right after it belongs to the same end.
    after_return: bool,
    name: Bytes,
    data: Option<BytesOrJoined>,
    fields: bool,
    /// Id of the newest event that carried one.
    pub last_id: Option<String>,
    /// How long the server wants us to wait before connecting again.
    pub retry: Option<Duration>,
}

#[derive(Debug)]
enum BytesOrJoined {
    One(Bytes),
    Joined(BytesMut),
}

impl Events {
    /// For a stream that continues this one: its last id and its pause.
    #[must_use]
    pub fn resumed(self) -> Self {
        let mut next = Self::default();
        (next.last_id, next.retry) = (self.last_id, self.retry);
        next
    }

    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole event of what was pushed.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        while let Some(line) = self.line() {
            if !line.is_empty() {
                self.field(line)?;
                continue;
            }
            if std::mem::take(&mut self.fields) {
                let data = match self.data.take() {
                    None => Bytes::new(),
                    Some(BytesOrJoined::One(data)) => data,
                    Some(BytesOrJoined::Joined(data)) => data.freeze(),
                };
                return Ok(Some(Event { name: std::mem::take(&mut self.name), data }));
            }
        }
        if self.buffer.len() > MAX_DATA { Err(too_large()) } else { Ok(None) }
    }

    /// Takes a line without its end out of the buffer.
    fn line(&mut self) -> Option<Bytes> {
        if self.after_return && !self.buffer.is_empty() {
            self.after_return = false;
            if self.buffer[0] == b'\n' {
                self.buffer.advance(1);
                self.scanned = self.scanned.saturating_sub(1);
            }
        }
        let Some(at) = memchr::memchr2(b'\n', b'\r', &self.buffer[self.scanned..]) else {
            self.scanned = self.buffer.len();
            return None;
        };
        let at = self.scanned + at;
        self.scanned = 0;
        self.after_return = self.buffer[at] == b'\r';
        let mut line = self.buffer.split_to(at).freeze();
        self.buffer.advance(1);
        if !self.started {
            self.started = true;
            if line.starts_with(b"\xef\xbb\xbf") {
                line.advance(3);
            }
        }
        Some(line)
    }

    fn field(&mut self, line: Bytes) -> Result<()> {
        let colon = memchr::memchr(b':', &line[..line.len().min(16)]);
        let name_end = match colon {
            Some(0) => return Ok(()),
            Some(at) => at,
            None => line.len(),
        };
        let mut value = line.slice((name_end + 1).min(line.len())..);
        if value.first() == Some(&b' ') {
            value.advance(1);
        }
        self.fields = true;
        match &line[..name_end] {
            b"data" => return self.more_data(value),
            b"event" => self.name = value,
            b"id" if !value.contains(&0) => {
                self.last_id = Some(String::from_utf8_lossy(&value).into_owned()).filter(|id| !id.is_empty());
            }
            b"retry" => {
                let millis = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                self.retry = millis.map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
        Ok(())
    }

    fn more_data(&mut self, value: Bytes) -> Result<()> {
        self.data = Some(match self.data.take() {
            None => BytesOrJoined::One(value),
            Some(before) => {
                let mut joined = match before {
                    BytesOrJoined::One(first) => BytesMut::from(&first[..]),
                    BytesOrJoined::Joined(joined) => joined,
                };
                if joined.len() + value.len() > MAX_DATA {
                    return Err(too_large());
                }
                joined.extend_from_slice(b"\n");
                joined.extend_from_slice(&value);
                BytesOrJoined::Joined(joined)
            }
        });
        Ok(())
    }
}

fn too_large() -> Error {
    Error::new(&codes::UPSTREAM_TOO_LARGE, "the server sent a message above 16 MiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &'static str, data: &'static str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    #[test]
    fn events_are_read_whatever_the_pieces() {
        let text = "\u{feff}: hello\n\nid: 7\nretry: 250\ndata:\n\nevent: endpoint\r\ndata: /m?s=1\r\n\r\n\
                    data: {\"a\":\ndata:1}\nother: x\n\ndata: cr\r\rdata:  two\r\n\r\ndata: unfinished\n";
        let expected = vec![
            event("", ""),
            event("endpoint", "/m?s=1"),
            event("", "{\"a\":\n1}"),
            event("", "cr"),
            event("", " two"),
        ];
        for size in [1, 2, 3, 7, 64, text.len()] {
            let mut events = Events::default();
            let mut seen = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                events.push(piece);
                while let Some(event) = events.next_event().unwrap() {
                    seen.push(event);
                }
            }
            assert_eq!(seen, expected, "pieces of {size}");
            assert_eq!(
                (events.last_id.as_deref(), events.retry),
                (Some("7"), Some(Duration::from_millis(250)))
            );
        }
    }

    #[test]
    fn data_without_end_is_refused() {
        let mut events = Events::default();
        events.push(b"data: ");
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..16 {
            events.push(&piece);
            if let Err(error) = events.next_event() {
                assert!(error.is(&codes::UPSTREAM_TOO_LARGE));
                return;
            }
        }
        panic!("16 MiB and more were taken");
    }
}
