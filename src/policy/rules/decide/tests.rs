//! Tables of decisions, and how long one takes.

use super::super::model::{Document, Role, Rule};
use super::*;
use std::time::{Duration, Instant};

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn rule(name: &str, effect: Effect) -> Rule {
    Rule { name: name.into(), effect, ..Rule::default() }
}

fn policy(document: Document) -> Arc<Policy> {
    Arc::new(Policy::compile(&document).unwrap())
}

fn of(rules: Vec<Rule>) -> Arc<Policy> {
    policy(Document { rules, ..Document::default() })
}

fn caller(client: &str) -> Caller {
    Caller { client: client.into(), token: None, profile: "default".into() }
}

const MONDAY_NOON: (u8, u16) = (0, 720);

/// `closed by RULE`, or the decision of the call.
fn verdict(policy: &Arc<Policy>, client: &str, tool: (&str, &str), arguments: &str) -> String {
    let called = Called { server: tool.0, tool: tool.1, kind: Kind::Tool, hints: Hints::default() };
    let circumstances = Circumstances { arguments, time: MONDAY_NOON, used: &BTreeSet::new() };
    told(policy.bind(&caller(client)).passage(&called), &circumstances)
}

fn told(passage: Passage, circumstances: &Circumstances<'_>) -> String {
    let name = |rule: Option<&Arc<Compiled>>| rule.map_or("default".into(), |it| it.rule.name.clone());
    match passage {
        Passage::Open => "open".into(),
        Passage::Closed(rule) => format!("closed by {}", name(rule.as_ref())),
        Passage::Gate(gate) => {
            let decision = gate.decide(circumstances);
            format!("{} by {}", decision.effect.word(), name(decision.rule))
        }
    }
}

#[test]
fn deny_beats_ask_beats_allow() {
    let tools = |rule: Rule, tools: &[&str]| Rule { tools: texts(tools), ..rule };
    let policy = of(vec![
        tools(rule("a", Effect::Allow), &["git.*"]),
        tools(rule("q", Effect::Ask), &["git.push", "git.force"]),
        tools(rule("n", Effect::Deny), &["force"]),
        Rule { clients: texts(&["cur*"]), ..tools(rule("c", Effect::Deny), &["*.delete_*"]) },
    ]);
    for (client, tool, expected) in [
        ("x", ("git", "log"), "open"),
        ("x", ("git", "push"), "ask by q"),
        ("x", ("git", "force"), "closed by n"),
        ("x", ("files", "delete_all"), "open"),
        ("cursor", ("files", "delete_all"), "closed by c"),
        ("x", ("time", "now"), "open"),
    ] {
        assert_eq!(verdict(&policy, client, tool, "{}"), expected, "{client} {tool:?}");
    }
}

#[test]
fn the_default_holds_where_no_rule_fits() {
    let with = |default| {
        let rules = vec![
            Rule { servers: texts(&["git"]), ..rule("a", Effect::Allow) },
            Rule { servers: texts(&["mail"]), ..rule("l", Effect::Redact) },
        ];
        let mut rules = rules;
        rules[1].redact = texts(&["keys"]);
        policy(Document { default: Some(default), rules, ..Document::default() })
    };
    for (default, tool, expected) in [
        (Effect::Deny, ("git", "log"), "allow by a"),
        (Effect::Deny, ("time", "now"), "closed by default"),
        (Effect::Deny, ("mail", "list"), "closed by default"),
        (Effect::Ask, ("git", "log"), "allow by a"),
        (Effect::Ask, ("time", "now"), "ask by default"),
        (Effect::Allow, ("mail", "list"), "allow by default"),
    ] {
        assert_eq!(verdict(&with(default), "x", tool, "{}"), expected, "{default:?} {tool:?}");
    }
}

#[test]
fn arguments_are_looked_at_by_path() {
    let arguments = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect()
    };
    let policy = policy(Document {
        default: Some(Effect::Ask),
        rules: vec![
            Rule { arguments: arguments(&[("path", "/etc/*")]), ..rule("etc", Effect::Deny) },
            Rule { arguments: arguments(&[("files.*.mode", "re:^(w|a)$")]), ..rule("write", Effect::Deny) },
            Rule { arguments: arguments(&[("paths", "/work/*")]), ..rule("work", Effect::Allow) },
            Rule { arguments: arguments(&[("n", "1?"), ("deep.x", "true")]), ..rule("both", Effect::Allow) },
        ],
        ..Document::default()
    });
    for (arguments, expected) in [
        (r#"{"path":"/etc/passwd"}"#, "deny by etc"),
        (r#"{"path":"/home"}"#, "ask by default"),
        (r#"{"path":{"x":"/etc/passwd"}}"#, "ask by default"),
        (r#"{"path":["/home","/etc/x"]}"#, "deny by etc"),
        (r#"{"files":[{"mode":"r"},{"mode":"w"}]}"#, "deny by write"),
        (r#"{"files":{"a":{"mode":"a"}}}"#, "deny by write"),
        (r#"{"paths":["/work/a","/work/b"]}"#, "allow by work"),
        // One value that fits lets no other one through.
        (r#"{"paths":["/work/a","/etc/b"]}"#, "ask by default"),
        (r#"{"paths":[]}"#, "ask by default"),
        (r#"{"n":12,"deep":{"x":true}}"#, "allow by both"),
        (r#"{"n":12}"#, "ask by default"),
        ("", "ask by default"),
        // A server may read what is no value here.
        ("[1", "deny by etc"),
        (r#"{"path":"/home","x":1e999}"#, "deny by etc"),
    ] {
        assert_eq!(verdict(&policy, "x", ("s", "t"), arguments), expected, "{arguments}");
    }
}

#[test]
fn roles_profiles_and_keys_bind_callers() {
    let role = Role { clients: texts(&["chat*"]), tokens: texts(&["ci"]) };
    let policy = policy(Document {
        roles: [("guest".into(), role)].into(),
        rules: vec![
            Rule { roles: texts(&["guest"]), ..rule("guests", Effect::Deny) },
            Rule { profiles: texts(&["work"]), ..rule("at-work", Effect::Deny) },
        ],
        ..Document::default()
    });
    let called = Called { server: "s", tool: "t", kind: Kind::Tool, hints: Hints::default() };
    let circumstances = Circumstances { arguments: "{}", time: MONDAY_NOON, used: &BTreeSet::new() };
    for (client, token, profile, expected) in [
        ("chatter", None, "default", "closed by guests"),
        ("x", Some("ci"), "default", "closed by guests"),
        ("x", Some("cix"), "default", "open"),
        ("x", None, "work", "closed by at-work"),
        ("x", None, "default", "open"),
    ] {
        let caller = Caller { client: client.into(), token: token.map(Into::into), profile: profile.into() };
        let told = told(policy.bind(&caller).passage(&called), &circumstances);
        assert_eq!(told, expected, "{client} {token:?} {profile}");
    }
}

#[test]
fn hints_that_are_missing_count_as_the_protocol_says() {
    let hints = |read_only, destructive, open_world| Hints { read_only, destructive, open_world };
    for (wanted, said, expected) in [
        (hints(Some(false), None, None), hints(None, None, None), true),
        (hints(Some(false), None, None), hints(Some(true), None, None), false),
        (hints(None, Some(true), None), hints(None, None, None), true),
        // What only reads destroys nothing, whatever it says.
        (hints(None, Some(true), None), hints(Some(true), Some(true), None), false),
        (hints(None, Some(true), None), hints(Some(false), Some(false), None), false),
        (hints(None, None, Some(true)), hints(None, None, None), true),
        (hints(None, None, Some(false)), hints(None, None, Some(false)), true),
    ] {
        assert_eq!(hints_hold(&wanted, &said), expected, "{wanted:?} {said:?}");
    }
    let said = hints_of(r#"{"name":"t","annotations":{"readOnlyHint":true,"openWorldHint":"yes"}}"#);
    assert_eq!(said, hints(Some(true), None, None));
}

#[test]
fn times_hold_in_their_span_and_over_midnight() {
    let gate = |hours: &str, days: &[&str]| {
        let rule = Rule { hours: Some(hours.into()), days: texts(days), ..rule("r", Effect::Deny) };
        let called = Called { server: "s", tool: "t", kind: Kind::Tool, hints: Hints::default() };
        match of(vec![rule]).bind(&caller("x")).passage(&called) {
            Passage::Gate(gate) => gate,
            other => panic!("{other:?}"),
        }
    };
    for (hours, days, time, denied) in [
        ("09:00-18:00", &[][..], (0, 540), true),
        ("09:00-18:00", &[], (0, 1080), false),
        ("22:00-06:00", &[], (0, 1439), true),
        ("22:00-06:00", &[], (0, 359), true),
        ("22:00-06:00", &[], (0, 360), false),
        ("00:00-24:00", &["sat", "sun"], (5, 10), true),
        ("00:00-24:00", &["sat", "sun"], (4, 10), false),
    ] {
        let gate = gate(hours, days);
        let circumstances = Circumstances { arguments: "{}", time, used: &BTreeSet::new() };
        let effect = gate.decide(&circumstances).effect;
        assert_eq!(effect == Effect::Deny, denied, "{hours} {days:?} {time:?}");
    }
}

#[test]
fn a_flow_asks_once_all_its_parts_are_there() {
    let flow = super::super::presets::find("flow").unwrap();
    let labels = [
        ("untrusted".to_string(), texts(&["web.*"])),
        ("private".to_string(), texts(&["mail.read"])),
        ("sends".to_string(), texts(&["mail.send"])),
    ];
    let policy = policy(Document { labels: labels.into(), rules: flow.rules, ..Document::default() });
    let bound = policy.bind(&caller("x"));
    let passage =
        |server, tool| bound.passage(&Called { server, tool, kind: Kind::Tool, hints: Hints::default() });
    let notes = |passage| match passage {
        Passage::Gate(gate) => gate.notes.clone(),
        _ => Vec::new(),
    };
    assert_eq!(notes(passage("web", "get")), ["untrusted"]);
    assert_eq!(notes(passage("mail", "read")), ["private"]);
    assert!(matches!(passage("time", "now"), Passage::Open));
    for (used, expected) in [
        (&["untrusted"][..], "allow by default"),
        (&["private"], "allow by default"),
        (&["untrusted", "private"], "ask by flow"),
    ] {
        let used = used.iter().map(ToString::to_string).collect();
        let circumstances = Circumstances { arguments: "{}", time: MONDAY_NOON, used: &used };
        assert_eq!(told(passage("mail", "send"), &circumstances), expected, "{used:?}");
    }
}

#[test]
fn a_deny_of_all_its_tools_closes_a_server() {
    let policy = of(vec![
        Rule { servers: texts(&["git"]), ..rule("a", Effect::Deny) },
        Rule { tools: texts(&["mail.*"]), ..rule("b", Effect::Deny) },
        Rule { tools: texts(&["time.now"]), ..rule("c", Effect::Deny) },
    ]);
    let bound = policy.bind(&caller("x"));
    let closed = ["git", "mail", "time"].map(|server| bound.closes(server));
    assert_eq!(closed, [true, true, false]);
}

#[test]
fn what_a_rule_names_says_what_it_is_about() {
    let set = |effect, tools: &[&str], prompts: &[&str], resources: &[&str]| Rule {
        redact: texts(if effect == Effect::Redact { &["x"] } else { &[] }),
        tools: texts(tools),
        prompts: texts(prompts),
        resources: texts(resources),
        ..rule("r", effect)
    };
    use Effect::{Allow, Ask, Deny, Redact};
    let (tool, prompt, resource) = (Kind::Tool, Kind::Prompt, Kind::Resource);
    let fits = |rule: &Rule, kind, name| {
        let policy = of(vec![rule.clone()]);
        let called = Called { server: "s", kind, tool: name, hints: Hints::default() };
        policy.misses_called(&policy.rules[0], &called, &format!("s.{name}")).is_none()
    };
    for (rule, expected) in [
        (set(Deny, &[], &[], &[]), [true, true, true]),
        (set(Allow, &["s.*"], &[], &[]), [true, false, false]),
        (set(Deny, &["s.a"], &[], &[]), [true, false, false]),
        // All tools of a server stand for the server, where something is kept back.
        (set(Deny, &["s.*"], &[], &[]), [true, true, true]),
        (set(Redact, &["*"], &[], &[]), [true, true, true]),
        (set(Ask, &["*"], &[], &[]), [true, false, false]),
        (set(Deny, &["other.*"], &[], &[]), [false, false, false]),
        (set(Deny, &["s.*"], &["s.b"], &[]), [true, false, false]),
        (set(Deny, &[], &["s.a"], &[]), [false, true, false]),
        (set(Deny, &[], &["b"], &["file:///etc/*"]), [false, false, true]),
        (set(Deny, &[], &[], &["s.file:*"]), [false, false, true]),
        (
            Rule { hints: Hints { read_only: Some(false), ..Hints::default() }, ..rule("r", Deny) },
            [true, false, false],
        ),
    ] {
        let names = [(tool, "a"), (prompt, "a"), (resource, "file:///etc/passwd")];
        assert_eq!(names.map(|(kind, name)| fits(&rule, kind, name)), expected, "{rule:?}");
    }
}

#[test]
fn a_default_that_denies_closes_what_nothing_opens() {
    let rules = vec![
        Rule { servers: texts(&["docs"]), prompts: texts(&["greet"]), ..rule("p", Effect::Allow) },
        Rule { tools: texts(&["git.log"]), servers: texts(&["git"]), ..rule("t", Effect::Ask) },
    ];
    let bound =
        policy(Document { default: Some(Effect::Deny), rules, ..Document::default() }).bind(&caller("x"));
    assert_eq!(["docs", "git", "mail"].map(|server| bound.closes(server)), [false, false, true]);
    let closed = |server, kind, tool| {
        let called = Called { server, kind, tool, hints: Hints::default() };
        matches!(bound.passage(&called), Passage::Closed(None))
    };
    assert!(!closed("docs", Kind::Prompt, "greet") && closed("docs", Kind::Prompt, "other"));
    assert!(closed("docs", Kind::Tool, "greet") && closed("docs", Kind::Resource, "docs://x"));
    assert!(!closed("git", Kind::Tool, "log") && closed("git", Kind::Prompt, "log"));
}

#[test]
fn a_decision_among_two_hundred_rules_takes_microseconds() {
    let mut rules = Vec::new();
    for number in 0..200 {
        rules.push(Rule {
            clients: texts(&[&format!("client-{}*", number % 20)]),
            tools: texts(&[&format!("server{}.tool_*", number % 50)]),
            arguments: [("path".to_string(), format!("/secret/{number}/*"))].into(),
            ..rule(&format!("rule-{number}"), Effect::Deny)
        });
    }
    let bound = of(rules).bind(&caller("client-7"));
    let passage = bound.passage(&Called {
        server: "server7",
        tool: "tool_x",
        kind: Kind::Tool,
        hints: Hints::default(),
    });
    let Passage::Gate(gate) = passage else { panic!("{passage:?}") };
    let (arguments, used) = (r#"{"path":"/home/ann/notes.txt","text":"hello"}"#, BTreeSet::new());
    let circumstances = Circumstances { arguments, time: MONDAY_NOON, used: &used };
    // The best of many: the machine may have other work, and this program is not optimised.
    let once = || {
        let started = Instant::now();
        assert_eq!(gate.decide(&circumstances).effect, Effect::Allow);
        started.elapsed()
    };
    let best = (0..2000).map(|_| once()).min().unwrap();
    assert!(best <= Duration::from_micros(20), "{best:?}");
}
