//! Every server through a link, as the layers above speak to it: handshakes of both eras, calls, refusals.
//! Web servers are on loopback.

use super::*;
use crate::upstream::link::{Ask, Outgoing};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Passes notifications on to the test.
struct Ear(mpsc::UnboundedSender<(String, Value)>);

impl Inbox for Ear {
    fn notification(&self, method: &str, params: &str) {
        let _ = self.0.send((method.into(), serde_json::from_str(params).unwrap()));
    }

    fn ask(&self, _: Ask) {}
}

struct Client {
    link: Arc<Link>,
    heard: mpsc::UnboundedReceiver<(String, Value)>,
    /// `_meta` of every request in the modern era.
    meta: Option<Value>,
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

impl Client {
    fn open(name: &str, options: Options) -> Self {
        let (say, heard) = mpsc::unbounded_channel();
        Self { link: open_with(name, options, Arc::new(Ear(say))).unwrap(), heard, meta: None }
    }

    async fn legacy(name: &str, options: Options) -> Self {
        let client = Self::open(name, options);
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}});
        let result = client.ask("initialize", params).await.unwrap();
        assert_eq!(result["protocolVersion"], "2025-11-25");
        assert_eq!(result["serverInfo"]["name"], format!("umcp-{name}"));
        client.link.notify("notifications/initialized", "{}");
        client
    }

    async fn modern(name: &str, options: Options) -> Self {
        let mut client = Self::open(name, options);
        client.meta = Some(json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}
        }));
        let result = client.ask("server/discover", json!({})).await.unwrap();
        assert!(result["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")), "{result}");
        client
    }

    async fn ask(&self, method: &str, mut params: Value) -> Result<Value, Value> {
        if let Some(meta) = &self.meta {
            params["_meta"] = meta.clone();
        }
        let outgoing = Outgoing {
            id: self.link.next_id(),
            method,
            params: &params.to_string(),
            listener: None,
            timeout: Duration::from_secs(20),
            name: None,
            headers: &[],
        };
        let answer = self.link.request(outgoing).await.unwrap();
        if answer.ok { Ok(answer.json()) } else { Err(answer.json()) }
    }

    /// Text and data of a call that works.
    async fn call(&self, tool: &str, arguments: Value) -> (String, Value) {
        let result = self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await.unwrap();
        let text = result["content"][0]["text"].as_str().unwrap().to_string();
        assert_eq!(result["isError"], false, "{text}");
        let list = self.ask("tools/list", json!({})).await.unwrap();
        let listed = list["tools"].as_array().unwrap().iter().find(|listed| listed["name"] == tool).unwrap();
        match listed.get("outputSchema") {
            Some(schema) => jsonschema::validate(schema, &result["structuredContent"]).unwrap(),
            None => assert_eq!(result.get("structuredContent"), None),
        }
        (text, result["structuredContent"].clone())
    }

    /// Text of a call that is refused.
    async fn refused(&self, tool: &str, arguments: Value) -> String {
        let result = self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await.unwrap();
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_string()
    }
}

fn env(name: &str, value: &str) -> Options {
    Options { env: [(name.to_string(), value.to_string())].into(), ..Options::default() }
}

/// Answers every request on loopback with what `answer` makes of its first line, until the test ends.
async fn web(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|window| window == b"\r\n\r\n")
                && stream.read_buf(&mut request).await.unwrap() > 0
            {}
            let request = String::from_utf8(request).unwrap();
            stream.write_all(answer(&request).as_bytes()).await.unwrap();
        }
    });
    address
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len())
}

#[test]
fn an_unknown_server_is_refused_with_the_nearest() {
    struct Nobody;
    impl Inbox for Nobody {
        fn notification(&self, _: &str, _: &str) {}
        fn ask(&self, _: Ask) {}
    }
    assert_eq!(NAMES.map(|(name, _)| name), crate::servers::spec::BUILTINS);
    for (name, hint) in [
        ("fetsh", "did you mean `builtin:fetch`?"),
        ("xyz", "the built-in servers are time, fetch, files, kv, http, database, memory, skills, workflows"),
    ] {
        let error = open_with(name, Options::default(), Arc::new(Nobody)).map(|_| ()).unwrap_err();
        assert!(error.is(&codes::SERVER_INVALID));
        assert_eq!(error.hints, [hint]);
    }
}

#[test]
fn every_server_lists_tools_with_all_their_marks_in_both_eras() {
    run(async {
        // What workflows there are is for a whole daemon to show.
        for (name, _) in NAMES.into_iter().filter(|(name, _)| *name != super::workflows::NAME) {
            for client in [
                Client::legacy(name, Options::default()).await,
                Client::modern(name, Options::default()).await,
            ] {
                let list = client.ask("tools/list", json!({})).await.unwrap();
                for tool in list["tools"].as_array().unwrap() {
                    let marks: Vec<_> = tool["annotations"].as_object().unwrap().keys().collect();
                    assert_eq!(
                        marks,
                        ["title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]
                    );
                    for schema in ["inputSchema", "outputSchema"] {
                        let Some(schema) = tool.get(schema) else { continue };
                        assert_eq!(schema["type"], "object", "{tool}");
                        jsonschema::validator_for(schema).unwrap();
                    }
                }
                let error =
                    client.ask("tools/call", json!({"name": "none", "arguments": {}})).await.unwrap_err();
                assert_eq!(error["message"], "there is no tool `none`");
            }
        }
    });
}

#[test]
fn the_server_ends_with_its_link() {
    run(async {
        let client = Client::legacy("kv", Options::default()).await;
        let link = Arc::downgrade(&client.link);
        client.link.close(Error::new(&codes::UPSTREAM_DIED, "enough"));
        drop(client);
        // The task holds the link until it ends, and nothing else does.
        while link.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn time_is_told() {
    run(async {
        let client = Client::modern("time", env("TZ", "Asia/Tokyo")).await;
        let (text, data) = client.call("get_current_time", json!({})).await;
        assert!(text.ends_with("+09:00 Asia/Tokyo"), "{text}");
        assert_eq!((&data["timezone"], &data["is_dst"]), (&json!("Asia/Tokyo"), &json!(false)));
        let convert = json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"});
        assert_eq!(client.call("convert_time", convert).await.1["time_difference"], "+09:00");
        assert!(client.call("list_timezones", json!({"prefix": "Asia/T"})).await.0.contains("Asia/Tokyo"));
        let refusal = client.refused("get_current_time", json!({"timezone": "Mars/Base"})).await;
        assert_eq!(refusal.lines().next(), Some("there is no time zone `Mars/Base`"));
    });
}

#[test]
fn files_are_served_below_the_roots_only() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("a work")).unwrap();
        std::fs::create_dir_all(home.path().join("a work-evil")).unwrap();
        let root = reqwest::Url::from_directory_path(home.path().join("a work")).unwrap().to_string();
        let client = Client::legacy("files", Options { roots: vec![root], ..Options::default() }).await;
        let (_, data) = client.call("write_file", json!({"path": "x.txt", "content": "hello"})).await;
        assert_eq!((&data["bytes"], &data["created"]), (&json!(5), &json!(true)));
        assert_eq!(client.call("read_file", json!({"path": "x.txt"})).await.0, "hello");
        for (tool, arguments) in [
            ("list_directory", json!({})),
            ("file_info", json!({"path": "x.txt"})),
            ("search_files", json!({"pattern": "x", "text": "hello"})),
        ] {
            assert!(client.call(tool, arguments).await.0.contains("x.txt"), "{tool}");
        }
        let evil = home.path().join("a work-evil");
        let refusal = client.refused("list_directory", json!({"path": evil})).await;
        assert!(refusal.contains("is not below an allowed directory"), "{refusal}");
        let client = Client::legacy("files", Options::default()).await;
        assert!(client.refused("list_directory", json!({})).await.contains("no directory is allowed"));
    });
}

#[test]
fn keys_are_resources_and_changes_are_told_in_both_eras() {
    run(async {
        let mut client = Client::legacy("kv", Options::default()).await;
        client.ask("resources/subscribe", json!({"uri": "kv://a"})).await.unwrap();
        for _ in 0..2 {
            client.call("kv_set", json!({"key": "a", "value": "1"})).await;
        }
        client.call("kv_set", json!({"key": "b", "value": "1"})).await;
        let mut heard = Vec::new();
        for _ in 0..4 {
            heard.push(client.heard.recv().await.unwrap().0);
        }
        let (list, updated) = ("notifications/resources/list_changed", "notifications/resources/updated");
        assert_eq!(heard, [list, updated, updated, list]);
        let listed = client.ask("resources/list", json!({})).await.unwrap();
        assert_eq!(listed["resources"][0]["uri"], "kv://a");
        let read = client.ask("resources/read", json!({"uri": "kv://a"})).await.unwrap();
        assert_eq!(read["contents"][0]["text"], "1");
        let error = client.ask("resources/read", json!({"uri": "kv://none"})).await.unwrap_err();
        assert_eq!(error["code"], -32002);
        assert!(client.refused("kv_get", json!({"key": "none"})).await.contains("`kv_list` shows"));

        let mut client = Client::modern("kv", Options::default()).await;
        let filter =
            json!({"notifications": {"resourcesListChanged": true, "resourceSubscriptions": ["kv://a"]}});
        let mut heard = std::mem::replace(&mut client.heard, mpsc::unbounded_channel().1);
        let listen = client.ask("subscriptions/listen", filter);
        let act = async {
            assert_eq!(heard.recv().await.unwrap().0, "notifications/subscriptions/acknowledged");
            client.call("kv_set", json!({"key": "a", "value": "1"})).await;
            assert_eq!(heard.recv().await.unwrap().0, list);
            assert_eq!(heard.recv().await.unwrap().1["uri"], "kv://a");
        };
        tokio::select! {
            answer = listen => panic!("the listening ended: {answer:?}"),
            () = act => {}
        }
    });
}

#[test]
fn fetch_makes_pages_readable_and_refuses_private_addresses() {
    run(async {
        let address = web(|request| match request.split(' ').nth(1).unwrap() {
            "/page" => response(
                "200 OK",
                "Content-Type: text/html\r\n",
                "<title>T</title><p>Hello <a href=/x>you</a>",
            ),
            "/away" => response("302 Found", "Location: http://127.0.0.2:1/secret\r\n", ""),
            "/round" => response("302 Found", "Location: /round\r\n", ""),
            "/image" => response("200 OK", "Content-Type: image/png\r\n", "\0\u{1}"),
            _ => response("404 Not Found", "Content-Type: text/plain\r\n", "nothing here"),
        })
        .await;
        let url = |path: &str| json!({"url": format!("http://{address}{path}")});
        let client = Client::legacy("fetch", env("UMCP_ALLOW_PRIVATE", "127.0.0.1")).await;
        let (text, _) = client.call("fetch", url("/page")).await;
        assert_eq!(text, format!("URL: http://{address}/page\nTitle: T\n\nHello [you](http://{address}/x)"));
        for (path, expected) in [
            ("/away", "`127.0.0.2` is a private, local or reserved address"),
            ("/round", "more than 5 redirects"),
            ("/image", "2 bytes of image/png, which is no text"),
            ("/none", "answered 404 Not Found: nothing here"),
        ] {
            let refusal = client.refused("fetch", url(path)).await;
            assert!(refusal.contains(expected) && refusal.contains("\nhint: "), "{path}: {refusal}");
        }
        let closed = Client::modern("fetch", Options::default()).await;
        let port = address.rsplit(':').next().unwrap();
        for host in [address.clone(), format!("localhost:{port}"), format!("[::ffff:127.0.0.1]:{port}")] {
            let refusal = closed.refused("fetch", json!({"url": format!("http://{host}/page")})).await;
            assert!(
                refusal.starts_with("the request was not sent") && refusal.contains("UMCP_ALLOW_PRIVATE"),
                "{refusal}"
            );
        }
        assert!(closed.refused("fetch", json!({"url": "example.com"})).await.contains("is no URL"));
    });
}

#[test]
fn http_sends_requests_as_written() {
    run(async {
        let address = web(|request| match request.split(' ').nth(1).unwrap() {
            "/echo" => response("201 Created", "Content-Type: text/plain\r\nX-A: 1\r\n", request),
            "/wait" => String::new(),
            _ => response("307 Temporary Redirect", "Location: http://localhost:1/\r\n", ""),
        })
        .await;
        let client = Client::legacy("http", env("UMCP_ALLOW_PRIVATE", "::1, 127.0.0.1")).await;
        let url = |path: &str| format!("http://{address}{path}");
        let (text, data) = client
            .call(
                "http_request",
                json!({"method": "put", "url": url("/echo"), "headers": {"X-Key": "k"}, "body": "b"}),
            )
            .await;
        assert!(text.starts_with("201 Created\n"), "{text}");
        assert_eq!((&data["status"], &data["headers"]["x-a"]), (&json!(201), &json!("1")));
        let sent = data["body"].as_str().unwrap();
        assert!(sent.starts_with("PUT /echo HTTP/1.1") && sent.contains("x-key: k"), "{sent}");
        // Keys in headers stay with the host they were meant for.
        let (_, data) = client.call("http_request", json!({"method": "GET", "url": url("/away")})).await;
        assert_eq!(
            (&data["status"], &data["headers"]["location"]),
            (&json!(307), &json!("http://localhost:1/"))
        );
        for (arguments, expected) in [
            (json!({"method": "BREW", "url": url("/echo")}), "`BREW` is no method"),
            (json!({"method": "GET", "url": url("/echo"), "headers": {"Host": "x"}}), "`Host` cannot be set"),
            (json!({"method": "GET", "url": url("/wait")}), "no answer from"),
            (json!({"method": "GET"}), "missing field `url`"),
        ] {
            let refusal = client.refused("http_request", arguments).await;
            assert!(refusal.contains(expected), "{refusal}");
        }
        let closed = Client::legacy("http", Options::default()).await;
        let refusal = closed.refused("http_request", json!({"method": "GET", "url": url("/echo")})).await;
        assert!(refusal.contains("UMCP_ALLOW_PRIVATE"), "{refusal}");
    });
}
