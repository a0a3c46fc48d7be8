//! A workflow as a CronWorkflow of Argo, for a cluster: one pod that stores the documents and runs the first of them with
//! umcp, so that steps, retries and expressions mean there what they mean here. Pure text.
//! Rule: documents stand in a ConfigMap, since Argo would take `{{ }}` in its own templates for its own.

use super::Definition;
use crate::error::{Error, Result, codes};
use serde_json::Value;

/// What the two documents say.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<'a> {
    /// The workflow, and before it those that it runs.
    pub documents: &'a [Definition],
    pub cron: &'a str,
    pub zone: &'a str,
    /// `Allow`, `Forbid` or `Replace`.
    pub overlap: &'static str,
    /// Seconds after which a missed run is not made up for.
    pub missed_s: u64,
    /// Seconds a run may take.
    pub timeout_s: Option<u64>,
    /// JSON object.
    pub inputs: &'a str,
    pub image: &'a str,
    pub suspended: bool,
}

/// The ConfigMap and the CronWorkflow.
///
/// # Errors
/// `VALUE_INVALID` for a line of cron that Kubernetes does not read.
pub fn manifest(plan: &Plan<'_>) -> Result<String> {
    let cron = plain_cron(plan.cron)?;
    let Some(last) = plan.documents.last() else { return Err(Error::bug("no workflow to export")) };
    let name = dns(&last.name);
    let mut text = format!(
        "# Needs an image with umcp and what the workflow's servers need; servers and secrets lie in UMCP_HOME.\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}-documents\ndata:\n"
    );
    for document in plan.documents {
        text.push_str(&format!("  {}.yaml: |2\n", document.name));
        for line in document.text.lines() {
            let pad = if line.is_empty() { "" } else { "    " };
            text.push_str(&format!("{pad}{line}\n"));
        }
    }
    text.push_str(&format!(
        "---\napiVersion: argoproj.io/v1alpha1\nkind: CronWorkflow\nmetadata:\n  name: {name}\nspec:\n  schedules:\n    - {}\n  \
         timezone: {}\n  concurrencyPolicy: {}\n  startingDeadlineSeconds: {}\n  suspend: {}\n  workflowSpec:\n    entrypoint: run\n",
        quoted(&cron),
        quoted(plan.zone),
        plan.overlap,
        plan.missed_s,
        plan.suspended,
    ));
    if let Some(seconds) = plan.timeout_s {
        text.push_str(&format!("    activeDeadlineSeconds: {seconds}\n"));
    }
    let imports: Vec<String> = plan
        .documents
        .iter()
        .map(|document| format!("umcp workflow import /documents/{}.yaml --replace", document.name))
        .collect();
    let script = format!(
        "{} && printf %s \"$INPUTS\" | umcp workflow execute {} --inputs -",
        imports.join(" && "),
        last.name
    );
    text.push_str(&format!(
        "    volumes:\n      - name: documents\n        configMap:\n          name: {name}-documents\n    templates:\n      - name: run\n        \
         container:\n          image: {}\n          command: [sh, -c]\n          args:\n            - {}\n          env:\n            \
         - name: INPUTS\n              value: {}\n            - name: UMCP_HOME\n              value: /var/lib/umcp\n          \
         volumeMounts:\n            - name: documents\n              mountPath: /documents\n",
        quoted(plan.image),
        quoted(&script),
        quoted(plan.inputs),
    ));
    Ok(text)
}

/// JSON texts are YAML texts.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A name that Kubernetes takes.
fn dns(name: &str) -> String {
    let lower = name.to_ascii_lowercase().replace('_', "-");
    lower.trim_matches('-').chars().take(52).collect()
}

/// Five fields without what only some crons know.
fn plain_cron(text: &str) -> Result<String> {
    let refuse = |why: &str| {
        Err(Error::new(
            &codes::VALUE_INVALID,
            format!("Kubernetes does not read the schedule `{text}`: {why}"),
        )
        .hint("say another one: --cron \"0 2 * * *\""))
    };
    if text.starts_with('@') {
        return Ok(text.into());
    }
    let mut fields: Vec<&str> = text.split_whitespace().collect();
    let [_, _, day, _, weekday] = fields.as_slice() else { return refuse("it has seconds") };
    let mut bare = weekday.to_ascii_lowercase();
    for name in ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] {
        bare = bare.replace(name, "");
    }
    if day.to_ascii_lowercase().contains(['l', 'w']) || bare.contains(['l', '#']) {
        return refuse("`L`, `W` and `#` are not known there");
    }
    match *weekday {
        // Sunday has one number there.
        "7" => fields[4] = "0",
        other if other.contains('7') => return refuse("Sunday is 0 there"),
        _ => {}
    }
    Ok(fields.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_becomes_two_documents() {
        let document = |name: &str, text: &str| Definition {
            name: name.into(),
            text: text.into(),
            ..Definition::default()
        };
        let documents = [
            document("child", "name: child\nsteps: []\n"),
            document(
                "Back_Up",
                "name: Back_Up\n\nsteps:\n  - {id: a, workflow: child, inputs: {x: \"${{ inputs.x }}\"}}\n",
            ),
        ];
        let mut plan = Plan {
            documents: &documents,
            cron: "0 2 * * 7",
            zone: "America/New_York",
            overlap: "Forbid",
            missed_s: 86_400,
            timeout_s: Some(60),
            inputs: r#"{"x":"it's"}"#,
            image: "registry.example/umcp:1",
            suspended: false,
        };
        let text = manifest(&plan).unwrap();
        for line in [
            "  name: back-up-documents\n",
            "  child.yaml: |2\n    name: child\n    steps: []\n",
            "    name: Back_Up\n\n    steps:\n      - {id: a, workflow: child, inputs: {x: \"${{ inputs.x }}\"}}\n",
            "kind: CronWorkflow\n",
            "  schedules:\n    - \"0 2 * * 0\"\n  timezone: \"America/New_York\"\n  concurrencyPolicy: Forbid\n",
            "    activeDeadlineSeconds: 60\n",
            "umcp workflow import /documents/child.yaml --replace && umcp workflow import /documents/Back_Up.yaml --replace && \
             printf %s \\\"$INPUTS\\\" | umcp workflow execute Back_Up --inputs -",
            "              value: \"{\\\"x\\\":\\\"it's\\\"}\"\n",
        ] {
            assert!(text.contains(line), "{line}\n---\n{text}");
        }
        for half in text.split("---\n") {
            crate::documents::parse_value("argo.yaml", half).unwrap();
        }
        for wrong in ["0 0 2 * * *", "0 2 L * *", "0 2 * * 5L", "0 2 * * 5-7", "0 2 15W * *"] {
            plan.cron = wrong;
            assert!(manifest(&plan).is_err(), "{wrong}");
        }
        for good in ["@daily", "*/5 9-17 * jul wed", "0 2 1 * 1-5"] {
            plan.cron = good;
            assert!(manifest(&plan).unwrap().contains(&format!("- \"{good}\"\n")), "{good}");
        }
    }
}
