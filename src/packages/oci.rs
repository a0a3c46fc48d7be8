//! Images: which one a name means now, and the command that runs it. Pure.
//! Rule: an image runs by its digest, never by a tag; what it sees of this machine is what its user said.

use super::model::{Resolved, Run};
use super::reference::Reference;
use crate::error::{Error, Result, codes};
use std::collections::BTreeMap;

/// Programs that run images, the first one that answers is taken.
pub const ENGINES: [&str; 2] = ["docker", "podman"];
/// Digits of a digest that stand for a version.
const SHORT: usize = 12;
/// What may be said of an image with `--set`.
const SETTINGS: &str = "--set env=NAME, --set volume=FOLDER:PLACE[:ro], --set network=NAME";

/// What is pulled: by tag or digest, as it was asked for.
pub fn image(reference: &Reference) -> String {
    match &reference.version {
        Some(digest) if digest.contains(':') => format!("{}@{digest}", reference.name),
        Some(tag) => format!("{}:{tag}", reference.name),
        None => reference.name.clone(),
    }
}

/// The digest that `docker pull` tells, or podman's answer to a question for it.
pub fn digest(answer: &str) -> Option<String> {
    let word = |line: &str| line.trim().trim_start_matches("Digest:").trim().to_string();
    answer.lines().map(word).find(|word| is_digest(word))
}

fn is_digest(word: &str) -> bool {
    word.strip_prefix("sha256:")
        .is_some_and(|hash| hash.len() == 64 && hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')))
}

/// What is known of an image with this digest.
pub fn resolved(reference: &Reference, engine: &str, digest: &str) -> Resolved {
    let image = format!("{}@{digest}", reference.name);
    Resolved {
        version: digest.trim_start_matches("sha256:").chars().take(SHORT).collect(),
        digest: digest.into(),
        pins: format!("{image}\n"),
        recipe: vec![format!("{engine} pull {image}"), format!("{engine} run -i --rm {image}")],
        dependencies: 0,
        scripted: Vec::new(),
        published: None,
    }
}

/// The image of pins, with its digest.
pub fn read<'a>(reference: &Reference, pins: &'a str) -> Result<&'a str> {
    let image = pins.trim_end();
    match image.strip_prefix(&format!("{}@", reference.name)) {
        Some(digest) if is_digest(digest) => Ok(image),
        _ => Err(Error::new(&codes::PACKAGE_INVALID, "the pins of an image are its name and digest")),
    }
}

/// The command that runs an image: `answers` are what its user said with `--set`.
pub fn run(engine: &str, image: &str, answers: &BTreeMap<String, Vec<String>>) -> Run {
    let mut args = ["run", "-i", "--rm"].map(String::from).to_vec();
    for (key, values) in answers {
        args.extend(values.iter().map(|value| format!("--{key}={value}")));
    }
    args.push(image.into());
    Run { command: engine.into(), args }
}

/// Refuses a setting that an image does not have, or that would open more than it says.
pub fn check(key: &str, value: &str) -> Result<()> {
    let word =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let name = |text: &str| {
        !text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !text.is_empty()
    };
    let is_good = match key {
        "env" => name(value),
        "network" => word(value) && !value.starts_with('-'),
        "volume" => match value.splitn(3, ':').collect::<Vec<_>>()[..] {
            [from, to] => (from.starts_with('/') || word(from)) && to.starts_with('/'),
            [from, to, "ro" | "rw"] => (from.starts_with('/') || word(from)) && to.starts_with('/'),
            _ => false,
        },
        _ => {
            let message = format!("an image has no setting `{key}`");
            return Err(Error::new(&codes::VALUE_INVALID, message).hint(SETTINGS));
        }
    };
    match is_good && !value.chars().any(char::is_control) {
        true => Ok(()),
        false => {
            let message = format!("`{value}` is no value for `{key}` of an image");
            let error = Error::new(&codes::VALUE_INVALID, message).hint(SETTINGS);
            Err(if key == "volume" { error.hint("a folder of this machine is given from /") } else { error })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let told = format!("1.0: Pulling from acme/notes\nDigest: {digest}\nStatus: Image is up to date\n");
        assert_eq!(super::digest(&told), Some(digest.clone()));
        assert_eq!(super::digest(&format!("{digest}\n")), Some(digest.clone()));
        assert_eq!(super::digest("Digest: sha256:00\n<none>\n"), None);
        let reference: Reference = "oci:host:5000/acme/notes:1.0".parse().unwrap();
        let found = resolved(&reference, "docker", &digest);
        let image = format!("host:5000/acme/notes@{digest}");
        assert_eq!((found.version.as_str(), found.pins), ("0a0a0a0a0a0a", format!("{image}\n")));
        assert_eq!(found.recipe, [format!("docker pull {image}"), format!("docker run -i --rm {image}")]);
        let pins = format!("{image}\n");
        assert_eq!(read(&reference, &pins).unwrap(), image);
        for bad in ["", "host:5000/acme/notes:1.0\n", "--privileged\n"] {
            assert!(read(&reference, bad).is_err(), "{bad}");
        }
        for (text, expected) in [
            ("oci:a/b", "a/b".to_string()),
            ("oci:a/b:1", "a/b:1".into()),
            ("oci:a/b@sha256:00", "a/b@sha256:00".into()),
        ] {
            assert_eq!(super::image(&text.parse().unwrap()), expected);
        }
    }

    #[test]
    fn it_sees_what_its_user_said() {
        let answers = [
            ("env".to_string(), vec!["TOKEN".to_string()]),
            ("network".into(), vec!["none".into()]),
            ("volume".into(), vec!["/home/a:/notes:ro".into()]),
        ];
        let run = run("podman", "a@sha256:00", &answers.into());
        assert_eq!(
            run.args.join(" "),
            "run -i --rm --env=TOKEN --network=none --volume=/home/a:/notes:ro a@sha256:00"
        );
        for (key, value) in
            [("env", "A_1"), ("network", "none"), ("volume", "/a:/b"), ("volume", "data:/b:ro")]
        {
            check(key, value).unwrap();
        }
        for (key, value) in [
            ("env", "A=b"),
            ("env", ""),
            ("network", "--x"),
            ("volume", "~/a:/b"),
            ("volume", "../a:/b"),
            ("volume", "/a"),
            ("volume", "/a:/b:exec"),
            ("privileged", "true"),
        ] {
            assert!(check(key, value).unwrap_err().is(&codes::VALUE_INVALID), "{key}={value}");
        }
    }
}
