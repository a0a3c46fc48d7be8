//! What a client's file becomes when umcp is connected or disconnected. Pure functions over texts; the caller
//! reads, shows the difference, backs up and writes. `file` names the file in messages only.
//! Rule: everything that is not umcp's entry stays as it is, byte for byte.

use super::model::{Client, Entry, Shape};
use super::shape;
use crate::documents::edit::{self, yaml};
use crate::documents::{Format, Node, parse_as};
use crate::error::{Error, Result, codes};

/// What umcp calls itself in other programs' files.
pub const NAME: &str = "umcp";

/// The text with umcp's entry in it. An entry that is there already keeps its name and its other keys; further ones that lead
/// to the same servers go, for a client would list every tool twice.
pub fn connect(client: &Client, file: &str, text: &str, entry: &Entry) -> Result<String> {
    let format = format(client)?;
    let root = parse_as(format, file, text)?;
    let path = servers_path(client, &root);
    let old = find(client, &root, &path);
    let name = old.as_ref().map_or(NAME, |old| old.0.as_str());
    let value = shape::write(client, name, entry, old.as_ref().map(|old| old.1.to_json()).as_ref());
    let text = if client.shape == Shape::Listed {
        let text = if root.entries().is_empty() {
            format!("{text}{}", shape::scaffold(client))
        } else {
            text.into()
        };
        yaml::set_item(file, &text, client.key, &value)?
    } else {
        let mut keys = path.clone();
        keys.push(name);
        edit::set(format, file, text, &keys, &value)?
    };
    let twin = |node: &Node| shape::read(client, node).is_some_and(|other| other.is_twin_of(entry));
    let twins = named(&root, &path).into_iter().filter(|(other, node)| other != name && twin(node));
    twins.into_iter().try_fold(text, |text, (other, _)| match client.shape {
        Shape::Listed => yaml::remove_item(file, &text, client.key, &other),
        _ => {
            let mut keys = path.clone();
            keys.push(&other);
            edit::remove(format, file, &text, &keys)
        }
    })
}

/// All servers with their names.
pub(super) fn named<'a>(root: &'a Node, path: &[&str]) -> Vec<(String, &'a Node)> {
    let Some(servers) = root.at_path(path) else { return Vec::new() };
    let listed = servers.items().iter().filter_map(|node| Some((node.get("name")?.scalar()?, node)));
    let mapped = servers.entries().iter().map(|(key, node)| (key.name.clone(), node));
    listed.chain(mapped).collect()
}

/// The text without umcp's entry.
///
/// With the `original` from before `connect` the result is exactly that, as long as nothing else changed since;
/// without it, an emptied parent is taken away too, even if it was there (and empty) before.
pub fn disconnect(client: &Client, file: &str, text: &str, original: Option<&str>) -> Result<String> {
    let format = format(client)?;
    let root = parse_as(format, file, text)?;
    let path = servers_path(client, &root);
    let Some((name, node)) = find(client, &root, &path) else { return Ok(text.into()) };
    if let (Some(original), Some(entry)) = (original, shape::read(client, node))
        && connect(client, file, original, &entry).is_ok_and(|connected| connected == text)
    {
        return Ok(original.into());
    }
    let mut keys = path;
    keys.push(&name);
    match client.shape {
        Shape::Listed => yaml::remove_item(file, text, client.key, &name),
        _ => edit::remove(format, file, text, &keys),
    }
}

/// umcp's entry as it stands in the text, if it does.
pub fn connected(client: &Client, file: &str, text: &str) -> Result<Option<Entry>> {
    let root = parse_as(format(client)?, file, text)?;
    let path = servers_path(client, &root);
    Ok(find(client, &root, &path).and_then(|(_, node)| shape::read(client, node)))
}

/// Whether the text holds nothing but what umcp itself writes into a new file; such a file may be deleted.
pub fn hollow(client: &Client, text: &str) -> bool {
    let Some(format) = client.format else { return false };
    if text.trim() == shape::scaffold(client).trim() {
        return true;
    }
    // A comment is somebody's: only a text without one is hollow.
    parse_as(format, "", text).is_ok_and(|root| root.entries().is_empty())
        && text.chars().all(|c| c.is_whitespace() || "{}\u{feff}".contains(c))
}

/// What to paste into the client's file by hand, or what to do where there is no file.
pub fn snippet(client: &Client, entry: &Entry) -> Result<String> {
    let whole = shape::whole(client, NAME, entry);
    match client.format {
        None => Ok(CHATGPT.into()),
        Some(Format::Json) => serde_json::to_string_pretty(&whole)
            .map(|text| text + "\n")
            .map_err(|e| Error::bug(e.to_string())),
        Some(Format::Yaml) => crate::documents::write_yaml(&whole),
        Some(Format::Toml) => {
            let value = shape::write(client, NAME, entry, None);
            edit::set(Format::Toml, "snippet", "", &[client.key, NAME], &value)
        }
    }
}

const CHATGPT: &str = "\
ChatGPT takes no file; it connects to an https address that it can reach from outside:

  1. umcp token create chatgpt
  2. umcp gateway start --http 127.0.0.1:7332
  3. Put a tunnel or reverse proxy with https in front of that address.
  4. In ChatGPT open Settings, Apps & Connectors, Advanced settings and switch on developer mode.
  5. Create a connector with the address https://YOUR-HOST/mcp and the token from step 1.

Whoever has the address and the token can call every tool umcp shows; choose a small profile for it.
";

pub(super) fn format(client: &Client) -> Result<Format> {
    client.format.ok_or_else(|| {
        Error::new(&codes::USAGE, format!("{} keeps no file that umcp could edit", client.name))
            .hint(format!("umcp config generate --client {}", client.id))
    })
}

/// The keys that lead to the servers. Newer OpenCode files have one more.
pub(super) fn servers_path(client: &Client, root: &Node) -> Vec<&'static str> {
    let nested = client.shape == Shape::OpenCode
        && root
            .at_path(&[client.key, "servers"])
            .is_some_and(|node| node.is_map() && node.get("type").is_none());
    if nested { vec![client.key, "servers"] } else { vec![client.key] }
}

/// umcp's entry: the one of its name, else one that runs its bridge under another name.
pub(super) fn find<'a>(client: &Client, root: &'a Node, path: &[&str]) -> Option<(String, &'a Node)> {
    let all = named(root, path);
    let runs = |node: &Node| shape::read(client, node).is_some_and(|entry| entry.is_umcp());
    let at = all.iter().position(|(name, _)| name == NAME);
    let at = at.or_else(|| all.iter().position(|(_, node)| runs(node)))?;
    all.into_iter().nth(at)
}

#[cfg(test)]
mod tests;
