//! The files under `examples/`: each is read as its user would read it, and none is left out.
//! Nothing is started and no network is used.

use std::fs;
use std::path::{Path, PathBuf};
use umcp::clients::{CLIENTS, Client, Entry, plan};
use umcp::clock::Timestamp;
use umcp::documents::Format;
use umcp::servers::formats::{Imported, read};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn import(path: &Path) -> Imported {
    let text = fs::read_to_string(path).unwrap();
    let mut count = 0;
    let mut ids = || {
        count += 1;
        format!("id-{count}")
    };
    read(&path.display().to_string(), &text, &mut ids, Timestamp(0)).unwrap()
}

#[test]
fn every_file_of_servers_is_imported_without_a_remark() {
    let expected: &[(&str, &str, &[&str])] = &[
        ("builtin.yaml", "umcp", &["time", "kv", "memory", "files"]),
        ("packages.yaml", "umcp", &["everything", "memory", "git"]),
        ("project.mcp.json", "mcp.json", &["filesystem", "fetch", "docs"]),
        ("remote.yaml", "umcp", &["issues", "old-events", "board", "local"]),
        ("secrets.yaml", "umcp", &["vault", "onepassword", "hashicorp", "pass", "mounted"]),
    ];
    let folder = folder("servers");
    assert_eq!(names(&folder), expected.iter().map(|row| row.0).collect::<Vec<_>>());
    for (file, format, servers) in expected {
        let imported = import(&folder.join(file));
        assert_eq!(imported.notes, [], "{file}");
        assert_eq!(imported.format, *format, "{file}");
        let found: Vec<&str> = imported.servers.iter().map(|server| server.name.as_str()).collect();
        assert_eq!(found, *servers, "{file}");
    }
}

fn file_name(client: &Client) -> Option<String> {
    let extension = match client.format? {
        Format::Json => "json",
        Format::Toml => "toml",
        Format::Yaml => "yaml",
    };
    Some(format!("{}.{extension}", client.id))
}

#[test]
fn every_client_has_the_file_that_umcp_would_write() {
    let folder = folder("clients");
    let mut expected: Vec<String> = CLIENTS.iter().filter_map(file_name).collect();
    expected.sort();
    assert_eq!(names(&folder), expected);
    for client in CLIENTS {
        let Some(name) = file_name(client) else { continue };
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        let entry = Entry::new("umcp", client);
        assert_eq!(text, plan::snippet(client, &entry).unwrap(), "{name}");
        assert_eq!(plan::connected(client, &name, &text).unwrap(), Some(entry), "{name}");
        // Importing such a file must not make umcp a server of itself.
        assert_eq!(import(&folder.join(&name)).servers, [], "{name}");
    }
}

#[test]
fn every_workflow_is_read_without_a_mistake() {
    let folder = folder("workflows");
    assert_eq!(
        names(&folder),
        ["clocks.yaml", "feedback.yaml", "gather.yaml", "note.yaml", "onboarding.yaml"]
    );
    let schema = jsonschema::validator_for(&umcp::workflows::schema::workflow()).unwrap();
    for name in names(&folder) {
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        let document = umcp::documents::parse_value(&name, &text).unwrap();
        let errors: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{name}");
        let mut workflow = umcp::workflows::read::read(&name, &text).unwrap();
        let findings = umcp::workflows::check::check(&name, &text, &mut workflow, None);
        assert!(findings.errors.is_empty() && findings.warnings.is_empty(), "{name}: {findings:?}");
    }
}

#[test]
fn every_file_of_commands_and_apps_is_read_without_a_remark() {
    for (file, tools) in
        [("commands/everyday.yaml", 7), ("commands/mcpfier.yaml", 3), ("apps/bookshop.yaml", 2)]
    {
        let path = folder(file);
        let loaded = umcp::apps::file::load(file, &fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!((loaded.definition.tools.len(), loaded.notes), (tools, vec![]), "{file}");
    }
    let document = umcp::documents::large::parse_large(
        "petstore.yaml",
        &fs::read_to_string(folder("apps/petstore.yaml")).unwrap(),
    );
    let options = umcp::apps::openapi::Options { name: "petstore".into(), ..Default::default() };
    let converted = umcp::apps::openapi::convert(&document.unwrap(), &options).unwrap();
    assert_eq!((converted.definition.tools.len(), converted.skipped), (4, vec![]));
    assert_eq!(names(&folder("commands")), ["everyday.yaml", "mcpfier.yaml"]);
    assert_eq!(names(&folder("apps")), ["bookshop.yaml", "petstore.yaml"]);
}
