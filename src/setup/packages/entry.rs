//! A server entry and the version of the package it runs: which words of its command line are whose. Pure.

use super::place;
use crate::error::{Error, Result, codes};
use crate::packages::Installed;
use crate::paths::Paths;
use crate::servers::Server;
use crate::servers::model::Transport;

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
    // Its own files lie where a sandbox hides everything else.
    let text = |installed: &Installed| place(paths, installed).to_string_lossy().into_owned();
    let old = before.map(text);
    server.sandbox.read.retain(|read| Some(read) != old.as_ref());
    let new = text(to);
    if server.sandbox.profile != Some(crate::sandbox::Base::Off) && !server.sandbox.read.contains(&new) {
        server.sandbox.read.push(new);
    }
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
        let (one, two) = (installed("1"), installed("2"));
        point(&paths, &mut server, None, &one, vec!["/srv".into()]);
        assert_eq!(user_args(&paths, &server, &one).unwrap(), ["/srv"]);
        assert!(user_args(&paths, &server, &two).unwrap_err().is(&codes::PACKAGE_INVALID));
        point(&paths, &mut server, Some(&one), &two, vec!["/srv".into()]);
        assert_eq!(server.transport.target(), "/u/data/packages/npm/x/2/bin --v=2 /srv");
        assert_eq!(server.sandbox.read, ["/notes", "/u/data/packages/npm/x/2"]);
    }
}
