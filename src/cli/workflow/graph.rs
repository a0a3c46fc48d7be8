//! `workflow graph`: the order of steps as a tree of text, or as Mermaid or DOT for a drawing program.

use super::super::context::Context;
use super::list::target;
use super::{check, document};
use crate::error::Result;
use crate::ui::{Output, Page};
use crate::workflows::check::edges;
use crate::workflows::model::{Step, Workflow};
use clap::{Args, ValueEnum};
use serde::Serialize;

/// Draw the order of a workflow's steps
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp workflow graph onboarding.yaml --format mermaid")]
pub struct Graph {
    #[arg(value_name = "WORKFLOW|FILE")]
    name: String,
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "ascii")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Ascii,
    Mermaid,
    Dot,
}

#[derive(Serialize)]
struct Drawn {
    text: String,
}

impl Graph {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let (file, text) = document(ctx, &self.name)?;
        let workflow = check::demand(ctx, &file, &text)?;
        let text = match self.format {
            Format::Ascii => ascii(&workflow),
            Format::Mermaid => mermaid(&workflow),
            Format::Dot => dot(&workflow),
        };
        ctx.ui.show(&Drawn { text })
    }
}

impl Output for Drawn {
    const KIND: &'static str = "workflow.graph/1";

    fn human(&self, page: &mut Page) {
        page.text(&self.text);
    }
}

/// Steps in the order of the document, each with what it waits for.
fn ascii(workflow: &Workflow) -> String {
    fn list(steps: &[Step], depth: usize, into: &mut String) {
        let waits = edges(steps, false);
        for (at, step) in steps.iter().enumerate() {
            let after: Vec<&str> = waits[at].iter().map(|to| steps[*to].id.as_str()).collect();
            let after = if after.is_empty() { String::new() } else { format!("  ← {}", after.join(", ")) };
            into.push_str(&format!("{}{} [{}]{after}\n", "  ".repeat(depth), step.id, label(step)));
            for (word, inner) in step.action.blocks() {
                if !inner.is_empty() {
                    into.push_str(&format!("{}{word}:\n", "  ".repeat(depth + 1)));
                    list(inner, depth + 2, into);
                }
            }
            if !step.fallback.is_empty() {
                into.push_str(&format!("{}fallback:\n", "  ".repeat(depth + 1)));
                list(&step.fallback, depth + 2, into);
            }
        }
    }
    let mut text = String::new();
    list(&workflow.steps, 0, &mut text);
    if !workflow.finally.is_empty() {
        text.push_str("finally:\n");
        list(&workflow.finally, 1, &mut text);
    }
    text.trim_end().into()
}

fn label(step: &Step) -> String {
    match target(step) {
        target if target.is_empty() => step.action.word().into(),
        target => target,
    }
}

fn mermaid(workflow: &Workflow) -> String {
    fn list(steps: &[Step], depth: usize, into: &mut String) {
        let pad = "  ".repeat(depth);
        let waits = edges(steps, false);
        for (at, step) in steps.iter().enumerate() {
            let blocks: Vec<_> =
                step.action.blocks().into_iter().filter(|(_, inner)| !inner.is_empty()).collect();
            let id = &step.id;
            if blocks.is_empty() {
                into.push_str(&format!("{pad}{id}[\"{id}<br/>{}\"]\n", label(step)));
            } else {
                into.push_str(&format!("{pad}subgraph {id}[\"{id}: {}\"]\n", label(step)));
                for (_, inner) in blocks {
                    list(inner, depth + 1, into);
                }
                into.push_str(&format!("{pad}end\n"));
            }
            for to in &waits[at] {
                into.push_str(&format!("{pad}{} --> {id}\n", steps[*to].id));
            }
        }
    }
    let mut text = String::from("flowchart TD\n");
    list(&workflow.steps, 1, &mut text);
    text.trim_end().into()
}

fn dot(workflow: &Workflow) -> String {
    fn list(steps: &[Step], into: &mut String) {
        let waits = edges(steps, false);
        for (at, step) in steps.iter().enumerate() {
            into.push_str(&format!("  \"{0}\" [label=\"{0}\\n{1}\"];\n", step.id, label(step)));
            for to in &waits[at] {
                into.push_str(&format!("  \"{}\" -> \"{}\";\n", steps[*to].id, step.id));
            }
            for (word, inner) in step.action.blocks() {
                if let Some(first) = inner.first() {
                    into.push_str(&format!(
                        "  \"{}\" -> \"{}\" [style=dashed,label=\"{word}\"];\n",
                        step.id, first.id
                    ));
                }
                list(inner, into);
            }
        }
    }
    let mut text = format!("digraph \"{}\" {{\n  node [shape=box];\n", workflow.name);
    list(&workflow.steps, &mut text);
    text.push('}');
    text
}
