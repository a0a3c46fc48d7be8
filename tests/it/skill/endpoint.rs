//! Skills as clients of the endpoint see them: tools, prompts, resources and the extension, in both eras.

use super::{STEPS, TEXT, find};
use crate::support::daemon::{Daemon, UMCP};
use crate::support::mcp::{Era, Mcp};
use crate::support::wire::Door;
use serde_json::{Value, json};
use std::process::Command;

fn umcp(daemon: &Daemon, arguments: &[&str]) -> Value {
    let mut command = Command::new(UMCP);
    let output = command
        .args(arguments)
        .arg("--json")
        .env("UMCP_HOME", daemon.folder())
        .env("HOME", daemon.folder())
        .current_dir(daemon.folder())
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["ok"], json!(true), "{arguments:?}: {document}");
    document["data"].clone()
}

fn write(daemon: &Daemon, name: &str, text: &str) {
    let path = daemon.folder().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn install(daemon: &Daemon) {
    write(daemon, "greet/SKILL.md", TEXT);
    write(daemon, "greet/skill.yaml", &STEPS.replace("VERSION", "1.0.0"));
    write(daemon, "greet/references/more.md", "# More\n");
    umcp(daemon, &["skill", "install", "./greet"]);
}

/// The tools, once they are as wanted; each further look follows a notification.
fn until(client: &mut Mcp, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
    loop {
        let tools = client.tools();
        if wanted(&tools) {
            return tools;
        }
        client.hear("notifications/tools/list_changed");
    }
}

#[test]
fn a_skill_is_a_tool_a_prompt_and_a_resource_as_soon_as_it_is_installed() {
    let daemon = Daemon::start();
    let mut client = Mcp::connect(&daemon, Door::Bridge, Era::Legacy);
    assert!(client.tools().iter().all(|name| !name.starts_with("skills__")));
    install(&daemon);
    let tools = until(&mut client, |tools| tools.iter().any(|name| name == "skills__greet"));
    for name in ["skills__activate_skill", "skills__read_skill_file", "skills__greet"] {
        assert!(tools.iter().any(|tool| tool == name), "{tools:?}");
    }
    let (listed, _) = client.list("tools/list", "tools");
    let activate = listed.iter().find(|tool| tool["name"] == "skills__activate_skill").unwrap();
    let about = activate["description"].as_str().unwrap();
    assert!(about.contains("- greet: Says hello"), "{about}");
    assert!(!about.contains("Say hello."), "texts are given when they are asked for");
    let greet = listed.iter().find(|tool| tool["name"] == "skills__greet").unwrap();
    assert_eq!(greet["inputSchema"]["properties"]["who"]["default"], "world");

    let done = client.call("skills__greet", json!({"who": "Ada"}));
    assert_eq!(done.result()["structuredContent"], json!({"text": "Hello Ada"}), "{:?}", done.message);
    assert_eq!(umcp(&daemon, &["skill", "stats", "greet"])[0]["completed"], json!(1));
    let wrong = client.call("skills__greet", json!({"whom": "Ada"}));
    assert_eq!(wrong.result()["isError"], json!(true));

    let active = client.call("skills__activate_skill", json!({"name": "greet"}));
    assert_eq!(active.result()["structuredContent"]["instructions"], "Say hello.\n");
    assert_eq!(active.result()["structuredContent"]["files"], json!(["references/more.md"]));
    let file = client.call("skills__read_skill_file", json!({"name": "greet", "path": "references/more.md"}));
    assert_eq!(file.text(), "# More\n");
    let none = client.call("skills__read_skill_file", json!({"name": "greet", "path": "../../store.redb"}));
    assert_eq!(none.result()["isError"], json!(true));

    let (prompts, _) = client.list("prompts/list", "prompts");
    let name = prompts[0]["name"].as_str().unwrap().to_string();
    let prompt = client.ask("prompts/get", json!({"name": name}));
    let text = prompt.result()["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.starts_with("Say hello."), "{text}");
    let (resources, _) = client.list("resources/list", "resources");
    assert_eq!(resources[0]["uri"], "skill://greet/SKILL.md");
    let read = client.ask("resources/read", json!({"uri": "skill://greet/references/more.md"}));
    assert_eq!(read.result()["contents"][0]["text"], "# More\n");

    umcp(&daemon, &["skill", "uninstall", "greet", "--yes"]);
    until(&mut client, |tools| tools.iter().all(|name| name != "skills__greet"));
}

#[test]
fn the_extension_lists_skills_with_digests() {
    let daemon = Daemon::start();
    install(&daemon);
    let mut client = Mcp::connect(&daemon, Door::Socket, Era::Modern);
    let declared = &client.greeting["capabilities"]["extensions"]["io.modelcontextprotocol/skills"];
    assert_eq!(declared["directoryRead"], json!(true), "{}", client.greeting);
    let listed = client.ask("skills/list", json!({}));
    let skill = &listed.result()["skills"][0];
    assert_eq!(skill["uri"], "skill://greet/SKILL.md");
    assert_eq!(skill["frontmatter"]["context"], "fork", "keys that umcp does not know are kept");
    let one = client.ask("skills/get", json!({"uri": "skill://greet/SKILL.md"}));
    assert_eq!(one.result()["skill"], *skill);
    let digest = ring::digest::digest(&ring::digest::SHA256, TEXT.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let resources = skill["resources"].as_array().unwrap();
    let entry = resources.iter().find(|it| it["uri"] == "skill://greet/SKILL.md").unwrap();
    assert_eq!(entry["digest"], format!("sha256:{hex}"));
    let folder = client.ask("resources/directory/read", json!({"uri": "skill://greet/references"}));
    assert_eq!(folder.result()["resources"][0]["uri"], "skill://greet/references/more.md");
    let (code, _) = client.ask("skills/get", json!({"uri": "skill://other/SKILL.md"})).error();
    assert_eq!(code, -32602);

    // What lies there is changed behind umcp's back: it is not given out.
    let path = find(daemon.folder(), "skills/greet/1.0.0/SKILL.md");
    std::fs::write(path, TEXT.replace("hello", "HELLO")).unwrap();
    let refused = client.call("skills__activate_skill", json!({"name": "greet"}));
    assert!(refused.text().contains("was changed"), "{:?}", refused.message);
}
