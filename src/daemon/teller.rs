//! What a server says during a call of the command line, as events before the reply. It cannot answer questions:
//! nobody may be there to read them.

use crate::calls::APPROVAL;
use crate::clock::Timestamp;
use crate::engine::live::Event;
use crate::upstream::link::{Ask, Listener};
use crate::upstream::message::{Answer, code};
use serde_json::Value;
use tokio::sync::mpsc;

pub struct Teller(pub mpsc::UnboundedSender<Event>);

impl Listener for Teller {
    fn notify(&self, method: &str, params: &str) {
        let params: Value = serde_json::from_str(params).unwrap_or_default();
        let text = |key: &str| params[key].as_str().map(ToString::to_string);
        let event = match method {
            APPROVAL => {
                let number = |key: &str| params[key].as_u64().unwrap_or_default();
                let text = |key: &str| text(key).unwrap_or_default();
                let (client, server, tool) = (text("client"), text("server"), text("tool"));
                Event::Approval { at: Timestamp(number("since")), id: number("id"), client, server, tool }
            }
            "notifications/progress" => Event::Progress {
                progress: params["progress"].as_f64().unwrap_or(0.0),
                total: params["total"].as_f64(),
                message: text("message"),
            },
            "notifications/message" => Event::Log {
                level: text("level").unwrap_or_else(|| "info".into()),
                message: text("data").unwrap_or_else(|| params["data"].to_string()),
            },
            _ => return,
        };
        let _ = self.0.send(event);
    }

    fn ask(&self, ask: Ask) {
        let message = format!("the command line cannot answer `{}`", ask.method);
        let _ = ask.reply.send(Answer::error(code::METHOD_NOT_FOUND, &message));
    }

    fn session(&self) -> u64 {
        0
    }
}
