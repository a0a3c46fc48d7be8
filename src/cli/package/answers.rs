//! What a bundle wants to know of its user: taken from `--set`, or asked for; what is sensitive goes to the vault.

use crate::cli::context::Context;
use crate::cli::{secret, server};
use crate::error::{Error, Result, codes};
use crate::packages::mcpb::{Answers, Manifest, Wish};
use crate::packages::oci;
use crate::sealing::Secret;
use std::collections::BTreeMap;

/// Answers, and the secrets among them that are not in the vault yet.
pub struct Given {
    pub values: Answers,
    secrets: Vec<(String, Secret)>,
}

impl Given {
    /// Puts the secrets into the vault.
    pub fn keep(self, ctx: &Context) -> Result<()> {
        self.secrets.iter().try_for_each(|(name, value)| secret::keep(ctx, name, value))
    }
}

/// All that a bundle needs; without a bundle there is nothing to be set.
pub fn ask(ctx: &Context, name: &str, manifest: Option<&Manifest>, words: &[String]) -> Result<Given> {
    let mut given = Given { values: Answers::new(), secrets: Vec::new() };
    let Some(manifest) = manifest else {
        return match words {
            [] => Ok(given),
            _ => Err(Error::new(&codes::USAGE, "only a bundle has settings")
                .hint("umcp install REFERENCE --env NAME=VALUE")),
        };
    };
    for word in words {
        let (key, value) =
            server::pairs("--set", std::slice::from_ref(word))?.pop_first().unwrap_or_default();
        given.values.entry(key).or_default().push(value);
    }
    for (key, values) in &given.values {
        manifest.check(key, values)?;
    }
    let (_, missing) = manifest.complete(&given.values);
    for key in missing {
        let Some(wish) = manifest.user_config.get(key) else { continue };
        let value = question(ctx, key, wish)?;
        manifest.check(key, std::slice::from_ref(&value))?;
        given.values.insert(key.into(), vec![value]);
    }
    for (key, wish) in manifest.user_config.iter().filter(|(_, wish)| wish.sensitive) {
        let Some(values) = given.values.get_mut(key) else { continue };
        for value in values.iter_mut().filter(|value| !value.contains("://") && !value.contains("${")) {
            let secret = format!("{name}.{key}");
            given.secrets.push((secret.clone(), Secret::new(std::mem::take(value))));
            *value = format!("secret://{secret}");
        }
        if values.len() > 1 && wish.sensitive {
            let message = format!("`{key}` is sensitive and takes one value");
            return Err(Error::new(&codes::VALUE_INVALID, message).hint(format!("--set {key}=secret://NAME")));
        }
    }
    Ok(given)
}

/// What is said of an image; the variables that are set are handed on into it.
pub fn of_image(words: &[String], env: &BTreeMap<String, String>) -> Result<Given> {
    let mut given = Given { values: Answers::new(), secrets: Vec::new() };
    for word in words {
        let (key, value) =
            server::pairs("--set", std::slice::from_ref(word))?.pop_first().unwrap_or_default();
        oci::check(&key, &value)?;
        given.values.entry(key).or_default().push(value);
    }
    for name in env.keys() {
        oci::check("env", name)?;
        let names = given.values.entry("env".into()).or_default();
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    Ok(given)
}

fn question(ctx: &Context, key: &str, wish: &Wish) -> Result<String> {
    let title = wish.title.as_deref().unwrap_or(key);
    let about = wish.description.as_ref().map(|about| format!(" ({about})")).unwrap_or_default();
    let (question, flag) = (format!("{title}{about}"), format!("--set {key}=VALUE"));
    match wish.sensitive {
        true => ctx.ui.password(&question, &format!("--set {key}=secret://NAME")),
        false => ctx.ui.input(&question, None, &flag),
    }
}
