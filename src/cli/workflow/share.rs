//! `workflow export`, `import` and `template`: documents that leave, come in, and are begun with.

use super::super::context::Context;
use super::store::{self, keep};
use crate::archive;
use crate::documents;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::paths::{io_error, write_atomic};
use crate::ui::{Cell, Column, Output, Page, State, Table};
use crate::workflows::{self, Definition, Request, bundle, read};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Documents to begin with.
pub const TEMPLATES: [(&str, &str); 4] = [
    ("basic", include_str!("../../../assets/workflows/basic.yaml")),
    ("parallel", include_str!("../../../assets/workflows/parallel.yaml")),
    ("approval", include_str!("../../../assets/workflows/approval.yaml")),
    ("agent", include_str!("../../../assets/workflows/agent.yaml")),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The document as it was written
    Yaml,
    /// An archive of it and of the workflows it runs
    Zip,
    /// A CronWorkflow for Argo on Kubernetes, which runs it and those it runs with umcp in a pod
    Argo,
}

/// Write a workflow to a file, alone or with those it runs
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp workflow export onboarding --output onboarding.yaml\n  umcp workflow export onboarding --format zip\n  umcp workflow export onboarding --format argo --cron \"0 2 * * *\" --image registry.example/umcp:1"
)]
pub struct Export {
    #[arg(value_name = "WORKFLOW")]
    name: String,
    #[arg(long, value_enum, default_value = "yaml")]
    format: Format,
    /// Write to this file; without it a document is printed, and an archive is NAME.zip here
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    cluster: super::argo::Cluster,
}

#[derive(Serialize)]
pub struct Exported {
    pub file: String,
    pub workflows: Vec<String>,
}

impl Export {
    pub fn run(self, ctx: &Context) -> Result<()> {
        if self.format == Format::Yaml {
            let definition = find(ctx, &self.name)?;
            return match &self.output {
                None => ctx.ui.raw(&definition.text),
                Some(file) => {
                    self.write(ctx, file, definition.text.as_bytes(), vec![definition.name.clone()])
                }
            };
        }
        let all = bundle::gather(&self.name, &mut |name| find(ctx, name))?;
        if self.format == Format::Argo {
            let text = self.cluster.manifest(ctx, &all)?;
            let names = all.iter().map(|one| one.name.clone()).collect();
            return match &self.output {
                None => ctx.ui.raw(&text),
                Some(file) => self.write(ctx, file, text.as_bytes(), names),
            };
        }
        let paths: Vec<String> = all.iter().map(|one| format!("{}.yaml", one.name)).collect();
        let files: Vec<archive::Packed<'_>> =
            paths.iter().zip(&all).map(|(path, one)| (path.as_str(), false, one.text.as_bytes())).collect();
        let default = PathBuf::from(format!("{}.zip", self.name));
        let names = all.iter().map(|one| one.name.clone()).collect();
        self.write(ctx, self.output.as_ref().unwrap_or(&default), &archive::write(&files)?, names)
    }

    fn write(&self, ctx: &Context, file: &Path, bytes: &[u8], workflows: Vec<String>) -> Result<()> {
        if file.exists() && !self.replace {
            let message = format!("the file `{}` exists already", file.display());
            return Err(Error::new(&codes::FILE_EXISTS, message).hint("write over it with --replace"));
        }
        write_atomic(file, bytes)?;
        ctx.ui.show(&Exported { file: file.display().to_string(), workflows })
    }
}

fn find(ctx: &Context, name: &str) -> Result<Definition> {
    match ctx.call(Request::Show { name: name.into() })? {
        Reply::Workflow(workflows::Reply::Definition(definition)) => Ok(*definition),
        other => engine::unexpected(&other),
    }
}

impl Output for Exported {
    const KIND: &'static str = "workflow.exported/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("wrote {} to {}", self.workflows.join(", "), self.file));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.file.clone()]
    }
}

/// Store the workflows of a file or of an archive that `export` made
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp workflow import onboarding.zip\n  umcp workflow import onboarding.yaml --replace"
)]
pub struct Import {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Put them in the place of those that are stored
    #[arg(long)]
    replace: bool,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Imported(Vec<store::Stored>);

impl Import {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let file = self.file.display().to_string();
        let mut documents = Vec::new();
        if self.file.extension().is_some_and(|it| it.eq_ignore_ascii_case("zip")) {
            let bytes = std::fs::read(&self.file).map_err(|error| io_error("read", &self.file, &error))?;
            for entry in archive::entries(&bytes)? {
                let text = String::from_utf8(entry.read(&bytes)?).map_err(|error| {
                    Error::new(&codes::WORKFLOW_INVALID, format!("{} in {file} is no text", entry.path))
                        .because(error)
                })?;
                documents.push((entry.path, text));
            }
        } else {
            documents.push((file.clone(), documents::read_file(&self.file)?));
        }
        let mut stored = Vec::new();
        for (path, text) in documents {
            stored.push(keep(ctx, path, text, self.replace)?);
        }
        if stored.is_empty() {
            return Err(Error::new(&codes::WORKFLOW_INVALID, format!("no workflow in {file}")));
        }
        ctx.ui.show(&Imported(stored))
    }
}

impl Output for Imported {
    const KIND: &'static str = "workflow.imported/1";

    fn human(&self, page: &mut Page) {
        self.0.iter().for_each(|one| one.mark(page));
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().flat_map(Output::ids).collect()
    }
}

/// List documents to begin with, or print one
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp workflow template parallel > my-pages.yaml")]
pub struct Template {
    #[arg(value_name = "TEMPLATE")]
    name: Option<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All(Vec<One>);

#[derive(Serialize)]
struct One {
    name: &'static str,
    description: String,
}

impl Template {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Some(name) = self.name else {
            let about = |(name, text): &(&'static str, &str)| One {
                name,
                description: read::read(name, text).map(|it| it.description).unwrap_or_default(),
            };
            return ctx.ui.show(&All(TEMPLATES.iter().map(about).collect()));
        };
        if let Some((_, text)) = TEMPLATES.iter().find(|(known, _)| *known == name) {
            return ctx.ui.raw(text);
        }
        let error = Error::new(&codes::WORKFLOW_NOT_FOUND, format!("no template `{name}`"));
        Err(match documents::near(&name, TEMPLATES.iter().map(|(known, _)| *known)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("umcp workflow template"),
        })
    }
}

impl Output for All {
    const KIND: &'static str = "workflow.templates/1";

    fn human(&self, page: &mut Page) {
        let columns = [Column::new("template"), Column::new("description").wraps()];
        let mut table = Table::new("no templates", columns);
        for one in &self.0 {
            table.row([Cell::from(one.name), Cell::from(&one.description)]);
        }
        page.table(table);
        page.text("print one: umcp workflow template basic");
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|one| one.name.into()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflows::check;

    #[test]
    fn every_template_is_right() {
        let schema = jsonschema::validator_for(&workflows::schema::workflow()).unwrap();
        for (name, text) in TEMPLATES {
            let mut workflow = read::read(name, text).unwrap();
            let findings = check::check(name, text, &mut workflow, None);
            assert!(findings.errors.is_empty() && findings.warnings.is_empty(), "{name}: {findings:?}");
            assert!(schema.is_valid(&documents::parse_value(name, text).unwrap()), "{name}");
            assert!(!workflow.description.is_empty(), "{name}");
        }
    }
}
