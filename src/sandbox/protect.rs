//! The places under the default profile that no server needs: keys, browsers, umcp's own files.
//! Pure but for the question what exists. A place that a server's own entry names is open to that server, and so is
//! one that belongs to its program: whoever wrote `kubectl` wants its configuration read.

use super::place;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Places below the home.
const PLACES: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".config/gcloud",
    ".oci",
    ".kube",
    ".docker",
    ".config/containers",
    ".terraform.d",
    ".vault-token",
    ".config/op",
    ".config/sops",
    ".age",
    ".config/gh",
    ".config/glab-cli",
    ".config/hub",
    ".git-credentials",
    ".config/git/credentials",
    ".netrc",
    ".pypirc",
    ".npmrc",
    ".yarnrc.yml",
    ".cargo/credentials.toml",
    ".cargo/credentials",
    ".gem/credentials",
    ".m2/settings.xml",
    ".gradle/gradle.properties",
    ".pgpass",
    ".my.cnf",
    ".password-store",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".config/keepassxc",
    ".config/Bitwarden",
    ".config/1Password",
    ".mozilla",
    ".thunderbird",
    ".config/google-chrome",
    ".config/chromium",
    ".config/microsoft-edge",
    ".config/BraveSoftware",
    ".config/vivaldi",
    ".config/opera",
    ".config/Signal",
    ".claude/.credentials.json",
    ".codex/auth.json",
    ".gemini/oauth_creds.json",
    "Library/Keychains",
    "Library/Cookies",
    "Library/Safari",
    "Library/Application Support/Google/Chrome",
    "Library/Application Support/Firefox",
    "Library/Application Support/BraveSoftware",
    "snap/firefox",
    "snap/chromium",
];

/// Folders of sockets below the runtime folder of the session that hand out keys.
const SOCKETS: &[&str] = &["keyring", "gnupg", "ssh-agent.socket", "openssh_agent", "gcr"];

/// Programs, and what of the list is theirs.
const OWNERS: &[(&[&str], &[&str])] = &[
    (&["npx", "npm", "node", "pnpm", "pnpx", "yarn", "bun", "bunx", "corepack"], &[".npmrc", ".yarnrc.yml"]),
    (&["uv", "uvx", "pip", "pipx", "python", "python3", "poetry"], &[".netrc"]),
    (&["docker", "docker-mcp"], &[".docker"]),
    (&["aws"], &[".aws"]),
    (&["az", "azmcp"], &[".azure"]),
    (&["gcloud"], &[".config/gcloud"]),
    (&["kubectl", "helm", "kubectl-mcp-server"], &[".kube"]),
    (&["gh"], &[".config/gh"]),
    (&["terraform"], &[".terraform.d"]),
    (&["ssh", "mosh", "rsync", "scp"], &[".ssh"]),
    (&["claude"], &[".claude/.credentials.json"]),
    (&["codex"], &[".codex/auth.json"]),
    (&["gemini"], &[".gemini/oauth_creds.json"]),
];

/// Beginnings of declared variables, and what of the list they speak of.
const VARIABLES: &[(&str, &str)] = &[
    ("AWS_", ".aws"),
    ("AZURE_", ".azure"),
    ("GOOGLE_APPLICATION_CREDENTIALS", ".config/gcloud"),
    ("CLOUDSDK_", ".config/gcloud"),
    ("KUBECONFIG", ".kube"),
    ("KUBE_", ".kube"),
    ("DOCKER_", ".docker"),
];

/// Programs that cannot do their work without the privileges a sandbox takes away.
const UNFIT: &[&str] =
    &["podman", "nerdctl", "buildah", "flatpak", "snap", "sudo", "doas", "su", "pkexec", "bwrap"];

/// Who is asking.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The program's name as the entry has it, without folders.
    pub program: &'a str,
    pub env: &'a BTreeMap<String, String>,
    /// Places the entry names: folders it works in, arguments, lists.
    pub named: &'a [PathBuf],
}

/// Whether the program cannot be shut in by the default profile.
pub fn is_unfit(program: &Path) -> bool {
    let unfit = |path: &Path| path.file_name().is_some_and(|name| UNFIT.iter().any(|unfit| name == *unfit));
    unfit(program) || place::real(program).is_ok_and(|real| unfit(&real))
}

/// Every existing place to hide from this one, links followed, the inner of two dropped.
pub fn hidden(who: Who<'_>, home: &Path, runtime: Option<&Path>, own: &[PathBuf]) -> Vec<PathBuf> {
    let places = PLACES.iter().filter(|place| !owns(who, place)).map(|place| home.join(place));
    let sockets = SOCKETS.iter().filter_map(|socket| Some(runtime?.join(socket)));
    let candidates = places.chain(sockets).chain(own.iter().cloned());
    let real: Vec<PathBuf> = candidates.filter_map(|place| place::found(&place)).collect();
    without_named(real, who.named)
}

fn owns(who: Who<'_>, place: &str) -> bool {
    let stem = who.program.strip_suffix(".exe").unwrap_or(who.program);
    let by_program =
        OWNERS.iter().any(|(programs, places)| programs.contains(&stem) && places.contains(&place));
    by_program
        || VARIABLES
            .iter()
            .any(|(start, theirs)| *theirs == place && who.env.keys().any(|name| name.starts_with(start)))
}

/// Takes out every place that holds a named one or is one, and those that lie in another.
fn without_named(mut places: Vec<PathBuf>, named: &[PathBuf]) -> Vec<PathBuf> {
    places.retain(|place| !named.iter().any(|named| named.starts_with(place)));
    places.sort();
    places.dedup_by(|inner, outer| inner.starts_with(&*outer));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exists_is_hidden_unless_it_is_named_or_owned() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        for place in [".ssh", ".aws", ".config/gh", "elsewhere", ".kube"] {
            std::fs::create_dir_all(home.join(place)).unwrap();
        }
        std::fs::write(home.join(".npmrc"), "").unwrap();
        std::fs::write(home.join("elsewhere/store"), "").unwrap();
        std::os::unix::fs::symlink(home.join("elsewhere"), home.join(".gnupg")).unwrap();
        let own = [home.join("elsewhere/store"), home.join("missing")];
        let found = |program: &str, env: &[&str], named: &[&str]| {
            let env = env.iter().map(|name| (name.to_string(), String::new())).collect();
            let named: Vec<PathBuf> = named.iter().map(|name| home.join(name)).collect();
            let hidden = hidden(Who { program, env: &env, named: &named }, &home, None, &own);
            let shown = |place: &PathBuf| place.strip_prefix(&home).unwrap().display().to_string();
            hidden.iter().map(shown).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("thing", &[], &[]), ".aws .config/gh .kube .npmrc .ssh elsewhere");
        assert_eq!(found("npx", &["AWS_PROFILE"], &[]), ".config/gh .kube .ssh elsewhere");
        assert_eq!(found("kubectl", &[], &[".ssh/id", ".aws"]), ".config/gh .npmrc elsewhere");
        // A program in a private folder opens that folder, and nothing else in it.
        let own = [home.join("elsewhere"), home.join("elsewhere/store"), home.join("elsewhere/tool")];
        std::fs::write(home.join("elsewhere/tool"), "").unwrap();
        let none = BTreeMap::new();
        let who = Who { program: "x", env: &none, named: &[home.join("elsewhere/tool")] };
        let hidden = hidden(who, Path::new("/nowhere"), None, &own);
        assert_eq!(hidden, [home.join("elsewhere/store")]);
    }

    #[test]
    fn programs_that_need_privileges_are_known() {
        assert!(is_unfit(Path::new("/usr/bin/podman")));
        assert!(!is_unfit(Path::new("/usr/bin/node")));
    }
}
