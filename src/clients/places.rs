//! Where each client keeps its files, per system. It looks at no file; the caller sees which exist.
//! Rule: the first place of a scope is the one a client would create itself.

use super::model::{Client, Location, Os, Scope};
use std::path::{Path, PathBuf};

/// The places of a client on this system, of the user first, then of the project.
pub fn files(
    client: &Client,
    home: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    project: Option<&Path>,
) -> Vec<Location> {
    files_on(Os::current(), client, home, env, project)
}

/// The same on a named system.
pub fn files_on(
    os: Os,
    client: &Client,
    home: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    project: Option<&Path>,
) -> Vec<Location> {
    let roots = Roots { os, home, env };
    let own = roots.user(client);
    let project = project
        .map(|folder| in_project(client).iter().map(|path| folder.join(path)).collect::<Vec<_>>())
        .unwrap_or_default()
        .into_iter()
        // In the home folder some clients' project file is the user's own.
        .filter(|place| !own.contains(place))
        .map(|place| (place, Scope::Project))
        .collect::<Vec<_>>();
    let user = own.into_iter().map(|place| (place, Scope::User));
    let mut seen = Vec::new();
    user.chain(project)
        .map(|(path, scope)| {
            let primary = !seen.contains(&scope);
            seen.push(scope);
            Location { path, scope, primary }
        })
        .collect()
}

fn in_project(client: &Client) -> &'static [&'static str] {
    match client.id {
        "claude-code" => &[".mcp.json"],
        "cursor" => &[".cursor/mcp.json"],
        "vscode" => &[".vscode/mcp.json"],
        "codex" => &[".codex/config.toml"],
        "gemini" => &[".gemini/settings.json"],
        "opencode" => &["opencode.json", "opencode.jsonc"],
        _ => &[],
    }
}

struct Roots<'a> {
    os: Os,
    home: &'a Path,
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl Roots<'_> {
    fn user(&self, client: &Client) -> Vec<PathBuf> {
        let home = |path: &str| vec![self.home.join(path)];
        match client.id {
            "claude-code" => vec![self.folder("CLAUDE_CONFIG_DIR", self.home).join(".claude.json")],
            // There is no Claude Desktop for Linux.
            "claude-desktop" if self.os == Os::Linux => Vec::new(),
            "claude-desktop" => vec![self.application("Claude/claude_desktop_config.json")],
            "cursor" => home(".cursor/mcp.json"),
            "vscode" => self.code("mcp.json"),
            "codex" => vec![self.folder("CODEX_HOME", &self.home.join(".codex")).join("config.toml")],
            "gemini" => home(".gemini/settings.json"),
            "windsurf" => home(".codeium/windsurf/mcp_config.json"),
            "zed" => vec![match self.os {
                Os::Windows => self.application("Zed/settings.json"),
                _ => self.xdg("zed/settings.json"),
            }],
            "goose" => vec![match self.os {
                Os::Windows => self.application("Block/goose/config/config.yaml"),
                _ => self.xdg("goose/config.yaml"),
            }],
            "cline" => self.cline(),
            "continue" => home(".continue/config.yaml"),
            "opencode" => match (self.env)("OPENCODE_CONFIG").filter(|path| !path.is_empty()) {
                Some(path) => vec![path.into()],
                None => vec![self.xdg("opencode/opencode.json"), self.xdg("opencode/opencode.jsonc")],
            },
            _ => Vec::new(),
        }
    }

    /// The folder a variable names, or the usual one.
    fn folder(&self, variable: &str, usual: &Path) -> PathBuf {
        (self.env)(variable).filter(|value| !value.is_empty()).map_or_else(|| usual.into(), PathBuf::from)
    }

    /// `~/.config`, where programs keep it on every system but Windows' own.
    fn xdg(&self, path: &str) -> PathBuf {
        let usual = self.home.join(".config");
        match self.os {
            Os::Windows => usual.join(path),
            _ => self.folder("XDG_CONFIG_HOME", &usual).join(path),
        }
    }

    /// The folder desktop programs use: `Application Support`, `%APPDATA%`, `~/.config`.
    fn application(&self, path: &str) -> PathBuf {
        match self.os {
            Os::Mac => self.home.join("Library/Application Support").join(path),
            Os::Windows => self.folder("APPDATA", &self.home.join("AppData/Roaming")).join(path),
            Os::Linux => self.xdg(path),
        }
    }

    /// A file in the user folder of VS Code and of the editions that keep one of their own.
    fn code(&self, path: &str) -> Vec<PathBuf> {
        let editions = ["Code", "Code - Insiders", "VSCodium"];
        editions.iter().map(|edition| self.application(&format!("{edition}/User/{path}"))).collect()
    }

    fn cline(&self) -> Vec<PathBuf> {
        if let Some(path) = (self.env)("CLINE_MCP_SETTINGS_PATH").filter(|path| !path.is_empty()) {
            return vec![path.into()];
        }
        let mut places = self.code("globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json");
        places.push(self.home.join(".cline/data/settings/cline_mcp_settings.json"));
        places
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    fn first(os: Os, id: &str, env: &[(&str, &str)]) -> Option<String> {
        let env = |name: &str| env.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_string());
        let places = files_on(os, find(id).unwrap(), Path::new("/h"), &env, None);
        places.first().map(|place| place.path.to_string_lossy().replace('\\', "/"))
    }

    #[test]
    fn each_system_has_its_places() {
        for (id, linux, mac, windows) in [
            ("claude-code", "/h/.claude.json", "/h/.claude.json", "/h/.claude.json"),
            ("cursor", "/h/.cursor/mcp.json", "/h/.cursor/mcp.json", "/h/.cursor/mcp.json"),
            (
                "vscode",
                "/h/.config/Code/User/mcp.json",
                "/h/Library/Application Support/Code/User/mcp.json",
                "/h/AppData/Roaming/Code/User/mcp.json",
            ),
            ("codex", "/h/.codex/config.toml", "/h/.codex/config.toml", "/h/.codex/config.toml"),
            (
                "zed",
                "/h/.config/zed/settings.json",
                "/h/.config/zed/settings.json",
                "/h/AppData/Roaming/Zed/settings.json",
            ),
            (
                "goose",
                "/h/.config/goose/config.yaml",
                "/h/.config/goose/config.yaml",
                "/h/AppData/Roaming/Block/goose/config/config.yaml",
            ),
            (
                "opencode",
                "/h/.config/opencode/opencode.json",
                "/h/.config/opencode/opencode.json",
                "/h/.config/opencode/opencode.json",
            ),
        ] {
            let expected = [linux, mac, windows].map(|path| Some(path.to_string()));
            assert_eq!([Os::Linux, Os::Mac, Os::Windows].map(|os| first(os, id, &[])), expected, "{id}");
        }
        assert_eq!(first(Os::Linux, "claude-desktop", &[]), None);
        assert_eq!(first(Os::Linux, "chatgpt", &[]), None);
    }

    #[test]
    fn variables_move_them() {
        for (id, variable, value, expected) in [
            ("claude-code", "CLAUDE_CONFIG_DIR", "/c", "/c/.claude.json"),
            ("codex", "CODEX_HOME", "/c", "/c/config.toml"),
            ("zed", "XDG_CONFIG_HOME", "/x", "/x/zed/settings.json"),
            ("cline", "CLINE_MCP_SETTINGS_PATH", "/x/c.json", "/x/c.json"),
            ("opencode", "OPENCODE_CONFIG", "/x/o.json", "/x/o.json"),
            ("codex", "CODEX_HOME", "", "/h/.codex/config.toml"),
        ] {
            assert_eq!(first(Os::Linux, id, &[(variable, value)]).as_deref(), Some(expected), "{id}");
        }
    }

    #[test]
    fn a_file_of_the_user_is_not_the_project_s_too() {
        let home = Path::new("/h");
        let places = files_on(Os::Linux, find("cursor").unwrap(), home, &|_| None, Some(home));
        let shown: Vec<_> = places.iter().map(|place| (place.path.as_path(), place.scope)).collect();
        assert_eq!(shown, [(Path::new("/h/.cursor/mcp.json"), Scope::User)]);
    }

    #[test]
    fn a_project_has_its_own_file_and_one_place_per_scope_is_primary() {
        let places =
            files_on(Os::Linux, find("vscode").unwrap(), Path::new("/h"), &|_| None, Some(Path::new("/p")));
        let shown: Vec<_> =
            places.iter().map(|place| (place.path.to_str().unwrap(), place.scope, place.primary)).collect();
        assert_eq!(
            shown,
            [
                ("/h/.config/Code/User/mcp.json", Scope::User, true),
                ("/h/.config/Code - Insiders/User/mcp.json", Scope::User, false),
                ("/h/.config/VSCodium/User/mcp.json", Scope::User, false),
                ("/p/.vscode/mcp.json", Scope::Project, true),
            ]
        );
    }
}
