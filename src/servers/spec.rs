//! What `umcp server add SPEC` means: a URL, `builtin:`, `npm:`, `pypi:`, or a program on this machine.
//! It looks at no network and starts nothing; whether a path exists is told by the caller.

use super::model::{Transport, tame_name};
use crate::error::{Error, Result, codes};
use std::path::{Path, PathBuf};

/// The servers inside umcp.
pub const BUILTINS: &[&str] =
    &["time", "fetch", "files", "kv", "http", "database", "memory", "skills", "workflows"];

/// A transport, and the name a server of that kind gets unless the user gives one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    pub name: String,
    pub transport: Transport,
}

/// Reads a spec. `locate` gives the absolute path of an existing file.
pub fn read(spec: &str, locate: impl Fn(&str) -> Option<PathBuf>) -> Result<Guess> {
    let stdio = |command: &str, args: &[&str]| Transport::Stdio {
        command: command.into(),
        args: args.iter().map(ToString::to_string).collect(),
    };
    if let Some(package) = spec.strip_prefix("npm:") {
        let package = filled(package, spec)?;
        return Ok(Guess { name: package_name(package), transport: stdio("npx", &["-y", package]) });
    }
    if let Some(package) = spec.strip_prefix("pypi:") {
        let package = filled(package, spec)?.replacen("==", "@", 1);
        return Ok(Guess { name: package_name(&package), transport: stdio("uvx", &[&package]) });
    }
    if let Some(name) = spec.strip_prefix("builtin:") {
        if !BUILTINS.contains(&name) {
            return Err(Error::new(&codes::VALUE_INVALID, format!("there is no built-in server `{name}`"))
                .hint(format!("built in are {}", BUILTINS.join(", "))));
        }
        return Ok(Guess { name: name.into(), transport: Transport::Builtin { name: name.into() } });
    }
    if spec.contains("://") {
        return Ok(Guess { name: url_name(spec), transport: Transport::from_url(spec)? });
    }
    match locate(spec) {
        Some(path) => program(&path),
        None if spec.starts_with(['.', '/', '~']) || spec.ends_with(".py") || spec.ends_with(".js") => {
            Err(Error::new(&codes::FILE_NOT_FOUND, format!("there is no file `{spec}`")))
        }
        None => Err(bare(spec)),
    }
}

/// The name of a server that is a command line.
pub fn command_name(command: &str, args: &[String]) -> String {
    let program = file_stem(Path::new(command));
    let runs_another =
        ["npx", "uvx", "bunx", "pnpm", "node", "python", "python3", "uv", "deno", "bun", "docker"];
    let subject = args
        .iter()
        .find(|arg| !arg.starts_with('-') && !["run", "dlx", "exec", "tool"].contains(&arg.as_str()));
    match subject {
        Some(subject) if runs_another.contains(&program.as_str()) => {
            let subject = subject.trim_end_matches(".py").trim_end_matches(".js").trim_end_matches(".mjs");
            package_name(subject)
        }
        _ => package_name(&program),
    }
}

/// The name of a server at a URL: the telling part of its host.
pub fn url_name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    if url.starts_with("unix:") || url.starts_with("pipe:") {
        return tame_name(&file_stem(Path::new(rest.split('#').next().unwrap_or(rest))));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').filter(|label| !["mcp", "www", "api"].contains(label)).collect();
    let is_address = labels.iter().all(|label| label.chars().all(|c| c.is_ascii_digit()));
    match labels.as_slice() {
        _ if is_address => "server".into(),
        [] => "server".into(),
        [only] => tame_name(only),
        [.., name, _] => tame_name(name),
    }
}

fn filled<'a>(package: &'a str, spec: &str) -> Result<&'a str> {
    if package.is_empty() {
        return Err(Error::new(&codes::VALUE_INVALID, format!("`{spec}` names no package")));
    }
    Ok(package)
}

/// `@scope/server-git@1.2` is `git`.
pub fn package_name(package: &str) -> String {
    let last = package.rsplit('/').find(|part| !part.is_empty()).unwrap_or(package);
    let last = last.split(['@', '[', '=', '<', '>']).next().unwrap_or(last);
    let mut name = last;
    let rest = ["mcp-server-", "server-", "mcp-"].iter().find_map(|prefix| name.strip_prefix(prefix));
    name = rest.filter(|rest| is_telling(rest)).unwrap_or(name);
    let rest = ["-mcp-server", "-server", "-mcp"].iter().find_map(|suffix| name.strip_suffix(suffix));
    name = rest.filter(|rest| is_telling(rest)).unwrap_or(name);
    tame_name(name)
}

/// Whether a word alone still says which server is meant.
fn is_telling(word: &str) -> bool {
    let empty = ["some", "any", "the", "our", "your", "new", "test"];
    word.chars().count() > 2 && !empty.contains(&word)
}

fn program(path: &Path) -> Result<Guess> {
    let text = path.to_string_lossy().into_owned();
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let (command, args) = match extension.as_deref() {
        Some("py") => ("python3".to_string(), vec![text]),
        Some("js" | "mjs" | "cjs") => ("node".to_string(), vec![text]),
        Some("json" | "yaml" | "yml" | "toml") => {
            return Err(Error::new(
                &codes::SERVER_INVALID,
                format!("`{}` is a file of settings, not a server", path.display()),
            )
            .hint(format!("umcp server import {}", path.display())));
        }
        _ => (text, Vec::new()),
    };
    Ok(Guess { name: package_name(&file_stem(path)), transport: Transport::Stdio { command, args } })
}

fn file_stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A bare word could be anything; guessing would run a stranger's code.
fn bare(spec: &str) -> Error {
    let error = Error::new(&codes::VALUE_INVALID, format!("`{spec}` could be many things"));
    if BUILTINS.contains(&spec) {
        return error.hint(format!("umcp server add builtin:{spec}"));
    }
    let error = error.hint(format!("umcp server add npm:{spec}"));
    if spec.starts_with('@') {
        return error;
    }
    error
        .hint(format!("umcp server add pypi:{spec}"))
        .hint(format!("umcp server add {spec} -- COMMAND ARGUMENT..."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_tells_name_and_target() {
        let locate = |text: &str| text.starts_with("./").then(|| PathBuf::from("/here").join(&text[2..]));
        for (spec, name, target) in [
            (
                "npm:@modelcontextprotocol/server-everything",
                "everything",
                "npx -y @modelcontextprotocol/server-everything",
            ),
            ("npm:@acme/git-mcp@1.2.3", "git", "npx -y @acme/git-mcp@1.2.3"),
            ("pypi:mcp-server-time", "time", "uvx mcp-server-time"),
            ("pypi:mcp-server-git==2.0", "git", "uvx mcp-server-git@2.0"),
            ("npm:some-server", "some-server", "npx -y some-server"),
            ("npm:my-mcp-server", "my-mcp-server", "npx -y my-mcp-server"),
            ("npm:mcp-server-x", "mcp-server-x", "npx -y mcp-server-x"),
            ("builtin:kv", "kv", "builtin:kv"),
            ("https://mcp.linear.app/sse", "linear", "https://mcp.linear.app/sse"),
            ("http://localhost:8000/mcp", "localhost", "http://localhost:8000/mcp"),
            ("http://127.0.0.1:8000/mcp", "server", "http://127.0.0.1:8000/mcp"),
            ("unix:///run/notes.sock", "notes", "unix:///run/notes.sock#/mcp"),
            ("./weather.py", "weather", "python3 /here/weather.py"),
            ("./bin/my_tool", "my_tool", "/here/bin/my_tool"),
        ] {
            let guess = read(spec, locate).unwrap();
            assert_eq!((guess.name.as_str(), guess.transport.target().as_str()), (name, target), "{spec}");
        }
    }

    #[test]
    fn a_spec_that_says_too_little_is_refused_with_what_to_say() {
        let hints = |spec| read(spec, |_| None).unwrap_err().hints;
        assert_eq!(hints("time"), ["umcp server add builtin:time"]);
        assert_eq!(hints("@a/b"), ["umcp server add npm:@a/b"]);
        assert_eq!(hints("git")[..2], ["umcp server add npm:git", "umcp server add pypi:git"]);
        assert!(read("./none.py", |_| None).unwrap_err().is(&codes::FILE_NOT_FOUND));
        assert!(read("npm:", |_| None).is_err());
    }

    #[test]
    fn a_command_line_tells_its_name() {
        let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
        for (line, name) in [
            ("npx -y @modelcontextprotocol/server-memory", "memory"),
            ("python3 -u /srv/notes.py", "notes"),
            ("/opt/weather-mcp --port 1", "weather"),
            ("uv run server.py", "server"),
        ] {
            let words = words(line);
            assert_eq!(command_name(&words[0], &words[1..]), name, "{line}");
        }
    }
}
