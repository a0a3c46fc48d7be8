//! `subscriptions/listen`: the modern era's one stream for changes.
//! Rule: the acknowledgement goes first, every message carries the id of the listen request, nothing unasked is sent.

use crate::call::Call;
use crate::rpc::{Halt, notification};
use crate::wire::{Out, Sink};
use serde_json::{Map, Value, json};

const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

pub struct Listener {
    pub id: Value,
    pub sink: Sink,
    filter: Value,
}

impl Listener {
    pub fn wants_list(&self, kind: &str) -> bool {
        self.filter[format!("{kind}ListChanged")] == true
    }

    pub fn wants_resource(&self, uri: &str) -> bool {
        contains(&self.filter["resourceSubscriptions"], uri)
    }

    pub fn wants_task(&self, id: &str) -> bool {
        contains(&self.filter["taskIds"], id)
    }

    pub fn send(&self, method: &str, mut params: Value) {
        params["_meta"] = json!({SUBSCRIPTION_ID: self.id});
        // A listener that went away is dropped at the next change.
        let _ = self.sink.send(Out::Message(notification(method, params)));
    }
}

/// Opens the stream and waits for its end, which only the client or the process brings about.
pub async fn listen(call: &Call) -> Result<Value, Halt> {
    let filter = accepted(&call.params["notifications"]);
    let listener = Listener { id: call.id.clone(), sink: call.sink.clone(), filter: filter.clone() };
    listener.send("notifications/subscriptions/acknowledged", json!({"notifications": filter}));
    call.world.listen(listener);
    std::future::pending().await
}

/// The part of the requested filter this server can serve.
fn accepted(requested: &Value) -> Value {
    let mut filter = Map::new();
    for key in ["toolsListChanged", "promptsListChanged", "resourcesListChanged"] {
        if requested[key] == true {
            filter.insert(key.to_owned(), json!(true));
        }
    }
    for key in ["resourceSubscriptions", "taskIds"] {
        if requested[key].as_array().is_some_and(|list| !list.is_empty()) {
            filter.insert(key.to_owned(), requested[key].clone());
        }
    }
    Value::Object(filter)
}

fn contains(list: &Value, word: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|entry| entry == word))
}

#[cfg(test)]
mod tests {
    use super::accepted;
    use serde_json::json;

    #[test]
    fn only_known_and_wanted_kinds_are_accepted() {
        let asked = json!({"toolsListChanged": true, "promptsListChanged": false, "other": true,
            "resourceSubscriptions": [], "taskIds": ["t-1"]});
        assert_eq!(accepted(&asked), json!({"toolsListChanged": true, "taskIds": ["t-1"]}));
    }
}
