//! Whole exchanges against a scripted server: what is sent, what is answered, and what every fault becomes.
//! Long, because each fault is a script of its own and reads best beside what it becomes.

use super::HttpLink;
use crate::error::{Error, Result, codes};
use crate::tools::Era;
use crate::upstream::link::alone::run;
use crate::upstream::link::{Ask, Inbox, Listener, Outgoing};
use crate::upstream::message::Answer;
use crate::upstream::transport::client::HttpTarget;
use crate::upstream::transport::scripted::{Seen, Server, Step, end, event, events, json, response};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Hears as listener and as inbox, and answers every question with `{"yes":1}`.
#[derive(Default)]
struct Ears {
    heard: Mutex<Vec<String>>,
}

impl Ears {
    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn note(&self, who: &str, method: &str, params: &str) {
        self.heard.lock().unwrap().push(format!("{who} {method} {params}"));
    }

    fn answer(&self, who: &str, ask: Ask) {
        self.note(who, &ask.method, &ask.params);
        let _ = ask.reply.send(Answer::result(r#"{"yes":1}"#));
    }
}

impl Listener for Ears {
    fn notify(&self, method: &str, params: &str) {
        self.note("call", method, params);
    }
    fn ask(&self, ask: Ask) {
        self.answer("call", ask);
    }
    fn session(&self) -> u64 {
        1
    }
}

impl Inbox for Ears {
    fn notification(&self, method: &str, params: &str) {
        self.note("inbox", method, params);
    }
    fn ask(&self, ask: Ask) {
        self.answer("inbox", ask);
    }
}

struct Case {
    server: Server,
    link: Arc<HttpLink>,
    ears: Arc<Ears>,
}

impl Case {
    async fn start(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let server = Server::start(script).await;
        let ears = Arc::new(Ears::default());
        let headers = vec![("X-Key".to_string(), "k".to_string())];
        let link = HttpLink::new(
            HttpTarget { url: server.url.clone(), headers, ..HttpTarget::default() },
            ears.clone(),
        );
        Self { server, link, ears }
    }

    async fn call(&self, method: &str) -> Result<Answer> {
        self.call_within(method, Duration::from_secs(10)).await
    }

    async fn call_within(&self, method: &str, timeout: Duration) -> Result<Answer> {
        let id = self.link.next_id();
        let listener: Option<Arc<dyn Listener>> = Some(self.ears.clone());
        let outgoing = Outgoing { id, method, params: "{}", listener, timeout, name: None, headers: &[] };
        self.link.request(outgoing).await
    }

    /// Ends the handshake of a legacy session named `s1`.
    async fn in_session(&self) {
        self.link.agreed(Era::Legacy, "");
        self.call("initialize").await.unwrap();
        self.link.agreed(Era::Legacy, "2025-11-25");
        self.link.notify("notifications/initialized", "{}");
    }
}

const OK_1: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"n": 1.0}}"#;
const OK_2: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"n":2}}"#;

/// What a legacy server says to everything but calls.
fn legacy(seen: &Seen) -> Option<Vec<Step>> {
    match seen.method.as_str() {
        "GET" => Some(response("405 Method Not Allowed", "", "")),
        "DELETE" => Some(response("200 OK", "", "")),
        _ if seen.body.contains("initialize\"") => {
            let headers = "content-type: application/json\r\nmcp-session-id: s1\r\n";
            Some(response("200 OK", headers, OK_1))
        }
        _ if seen.body.contains("notifications/") => Some(response("202 Accepted", "", "")),
        _ => None,
    }
}

#[test]
fn a_modern_request_names_itself_in_headers() {
    run(async {
        let case = Case::start(|_| json(OK_1)).await;
        case.link.agreed(Era::Modern, "2026-07-28");
        let outgoing = Outgoing {
            id: case.link.next_id(),
            method: "tools/call",
            params: r#"{"name":"größe"}"#,
            listener: None,
            timeout: Duration::from_secs(5),
            name: Some("größe"),
            headers: &[("Mcp-Param-City".into(), "Köln".into())],
        };
        let answer = case.link.request(outgoing).await.unwrap();
        assert_eq!((answer.ok, answer.text()), (true, r#"{"n": 1.0}"#));
        let seen = &case.server.seen()[0];
        assert_eq!(
            seen.body,
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"größe\"}}\n"
        );
        for (name, value) in [
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
            ("x-key", "k"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "=?base64?Z3LDtsOfZQ==?="),
            ("mcp-param-city", "=?base64?S8O2bG4=?="),
        ] {
            assert_eq!(seen.header(name), Some(value), "{name}");
        }
    });
}

#[test]
fn a_legacy_session_is_named_kept_in_order_and_ended() {
    run(async {
        let case = Case::start(|seen| legacy(seen).unwrap_or_else(|| json(OK_2))).await;
        case.in_session().await;
        case.call("tools/call").await.unwrap();
        case.link.close(Error::new(&codes::CANCELLED, "done"));
        case.server.until("DELETE").await;
        let seen = case.server.seen();
        let told: Vec<_> = seen
            .iter()
            .filter(|one| one.method != "GET")
            .map(|one| {
                (one.method.as_str(), one.header("mcp-session-id"), one.header("mcp-protocol-version"))
            })
            .collect();
        let (session, version) = (Some("s1"), Some("2025-11-25"));
        let named = ("POST", session, version);
        assert_eq!(told, [("POST", None, None), named, named, ("DELETE", session, version)]);
        assert!(seen.iter().all(|one| one.header("mcp-method").is_none()));
        let order: Vec<_> = seen.iter().map(|one| one.body.contains("initialized")).collect();
        assert!(order[1], "the call waits for the server to know that the session is initialized");
        assert!(case.call("tools/call").await.unwrap_err().is(&codes::CANCELLED));
    });
}

#[test]
fn progress_comes_in_order_and_the_connection_is_kept() {
    run(async {
        let case = Case::start(|seen| {
            let id = crate::upstream::message::id_of_broken(seen.body.as_bytes()).unwrap();
            let progress = |n: u64| {
                event(&format!(
                    "event: message\ndata: {{\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{id},\"progress\":{n}}}}}"
                ))
            };
            let log = event("data: {\"method\":\"notifications/message\",\"params\":{\"data\":\"x\"}}");
            let changed = event("data: {\"method\":\"notifications/tools/list_changed\"}");
            let result = event(&format!("data: {{\"id\":{id},\"result\":{{}}}}"));
            vec![events(), progress(1), log, progress(2), changed, result, end()]
        })
        .await;
        for id in 1..=3 {
            case.call("tools/call").await.unwrap();
            let heard = std::mem::take(&mut *case.ears.heard.lock().unwrap());
            let progress =
                |n| format!(r#"call notifications/progress {{"progressToken":{id},"progress":{n}}}"#);
            assert_eq!(
                heard,
                [
                    progress(1),
                    r#"call notifications/message {"data":"x"}"#.into(),
                    progress(2),
                    "inbox notifications/tools/list_changed {}".into(),
                ]
            );
            // The end of the stream may come a moment after the answer.
            tokio::task::yield_now().await;
        }
        assert!(case.server.seen().iter().all(|one| one.connection == 1), "{:?}", case.server.seen());
        assert_eq!(case.link.in_flight(), 0);
    });
}

#[test]
fn a_question_on_the_stream_is_answered_by_a_post() {
    run(async {
        let case = Case::start(|seen| {
            if seen.body.contains("yes") {
                return response("202 Accepted", "", "");
            }
            let ask = event(r#"data: {"id":"q-1","method":"sampling/createMessage","params":{"a":1}}"#);
            vec![events(), ask, Step::Await("yes"), event(&format!("data: {OK_1}")), end()]
        })
        .await;
        assert_eq!(case.call("tools/call").await.unwrap().text(), r#"{"n": 1.0}"#);
        assert_eq!(case.ears.heard(), [r#"call sampling/createMessage {"a":1}"#]);
        assert_eq!(case.server.until("yes").await.body, r#"{"jsonrpc":"2.0","id":"q-1","result":{"yes":1}}"#);
    });
}

#[test]
fn the_common_stream_reaches_the_inbox_or_the_one_session_at_work() {
    run(async {
        let case = Case::start(|seen| match seen.method.as_str() {
            "GET" => {
                let changed = event(r#"data: {"method":"notifications/tools/list_changed"}"#);
                let ask = |id| event(&format!(r#"data: {{"id":{id},"method":"roots/list"}}"#));
                vec![events(), changed, ask(70), Step::Await("tools/call"), ask(71), Step::Hold]
            }
            _ if seen.body.contains("tools/call") => {
                let mut steps = vec![Step::Await(r#""id":71,"#)];
                steps.extend(json(OK_2));
                steps
            }
            _ if seen.body.contains("\"yes\"") => response("202 Accepted", "", ""),
            _ => legacy(seen).unwrap(),
        })
        .await;
        case.in_session().await;
        case.server.until(r#""id":70,"#).await;
        case.call("tools/call").await.unwrap();
        let expected =
            ["inbox notifications/tools/list_changed {}", "inbox roots/list {}", "call roots/list {}"];
        assert_eq!(case.ears.heard(), expected);
        let get = case.server.until("GET").await;
        assert_eq!(get.header("mcp-session-id"), Some("s1"));
        case.link.close(Error::new(&codes::CANCELLED, "done"));
        case.server.until("GONE").await;
    });
}

#[test]
fn a_lost_session_closes_the_link() {
    run(async {
        for status in ["404 Not Found", "400 Bad Request"] {
            let case = Case::start(move |seen| {
                let body =
                    r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Session not found"},"id":null}"#;
                legacy(seen).unwrap_or_else(|| response(status, "", body))
            })
            .await;
            case.in_session().await;
            let error = case.call("tools/call").await.unwrap_err();
            assert!(error.is(&codes::UPSTREAM_HTTP) && error.message.contains("session"), "{error}");
            assert!(case.link.is_closed());
        }
    });
}

#[test]
fn statuses_become_typed_errors_or_answers() {
    run(async {
        let spoken = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"no"}}"#;
        for (status, headers, body, expected) in [
            ("401 Unauthorized", "", "", Err(&codes::UPSTREAM_SIGN_IN)),
            ("403 Forbidden", "", "", Err(&codes::UPSTREAM_SIGN_IN)),
            ("404 Not Found", "", "nothing", Err(&codes::UPSTREAM_HTTP)),
            ("307 Temporary Redirect", "location: /x\r\n", "", Err(&codes::UPSTREAM_HTTP)),
            ("500 Internal Server Error", "", spoken, Err(&codes::UPSTREAM_HTTP)),
            ("429 Too Many Requests", "retry-after: 60\r\n", "", Err(&codes::UPSTREAM_LIMITED)),
            ("202 Accepted", "", "", Err(&codes::UPSTREAM_PROTOCOL)),
            ("200 OK", "content-type: text/html\r\n", "<html>", Err(&codes::UPSTREAM_PROTOCOL)),
            ("200 OK", "", r#"{"id":99,"result":{}}"#, Err(&codes::UPSTREAM_PROTOCOL)),
            ("200 OK", "", r#"[{"method":"x"},{"id":1,"result":7}]"#, Ok((true, "7"))),
            ("400 Bad Request", "", spoken, Ok((false, r#"{"code":-32022,"message":"no"}"#))),
        ] {
            let case = Case::start(move |_| response(status, headers, body)).await;
            let outcome = case.call("server/discover").await;
            match (&outcome, expected) {
                (Ok(answer), Ok(expected)) => assert_eq!((answer.ok, answer.text()), expected),
                (Err(error), Err(code)) if error.is(code) => {}
                _ => panic!("{status} {body}: {outcome:?}"),
            }
            assert_eq!(case.server.seen().len(), 1, "{status}");
            assert!(!case.link.is_closed());
        }
    });
}

#[test]
fn a_short_pause_is_waited_for_once() {
    run(async {
        let tries = Arc::new(Mutex::new(0));
        let case = Case::start(move |_| {
            let mut tries = tries.lock().unwrap();
            *tries += 1;
            match *tries {
                2 => json(OK_1),
                _ => response("429 Too Many Requests", "retry-after: 0\r\n", "slow down"),
            }
        })
        .await;
        case.call("tools/call").await.unwrap();
        let error = case.call("tools/call").await.unwrap_err();
        assert!(error.is(&codes::UPSTREAM_LIMITED));
        assert_eq!(case.server.seen().len(), 4);
    });
}

#[test]
fn a_broken_call_is_lost_and_not_sent_again() {
    run(async {
        let scripts: Vec<fn() -> Vec<Step>> = vec![
            || vec![Step::Close],
            || vec![Step::Reset],
            || vec![Step::Write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".into()), Step::Close],
            || vec![events(), event("data: {\"method\":\"x\"}"), Step::Reset],
            || vec![events(), event("data: {\"method\":\"x\"}"), end()],
        ];
        for (at, script) in scripts.into_iter().enumerate() {
            let case = Case::start(move |_| script()).await;
            let error = case.call("tools/call").await.unwrap_err();
            assert!(
                error.is(&codes::UPSTREAM_DIED) && error.message.contains("not repeated"),
                "{at}: {error}"
            );
            assert_eq!(case.server.seen().len(), 1, "{at}");
        }
    });
}

#[test]
fn a_stream_that_was_closed_early_is_resumed() {
    run(async {
        let case = Case::start(|seen| match (seen.method.as_str(), seen.header("last-event-id")) {
            ("POST", _) => vec![events(), event("id: e-1\nretry: 1\ndata:"), end()],
            (_, Some("e-1")) => vec![events(), event("id: e-2\ndata: {\"method\":\"x\"}"), end()],
            (_, Some("e-2")) => vec![events(), event(&format!("data: {OK_1}")), end()],
            _ => vec![Step::Close],
        })
        .await;
        assert_eq!(case.call("tools/call").await.unwrap().text(), r#"{"n": 1.0}"#);
        let methods: Vec<_> = case.server.seen().into_iter().map(|one| one.method).collect();
        assert_eq!(methods, ["POST", "GET", "GET"]);
    });
}

#[test]
fn silence_and_slowness_end_at_the_deadline() {
    run(async {
        let scripts: Vec<fn() -> Vec<Step>> = vec![
            || vec![Step::Hold],
            || vec![Step::Write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".into()), Step::Hold],
            || vec![events(), Step::Write("5\r\ndata:\r\n".into()), Step::Hold],
        ];
        for script in scripts {
            let case = Case::start(move |seen| legacy(seen).unwrap_or_else(script)).await;
            case.link.agreed(Era::Legacy, "2025-11-25");
            let error = case.call_within("tools/call", Duration::from_millis(50)).await.unwrap_err();
            assert!(error.is(&codes::UPSTREAM_TIMEOUT));
            let cancelled = case.server.until("notifications/cancelled").await;
            assert!(cancelled.body.contains(r#"{"requestId":1}"#));
            case.server.until("GONE").await;
        }
    });
}

#[test]
fn dropping_a_modern_request_closes_its_stream_and_says_nothing() {
    run(async {
        let case =
            Case::start(|_| vec![events(), event("data: {\"method\":\"notifications/x\"}"), Step::Hold])
                .await;
        case.link.agreed(Era::Modern, "2026-07-28");
        tokio::select! {
            _ = case.call("tools/call") => panic!("answered"),
            _ = case.server.until("tools/call") => {}
        }
        case.server.until("GONE").await;
        assert_eq!(case.server.seen().len(), 2);
        assert_eq!(case.link.in_flight(), 0);
    });
}

#[test]
fn an_answer_that_is_too_large_is_not_read() {
    run(async {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 17 << 20);
        let case = Case::start(move |_| vec![Step::Write(head.clone()), Step::Hold]).await;
        assert!(case.call("tools/call").await.unwrap_err().is(&codes::UPSTREAM_TOO_LARGE));
    });
}

#[test]
fn closing_ends_requests_at_once() {
    run(async {
        let case = Case::start(|_| vec![Step::Hold]).await;
        let close = async {
            case.server.until("tools/call").await;
            case.link.close(Error::new(&codes::CANCELLED, "stopped"));
        };
        let (outcome, ()) = tokio::join!(case.call("tools/call"), close);
        assert!(outcome.unwrap_err().is(&codes::CANCELLED));
        assert!(case.link.closed().await.is(&codes::CANCELLED));
    });
}

#[test]
fn a_local_socket_is_spoken_to_like_any_server() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let server = Server::start_local(&path, |_| json(OK_1));
        let target = HttpTarget { url: server.url.clone(), unix_socket: Some(path), ..HttpTarget::default() };
        let ears = Arc::new(Ears::default());
        let case = Case { link: HttpLink::new(target, ears.clone()), server, ears };
        case.call("tools/list").await.unwrap();
        let seen = &case.server.seen()[0];
        assert_eq!((seen.path.as_str(), seen.header("host")), ("/mcp", Some("localhost")));
    });
}
