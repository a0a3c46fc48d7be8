//! The settings in force and where each value comes from: a flag, a variable, the user's file, or the default.
//! It reads `config.yaml`; writing it is the business of `setup`.
//! Rule: an unknown key in the file is an error, an unknown `UMCP_…` variable only a warning.

use super::Settings;
use super::table::{self, SETTINGS, Setting};
use crate::documents::{self, Format, Node, Source, near};
use crate::error::{Error, Result, codes};
use crate::paths::Paths;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Variables that are not settings.
const OTHER_VARIABLES: &[&str] = &[
    "UMCP_HOME",
    "UMCP_CLOCK",
    "UMCP_ASCII",
    "UMCP_LOG",
    "UMCP_PAGER",
    "UMCP_DOWNLOAD_URL",
    "UMCP_INSTALL_DIR",
    "UMCP_NO_MODIFY_PATH",
    "UMCP_VERSION",
    "UMCP_ALLOW_PRIVATE",
    "UMCP_PEERS",
    "UMCP_LONG",
];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Origin {
    Flag { name: String },
    Env { name: String },
    File { path: PathBuf, line: u32 },
    Default,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub settings: Settings,
    /// By key; every setting has one.
    pub origins: BTreeMap<&'static str, Origin>,
    pub warnings: Vec<String>,
}

impl Resolved {
    /// Sets one value by a flag, which beats everything else.
    pub fn flag(&mut self, flag: &str, key: &str, value: &str) -> Result<()> {
        let setting = table::find(key)?;
        setting.write(&mut self.settings, value)?;
        self.origins.insert(setting.key, Origin::Flag { name: flag.into() });
        Ok(())
    }
}

/// Reads the file of settings and then the variables, which beat it. No file: the defaults.
pub fn load(paths: &Paths, env: impl IntoIterator<Item = (String, String)>) -> Result<Resolved> {
    let file = paths.settings_file();
    let text = match documents::read_file(&file) {
        Err(error) if error.is(&codes::FILE_NOT_FOUND) => String::new(),
        text => text?,
    };
    let mut resolved = parse_file(&file, &text)?;
    let mut variables: Vec<(String, String)> =
        env.into_iter().filter(|(name, _)| name.starts_with("UMCP_")).collect();
    variables.sort();
    for (name, value) in variables {
        match SETTINGS.iter().find(|setting| setting.variable() == name) {
            Some(setting) => {
                setting
                    .write(&mut resolved.settings, &value)
                    .map_err(|error| error.because(format!("set by the variable `{name}`")))?;
                resolved.origins.insert(setting.key, Origin::Env { name });
            }
            None => resolved.warnings.extend(unknown_variable(&name)),
        }
    }
    Ok(resolved)
}

fn unknown_variable(name: &str) -> Option<String> {
    // Tests of umcp itself have variables of their own.
    if OTHER_VARIABLES.contains(&name) || name.starts_with("UMCP_TEST_") {
        return None;
    }
    let known: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    let known = known.iter().map(String::as_str).chain(OTHER_VARIABLES.iter().copied());
    Some(match near(name, known) {
        Some(meant) => format!("the variable `{name}` means nothing to umcp; did you mean `{meant}`?"),
        None => format!("the variable `{name}` means nothing to umcp"),
    })
}

/// Reads the text of a file of settings, without variables.
pub fn parse_file(file: &std::path::Path, text: &str) -> Result<Resolved> {
    let name = file.display().to_string();
    let root = documents::parse_as(Format::Yaml, &name, text)?;
    let source = Source::new(&name, text);
    let mut resolved = Resolved {
        settings: Settings::default(),
        origins: SETTINGS.iter().map(|setting| (setting.key, Origin::Default)).collect(),
        warnings: Vec::new(),
    };
    if !(root.is_map() || root.is_null()) {
        return Err(source.invalid(root.at, format!("settings are a map, this is {}", root.word())));
    }
    for (section, node) in root.entries() {
        if section.name == "version" && node.scalar().as_deref() == Some("1") {
            continue;
        }
        let known = SETTINGS.iter().any(|setting| setting.path()[0] == section.name);
        if !known {
            let sections = SETTINGS.iter().map(|setting| setting.path()[0]);
            return Err(unknown_key(&source, section.at, &section.name, sections));
        }
        if !(node.is_map() || node.is_null()) {
            return Err(
                source.invalid(node.at, format!("`{}` is a map, this is {}", section.name, node.word()))
            );
        }
        for (key, value) in node.entries() {
            let full = format!("{}.{}", section.name, key.name);
            let Some(setting) = SETTINGS.iter().find(|setting| setting.key == full) else {
                let inside = SETTINGS.iter().map(|setting| setting.path());
                let names = inside.filter(|path| path[0] == section.name).map(|path| path[1]);
                return Err(unknown_key(&source, key.at, &key.name, names));
            };
            let text = value_text(&source, value)?;
            setting.write(&mut resolved.settings, &text).map_err(|error| error.at(source.span(value.at)))?;
            let origin = Origin::File { path: file.to_path_buf(), line: key.at.line };
            resolved.origins.insert(setting.key, origin);
        }
    }
    Ok(resolved)
}

fn value_text(source: &Source<'_>, node: &Node) -> Result<String> {
    node.scalar().ok_or_else(|| {
        source.invalid(node.at, format!("a single value is expected, this is {}", node.word()))
    })
}

fn unknown_key<'a>(
    source: &Source<'_>,
    at: documents::Position,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> Error {
    let error = Error::new(&codes::FIELD_UNKNOWN, format!("unknown setting `{name}`")).at(source.span(at));
    match near(name, known) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("umcp config show"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, env: &[(&str, &str)]) -> Result<Resolved> {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(home.path(), home.path().into());
        std::fs::create_dir_all(&paths.config).unwrap();
        std::fs::write(paths.settings_file(), text).unwrap();
        load(&paths, env.iter().map(|(name, value)| (name.to_string(), value.to_string())))
    }

    #[test]
    fn a_variable_beats_the_file_and_the_file_beats_the_default() {
        let text = "# mine\ngateway:\n  page_size: 10\n  body_limit: 1MiB\n";
        let mut resolved = resolve(text, &[("UMCP_GATEWAY__PAGE_SIZE", "20"), ("HOME", "/h")]).unwrap();
        assert_eq!(
            (resolved.settings.gateway.page_size, resolved.settings.gateway.body_limit),
            (20, 1 << 20)
        );
        assert_eq!(
            resolved.origins["gateway.page_size"],
            Origin::Env { name: "UMCP_GATEWAY__PAGE_SIZE".into() }
        );
        assert!(matches!(resolved.origins["gateway.body_limit"], Origin::File { line: 4, .. }));
        assert_eq!(resolved.origins["servers.queue"], Origin::Default);
        assert_eq!(resolved.origins.len(), SETTINGS.len());
        resolved.flag("--queue", "servers.queue", "5").unwrap();
        assert_eq!(resolved.settings.servers.queue, 5);
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        for (text, message, line, hint) in [
            ("gatway:\n  page_size: 1\n", "unknown setting `gatway`", 1, "did you mean `gateway`?"),
            ("gateway:\n  pagesize: 1\n", "unknown setting `pagesize`", 2, "did you mean `page_size`?"),
            ("gateway:\n  page_size: 0\n", "`0` is no value for `gateway.page_size`", 2, ""),
            ("gateway: 1\n", "`gateway` is a map, this is a number", 1, ""),
            ("- a\n", "settings are a map, this is a list", 1, ""),
            ("version: 2\n", "unknown setting `version`", 1, "umcp config show"),
        ] {
            let error = resolve(text, &[]).unwrap_err();
            assert_eq!((error.message.as_str(), error.span.as_ref().unwrap().line), (message, line));
            assert!(hint.is_empty() || error.hints == [hint], "{error:?}");
        }
        assert!(resolve("", &[("UMCP_SERVERS__QUEUE", "many")]).is_err());
    }

    #[test]
    fn an_unknown_variable_is_only_a_warning() {
        let resolved = resolve("", &[("UMCP_GATEWAY_PAGE_SIZE", "1"), ("UMCP_HOME", "/x")]).unwrap();
        assert_eq!(
            resolved.warnings,
            [
                "the variable `UMCP_GATEWAY_PAGE_SIZE` means nothing to umcp; did you mean `UMCP_GATEWAY__PAGE_SIZE`?"
            ]
        );
    }
}
