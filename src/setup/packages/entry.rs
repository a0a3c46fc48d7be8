//! A server entry and the version of the package it runs: which words of its command line are whose. Pure.

use super::place;
use crate::error::{Error, Result, codes};
use crate::packages::Installed;
use crate::packages::model::FOLDER;
use crate::paths::Paths;
use crate::servers::Server;
use crate::servers::model::Transport;
use std::collections::BTreeMap;

/// The arguments that the user gave, behind those of the package.
pub fn user_args(paths: &Paths, server: &Server, installed: &Installed) -> Result<Vec<String>> {
    let run = installed.run.within(&place(paths, installed));
    let changed = || {
        let name = &server.name;
        Error::new(
            &codes::PACKAGE_INVALID,
            format!("the entry `{name}` was changed and no longer runs its package"),
        )
        .hint(format!("umcp server show {name}"))
        .hint(format!("install it again over the entry: umcp install REFERENCE --name {name} --replace"))
    };
    match &server.transport {
        Transport::Stdio { command, args } if *command == run.command => {
            args.strip_prefix(run.args.as_slice()).map(<[String]>::to_vec).ok_or_else(changed)
        }
        _ => Err(changed()),
    }
}

/// Lets an entry run a version, with these arguments of the user; the version before no longer counts.
pub fn point(
    paths: &Paths,
    server: &mut Server,
    before: Option<&Installed>,
    to: &Installed,
    user: Vec<String>,
) {
    let folder = place(paths, to);
    let run = to.run.within(&folder);
    let args = run.args.into_iter().chain(user).collect();
    server.transport = Transport::Stdio { command: run.command, args };
    // Variables of the version before go, unless the user has changed them.
    for (name, value) in before.map(|before| env(paths, before)).unwrap_or_default() {
        if server.env.get(&name) == Some(&value) {
            server.env.remove(&name);
        }
    }
    for (name, value) in env(paths, to) {
        server.env.entry(name).or_insert(value);
    }
    // Its own files lie where a sandbox hides everything else.
    let text = |installed: &Installed| place(paths, installed).to_string_lossy().into_owned();
    let old = before.map(text);
    server.sandbox.read.retain(|read| Some(read) != old.as_ref());
    let new = text(to);
    if server.sandbox.profile != Some(crate::sandbox::Base::Off) && !server.sandbox.read.contains(&new) {
        server.sandbox.read.push(new);
    }
}

/// The variables of a version, with its folder in them.
fn env(paths: &Paths, installed: &Installed) -> BTreeMap<String, String> {
    let folder = place(paths, installed).to_string_lossy().into_owned();
    let fill = |(name, value): (&String, &String)| (name.clone(), value.replace(FOLDER, &folder));
    installed.env.iter().map(fill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::packages::Run;
    use std::path::Path;

    fn installed(version: &str) -> Installed {
        Installed {
            version: version.into(),
            digest: String::new(),
            pins: String::new(),
            folder: format!("npm/x/{version}"),
            content: String::new(),
            run: Run { command: "{folder}/bin".into(), args: vec![format!("--v={version}")] },
            env: [("DIR".to_string(), format!("{{folder}}/{version}"))].into(),
            tools: None,
            at: Timestamp(0),
        }
    }

    #[test]
    fn a_switch_keeps_the_arguments_of_the_user() {
        let paths = Paths::in_folder(Path::new("/u"), "/home/u".into());
        let transport = Transport::Stdio { command: String::new(), args: vec![] };
        let mut server = Server::new("srv_1".into(), "x", transport, Timestamp(0));
        server.sandbox.read.push("/notes".into());
        server.env.insert("OWN".into(), "1".into());
        let (one, two) = (installed("1"), installed("2"));
        point(&paths, &mut server, None, &one, vec!["/srv".into()]);
        assert_eq!(user_args(&paths, &server, &one).unwrap(), ["/srv"]);
        assert!(user_args(&paths, &server, &two).unwrap_err().is(&codes::PACKAGE_INVALID));
        point(&paths, &mut server, Some(&one), &two, vec!["/srv".into()]);
        assert_eq!(server.transport.target(), "/u/data/packages/npm/x/2/bin --v=2 /srv");
        let env: Vec<(&str, &str)> = server.env.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(env, [("DIR", "/u/data/packages/npm/x/2/2"), ("OWN", "1")]);
        assert_eq!(server.sandbox.read, ["/notes", "/u/data/packages/npm/x/2"]);
    }
}
