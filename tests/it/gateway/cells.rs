//! The four cells: a legacy or modern client in front of a legacy or modern server, through the stdio bridge and
//! over HTTP. Each feature is one function; each cell runs them all.

use crate::support::daemon::{Daemon, HttpFixture, fixture_server};
use crate::support::mcp::{Era, Mcp};
use crate::support::wire::Door;
use serde_json::{Value, json};
use umcp::servers::model::EraChoice;

#[test]
fn a_legacy_client_and_a_legacy_server() {
    cell(Era::Legacy, EraChoice::Legacy);
}

#[test]
fn a_legacy_client_and_a_modern_server() {
    cell(Era::Legacy, EraChoice::Modern);
}

#[test]
fn a_modern_client_and_a_legacy_server() {
    cell(Era::Modern, EraChoice::Legacy);
}

#[test]
fn a_modern_client_and_a_modern_server() {
    cell(Era::Modern, EraChoice::Modern);
}

/// The server over stdio, then over streamable HTTP.
fn cell(client: Era, server: EraChoice) {
    let daemon = Daemon::start();
    daemon.add(fixture_server("fx", server, &[]));
    through_both_doors(&daemon, client, server);
    let over_http = HttpFixture::start(server);
    daemon.add(over_http.server("fx"));
    through_both_doors(&daemon, client, server);
}

fn through_both_doors(daemon: &Daemon, client: Era, server: EraChoice) {
    for door in [Door::Bridge, Door::Http] {
        let mut mcp = Mcp::connect(daemon, door, client);
        tools(&mut mcp);
        results(&mut mcp);
        progress(&mut mcp);
        cancel(&mut mcp);
        questions(&mut mcp, client, server);
        prompts(&mut mcp);
        resources(&mut mcp, client);
        completion(&mut mcp);
        subscriptions(daemon, door, client);
        metadata(&mut mcp);
        logs(&mut mcp, client);
        mistakes(&mut mcp, client);
    }
}

fn tools(mcp: &mut Mcp) {
    let (tools, pages) = mcp.list("tools/list", "tools");
    assert_eq!(pages, 1);
    let echo = tools.iter().find(|tool| tool["name"] == "fx__echo").unwrap();
    assert_eq!(echo["title"], "Echo");
    assert_eq!(echo["_meta"], json!({"example.test/colour": "green"}));
    assert_eq!(echo["annotations"], json!({"readOnlyHint": true, "idempotentHint": true}));
    assert_eq!(echo["inputSchema"]["required"], json!(["text"]));
    assert_eq!(mcp.list("tools/list", "tools").0, tools, "the order of a list");
}

fn results(mcp: &mut Mcp) {
    assert_eq!(mcp.call("fx__echo", json!({"text": "grüße\n\u{1F980}"})).text(), "grüße\n\u{1F980}");
    let sum = mcp.call("fx__add", json!({"a": 1, "b": 2.5}));
    assert_eq!(sum.result()["structuredContent"], json!({"sum": 3.5}));
    let failed = mcp.call("fx__fail", json!({"message": "on purpose"}));
    assert_eq!((failed.text(), &failed.result()["isError"]), ("on purpose", &json!(true)));
    let link = mcp.call("fx__link", json!({}));
    assert_eq!(link.result()["content"][0]["uri"], "test://static-text");
    assert_eq!(mcp.call("fx__image", json!({})).result()["content"][0]["mimeType"], "image/png");
    let big = mcp.call("fx__big", json!({"bytes": 300_000}));
    assert_eq!(big.text().len(), 300_000);
}

fn progress(mcp: &mut Mcp) {
    for token in [json!("a token"), json!(7)] {
        let arguments = json!({"steps": 200});
        let params =
            json!({"name": "fx__progress", "arguments": arguments, "_meta": {"progressToken": token}});
        let answer = mcp.ask("tools/call", params);
        assert_eq!(answer.text(), "200 steps done");
        let heard = answer.heard("notifications/progress");
        let steps: Vec<u64> =
            heard.iter().map(|said| said["params"]["progress"].as_f64().unwrap() as u64).collect();
        assert_eq!(steps, (1..=200).collect::<Vec<_>>(), "all of it, in order, before the result");
        assert!(heard.iter().all(|said| said["params"]["progressToken"] == token), "{:?}", heard[0]);
    }
    assert!(mcp.call("fx__progress", json!({"steps": 3})).heard.is_empty(), "nobody asked for it");
}

fn cancel(mcp: &mut Mcp) {
    let cancelled = |mcp: &mut Mcp| mcp.call("fx__cancelled_count", json!({})).text().parse::<u64>().unwrap();
    let before = cancelled(mcp);
    let params = json!({"name": "fx__progress", "arguments": {"steps": 3000, "ms": 10}, "_meta": {"progressToken": 1}});
    let id = mcp.start("tools/call", params);
    mcp.hear("notifications/progress");
    mcp.cancel(&id);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while cancelled(mcp) == before {
        assert!(std::time::Instant::now() < deadline, "the server never heard of the cancel");
    }
    assert_eq!(cancelled(mcp), before + 1);
}

fn questions(mcp: &mut Mcp, client: Era, server: EraChoice) {
    let asked = mcp.call("fx__ask", json!({"message": "which?"}));
    assert_eq!(asked.text(), "given");
    assert_eq!(asked.heard("elicitation/create")[0]["params"]["message"], "which?");
    let sampled = mcp.call("fx__sample", json!({"prompt": "say"}));
    assert_eq!(sampled.text(), "LLM response: sampled");
    let roots = mcp.call("fx__roots", json!({}));
    assert!(roots.text().contains("file:///the/root"), "{}", roots.text());
    let visit = mcp.call("fx__ask_url", json!({"url": "https://example.test/visit"}));
    assert_eq!(visit.text(), "accept");
    assert_eq!(visit.heard("elicitation/create")[0]["params"]["url"], "https://example.test/visit");
    if client == Era::Legacy && server == EraChoice::Legacy {
        assert_eq!(visit.heard("notifications/elicitation/complete").len(), 1, "{:?}", visit.heard);
        let error = mcp.call("fx__ask_url", json!({"url": "https://example.test/visit", "error": true}));
        assert_eq!(error.error().0, -32042);
        assert_eq!(error.message["error"]["data"]["elicitations"][0]["mode"], "url");
    }
    if server == EraChoice::Modern {
        let several = mcp.call("fx__test_input_required_result_multiple_inputs", json!({}));
        assert!(several.text().starts_with("Got 3 answers"), "{}", several.text());
        let rounds = mcp.call("fx__test_input_required_result_multi_round", json!({}));
        assert_eq!(rounds.text(), "given likes \"given\"");
    }
}

fn prompts(mcp: &mut Mcp) {
    let (prompts, _) = mcp.list("prompts/list", "prompts");
    let names: Vec<_> = prompts.iter().map(|prompt| prompt["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"fx__test_prompt_with_arguments"), "{names:?}");
    let params = json!({"name": "fx__test_prompt_with_arguments", "arguments": {"arg1": "x", "arg2": "y"}});
    let prompt = mcp.ask("prompts/get", params);
    let text = &prompt.result()["messages"][0]["content"]["text"];
    assert_eq!(text, "Prompt with arguments: arg1='x', arg2='y'");
}

fn resources(mcp: &mut Mcp, client: Era) {
    let (resources, _) = mcp.list("resources/list", "resources");
    assert!(resources.iter().any(|resource| resource["uri"] == "ui://fixture/panel"));
    let (templates, _) = mcp.list("resources/templates/list", "resourceTemplates");
    assert_eq!(templates[0]["uriTemplate"], "test://template/{id}/data");
    let read = mcp.ask("resources/read", json!({"uri": "test://static-text"}));
    assert_eq!(read.result()["contents"][0]["uri"], "test://static-text");
    if client == Era::Modern {
        assert!(read.result()["ttlMs"].is_u64() && read.result()["cacheScope"].is_string());
    }
    let read = mcp.ask("resources/read", json!({"uri": "test://template/42/data"}));
    assert!(read.result()["contents"][0]["text"].as_str().unwrap().contains("42"));
    // A tool's result may name a resource that no list holds.
    let embedded = mcp.ask("resources/read", json!({"uri": "test://embedded-resource"}));
    assert_eq!(embedded.result()["contents"][0]["mimeType"], "text/plain");
    let unknown = mcp.ask("resources/read", json!({"uri": "test://nowhere"}));
    assert_eq!(unknown.error().0, if client == Era::Modern { -32602 } else { -32002 });
}

fn completion(mcp: &mut Mcp) {
    let prompt = json!({"type": "ref/prompt", "name": "fx__test_prompt_with_arguments"});
    let template = json!({"type": "ref/resource", "uri": "test://template/{id}/data"});
    for (reference, typed, expected) in
        [(prompt, "par", json!(["paris", "park", "party"])), (template, "12", json!(["12", "123"]))]
    {
        let params = json!({"ref": reference, "argument": {"name": "arg1", "value": typed}});
        let completed = mcp.ask("completion/complete", params);
        assert_eq!(completed.result()["completion"]["values"], expected);
    }
}

fn subscriptions(daemon: &Daemon, door: Door, client: Era) {
    const URI: &str = "test://watched-resource";
    let mut mcp = Mcp::connect(daemon, door, client);
    let listen = match client {
        Era::Legacy => {
            mcp.ask("resources/subscribe", json!({"uri": URI})).result();
            None
        }
        Era::Modern => {
            let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": [URI]});
            let id = mcp.start("subscriptions/listen", json!({"notifications": wanted}));
            let said = mcp.hear("notifications/subscriptions/acknowledged");
            assert_eq!(said["params"]["notifications"], wanted);
            Some(id)
        }
    };
    // A modern server is told of the subscription beside the calls, so the first change may come too early for it.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let updated = loop {
        let answer = mcp.call("fx__update_resource", json!({"uri": URI}));
        if let Some(updated) = answer.heard("notifications/resources/updated").first() {
            break (*updated).clone();
        }
        assert!(std::time::Instant::now() < deadline, "no word of the change");
    };
    assert_eq!(updated["params"]["uri"], URI);
    if let Some(id) = listen {
        assert_eq!(updated["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
        mcp.cancel(&id);
    } else {
        mcp.ask("resources/unsubscribe", json!({"uri": URI})).result();
    }
}

fn metadata(mcp: &mut Mcp) {
    let said = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let meta = json!({"traceparent": said, "baggage": "a=b", "example.test/own": {"deep": [1]}});
    let answer = mcp.ask("tools/call", json!({"name": "fx__meta", "arguments": {}, "_meta": meta}));
    let received: Value = serde_json::from_str(answer.text()).unwrap();
    for key in ["baggage", "example.test/own"] {
        assert_eq!(received[key], meta[key], "{key}");
    }
    // The same trace, in which umcp stands between the client and the server.
    let told = received["traceparent"].as_str().unwrap();
    let [trace, span] = [&told[..36], &told[36..]];
    assert!(said.starts_with(trace) && span.len() == 19 && !said.ends_with(span), "{told}");
    let whoami: Value = serde_json::from_str(mcp.call("fx__whoami", json!({})).text()).unwrap();
    assert!(whoami["clientInfo"]["name"].is_string(), "{whoami}");
}

fn logs(mcp: &mut Mcp, client: Era) {
    let mut params = json!({"name": "fx__log", "arguments": {"message": "a word", "level": "warning"}});
    match client {
        Era::Legacy => drop(mcp.ask("logging/setLevel", json!({"level": "info"}))),
        Era::Modern => params["_meta"] = json!({"io.modelcontextprotocol/logLevel": "info"}),
    }
    let answer = mcp.ask("tools/call", params);
    let said = answer.heard("notifications/message");
    assert_eq!(said.len(), 1, "{:?}", answer.heard);
    assert_eq!(said[0]["params"]["level"], "warning");
}

fn mistakes(mcp: &mut Mcp, client: Era) {
    assert_eq!(mcp.call("fx__nothing", json!({})).error().0, -32602);
    assert_eq!(mcp.call("fx__add", json!({"a": 1})).error().0, -32602, "the server's own error");
    assert_eq!(mcp.ask("prompts/get", json!({"name": "fx__nothing"})).error().0, -32602);
    assert_eq!(mcp.ask("tools/list", json!({"cursor": "made up"})).error().0, -32602);
    assert_eq!(mcp.ask("no/such/method", json!({})).error().0, -32601);
    let ping = mcp.ask("ping", json!({}));
    match client {
        Era::Legacy => assert_eq!(ping.result(), &json!({})),
        Era::Modern => assert_eq!(ping.error().0, -32601),
    }
}
