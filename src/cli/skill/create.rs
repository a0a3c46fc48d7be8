//! `skill create`: a folder to begin with, which is a whole skill already.

use super::files;
use crate::cli::context::Context;
use crate::error::{Error, Result, codes};
use crate::skills::bundle::{Content, Files};
use crate::skills::is_name;
use crate::ui::{Output, Page, State};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

/// Make the folder of a new skill
///
/// `instructions` is a text for agents alone; `steps` has steps besides, which umcp runs, and a test of them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp skill create review-notes\n  umcp skill create greet --template steps --folder skills"
)]
pub struct Create {
    /// Lower-case letters, digits and hyphens
    #[arg(value_name = "NAME")]
    name: String,
    /// What to begin with
    #[arg(long, value_name = "TEMPLATE", value_enum, default_value = "instructions")]
    template: Template,
    /// Make it below this folder instead of the one you are in
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Template {
    /// A text for agents
    Instructions,
    /// Steps that umcp runs, with a test
    #[value(alias = "basic")]
    Steps,
}

#[derive(Serialize)]
struct Created {
    name: String,
    path: String,
    files: Vec<String>,
}

const STEPS: &str = r#"id: NAME
version: 0.1.0
parameters:
  who: {type: string, default: world}
steps:
  - id: greet
    set: {text: "Hello, ${{ inputs.who }}!"}
outputs:
  text: ${{ steps.greet.result.text }}
tests:
  - name: greets whom it is told to
    inputs: {who: Ada}
    expect: {text: "Hello, Ada!"}
"#;

impl Create {
    pub fn run(self, ctx: &Context) -> Result<()> {
        if !is_name(&self.name) {
            let message = format!("`{}` is no name of a skill", self.name);
            return Err(Error::new(&codes::SKILL_INVALID, message)
                .hint("lower-case letters, digits and single hyphens between them, such as review-notes"));
        }
        let path = self.folder.join(&self.name);
        if path.exists() {
            let message = format!("`{}` is there already", path.display());
            return Err(Error::new(&codes::FILE_EXISTS, message));
        }
        let made = template(&self.name, self.template);
        files::write_all(&path, &made)?;
        let (path, files) = (path.display().to_string(), made.into_keys().collect());
        ctx.ui.show(&Created { name: self.name, path, files })
    }
}

fn template(name: &str, template: Template) -> Files {
    let title = name.replace('-', " ");
    let text = format!(
        "---\nname: {name}\ndescription: What {title} does, and when an agent should use it.\nlicense: MIT\n---\n\n# {title}\n\nSay here, step by step, what to do. Put long tables and examples into files of their own\nbeside this one, and name them here: they are read only when they are needed.\n"
    );
    let content = |text: String| Content { bytes: text.into_bytes(), executable: false };
    let mut files = Files::from([("SKILL.md".to_string(), content(text))]);
    if template == Template::Steps {
        files.insert("skill.yaml".into(), content(STEPS.replace("NAME", name)));
    }
    files
}

impl Output for Created {
    const KIND: &'static str = "skill.created/1";

    fn human(&self, page: &mut Page) {
        page.mark(State::Ok, format!("made {} with {}", self.path, self.files.join(" and ")));
        page.text(format!("check it:   umcp skill validate {}", self.path));
        page.text(format!("install it: umcp skill install {}", self.path));
    }

    fn ids(&self) -> Vec<String> {
        vec![self.path.clone()]
    }
}
