//! Where each client looks for skills: folders of the user and of a project. Pure; it looks at no disk.
//! Clients without a row find umcp's skills through the endpoint.

use super::model::{Client, Scope};
use std::path::{Path, PathBuf};

/// The folder in which a client finds skills; `None` for one that has none, or none that is known.
pub fn folder(
    client: &Client,
    scope: Scope,
    home: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    project: &Path,
) -> Option<PathBuf> {
    let below = match client.id {
        "claude-code" => ".claude",
        // The folder that several programs share.
        "codex" | "cursor" | "vscode" => ".agents",
        _ => return None,
    };
    let root = match scope {
        Scope::Project => project,
        Scope::User => home,
    };
    let own = env("CLAUDE_CONFIG_DIR").filter(|_| client.id == "claude-code" && scope == Scope::User);
    Some(own.filter(|dir| !dir.is_empty()).map_or_else(|| root.join(below), PathBuf::from).join("skills"))
}

/// Folders whose presence tells that a client is used here.
pub fn signs(client: &Client, home: &Path) -> Vec<PathBuf> {
    let words: &[&str] = match client.id {
        "claude-code" => &[".claude", ".claude.json"],
        "codex" => &[".codex"],
        "cursor" => &[".cursor"],
        "vscode" => &[".vscode", ".config/Code", "Library/Application Support/Code", "AppData/Roaming/Code"],
        _ => &[],
    };
    words.iter().map(|word| home.join(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::find;

    #[test]
    fn a_folder_follows_client_and_scope() {
        let (home, project) = (Path::new("/home/a"), Path::new("/work"));
        let moved = |name: &str| (name == "CLAUDE_CONFIG_DIR").then(|| "/c".to_string());
        let of = |id: &str, scope: Scope, env: &dyn Fn(&str) -> Option<String>| {
            folder(find(id).unwrap(), scope, home, env, project)
        };
        let none = |_: &str| None;
        for (id, scope, expected) in [
            ("claude-code", Scope::User, Some("/home/a/.claude/skills")),
            ("claude-code", Scope::Project, Some("/work/.claude/skills")),
            ("codex", Scope::User, Some("/home/a/.agents/skills")),
            ("cursor", Scope::Project, Some("/work/.agents/skills")),
            ("zed", Scope::User, None),
        ] {
            assert_eq!(of(id, scope, &none), expected.map(PathBuf::from), "{id}");
        }
        assert_eq!(of("claude-code", Scope::User, &moved), Some("/c/skills".into()));
        assert_eq!(of("claude-code", Scope::Project, &moved), Some("/work/.claude/skills".into()));
    }
}
