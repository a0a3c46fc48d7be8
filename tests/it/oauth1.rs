//! Signing in at a provider that speaks OAuth 1: a stub of one, and umcp as users run it. The signatures themselves
//! are held to the vectors of RFC 5849 beside the code that makes them.

use crate::support::daemon::{Daemon, UMCP};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// Answers as a provider would, and keeps the head of every request.
fn provider() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let heads = seen.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let signed = |part: &str| head.contains(part) && head.contains("oauth_signature=\"");
            let answer = match head.split(' ').nth(1).unwrap_or_default() {
                "/temporary" if signed("oauth_callback=\"http%3A%2F%2F127.0.0.1") => {
                    "oauth_token=t1&oauth_token_secret=s1&oauth_callback_confirmed=true"
                }
                "/token" if signed("oauth_token=\"t1\"") && signed("oauth_verifier=\"v1\"") => {
                    "oauth_token=t2&oauth_token_secret=hidden-token-secret"
                }
                "/me" if signed("oauth_token=\"t2\"") => "me",
                _ => "",
            };
            let status = if answer.is_empty() { "401 Unauthorized" } else { "200 OK" };
            let length = answer.len();
            let text =
                format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}");
            let _ = stream.write_all(text.as_bytes());
            heads.lock().unwrap().push(head);
        }
    });
    (address, seen)
}

fn umcp(daemon: &Daemon, arguments: &[&str]) -> Command {
    let mut command = Command::new(UMCP);
    command.args(arguments).env("UMCP_HOME", daemon.folder()).env("CONSUMER", "hidden-consumer-secret");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn an_account_signs_its_requests() {
    let (daemon, (provider, seen)) = (Daemon::start(), provider());
    let at = |path: &str| format!("{provider}/{path}");
    let created = umcp(
        &daemon,
        &[
            "integration",
            "create",
            "old",
            "--type",
            "oauth1",
            "--client-id",
            "consumer",
            "--client-secret-env",
            "CONSUMER",
            "--temporary-url",
            &at("temporary"),
            "--authorize-url",
            &at("authorize"),
            "--token-url",
            &at("token"),
            "--test-url",
            &at("me"),
        ],
    )
    .output()
    .unwrap();
    assert!(created.status.success(), "{}", text(&created));

    let mut child = umcp(&daemon, &["connection", "create", "old", "--paste"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut lines = String::new();
    while !lines.contains("then paste") {
        assert!(stderr.read_line(&mut lines).unwrap() > 0, "{lines}");
    }
    let url = lines.lines().find(|line| line.starts_with("http")).unwrap();
    assert_eq!(url, at("authorize?oauth_token=t1"));
    let redirect = lines.split_once("ended up at (").unwrap().1.split('?').next().unwrap();
    writeln!(child.stdin.take().unwrap(), "{redirect}?oauth_token=t1&oauth_verifier=v1").unwrap();
    let output = child.wait_with_output().unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(output.status.success(), "{}{rest}", text(&output));

    let valid = umcp(&daemon, &["connection", "validate", "old"]).output().unwrap();
    assert!(valid.status.success(), "{}", text(&valid));
    let heads = seen.lock().unwrap().join("\n");
    assert!(heads.contains("GET /me ") && !heads.contains("hidden-"), "{heads}");

    // The answer to another question is passed over, and pasting it is told.
    let mut child = umcp(&daemon, &["connection", "create", "old", "--paste"]).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "http://127.0.0.1/callback?oauth_token=other&oauth_verifier=v1")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
}
