//! Claude plugin marketplaces: the MCP servers of each plugin as entries. Skills, hooks and commands of a plugin are
//! none of a catalogue's business. Nothing of a plugin is run or unpacked to read it.

use super::check;
use super::list::Read;
use super::model::{Entry, Input, Package, Remote, Way};
use super::registry::Refused;
use serde_json::Value;

const MOST_PLUGINS: usize = 5_000;
const MOST_SERVERS: usize = 64;

/// Reads `marketplace.json`. `plugin` gives a parsed file of the same folder, where it is there.
pub fn read(value: &Value, plugin: &dyn Fn(&str) -> Option<Value>) -> Result<Read, &'static str> {
    let plugins = value["plugins"].as_array().ok_or("`plugins` is no list")?;
    if plugins.len() > MOST_PLUGINS {
        return Err("it holds more than 5,000 plugins");
    }
    let root = value["metadata"]["pluginRoot"].as_str().unwrap_or(".");
    let mut read = Read::default();
    for item in plugins {
        let name = item["name"].as_str().unwrap_or_default();
        let Some(good) = check::name(name).filter(|name| !name.contains('/')) else {
            read.refused.push(Refused::new(name, "its name holds what no name may"));
            continue;
        };
        let folder = item["source"].as_str().and_then(|source| below(root, source));
        let own = folder.as_ref().and_then(|folder| plugin(&format!("{folder}.claude-plugin/plugin.json")));
        let about = about(item, own.as_ref());
        let mut found = false;
        for manifest in [Some(item), own.as_ref()].into_iter().flatten() {
            let file = match (&manifest["mcpServers"], &folder) {
                (Value::String(path), Some(folder)) => {
                    below(folder, path).and_then(|path| plugin(path.trim_end_matches('/')))
                }
                (Value::Object(_), _) => Some(manifest.clone()),
                _ => None,
            };
            if let Some(file) = file {
                servers(&file, &good, &about, &mut read);
                found = true;
            }
        }
        if let (false, Some(folder)) = (found, &folder)
            && let Some(file) = plugin(&format!("{folder}.mcp.json"))
        {
            servers(&file, &good, &about, &mut read);
        }
    }
    Ok(read)
}

/// A path below a folder, with a `/` at its end; nothing for one that leads out.
fn below(folder: &str, path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => return None,
            part if part.contains(['\\', ':']) || part.chars().any(char::is_control) => return None,
            part => parts.push(part),
        }
    }
    (!path.starts_with('/')).then(|| parts.iter().map(|part| format!("{part}/")).collect())
}

fn about(item: &Value, own: Option<&Value>) -> Entry {
    let text = |key: &str| item[key].as_str().or_else(|| own?[key].as_str());
    let words = [item["category"].as_str()].into_iter().flatten();
    let tags = item["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut categories: Vec<String> = words.chain(tags).filter_map(check::category).collect();
    categories.dedup();
    Entry {
        title: text("displayName").and_then(check::title),
        description: text("description").and_then(check::description).unwrap_or_default(),
        version: text("version").and_then(check::word),
        homepage: text("homepage").and_then(check::page),
        repository: text("repository").and_then(check::page),
        license: text("license").and_then(check::word),
        categories,
        ..Entry::default()
    }
}

/// Reads the servers of a file such as `.mcp.json`, with or without `mcpServers` around them.
pub fn servers(file: &Value, plugin: &str, about: &Entry, read: &mut Read) {
    let map = file.get("mcpServers").unwrap_or(file);
    let Some(map) = map.as_object() else {
        read.refused.push(Refused::new(plugin, "its servers are no map"));
        return;
    };
    if map.len() > MOST_SERVERS {
        read.refused.push(Refused::new(plugin, "it has more than 64 servers"));
        return;
    }
    for (server, entry) in map {
        let name = match plugin {
            "" => server.clone(),
            plugin if plugin == server => plugin.to_string(),
            plugin => format!("{plugin}/{server}"),
        };
        match check::name(&name) {
            Some(name) => read.entries.push(Entry { name, ways: vec![way(entry)], ..about.clone() }),
            None => read.refused.push(Refused::new(&name, "its name holds what no name may")),
        }
    }
}

fn way(entry: &Value) -> Way {
    let what = entry["command"].as_str().or_else(|| entry["url"].as_str()).unwrap_or("nothing");
    match remote(entry).unwrap_or_else(|| process(entry)) {
        Ok(way) => way,
        Err(reason) => Way::Other { what: check::shown(what), reason },
    }
}

fn remote(entry: &Value) -> Option<Result<Way, String>> {
    let url = entry["url"].as_str()?;
    let kind = entry["type"].as_str().unwrap_or("http");
    let sse = match kind {
        "http" | "streamable-http" => false,
        "sse" => true,
        _ => return Some(Err("umcp does not know its transport".into())),
    };
    let headers = inputs(&entry["headers"], check::header);
    let url = check::endpoint(url).map_err(String::from);
    Some(url.and_then(|url| Ok(Way::Remote(Remote { url, sse, headers: headers? }))))
}

fn process(entry: &Value) -> Result<Way, String> {
    let command = entry["command"].as_str().ok_or("it names neither a command nor an address")?;
    let args = match &entry["args"] {
        Value::Null => Vec::new(),
        Value::Array(items) if items.len() <= check::MOST_INPUTS => items
            .iter()
            .map(|item| item.as_str().ok_or("its arguments are no texts"))
            .collect::<Result<_, _>>()?,
        _ => return Err("its arguments are no list".into()),
    };
    let env = inputs(&entry["env"], check::variable)?;
    let whole = |word: &&str| check::value(word).is_some();
    if !whole(&command) || command.contains(char::is_whitespace) || command.is_empty() {
        return Err("its command is no program's name".into());
    }
    if command.contains(['/', '\\']) || !args.iter().all(whole) {
        return Err("it runs files of its plugin, which would have to be installed first".into());
    }
    let of_package = |args: &[&str]| args.iter().map(ToString::to_string).collect();
    match (command, args.as_slice()) {
        ("npx", ["-y" | "--yes", package, rest @ ..] | [package, rest @ ..]) if !package.starts_with('-') => {
            let (name, version) = package
                .get(1..)
                .and_then(|tail| tail.rfind('@'))
                .map_or((*package, None), |at| (&package[..=at], Some(&package[at + 2..])));
            let name = check::npm(name).ok_or("its package has no name npm knows")?;
            let version = version.and_then(check::version);
            Ok(Way::Npm(Package { name, version, args: of_package(rest), asks: Vec::new(), env }))
        }
        ("uvx", [package, rest @ ..]) if !package.starts_with('-') => {
            let (name, version) = package
                .split_once("==")
                .or_else(|| package.split_once('@'))
                .map_or((*package, None), |(name, version)| (name, Some(version)));
            let name = check::pypi(name).ok_or("its package has no name PyPI knows")?;
            let version = version.and_then(check::version);
            Ok(Way::Pypi(Package { name, version, args: of_package(rest), asks: Vec::new(), env }))
        }
        _ => Ok(Way::Command { command: command.into(), args: of_package(&args), env }),
    }
}

/// Variables or headers. `${NAME}` asks the user; anything else that refers to something is asked for as well.
fn inputs(map: &Value, name: fn(&str) -> Option<String>) -> Result<Vec<Input>, String> {
    let entries = match map {
        Value::Null => return Ok(Vec::new()),
        Value::Object(entries) if entries.len() <= check::MOST_INPUTS => entries,
        _ => return Err("its variables or headers are no map".into()),
    };
    let one = |(word, value): (&String, &Value)| {
        let name = name(word).ok_or_else(|| format!("it wants to set `{}`", check::shown(word)))?;
        let fixed = value.as_str().ok_or("its variables or headers are no texts")?;
        let mut input = check::input(name, None, false, false, Some(fixed));
        // A value to be filled in is usually a key.
        input.secret = input.value.is_none();
        Ok(input)
    };
    entries.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(entry: Value) -> Way {
        let mut read = Read::default();
        servers(&json!({"mcpServers": {"s": entry}}), "p", &Entry::default(), &mut read);
        assert_eq!(read.entries[0].name, "p/s");
        read.entries.remove(0).ways.remove(0)
    }

    #[test]
    fn servers_of_plugins_become_ways() {
        let spec = |entry| one(entry).spec();
        assert_eq!(spec(json!({"command": "npx", "args": ["-y", "@a/b@1.0.0", "--x"]})), "npm:@a/b@1.0.0");
        assert_eq!(spec(json!({"command": "npx", "args": ["plain"]})), "npm:plain");
        assert_eq!(spec(json!({"command": "uvx", "args": ["tool==2.1"]})), "pypi:tool==2.1");
        assert_eq!(spec(json!({"command": "acme", "args": ["mcp"]})), "acme mcp");
        assert_eq!(
            spec(json!({"type": "http", "url": "https://mcp.example.com/"})),
            "https://mcp.example.com/"
        );
        let keyed = one(json!({"command": "uvx", "args": ["t"], "env": {"KEY": "${KEY}", "MODE": "fast"}}));
        let wants: Vec<_> = keyed
            .inputs()
            .iter()
            .map(|one| (one.name.as_str(), one.required, one.value.as_deref()))
            .collect();
        assert_eq!(wants, [("KEY", true, None), ("MODE", false, Some("fast"))]);
    }

    #[test]
    fn what_a_plugin_may_not_do_is_no_way() {
        for (entry, why) in [
            (json!({"command": "${CLAUDE_PLUGIN_ROOT}/run"}), "its command is no program's name"),
            (
                json!({"command": "node", "args": ["${CLAUDE_PLUGIN_ROOT}/x.js"]}),
                "it runs files of its plugin, which would have to be installed first",
            ),
            (
                json!({"command": "./run.sh"}),
                "it runs files of its plugin, which would have to be installed first",
            ),
            (json!({"command": "sh -c evil"}), "its command is no program's name"),
            (json!({"command": "npx", "args": ["git+https://evil/x"]}), "its package has no name npm knows"),
            (json!({"command": "a", "args": "b"}), "its arguments are no list"),
            (json!({"command": "a", "args": [1]}), "its arguments are no texts"),
            (json!({"command": "a", "env": {"LD_PRELOAD": "x"}}), "it wants to set `LD_PRELOAD`"),
            (json!({"url": "http://169.254.169.254/"}), "its address is not https"),
            (json!({"type": "ws", "url": "wss://x.example.com"}), "umcp does not know its transport"),
            (json!({}), "it names neither a command nor an address"),
            (json!([]), "it names neither a command nor an address"),
        ] {
            match one(entry.clone()) {
                Way::Other { reason, .. } => assert_eq!(reason, why, "{entry}"),
                other => panic!("{entry}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_marketplace_lists_the_servers_of_its_plugins() {
        let market = json!({"name": "m", "owner": {"name": "o"}, "plugins": [
            {"name": "inline", "source": {"source": "github", "repo": "a/b"}, "description": "One", "category": "Database",
             "mcpServers": {"inline": {"command": "uvx", "args": ["one"]}}},
            {"name": "folder", "source": "./plugins/folder"},
            {"name": "away", "source": "../../etc"},
            {"name": "bad name", "source": "./x"},
        ]});
        let plugin = |path: &str| match path {
            "plugins/folder/.mcp.json" => Some(json!({"files": {"command": "npx", "args": ["-y", "two"]}})),
            "plugins/folder/.claude-plugin/plugin.json" => {
                Some(json!({"description": "Two", "license": "MIT"}))
            }
            path => panic!("{path}"),
        };
        let read = read(&market, &plugin).unwrap();
        let seen: Vec<_> = read
            .entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.description.as_str(), entry.ways[0].spec()))
            .collect();
        assert_eq!(
            seen,
            [("inline", "One", "pypi:one".to_string()), ("folder/files", "Two", "npm:two".into())]
        );
        assert_eq!(read.entries[0].categories, ["database"]);
        assert_eq!(read.refused, [Refused::new("bad name", "its name holds what no name may")]);
        for (folder, path) in [(".", "../x"), (".", "/etc"), ("a", "b/../../c"), (".", "c:\\x")] {
            assert_eq!(below(folder, path), None, "{path}");
        }
        assert_eq!(below("./plugins", "./a").as_deref(), Some("plugins/a/"));
    }
}
