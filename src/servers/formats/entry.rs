//! One entry of another tool's file into a [`Server`]. The tools share most field names; what differs is in
//! the table of [`field`] and the few flags of a dialect.
//! Rule: a field nobody maps is noted with its line, never dropped in silence.

use super::values::rewrite;
use super::{Candidate, Dialect, Level, Note};
use crate::documents::Node;
use crate::servers::model::{Server, Transport};
use std::collections::BTreeMap;

/// Where a field of an entry goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Command,
    Args,
    Env,
    /// A list of variables handed through.
    EnvNames,
    Url,
    /// A URL that is streamable HTTP by its name; a plain `url` may be either kind and is probed.
    HttpUrl,
    Headers,
    /// Headers whose values are names of variables.
    HeadersFromEnv,
    /// A variable that holds a bearer token.
    BearerEnv,
    Bearer,
    RequestOptions,
    Kind,
    Cwd,
    Enabled,
    Disabled,
    Include,
    Exclude,
    Timeout,
    CallSeconds,
    CallMillis,
    StartSeconds,
    StartMillis,
    Tags,
    Description,
    /// Says nothing umcp needs: the name again, display text.
    Known,
    Unknown(Option<&'static str>),
}

fn field(key: &str) -> Field {
    match key {
        "command" | "cmd" => Field::Command,
        "args" | "arguments" => Field::Args,
        "env" | "envs" | "environment" => Field::Env,
        "env_vars" | "env_keys" => Field::EnvNames,
        "url" | "uri" | "serverUrl" | "baseUrl" | "base_url" => Field::Url,
        "httpUrl" => Field::HttpUrl,
        "headers" | "http_headers" => Field::Headers,
        "env_http_headers" => Field::HeadersFromEnv,
        "bearer_token_env_var" | "bearerTokenEnv" | "bearer_token_env" => Field::BearerEnv,
        "bearerToken" | "bearer_token" => Field::Bearer,
        "requestOptions" => Field::RequestOptions,
        "type" | "transport" | "transportType" => Field::Kind,
        "cwd" | "workingDirectory" => Field::Cwd,
        "enabled" => Field::Enabled,
        "disabled" => Field::Disabled,
        "includeTools" | "enabled_tools" | "allowed_tools" | "allowedTools" | "available_tools" => {
            Field::Include
        }
        "excludeTools" | "disabled_tools" | "exclude_tools" | "blockedTools" | "disabledTools" => {
            Field::Exclude
        }
        "timeout" => Field::Timeout,
        "request_timeout_ms" | "requestTimeout" => Field::CallMillis,
        "tool_timeout_sec" => Field::CallSeconds,
        "startup_timeout_sec" => Field::StartSeconds,
        "startup_timeout_ms" | "connectionTimeout" => Field::StartMillis,
        "tags" | "profile_tags" => Field::Tags,
        "description" => Field::Description,
        "name" | "display_name" | "displayName" | "title" | "source" | "bundled" | "$schema" => Field::Known,
        "alwaysAllow" | "autoApprove" | "trust" | "always_allow" => {
            Field::Unknown(Some("approval stays with the client"))
        }
        "envFile" | "env_file" => {
            Field::Unknown(Some("the file was not read; add its variables to the server"))
        }
        "oauth" | "auth" | "authProviderType" => Field::Unknown(Some("sign in again through umcp")),
        "headersHelper" => Field::Unknown(Some("umcp runs no helper for headers")),
        "security" | "sandbox" | "sandboxEnabled" => Field::Unknown(Some(
            "the other tool's sandbox rules were not taken over; umcp's own hold (umcp doctor --only sandbox)",
        )),
        _ => Field::Unknown(None),
    }
}

/// What the fields of one entry say, before they are put together.
#[derive(Default)]
struct Draft {
    command: Option<String>,
    args: Vec<String>,
    url: Option<String>,
    streamable: bool,
    kind: Option<String>,
}

/// Placeholder until the transport of an entry is known.
pub fn nothing() -> Transport {
    Transport::Stdio { command: String::new(), args: Vec::new() }
}

/// Whether the entry is umcp's own.
pub fn is_umcp(transport: &Transport) -> bool {
    let Transport::Stdio { command, args } = transport else { return false };
    let program = command.rsplit(['/', '\\']).next().unwrap_or(command);
    let program = program.strip_suffix(".exe").unwrap_or(program);
    program == "umcp" && args.first().is_some_and(|arg| arg == "serve")
}

/// Reads an entry into `server`; `None` when it is no server umcp can run, with a note that says why.
pub fn read(
    dialect: &Dialect,
    candidate: &Candidate<'_>,
    mut server: Server,
    notes: &mut Vec<Note>,
) -> Option<Server> {
    let mut reader =
        Reader { dialect, name: &candidate.name, notes, server: &mut server, draft: Draft::default() };
    if let Some(text) = candidate.node.as_str() {
        reader.draft.command = Some(text.into());
    } else if !candidate.node.is_map() {
        reader.note(candidate.line, Level::Skipped, "is not a map of fields".into());
        return None;
    }
    for (key, node) in candidate.node.entries() {
        reader.field(&key.name, key.at.line, node);
    }
    reader.split_command(candidate.line);
    let transport = reader.transport(candidate.line)?;
    server.transport = transport;
    if let (Some(project), None, Transport::Stdio { .. }) =
        (candidate.project, &server.cwd, &server.transport)
    {
        server.cwd = Some(project.into());
        let message = format!("`{}` belongs to the project {project} and runs there", candidate.name);
        notes.push(Note { line: Some(candidate.line), level: Level::Changed, message });
    }
    Some(server)
}

struct Reader<'a> {
    dialect: &'a Dialect,
    name: &'a str,
    notes: &'a mut Vec<Note>,
    server: &'a mut Server,
    draft: Draft,
}

impl Reader<'_> {
    fn note(&mut self, line: u32, level: Level, rest: String) {
        let message = format!("`{}` {rest}", self.name);
        self.notes.push(Note { line: Some(line), level, message });
    }

    fn ignored(&mut self, key: &str, line: u32, why: &str) {
        let message = format!("`{}` of `{}`: {why}", key, self.name);
        self.notes.push(Note { line: Some(line), level: Level::Ignored, message });
    }

    fn field(&mut self, key: &str, line: u32, node: &Node) {
        if node.is_null() {
            return;
        }
        match field(key) {
            Field::Command => self.command(node),
            Field::Args => {
                let args = self.list(node);
                self.draft.args.extend(args);
            }
            Field::Url | Field::HttpUrl => {
                self.draft.url = self.text(node);
                self.draft.streamable |= field(key) == Field::HttpUrl;
            }
            Field::Kind => self.draft.kind = node.scalar(),
            Field::Cwd => self.server.cwd = self.text(node),
            Field::Description => self.server.description = node.scalar(),
            Field::Tags => self.server.tags = self.list(node),
            Field::Include => self.server.tools.include = self.list(node),
            Field::Exclude => self.server.tools.exclude = self.list(node),
            Field::Enabled => self.server.enabled = node.as_bool().unwrap_or(true),
            Field::Disabled => self.server.enabled = !node.as_bool().unwrap_or(false),
            Field::Known => {}
            Field::Unknown(why) => {
                self.ignored(key, line, why.unwrap_or("umcp has no such field"));
            }
            Field::Env | Field::EnvNames | Field::Headers | Field::HeadersFromEnv | Field::RequestOptions => {
                self.values(key, node);
            }
            Field::BearerEnv | Field::Bearer => {
                let token = match (field(key), node.scalar()) {
                    (Field::BearerEnv, Some(name)) => format!("${{{name}}}"),
                    _ => self.text(node).unwrap_or_default(),
                };
                self.server.headers.insert("Authorization".into(), format!("Bearer {token}"));
            }
            other => self.timeout(other, key, line, node),
        }
    }

    /// A program, a whole command line as a list, or the map older editors wrote.
    fn command(&mut self, node: &Node) {
        if node.is_list() {
            let mut words = self.list(node).into_iter();
            self.draft.command = words.next();
            self.draft.args.splice(0..0, words);
        } else if node.is_map() {
            for (key, node) in node.entries() {
                let key = if key.name == "path" { "command" } else { &key.name };
                self.field(key, node.at.line, node);
            }
        } else {
            self.draft.command = self.text(node);
        }
    }

    /// Some tools run a command line through a shell; umcp never does, so it is split here, once.
    fn split_command(&mut self, line: u32) {
        let Some(command) = self.draft.command.as_deref().filter(|_| self.draft.args.is_empty()) else {
            return;
        };
        let words = words(command);
        // A path may hold spaces of its own: then the whole is the program.
        if words.len() < 2 || words[0].contains(['/', '\\']) {
            return;
        }
        let mut words = words.into_iter();
        self.draft.command = words.next();
        self.draft.args = words.collect();
        self.note(
            line,
            Level::Changed,
            "has its arguments in `command`; they were split at the spaces".into(),
        );
    }

    fn values(&mut self, key: &str, node: &Node) {
        match field(key) {
            Field::Env if node.is_map() => {
                let map = self.map(node);
                self.server.env.extend(map);
            }
            Field::Headers => {
                let map = self.map(node);
                self.server.headers.extend(map);
            }
            Field::HeadersFromEnv => {
                let names = self.map(node).into_iter().map(|(header, name)| (header, format!("${{{name}}}")));
                self.server.headers.extend(names);
            }
            Field::RequestOptions => {
                for (inner, node) in node.entries() {
                    if inner.name == "headers" {
                        self.values("headers", node);
                    } else {
                        self.ignored(&inner.name, inner.at.line, "umcp has no such field");
                    }
                }
            }
            // Names of variables to hand through, or `NAME=value` lines.
            _ => {
                for item in self.list(node) {
                    let (name, value) = match item.split_once('=') {
                        Some((name, value)) => (name.to_string(), value.to_string()),
                        None => (item.clone(), format!("${{{item}}}")),
                    };
                    self.server.env.entry(name).or_insert(value);
                }
            }
        }
    }

    fn timeout(&mut self, field: Field, key: &str, line: u32, node: &Node) {
        let number = node.as_f64().or_else(|| node.as_str()?.trim().parse().ok());
        let seconds = match field {
            Field::Timeout => self.dialect.seconds,
            Field::CallSeconds | Field::StartSeconds => true,
            _ => false,
        };
        let millis = number.map(|number| if seconds { number * 1000.0 } else { number });
        let Some(millis) = millis.filter(|millis| (1.0..=86_400_000.0).contains(millis)) else {
            return self.ignored(key, line, "not a time umcp can use");
        };
        let millis = Some(millis.round() as u64);
        match field {
            Field::StartSeconds | Field::StartMillis => self.server.limits.start_timeout_ms = millis,
            _ => self.server.limits.call_timeout_ms = millis,
        }
    }

    fn transport(&mut self, line: u32) -> Option<Transport> {
        let draft = std::mem::take(&mut self.draft);
        let kind =
            draft.kind.as_deref().map(|kind| kind.to_ascii_lowercase().replace('_', "-")).unwrap_or_default();
        let skip = |reader: &mut Self, why: String| {
            reader.note(line, Level::Skipped, why);
            None
        };
        match kind.as_str() {
            "builtin" | "platform" | "frontend" | "inline-python" | "openapi" => {
                return skip(self, format!("is of type `{kind}`, which only {} has", self.dialect.name));
            }
            "" | "stdio" | "local" | "http" | "https" | "streamable-http" | "streamablehttp" | "remote"
            | "sse" | "ws" | "websocket" => {}
            _ => {
                return skip(self, format!("is of type `{kind}`, which umcp does not know"));
            }
        }
        let remote = !matches!(kind.as_str(), "stdio" | "local");
        match (draft.url.filter(|_| remote), draft.command) {
            (Some(url), None) => self.remote(&kind, url, draft.streamable, line),
            (Some(url), Some(_)) if !kind.is_empty() => self.remote(&kind, url, draft.streamable, line),
            (_, Some(command)) if kind.is_empty() || !remote => {
                Some(Transport::Stdio { command, args: draft.args })
            }
            _ => skip(self, "has neither a command nor a URL".into()),
        }
    }

    fn remote(&mut self, kind: &str, url: String, streamable: bool, line: u32) -> Option<Transport> {
        let variable = url.starts_with("${") || url.starts_with("secret://");
        match kind {
            "sse" => Some(Transport::Sse { url }),
            "ws" | "websocket" => Some(Transport::WebSocket { url }),
            _ if variable => Some(Transport::Http { url, probe: true }),
            _ => match Transport::from_url(&url) {
                Ok(Transport::Http { url, .. }) => {
                    let sure = streamable || kind.starts_with("streamable");
                    Some(Transport::Http { url, probe: !sure })
                }
                Ok(other) => Some(other),
                // The URL itself stays out of the note: it may hold a key.
                Err(_) => {
                    self.note(line, Level::Skipped, "has a URL umcp cannot connect to".into());
                    None
                }
            },
        }
    }

    /// A scalar with its variables in umcp's spelling, and notes about those that need the user.
    fn text(&mut self, node: &Node) -> Option<String> {
        let value = rewrite(&node.scalar()?);
        for secret in value.secrets {
            let message = format!("needs the secret `{secret}`; it is now secret://{secret}");
            self.note(node.at.line, Level::Changed, message);
        }
        for variable in value.foreign {
            let message = format!("uses `{variable}`, which only {} fills in", self.dialect.name);
            self.note(node.at.line, Level::Ignored, message);
        }
        Some(value.text)
    }

    fn list(&mut self, node: &Node) -> Vec<String> {
        match node.scalar() {
            Some(_) => self.text(node).into_iter().collect(),
            None => node.items().iter().filter_map(|item| self.text(item)).collect(),
        }
    }

    fn map(&mut self, node: &Node) -> BTreeMap<String, String> {
        let entries = node.entries().iter();
        entries.filter_map(|(key, node)| Some((key.name.clone(), self.text(node)?))).collect()
    }
}

/// The words of a command line; quotes keep spaces together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(words(" npx -y  'a b'\"c\" ''"), ["npx", "-y", "a bc", ""]);
        assert_eq!(words(""), [""; 0]);
    }
}
