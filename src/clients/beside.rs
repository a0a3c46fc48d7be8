//! The servers a client keeps beside umcp: each one in a text of its own, and the file without some of them.
//! It reads no entry; `servers::formats` does that with the texts.
//! Rule: umcp's own entry is never among them.

use super::model::{Client, Shape};
use super::plan::{find, format, named, servers_path};
use super::shape;
use crate::documents::edit::{self, yaml};
use crate::documents::{Node, parse_as};
use crate::error::Result;

/// One server of a client's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Its name in the file.
    pub name: String,
    /// A file of the same form that holds this one entry only.
    pub text: String,
}

/// The servers in the text that are not umcp, in its order.
pub fn list(client: &Client, file: &str, text: &str) -> Result<Vec<Beside>> {
    let format = format(client)?;
    let root = parse_as(format, file, text)?;
    let path = servers_path(client, &root);
    let own = find(client, &root, &path).map(|(name, _)| name);
    let is_umcp = |node: &Node| shape::read(client, node).is_some_and(|entry| entry.is_umcp());
    let others = named(&root, &path).into_iter();
    let others = others.filter(|(name, node)| node.is_map() && Some(name) != own.as_ref() && !is_umcp(node));
    let one = |(name, node): (String, &Node)| {
        let value = node.to_json();
        let text = match client.shape {
            Shape::Listed => yaml::set_item(file, "", client.key, &value)?,
            _ => edit::set(format, file, "", &[client.key, &name], &value)?,
        };
        Ok(Beside { name, text })
    };
    others.map(one).collect()
}

/// The text without the servers of those names.
pub fn without(client: &Client, file: &str, text: &str, names: &[String]) -> Result<String> {
    let format = format(client)?;
    let path = servers_path(client, &parse_as(format, file, text)?);
    names.iter().try_fold(text.to_string(), |text, name| match client.shape {
        Shape::Listed => yaml::remove_item(file, &text, client.key, name),
        _ => {
            let mut keys = path.clone();
            keys.push(name);
            edit::remove(format, file, &text, &keys)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, find, plan};
    use super::*;

    #[test]
    fn others_are_listed_and_taken_out_while_umcp_stays() {
        for (id, text) in [
            ("cursor", "{\n  // mine\n  \"mcpServers\": {\n    \"time\": {\"command\": \"uvx\"}\n  }\n}\n"),
            ("codex", "# mine\n[mcp_servers.time]\ncommand = \"uvx\"\n"),
            ("goose", "# mine\nextensions:\n  time:\n    type: stdio\n    cmd: uvx\n"),
            ("continue", "# mine\nname: x\nmcpServers:\n  - name: time\n    command: uvx\n"),
        ] {
            let client = find(id).unwrap();
            let both = plan::connect(client, "f", text, &Entry::new("/bin/umcp", client)).unwrap();
            let others = list(client, "f", &both).unwrap();
            assert_eq!(others.iter().map(|other| other.name.as_str()).collect::<Vec<_>>(), ["time"], "{id}");
            assert!(others[0].text.contains("uvx") && !others[0].text.contains("umcp"), "{}", others[0].text);
            let alone = without(client, "f", &both, &["time".into()]).unwrap();
            assert!(list(client, "f", &alone).unwrap().is_empty(), "{alone}");
            assert!(plan::connected(client, "f", &alone).unwrap().is_some(), "{alone}");
            assert!(alone.contains("mine"), "{alone}");
        }
    }
}
