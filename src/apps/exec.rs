//! From a command and its arguments to the program that is started: pure, so that a dry run shows exactly what a real
//! one does. Rules: no shell unless the file says `script`; an argument becomes whole words of a command line, or a
//! variable, and never text that a shell or the program's option parser could read as something else.

use super::model::{Exec, Item, Run};
use super::template::{self, Resolve, fill, no_nul, plain, whole};
use crate::error::{Error, Result, codes};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    pub program: String,
    pub args: Vec<String>,
    /// Declared variables, those of arguments included.
    pub env: BTreeMap<String, String>,
    pub cwd: Option<String>,
    pub stdin: Option<String>,
}

/// How a shell or interpreter takes its text.
pub const SHELLS: [(&str, &str); 9] = [
    ("sh", "-c"),
    ("bash", "-c"),
    ("zsh", "-c"),
    ("dash", "-c"),
    ("fish", "-c"),
    ("python3", "-c"),
    ("node", "-e"),
    ("pwsh", "-Command"),
    ("powershell", "-Command"),
];

/// The variable by which a script gets an argument.
pub fn variable(argument: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("ARG_{}", argument.chars().map(word).collect::<String>())
}

/// Builds the command line. `arguments` are checked and have their defaults. `engine` runs containers.
pub fn build(
    exec: &Exec,
    arguments: &Map<String, Value>,
    resolve: Resolve<'_>,
    engine: &str,
) -> Result<Command> {
    for (name, value) in arguments {
        no_nul(name, &plain(value))?;
    }
    let same = |text: &str| text.to_string();
    let mut env = BTreeMap::new();
    for (name, text) in &exec.env {
        if let Some(value) = fill(text, arguments, resolve, &same)? {
            env.insert(name.clone(), value);
        }
    }
    let words = match &exec.run {
        Run::Argv(items) => words(items, arguments, resolve)?,
        Run::Verbatim(words) => words.clone(),
        Run::Script { text, shell } => {
            env.extend(arguments.iter().map(|(name, value)| (variable(name), plain(value))));
            let flag = SHELLS.iter().find(|(name, _)| name == shell).map_or("-c", |(_, flag)| flag);
            vec![shell.clone(), flag.into(), text.clone()]
        }
    };
    let fill_one = |text: &Option<String>| match text {
        Some(text) => fill(text, arguments, resolve, &same),
        None => Ok(None),
    };
    let mut words = match &exec.container {
        Some(image) => contained(engine, image, &env, words),
        None => words,
    };
    if words.is_empty() {
        return Err(Error::new(&codes::ARGUMENTS_INVALID, "nothing is left of the command line"));
    }
    let program = words.remove(0);
    Ok(Command { program, args: words, env, cwd: fill_one(&exec.cwd)?, stdin: fill_one(&exec.stdin)? })
}

/// Variables go by name, so that their values stand in no list of processes.
fn contained(engine: &str, image: &str, env: &BTreeMap<String, String>, words: Vec<String>) -> Vec<String> {
    let mut all: Vec<String> =
        [engine, "run", "--rm", "--init", "--security-opt=no-new-privileges"].map(Into::into).into();
    all.extend(env.keys().flat_map(|name| ["-e".to_string(), name.clone()]));
    all.push(image.into());
    all.extend(words);
    all
}

fn words(items: &[Item], arguments: &Map<String, Value>, resolve: Resolve<'_>) -> Result<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    for item in items {
        let after_dashes = words.iter().any(|word| word == "--");
        let group = |texts: &[String]| -> Result<Option<Vec<String>>> {
            let mut group = Vec::new();
            for text in texts {
                let after = after_dashes || group.iter().any(|word| word == "--");
                match one(text, arguments, resolve, after)? {
                    Some(words) => group.extend(words),
                    None => return Ok(None),
                }
            }
            Ok(Some(group))
        };
        match item {
            Item::One(text) => words.extend(one(text, arguments, resolve, after_dashes)?.unwrap_or_default()),
            Item::Group(texts) => words.extend(group(texts)?.unwrap_or_default()),
            Item::Switch(switch) if arguments.get(&switch.r#if) == Some(&Value::Bool(true)) => {
                words.extend(group(&switch.then)?.unwrap_or_default());
            }
            Item::Switch(_) => {}
        }
    }
    Ok(words)
}

/// The words one text becomes: one, or as many as the list it stands for has.
fn one(
    text: &str,
    arguments: &Map<String, Value>,
    resolve: Resolve<'_>,
    after_dashes: bool,
) -> Result<Option<Vec<String>>> {
    let words = match whole(text).map(|name| (name, arguments.get(name))) {
        Some((_, Some(Value::Array(items)))) => items.iter().map(plain).collect(),
        _ => match fill(text, arguments, resolve, &str::to_string)? {
            Some(word) => vec![word],
            None => return Ok(None),
        },
    };
    if let Some(template::Piece::Argument(name)) = template::pieces(text).first()
        && !after_dashes
        && !matches!(arguments.get(*name), Some(Value::Number(_)))
        && words.iter().any(|word| word.starts_with('-'))
    {
        let message = format!("`{name}` may not begin with `-`: the program would take it for an option");
        return Err(Error::new(&codes::ARGUMENTS_INVALID, message).hint(format!(
            "in the file, put `--` before `{{{{{name}}}}}`, or write `--option={{{{{name}}}}}`"
        )));
    }
    Ok(Some(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn exec(run: Run) -> Exec {
        Exec { run, container: None, env: BTreeMap::new(), cwd: None, stdin: None, ok: vec![], stderr: false }
    }

    fn argv(items: Value) -> Exec {
        exec(Run::Argv(serde_json::from_value(items).unwrap()))
    }

    fn line(exec: &Exec, arguments: Value) -> Result<Vec<String>> {
        let resolve = |text: &str| Ok(text.replace("${KEY}", "k"));
        let command = build(exec, arguments.as_object().unwrap(), &resolve, "docker")?;
        Ok([vec![command.program], command.args].concat())
    }

    #[test]
    fn an_argument_is_a_whole_word_whatever_it_holds() {
        let git = argv(json!(["git", "log", "--max-count={{count}}", ["--author", "x{{author}}"],
            {"if": "all", "then": ["--all"]}, "${KEY}", "--", "{{paths}}"]));
        for (arguments, expected) in [
            (json!({}), vec!["git", "log", "k", "--"]),
            (json!({"count": 3, "all": true}), vec!["git", "log", "--max-count=3", "--all", "k", "--"]),
            (json!({"all": false, "author": "a b"}), vec!["git", "log", "--author", "xa b", "k", "--"]),
            (
                json!({"paths": ["-rf", "$(id); rm", "${KEY}", "{{count}}"], "count": 1}),
                vec!["git", "log", "--max-count=1", "k", "--", "-rf", "$(id); rm", "${KEY}", "{{count}}"],
            ),
        ] {
            assert_eq!(line(&git, arguments.clone()).unwrap(), expected, "{arguments}");
        }
    }

    #[test]
    fn an_argument_cannot_become_an_option() {
        let ls = argv(json!(["ls", "{{dir}}"]));
        assert_eq!(line(&ls, json!({"dir": "a"})).unwrap(), ["ls", "a"]);
        let refused = line(&ls, json!({"dir": "--help"})).unwrap_err();
        assert!(
            refused.is(&codes::ARGUMENTS_INVALID) && refused.message.contains("begin with `-`"),
            "{refused}"
        );
        let listed = argv(json!(["ls", "{{dirs}}"]));
        assert!(line(&listed, json!({"dirs": ["a", "-x"]})).is_err());
        assert_eq!(line(&argv(json!(["seq", "{{n}}"])), json!({"n": -3})).unwrap(), ["seq", "-3"]);
        assert!(line(&ls, json!({"dir": "a\0b"})).unwrap_err().message.contains("null character"));
    }

    #[test]
    fn a_script_gets_arguments_as_variables() {
        let script = exec(Run::Script { text: "echo \"$ARG_WHO\"".into(), shell: "bash".into() });
        let arguments = json!({"who": "$(id)", "dry-run": true});
        let command =
            build(&script, arguments.as_object().unwrap(), &|text| Ok(text.into()), "docker").unwrap();
        assert_eq!(
            (command.program.as_str(), command.args),
            ("bash", vec!["-c".into(), "echo \"$ARG_WHO\"".into()])
        );
        let env =
            [("ARG_WHO", "$(id)"), ("ARG_DRY_RUN", "true")].map(|(k, v)| (k.to_string(), v.to_string()));
        assert_eq!(command.env, env.into());
    }

    #[test]
    fn a_container_gets_variables_by_name() {
        let mut python = exec(Run::Verbatim(vec!["python".into(), "-c".into(), "print({{x}})".into()]));
        python.container = Some("python:3-slim".into());
        python.env = [("TOKEN".to_string(), "secret".to_string())].into();
        assert_eq!(
            line(&python, json!({})).unwrap().join(" "),
            "docker run --rm --init --security-opt=no-new-privileges -e TOKEN python:3-slim python -c print({{x}})"
        );
    }
}
