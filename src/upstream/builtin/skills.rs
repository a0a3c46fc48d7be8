//! The built-in `skills` server: every installed skill as a prompt, as resources, by the Skills extension, and, for
//! clients that know none of these, by a tool; one with steps is a tool of its own. Names and descriptions are in the
//! lists, texts are given when they are asked for, other files one by one.
//! Rule: what is given is what was installed; a file that was changed since is refused.

use super::Options;
use super::reply::{self, Effect, Output, World, object, tool};
use crate::engine::live::{Live, LiveReply, RunOrder, RunRequest, RunSource};
use crate::engine::{Reply, StoreRequest, unexpected};
use crate::error::{Error, Result, codes};
use crate::skills::model::{File, Installed, Skill};
use crate::skills::{self, front, whole};
use crate::upstream::Shared;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{
    DIRECTORY_MIME_TYPE, GetPromptResult, JsonObject, Prompt, PromptMessage, Resource, ResourceContents,
    ResourceTemplate, Role, Skill as Listed, SkillFrontmatter, SkillResource, SkillResources, Tool,
    ToolAnnotations,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const ACTIVATE: &str = "activate_skill";
const READ: &str = "read_skill_file";
const SCHEME: &str = "skill://";
/// Skills that the description of a tool names.
const NAMED: usize = 100;

/// The server. Without `shared`, as in a look at its definition, there are no skills.
#[derive(Clone)]
pub struct Skills {
    shared: Option<Arc<Shared>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Activate {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadFile {
    name: String,
    path: String,
}

impl Skills {
    pub fn new(options: &Options) -> Self {
        Self { shared: options.shared.clone() }
    }

    /// All skills, beside the runtime: the store is read.
    async fn all(&self) -> Result<Vec<Skill>> {
        let Some(shared) = self.shared.clone() else { return Ok(Vec::new()) };
        let read = move || match shared.engine.call(StoreRequest::Skill(skills::Request::List))? {
            Reply::Skill(skills::Reply::Skills(skills)) => Ok(skills),
            other => unexpected(&other),
        };
        let done = tokio::task::spawn_blocking(read).await;
        done.map_err(|error| Error::bug("a look at the skills did not end").because(error))?
    }

    async fn find(&self, name: &str) -> Result<(String, Installed)> {
        let all = self.all().await?;
        let skill = all.iter().find(|skill| skill.name == name);
        let skill = skill.ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|skill| skill.name.as_str()).collect();
            reply::refused(format!("there is no skill `{name}`"))
                .hint(format!("there are {}", names.join(", ")))
        })?;
        Ok((skill.name.clone(), skill.current()?.clone()))
    }

    pub async fn tools(&self) -> Result<Vec<Tool>> {
        let all = self.all().await?;
        let name = json!({"type": "string", "description": "The name of the skill"});
        let text = json!({"type": "string"});
        let mut tools = vec![
            tool(
                ACTIVATE,
                "Activate a skill",
                "Gives the instructions of a skill.",
                Effect::Reads,
                World::Closed,
                object(json!({"name": name}), &["name"]),
                Some(object(
                    json!({"name": text, "version": text, "instructions": text,
                        "files": {"type": "array", "items": text}}),
                    &["name", "version", "instructions", "files"],
                )),
            ),
            tool(
                READ,
                "Read a file of a skill",
                "Gives one of the other files of a skill, which its instructions name.",
                Effect::Reads,
                World::Closed,
                object(
                    json!({"name": name, "path": {"type": "string", "description": "Such as references/rates.md"}}),
                    &["name", "path"],
                ),
                None,
            ),
        ];
        tools[0].description = Some(catalogue(&all)?.into());
        for skill in &all {
            let current = skill.current()?;
            if current.is_executable() {
                tools.push(executable(&skill.name, current));
            }
        }
        Ok(tools)
    }

    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Output> {
        match tool {
            ACTIVATE => {
                let Activate { name } = reply::arguments(arguments)?;
                let (name, current) = self.find(&name).await?;
                let body = self.instructions(&name, &current).await?;
                let others = others(&current);
                let data =
                    json!({"name": name, "version": current.version, "instructions": body, "files": others});
                Ok(Output::data(with_files(&body, &name, &others), data))
            }
            READ => {
                let ReadFile { name, path } = reply::arguments(arguments)?;
                let (name, current) = self.find(&name).await?;
                let bytes = self.bytes(&name, &current, &path).await?;
                match String::from_utf8(bytes) {
                    Ok(text) => Ok(Output::text(text)),
                    Err(error) => Ok(Output::text(STANDARD.encode(error.as_bytes()))),
                }
            }
            name => {
                let (name, current) = self.find(name).await?;
                self.run(&name, &current, arguments).await
            }
        }
    }

    /// Runs the steps of a skill. Whoever goes before the end takes the run with it.
    async fn run(&self, name: &str, current: &Installed, arguments: Value) -> Result<Output> {
        let Some(shared) = self.shared.clone() else { return Err(Error::bug("a skill without a world")) };
        let source = RunSource::Document { text: current.document.clone(), inputs: arguments.to_string() };
        let request = RunRequest { source, by: format!("skill:{name}"), wait: false };
        let run = match shared.ask(Live::RunWorkflow(request)).await? {
            LiveReply::Run(run) => run.id,
            _ => return Err(Error::bug("no run in the reply")),
        };
        let mut leaving = Leaving { shared: shared.clone(), run: Some(run.clone()) };
        let ended = shared.ask(Live::FollowRun { run: run.clone() }).await;
        leaving.run = None;
        let LiveReply::Run(ended) = ended? else { return Err(Error::bug("no run in the reply")) };
        if let Some(failure) = &ended.failure {
            let message = format!("the skill `{name}` failed: {}", failure.message);
            return Err(reply::refused(message).hint(format!("umcp workflow logs {run}")));
        }
        let outputs: Value = serde_json::from_str(&ended.outputs).unwrap_or_default();
        match ended.outputs.is_empty() {
            true => Err(reply::refused(format!("the skill `{name}` is {}", ended.status.word()))
                .hint(format!("umcp workflow status {run}"))),
            false => {
                let text = serde_json::to_string_pretty(&outputs).unwrap_or_default();
                Ok(Output::data(text, outputs))
            }
        }
    }

    async fn instructions(&self, name: &str, current: &Installed) -> Result<String> {
        let bytes = self.bytes(name, current, whole::TEXT).await?;
        Ok(front::read(whole::TEXT, &String::from_utf8_lossy(&bytes))?.body)
    }

    async fn bytes(&self, name: &str, current: &Installed, path: &str) -> Result<Vec<u8>> {
        match &self.shared {
            Some(shared) => bytes(shared, name, current, path).await,
            None => Err(Error::bug("a skill without a world")),
        }
    }

    pub async fn prompts(&self) -> Result<Vec<Prompt>> {
        let prompt = |skill: &Skill| Ok(Prompt::new(&skill.name, Some(&skill.current()?.description), None));
        self.all().await?.iter().map(prompt).collect()
    }

    pub async fn prompt(&self, name: &str) -> Result<GetPromptResult> {
        let (name, current) = self.find(name).await?;
        let body = self.instructions(&name, &current).await?;
        let text = with_files(&body, &name, &others(&current));
        let message = PromptMessage::new_text(Role::User, text);
        Ok(GetPromptResult::new(vec![message]).with_description(current.description))
    }

    /// The entry of each skill; what else it holds is found through it.
    pub async fn resources(&self) -> Result<Vec<Resource>> {
        let resource = |skill: &Skill| {
            let current = skill.current()?;
            let size = current.files.iter().find(|file| file.path == whole::TEXT).map_or(0, |file| file.size);
            Ok(Resource::new(uri(&skill.name, whole::TEXT), &skill.name)
                .with_description(&current.description)
                .with_mime_type("text/markdown")
                .with_size(size))
        };
        self.all().await?.iter().map(resource).collect()
    }

    pub fn templates() -> Vec<ResourceTemplate> {
        let about = "A file of a skill; its SKILL.md names the others";
        vec![
            ResourceTemplate::new(format!("{SCHEME}{{name}}/{{+path}}"), "skill-file")
                .with_description(about),
        ]
    }

    /// `None` for a URI that names no file of a skill.
    pub async fn read(&self, uri: &str) -> Result<Option<ResourceContents>> {
        let all = self.all().await?;
        let named = |skill: &&Skill| {
            uri.strip_prefix(SCHEME).is_some_and(|it| it.starts_with(&format!("{}/", skill.name)))
        };
        let Some(skill) = all.iter().find(named) else { return Ok(None) };
        let current = skill.current()?;
        let file = current.files.iter().find(|file| self::uri(&skill.name, &file.path) == uri);
        let Some(File { path, .. }) = file else { return Ok(None) };
        let bytes = self.bytes(&skill.name, current, path).await?;
        Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => ResourceContents::text(text, uri).with_mime_type(mime(path)),
            Err(error) => ResourceContents::blob(STANDARD.encode(error.as_bytes()), uri)
                .with_mime_type("application/octet-stream"),
        }))
    }

    /// The skills as the extension has them.
    pub async fn listed(&self) -> Result<Vec<Listed>> {
        self.all().await?.iter().map(|skill| listed(&skill.name, skill.current()?)).collect()
    }

    pub async fn one(&self, wanted: &str) -> Result<Option<Listed>> {
        let all = self.all().await?;
        let found = all.iter().find(|skill| uri(&skill.name, whole::TEXT) == wanted);
        found.map(|skill| listed(&skill.name, skill.current()?)).transpose()
    }

    /// What lies directly in a folder of a skill; `None` for a URI that names none.
    pub async fn directory(&self, wanted: &str) -> Result<Option<Vec<Resource>>> {
        let plain = wanted.trim_end_matches('/');
        let rest = plain.strip_prefix(SCHEME).unwrap_or_default();
        let (name, below) = rest.split_once('/').unwrap_or((rest, ""));
        let all = self.all().await?;
        let Some(skill) = all.iter().find(|skill| skill.name == name) else { return Ok(None) };
        let top = if below.is_empty() { String::new() } else { format!("{below}/") };
        let current = skill.current()?;
        let (mut folders, mut found) = (BTreeSet::new(), Vec::new());
        for (file, rest) in current.files.iter().filter_map(|it| Some((it, it.path.strip_prefix(&top)?))) {
            match rest.split_once('/') {
                Some((folder, _)) => {
                    if folders.insert(folder) {
                        let address = uri(name, &format!("{top}{folder}"));
                        found.push(Resource::new(address, folder).with_mime_type(DIRECTORY_MIME_TYPE));
                    }
                }
                None => found.push(
                    Resource::new(uri(name, &file.path), rest)
                        .with_mime_type(mime(&file.path))
                        .with_size(file.size),
                ),
            }
        }
        Ok(Some(found).filter(|found| !found.is_empty()))
    }
}

/// A file of a skill, as it was installed.
pub async fn bytes(shared: &Shared, name: &str, current: &Installed, path: &str) -> Result<Vec<u8>> {
    let file = current.files.iter().find(|file| file.path == path);
    let file = file.ok_or_else(|| {
        let others: Vec<&str> = current.files.iter().map(|file| file.path.as_str()).collect();
        reply::refused(format!("the skill `{name}` has no file `{path}`"))
            .hint(format!("it has {}", others.join(", ")))
    })?;
    let place = shared.paths.data.join("skills").join(name).join(&current.version).join(&file.path);
    let (sha256, size) = (file.sha256.clone(), file.size);
    let changed = Error::new(&codes::SKILL_CHANGED, format!("`{path}` of the skill `{name}` was changed"))
        .hint(format!("umcp skill verify {name}"));
    let read = move || {
        let same = std::fs::symlink_metadata(&place).is_ok_and(|it| it.is_file() && it.len() == size);
        let bytes = if same { std::fs::read(&place).ok() } else { None };
        bytes.filter(|bytes| crate::ids::digest(bytes) == sha256).ok_or(changed)
    };
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(|error| Error::bug("reading a file did not end").because(error))?
}

/// Cancels a run when nobody waits for it any more.
struct Leaving {
    shared: Arc<Shared>,
    run: Option<String>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            let shared = self.shared.clone();
            tokio::spawn(async move { shared.ask(Live::OrderRun { run, order: RunOrder::Cancel }).await });
        }
    }
}

/// What a client reads before it activates anything: names and descriptions.
fn catalogue(all: &[Skill]) -> Result<String> {
    if all.is_empty() {
        return Ok("Gives the instructions of a skill. None is installed.".into());
    }
    let mut text = String::from(
        "Gives the instructions of a skill. Call this first whenever one of these fits the task, and follow what it says:",
    );
    for skill in all.iter().take(NAMED) {
        text.push_str(&format!("\n- {}: {}", skill.name, skill.current()?.description));
    }
    if all.len() > NAMED {
        text.push_str(&format!("\nand {} more, which the list of prompts names", all.len() - NAMED));
    }
    Ok(text)
}

/// A skill with steps as a tool; its inputs are the schema.
fn executable(name: &str, current: &Installed) -> Tool {
    let schema: Value = serde_json::from_str(&current.schema).unwrap_or_else(|_| json!({"type": "object"}));
    let fields = match schema {
        Value::Object(fields) => fields,
        _ => JsonObject::new(),
    };
    let title = if current.title.is_empty() { name } else { &current.title };
    // What its steps call may do anything.
    let annotations = ToolAnnotations::with_title(title)
        .read_only(false)
        .destructive(true)
        .idempotent(false)
        .open_world(true);
    Tool::new(name.to_string(), current.description.clone(), fields)
        .with_title(title)
        .with_annotations(annotations)
}

fn listed(name: &str, current: &Installed) -> Result<Listed> {
    let front: SkillFrontmatter = serde_json::from_str(&current.front)
        .unwrap_or_else(|_| SkillFrontmatter::new(name, &current.description));
    let resource =
        |file: &File| SkillResource::new(uri(name, &file.path), format!("sha256:{}", file.sha256), file.size);
    let files = current.files.iter().map(resource).collect();
    Ok(Listed::new(uri(name, whole::TEXT), front, SkillResources::Files(files)))
}

/// Files beside the text.
fn others(current: &Installed) -> Vec<String> {
    let beside = |file: &&File| file.path != whole::TEXT && file.path != whole::DEFINITION;
    current.files.iter().filter(beside).map(|file| file.path.clone()).collect()
}

fn with_files(body: &str, name: &str, others: &[String]) -> String {
    match others.is_empty() {
        true => body.to_string(),
        false => format!("{body}\n\nFiles of this skill ({SCHEME}{name}/): {}\n", others.join(", ")),
    }
}

fn uri(name: &str, path: &str) -> String {
    let mut uri = format!("{SCHEME}{name}/");
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte as char)
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

fn mime(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("md") => "text/markdown",
        Some("json") => "application/json",
        Some("yaml" | "yml") => "application/yaml",
        Some("html") => "text/html",
        _ => "text/plain",
    }
}
