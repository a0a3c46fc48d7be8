//! Our own authorization server: a real connector all the way, and whoever tries to get in beside it. Long because each attack
//! is told as one exchange with the same house.

use super::{ask, bearer};
use crate::support::daemon::{Daemon, fixture_server};
use crate::support::peers;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use umcp::engine::Reply;
use umcp::engine::live::{Listening, Live, LiveReply};
use umcp::policy::grant::{self, Grant};
use umcp::policy::scope::Scopes;
use umcp::policy::{self, Request};
use umcp::servers::model::EraChoice;

const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-0";
const CALLBACK: &str = "https://client.example/callback";

struct House {
    daemon: Daemon,
    address: String,
}

struct Answered {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}: {}", self.status, self.body))
    }

    /// An answer in the address the browser is sent to.
    fn sent(&self, name: &str) -> String {
        let place = url::Url::parse(self.header("location"))
            .unwrap_or_else(|_| panic!("{}: {}", self.status, self.body));
        place.query_pairs().find(|(known, _)| known == name).map_or(String::new(), |(_, value)| value.into())
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

impl House {
    fn new() -> Self {
        let daemon = Daemon::start_with(&[("UMCP_GATEWAY__AUTHORIZATION", "server")]);
        let address = daemon.listen_as(Listening::default()).address;
        Self { daemon, address }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        let all = [("Host", self.address.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        let given = |name: &str| headers.iter().any(|(known, _)| *known == name);
        for (name, value) in all.iter().filter(|(name, _)| !given(name)).chain(headers) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let pair =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_string()));
        Answered { status, headers: lines.filter_map(pair).collect(), body: body.into() }
    }

    fn register(&self, metadata: &Value) -> Answered {
        let kind = [("Content-Type", "application/json")];
        self.exchange("POST", "/oauth/register", &kind, &metadata.to_string())
    }

    fn client(&self) -> String {
        let registered = self.register(&json!({"redirect_uris": [CALLBACK], "client_name": "Test"}));
        assert_eq!(registered.status, 201, "{}", registered.body);
        registered.json()["client_id"].as_str().unwrap().into()
    }

    /// Asks for the page; `change` replaces fields, or takes them out where it says nothing.
    fn page(&self, client: &str, change: &[(&str, &str)]) -> Answered {
        let challenge =
            URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, VERIFIER.as_bytes()));
        let resource = format!("{}/mcp", self.origin());
        let usual = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", "s t&"),
            ("resource", &resource),
        ];
        let given = |name: &str| change.iter().any(|(known, _)| *known == name);
        let fields: Vec<_> = usual.into_iter().filter(|(name, _)| !given(name)).collect();
        let more = change.iter().copied().filter(|(_, value)| !value.is_empty());
        self.exchange(
            "GET",
            &format!("/oauth/authorize?{}", form(&fields.into_iter().chain(more).collect::<Vec<_>>())),
            &[],
            "",
        )
    }

    fn word(&self) -> String {
        match self.daemon.live(Live::Invite { profile: None, scopes: Scopes::ALL }) {
            LiveReply::Invited { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }

    fn decide(&self, page: &Answered, headers: &[(&str, &str)], word: &str, decision: &str) -> Answered {
        let request = page.body.split("name=\"request\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let cookie = page.header("set-cookie").split(';').next().unwrap().to_string();
        let given = headers.iter().any(|(name, _)| *name == "Cookie");
        let mut all: Vec<(&str, &str)> = headers.to_vec();
        if !given {
            all.push(("Cookie", &cookie));
        }
        let fields = [("request", request), ("word", word), ("decision", decision)];
        self.exchange("POST", "/oauth/authorize", &all, &form(&fields))
    }

    /// A code, all the way through the page.
    fn code(&self, client: &str) -> String {
        let sent = self.decide(&self.page(client, &[]), &[], &self.word(), "allow");
        assert_eq!((sent.status, sent.sent("state"), sent.sent("iss")), (303, "s t&".into(), self.origin()));
        sent.sent("code")
    }

    fn redeem(&self, client: &str, code: &str, change: &[(&str, &str)]) -> Answered {
        let usual = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let given = |name: &str| change.iter().any(|(known, _)| *known == name);
        let fields: Vec<_> =
            usual.into_iter().filter(|(name, _)| !given(name)).chain(change.iter().copied()).collect();
        self.exchange("POST", "/oauth/token", &[], &form(&fields))
    }

    fn refresh(&self, client: &str, token: &str) -> Answered {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client)];
        self.exchange("POST", "/oauth/token", &[], &form(&fields))
    }

    fn opens(&self, token: &Value) -> u16 {
        ask(&self.address, "tools/list", json!({}), &[bearer(token.as_str().unwrap())]).0.status
    }

    fn grants(&self) -> Vec<Grant> {
        match self.daemon.ask(Request::Grant(grant::Request::List)) {
            Reply::Token(policy::Reply::Grant(grant::Reply::Grants(grants))) => grants,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_real_connector_finds_its_way_with_the_address_alone() {
    let (Some(node), Some(room)) = (peers::find("node"), peers::room("typescript-v1")) else { return };
    let house = House::new();
    house.daemon.add(fixture_server("fix", EraChoice::Modern, &[]));
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/connector.mjs");
    let mut command = Command::new(node);
    command.arg(script).arg(room).arg(format!("{}/mcp", house.origin())).arg(house.word());
    let output = peers::run(&mut command, Duration::from_secs(60));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_str(text.trim()).unwrap();
    assert!(told["tools"].to_string().contains("fix__echo"), "{told}");
    assert!(told["echo"].to_string().contains("through"), "{told}");
    assert_eq!((&told["state"], &told["iss"]), (&json!("a state & more"), &json!(house.origin())));
    assert_ne!(told["before"]["access_token"], told["after"]["access_token"]);
    assert_eq!(house.opens(&told["after"]["access_token"]), 200);
    assert_eq!(
        house.opens(&told["before"]["access_token"]),
        401,
        "a refreshed token replaces the one before"
    );
    let [grant] = &house.grants()[..] else { panic!("one grant") };
    assert!(grant.name.starts_with("Test-Connector-"), "{grant:?}");
    let stored = format!("{grant:?}");
    for token in ["access_token", "refresh_token"] {
        assert!(!stored.contains(told["after"][token].as_str().unwrap()), "only digests are stored");
    }
    house
        .daemon
        .ask(Request::Revoke { name: format!("grant:{}", grant.name), at: umcp::clock::Timestamp(1) });
    assert_eq!(house.opens(&told["after"]["access_token"]), 401);
}

#[test]
fn what_is_registered_leads_to_a_program_or_a_site_and_nowhere_else() {
    let house = House::new();
    for (metadata, status) in [
        (json!({"redirect_uris": [CALLBACK], "client_name": "<b>x</b>"}), 201),
        (
            json!({"redirect_uris": ["http://127.0.0.1/cb", "cursor://x/cb"], "token_endpoint_auth_method": "client_secret_post"}),
            201,
        ),
        (json!({"redirect_uris": []}), 400),
        (json!({"redirect_uris": ["http://evil.example/"]}), 400),
        (json!({"redirect_uris": [CALLBACK, "javascript:alert(1)"]}), 400),
        (json!({"redirect_uris": vec![CALLBACK; 11]}), 400),
        (json!({"client_name": "x"}), 400),
        (json!({"redirect_uris": [CALLBACK], "client_name": "x".repeat(20_000)}), 400),
    ] {
        let answer = house.register(&metadata);
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 201 {
            assert_eq!(answer.json()["token_endpoint_auth_method"], "none");
            assert!(!answer.body.contains('<') && answer.json()["client_secret"].is_null());
        }
    }
}

#[test]
fn nobody_is_sent_anywhere_before_the_address_is_known() {
    let house = House::new();
    let client = house.client();
    for change in [
        &[("client_id", "other")][..],
        &[("client_id", "")],
        &[("redirect_uri", "")],
        &[("redirect_uri", "https://evil.example/callback")],
        &[("redirect_uri", "https://client.example/callback/../x")],
        &[("redirect_uri", "https://client.example/callback?x=1")],
        &[("redirect_uri", "javascript:alert(1)")],
        &[("redirect_uri", CALLBACK), ("redirect_uri", "https://evil.example/")],
    ] {
        let answer = house.page(&client, change);
        assert_eq!((answer.status, answer.header("location")), (400, ""), "{change:?}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
    }
    for (change, error) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("resource", "https://other.example/mcp")], "invalid_target"),
        (&[("scope", "root")], "invalid_scope"),
    ] {
        let answer = house.page(&client, change);
        assert_eq!((answer.status, answer.sent("error")), (303, error.into()), "{change:?}");
        assert!(answer.header("location").starts_with(CALLBACK));
        assert_eq!((answer.sent("state"), answer.sent("iss")), ("s t&".into(), house.origin()));
    }
    // From another site's name, the pages are not there at all.
    let foreign = house.exchange("GET", "/oauth/authorize", &[("Host", "evil.example")], "");
    assert_ne!(foreign.status, 200);
    assert!(!foreign.body.contains("<html"));
}

#[test]
fn only_the_owner_at_the_same_page_says_yes() {
    let house = House::new();
    let client = house.client();
    let page = house.page(&client, &[]);
    assert_eq!(page.status, 200);
    for (name, value) in
        [("x-frame-options", "DENY"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")]
    {
        assert_eq!(page.header(name), value);
    }
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(policy.contains("form-action 'self' https://client.example;"), "{policy}");
    assert!(
        page.header("set-cookie").contains("HttpOnly; SameSite=Strict") && !page.body.contains("<script")
    );
    let word = house.word();
    for (headers, word, status) in [
        (&[("Cookie", "umcp_consent=0000")][..], word.as_str(), 400),
        (&[("Cookie", "")], &word, 400),
        (&[("Origin", "https://evil.example")], &word, 404),
        (&[("Origin", "null")], &word, 404),
        (&[], "", 200),
        (&[], "AAAA-AAAA", 200),
    ] {
        let answer = house.decide(&page, headers, word, "allow");
        assert_eq!((answer.status, answer.header("location")), (status, ""), "{headers:?} {word}");
    }
    let (origin, denied) = (house.origin(), house.page(&client, &[]));
    let answer = house.decide(&denied, &[("Origin", &origin)], "", "deny");
    assert_eq!(
        (answer.status, answer.sent("error"), answer.sent("code")),
        (303, "access_denied".into(), String::new())
    );
    let answer = house.decide(&page, &[("Origin", &origin)], &word, "allow");
    assert_eq!(answer.status, 303);
    assert_eq!(house.decide(&page, &[], &word, "allow").status, 400, "a page is good once");
}

#[test]
fn a_code_is_good_once_for_whoever_asked_for_it() {
    let house = House::new();
    let (client, other) = (house.client(), house.client());
    for change in [
        &[("code_verifier", "another-verifier-of-at-least-forty-three-characters")][..],
        &[("code_verifier", "")],
        &[("redirect_uri", "https://client.example/other")],
        &[("client_id", other.as_str())],
        &[("resource", "https://other.example/mcp")],
    ] {
        let refused = house.redeem(&client, &house.code(&client), change);
        assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_grant")), "{change:?}");
    }
    assert!(house.grants().is_empty());
    let code = house.code(&client);
    let given = house.redeem(&client, &code, &[]);
    assert_eq!((given.status, given.header("cache-control")), (200, "no-store"), "{}", given.body);
    let tokens = given.json();
    assert_eq!(house.opens(&tokens["access_token"]), 200);
    assert_eq!(house.opens(&tokens["refresh_token"]), 401, "a refresh token opens nothing");
    let again = house.redeem(&client, &code, &[]);
    assert_eq!((again.status, &again.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(house.opens(&tokens["access_token"]), 401, "a code that comes twice was stolen");
    assert_eq!(house.refresh(&client, tokens["refresh_token"].as_str().unwrap()).status, 400);
}

#[test]
fn a_refresh_token_that_comes_twice_ends_the_grant() {
    let house = House::new();
    let (client, other) = (house.client(), house.client());
    let first = house.redeem(&client, &house.code(&client), &[]).json();
    let token = first["refresh_token"].as_str().unwrap().to_string();
    assert_eq!(house.refresh(&other, &token).status, 400, "another client's token");
    // Two at once: one of them wins, and then both have nothing.
    let address = house.address.clone();
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let house = &house;
        let (client, token) = (&client, &token);
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(move || house.refresh(client, token).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?} at {address}");
    assert_eq!(house.opens(&first["access_token"]), 401);
    assert!(house.grants()[0].revoked.is_some());
    // The client ends one by itself (RFC 7009); tokens that nobody knows are no error.
    let second = house.redeem(&client, &house.code(&client), &[]).json();
    assert_eq!(house.opens(&second["access_token"]), 200);
    for token in ["unknown", second["refresh_token"].as_str().unwrap()] {
        assert_eq!(house.exchange("POST", "/oauth/revoke", &[], &form(&[("token", token)])).status, 200);
    }
    assert_eq!(house.opens(&second["access_token"]), 401);
}

#[test]
fn what_a_client_revokes_is_its_own_and_an_exchanged_token_still_stands_for_its_grant() {
    let house = House::new();
    let (client, other) = (house.client(), house.client());
    let code = house.code(&client);
    let first = house.redeem(&client, &code, &[]).json();
    let old = first["refresh_token"].as_str().unwrap().to_string();
    let second = house.refresh(&client, &old).json();
    let revoke = |fields: &[(&str, &str)]| house.exchange("POST", "/oauth/revoke", &[], &form(fields));
    assert_eq!(revoke(&[("token_type_hint", "refresh_token")]).status, 400, "no token");
    let refused = revoke(&[("token", &old), ("client_id", &other)]);
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_grant")));
    for ended in [&code, first["access_token"].as_str().unwrap()] {
        assert_eq!(revoke(&[("token", ended), ("client_id", &client)]).status, 200);
        assert_eq!(
            house.opens(&second["access_token"]),
            200,
            "a code, or a token that has ended, ends nothing"
        );
    }
    // The client may have missed the answer with the newer one: what it wants gone is gone.
    assert_eq!(revoke(&[("token", &old), ("client_id", &client)]).status, 200);
    assert_eq!(house.opens(&second["access_token"]), 401);
    assert_eq!(house.refresh(&client, second["refresh_token"].as_str().unwrap()).status, 400);
}

#[test]
fn a_token_is_for_one_address_and_off_is_off() {
    let house = House::new();
    let client = house.client();
    let tokens = house.redeem(&client, &house.code(&client), &[]).json();
    let key = [bearer(tokens["access_token"].as_str().unwrap())];
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let (head, _) = super::exchange(&house.address, "POST", "/mcp/p/default", &key, &ping);
    assert_eq!(head.status, 401, "another address");
    let (head, _) =
        super::exchange(&house.address, "GET", "/.well-known/oauth-authorization-server", &[], "");
    assert_eq!(head.status, 200);
    let daemon = Daemon::start();
    let address = daemon.listen_as(Listening::default()).address;
    for path in ["/.well-known/oauth-authorization-server", "/oauth/authorize", "/oauth/token"] {
        let (head, _) = super::exchange(&address, "GET", path, &[], "");
        assert_eq!(head.status, 404, "{path}");
    }
    let error = daemon.try_ask(Live::Invite { profile: None, scopes: Scopes::ALL }).unwrap_err();
    assert_eq!(error.code.name, "authorization_off");
}

#[test]
fn behind_a_proxy_the_public_address_is_the_only_one_that_is_told() {
    let daemon = Daemon::start_with(&[("UMCP_GATEWAY__AUTHORIZATION", "server")]);
    let public_url = Some("https://mcp.example.com".to_string());
    let address = daemon.listen_as(Listening { public_url, ..Listening::default() }).address;
    let house = House { daemon, address };
    let described =
        |host: &str| house.exchange("GET", "/.well-known/oauth-authorization-server", &[("Host", host)], "");
    for host in ["mcp.example.com", house.address.as_str()] {
        let told = described(host).json();
        assert_eq!(told["issuer"], "https://mcp.example.com", "{host}");
        assert_eq!(told["token_endpoint"], "https://mcp.example.com/oauth/token", "{host}");
    }
    assert_eq!(described("evil.example").status, 404);
    let client = house.client();
    let page = house.page(&client, &[("resource", "https://mcp.example.com/mcp")]);
    assert!(page.header("set-cookie").ends_with("; Secure"), "{}", page.header("set-cookie"));
    let word = house.word();
    let from = |origin| [("Host", "mcp.example.com"), ("Origin", origin)];
    assert_eq!(house.decide(&page, &from("https://evil.example"), &word, "allow").status, 404);
    let sent = house.decide(&page, &from("https://mcp.example.com"), &word, "allow");
    assert_eq!((sent.status, sent.sent("iss")), (303, "https://mcp.example.com".into()));
    let tokens = house.redeem(&client, &sent.sent("code"), &[]).json();
    assert_eq!(house.opens(&tokens["access_token"]), 200);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let refused = house.exchange(
        "POST",
        "/mcp",
        &[("Host", "mcp.example.com"), ("Content-Type", "application/json")],
        &body,
    );
    assert_eq!(refused.status, 401);
    let place = r#"resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp""#;
    assert!(refused.header("www-authenticate").contains(place), "{:?}", refused.headers);
}
