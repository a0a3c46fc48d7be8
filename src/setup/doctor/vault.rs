//! What protects the vault, and whether it would open now.

use super::{Area, Check, Facts, Level};
use crate::engine::vault::{KEY_FILE_VARIABLE, Places};
use crate::error::{Error, Result, codes};
use crate::paths::Paths;
use crate::sealing::{Guard, Slot, keyfile};
use crate::secrets::dotenv;
use std::path::PathBuf;

pub fn check(paths: &Paths, env: &dyn Fn(&str) -> Option<String>, facts: &Facts) -> Vec<Check> {
    let named = env(KEY_FILE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let places = Places::new(paths, named);
    let mut checks: Vec<Check> = plain_file(paths).into_iter().collect();
    // A store that cannot be read is told by the check of the store.
    let Ok(vault) = &facts.vault else { return checks };
    let Some(slot) = vault.slots.first() else {
        if vault.secrets > 0 {
            let what = format!("the vault holds {} secrets, and nothing opens them", vault.secrets);
            checks.push(Check::new(Area::Vault, Level::Fail, what).cure("restore a backup of the store"));
        } else {
            let what = "there is no vault yet; the first secret makes one";
            checks.push(Check::new(Area::Vault, Level::Ok, what));
        }
        return checks;
    };
    let opened: Vec<Result<()>> = vault.slots.iter().map(|slot| opens(&slot.slot, &places)).collect();
    let checked = match opened.into_iter().reduce(Result::or) {
        Some(Err(error)) => {
            let cure =
                error.hints.first().cloned().unwrap_or_else(|| format!("umcp explain {}", error.code.code));
            Check::new(Area::Vault, Level::Fail, format!("the vault does not open: {error}")).cure(cure)
        }
        _ => Check::new(Area::Vault, Level::Ok, protection(&slot.slot.guard, &places)),
    };
    checks.push(checked);
    checks
}

/// As far as can be told without asking a question or running a program.
fn opens(slot: &Slot, places: &Places) -> Result<()> {
    let Guard::KeyFile { path } = &slot.guard else { return Ok(()) };
    let file = places.file(path.as_deref());
    let missing = || {
        Error::new(&codes::VAULT_KEY_MISSING, format!("the key file `{}` is missing", file.display()))
            .hint("put the key file back from a backup")
    };
    slot.open(&keyfile::read(&file)?.ok_or_else(missing)?).map(drop)
}

/// The older place for secrets, which is not sealed.
fn plain_file(paths: &Paths) -> Option<Check> {
    let file = paths.secrets_file();
    let count = dotenv::read(&std::fs::read_to_string(&file).ok()?).pairs.len();
    let what = format!("`{}` holds {count} plain values", file.display());
    (count > 0).then(|| Check::new(Area::Vault, Level::Info, what).cure("umcp secret import --from env"))
}

/// What protects the vault from whom, in a sentence.
pub fn protection(guard: &Guard, places: &Places) -> String {
    match guard {
        Guard::KeyFile { path } => {
            let file = places.file(path.as_deref());
            let named = if places.named.is_some() {
                format!(", named by {KEY_FILE_VARIABLE}")
            } else {
                String::new()
            };
            format!(
                "the vault is opened by the key file {}{named}: it protects a copy of the store, not against programs \
                 that run as you; for that: umcp secret backend set passphrase",
                file.display()
            )
        }
        Guard::Passphrase { .. } => {
            "the vault is opened by your passphrase; `umcp secret unlock` gives its key to the daemon".into()
        }
        Guard::Command { words } => {
            let program = words.first().map_or("", String::as_str);
            format!("the vault is opened by the key that `{program}` prints")
        }
    }
}
