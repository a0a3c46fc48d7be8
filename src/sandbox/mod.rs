//! Shutting a child process in: what it may read, write, reach and use up, and how the system is told so.
//! It starts nothing and watches nothing; whoever starts a process hands its `Command` to [`Prepared::attach`].
//! Rule: what cannot be enforced is said before the start, never assumed; a required guard that is missing refuses.

mod job;
#[cfg(target_os = "linux")]
mod linux;
mod place;
mod plan;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod platform;
pub mod profile;
mod protect;
mod reach;
#[cfg(any(target_os = "macos", test))]
mod seatbelt;

#[cfg(target_os = "linux")]
use linux as platform;

pub use job::{Breach, Limits, Resource, Used};
pub use place::MOMENT;
pub use plan::{Files, Plan, Subject, plan};
pub use platform::{Identity, Prepared, Support};
pub use profile::{Base, Chosen, Defaults, Guard, Net, Sandbox};
pub use protect::is_unfit;
pub use reach::Reach;

use crate::error::{Error, Result, codes};
use std::sync::OnceLock;

/// What this system can enforce for the current user; found out once per process.
pub fn support() -> Support {
    static SUPPORT: OnceLock<Support> = OnceLock::new();
    *SUPPORT.get_or_init(Support::probe)
}

/// Makes ready what a plan needs; `attach` the result to the command that is to be shut in.
///
/// # Errors
/// `SANDBOX_MISSING` when a guard the plan requires cannot be enforced here.
pub fn prepare(plan: &Plan) -> Result<Prepared> {
    prepare_with(plan, support(), Identity::current())
}

/// [`prepare`] for a system that can do less than this one, and a child that runs as somebody else.
pub fn prepare_with(plan: &Plan, support: Support, identity: Identity) -> Result<Prepared> {
    let given = support.guards(plan);
    match plan.require.iter().find(|guard| !given.contains(guard)) {
        Some(missing) => Err(Error::new(
            &codes::SANDBOX_MISSING,
            format!("the sandbox demands `{}`, which cannot be enforced here", missing.word()),
        )
        .because(support.why_not(*missing))
        .hint("umcp doctor --only sandbox")),
        None => platform::prepare(plan, support, identity),
    }
}
