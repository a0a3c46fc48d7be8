//! What goes out: messages, raw bytes, and orders to the transport; and how faults spoil an answer.
//! Rule: the order in the channel is the order on the wire.

use crate::faults::{self, Fault};
use serde_json::{Value, json};
use tokio::sync::mpsc;

pub type Sink = mpsc::UnboundedSender<Out>;
pub type Source = mpsc::UnboundedReceiver<Out>;

/// One step of output.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    Message(Value),
    /// Bytes for the wire as they are; a line transport adds no newline.
    Raw(Vec<u8>),
    /// Nothing more goes out on this stream, but it stays open.
    Stall,
    /// stdio: the writer ends, everything before is written.
    End,
    /// HTTP: answer with an event stream even if the first message is the answer.
    OpenStream,
    /// Legacy HTTP: end this stream; the rest waits for a GET with Last-Event-ID.
    CloseStream,
}

pub fn channel() -> (Sink, Source) {
    mpsc::unbounded_channel()
}

/// The answer as the faults of its request want it on the wire.
pub fn spoil(faults: &[Fault], answer: Value) -> Vec<Out> {
    let mut out = Vec::new();
    if faults::find(faults, "banner").is_some() {
        out.push(Out::Raw(b"[info] handled one request\n".to_vec()));
    }
    if faults::find(faults, "half-line").is_some() {
        let text = answer.to_string();
        out.push(Out::Raw(text.as_bytes()[..text.len() / 2].to_vec()));
        out.push(Out::Stall);
    } else if let Some(fault) = faults::find(faults, "huge-line") {
        out.push(Out::Raw(huge(&answer, fault.number(17))));
    } else if faults::find(faults, "invalid-utf8").is_some() {
        out.push(Out::Raw(not_utf8(&answer)));
    } else if faults::find(faults, "invalid-json").is_some() {
        out.push(Out::Raw(
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{,}}\n", answer["id"]).into_bytes(),
        ));
    } else if faults::find(faults, "duplicate-ids").is_some() {
        let mut stray = answer.clone();
        stray["id"] = json!("nobody-asked-this");
        out.extend([
            Out::OpenStream,
            Out::Message(stray),
            Out::Message(answer.clone()),
            Out::Message(answer),
        ]);
    } else {
        out.push(Out::Message(answer));
    }
    out
}

/// A whole line, put together as bytes: a serialiser would need longer for it than the peer may take.
fn huge(answer: &Value, mebibytes: u64) -> Vec<u8> {
    let size = usize::try_from(mebibytes << 20).unwrap_or(17 << 20);
    let mut short = answer.clone();
    short["result"] = crate::rpc::text("HERE");
    let line = format!("{short}\n");
    let (head, tail) = line.split_once("HERE").expect("the text is in the line");
    [head.as_bytes(), "x".repeat(size).as_bytes(), tail.as_bytes()].concat()
}

/// A line with a good id whose text holds two bytes no UTF-8 decoder accepts.
fn not_utf8(answer: &Value) -> Vec<u8> {
    let head = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"",
        answer["id"]
    );
    [head.as_bytes(), &[0xff, 0xfe], b"\"}]}}\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::{Out, spoil};
    use crate::faults::Fault;
    use serde_json::json;

    #[test]
    fn faults_spoil_an_answer_in_their_own_way() {
        let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {}});
        let spoiled = |name: &str| spoil(&[Fault::parse(name).unwrap()], answer.clone());
        assert_eq!(spoil(&[], answer.clone()), vec![Out::Message(answer.clone())]);
        assert_eq!(spoiled("half-line"), vec![Out::Raw(br#"{"jsonrpc":"2.0",""#.to_vec()), Out::Stall]);
        assert_eq!(spoiled("duplicate-ids").len(), 4);
        for name in ["invalid-utf8", "invalid-json"] {
            let [Out::Raw(bytes)] = &spoiled(name)[..] else { panic!("{name} is one raw piece") };
            assert!(serde_json::from_slice::<serde_json::Value>(bytes).is_err(), "{name}");
            assert!(bytes.ends_with(b"\n"), "{name} ends the line");
        }
        let [Out::Raw(huge)] = &spoiled("huge-line=1")[..] else { panic!("one line") };
        let huge: serde_json::Value = serde_json::from_slice(huge).unwrap();
        assert_eq!(huge["result"]["content"][0]["text"].as_str().map(str::len), Some(1 << 20));
    }
}
