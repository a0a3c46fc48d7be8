//! Who gives way when a program meets a daemon of another version. Pure: no sockets, no processes.
//! Rule: only a newer program replaces an older daemon, never the reverse.

use super::wire::{PROTOCOL, VERSION, Welcome};
use crate::error::{Error, codes};

/// What a program does with the daemon it found.
#[derive(Debug)]
pub enum Verdict {
    Use,
    /// Ask it to stop and start our own.
    Replace,
    Refuse(Error),
}

/// Decides from the welcome of a daemon what this program does with it.
pub fn judge(welcome: &Welcome) -> Verdict {
    decide((PROTOCOL, VERSION), (welcome.umcp, &welcome.version))
}

fn decide(ours: (u32, &str), theirs: (u32, &str)) -> Verdict {
    let fits = ours.0 == theirs.0;
    match numbers(ours.1).cmp(&numbers(theirs.1)) {
        std::cmp::Ordering::Greater => Verdict::Replace,
        _ if fits => Verdict::Use,
        // The same number with an older protocol: a build from before the protocol was raised.
        std::cmp::Ordering::Equal if ours.0 > theirs.0 => Verdict::Replace,
        _ => Verdict::Refuse(misfit_of(ours, theirs)),
    }
}

/// The error of a daemon for a client whose protocol it does not speak.
pub fn misfit(protocol: u32, version: &str) -> Error {
    let error = Error::new(
        &codes::DAEMON_NEWER,
        format!(
            "the daemon is umcp {VERSION} (protocol {PROTOCOL}), the program that asks is umcp {version} (protocol {protocol})"
        ),
    );
    error.hint("update the older of the two").hint("umcp gateway restart")
}

fn misfit_of(ours: (u32, &str), theirs: (u32, &str)) -> Error {
    Error::new(
        &codes::DAEMON_NEWER,
        format!(
            "the running daemon is umcp {} (protocol {}), newer than this program, umcp {} (protocol {})",
            theirs.1, theirs.0, ours.1, ours.0
        ),
    )
    .hint(format!("update this program to umcp {} or later", theirs.1))
    .hint("umcp gateway stop    # ends the newer daemon; this program then starts its own")
}

/// The three numbers of a version. What follows `-` or `+` does not count; a part that is no number is zero.
fn numbers(version: &str) -> [u64; 3] {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = core.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_and_the_newer_program_wins() {
        let cases = [
            ((1, "0.2.0"), (1, "0.1.0"), "replace"),
            ((1, "0.10.0"), (1, "0.9.0"), "replace"),
            ((1, "0.9.0"), (1, "0.10.0"), "use"),
            ((1, "1.0.0"), (1, "1.0.0"), "use"),
            ((1, "1.0.0+abc"), (1, "1.0.0-rc.1"), "use"),
            ((2, "1.1.0"), (1, "1.0.9"), "replace"),
            ((1, "1.0.9"), (2, "1.1.0"), "refuse"),
            ((2, "1.0.0"), (1, "1.0.0"), "replace"),
            ((1, "1.0.0"), (2, "1.0.0"), "refuse"),
            ((1, "1.0.0"), (1, "2.0.0"), "use"),
            ((1, "1.0.0"), (1, ""), "replace"),
        ];
        for (ours, theirs, expected) in cases {
            let word = match decide(ours, theirs) {
                Verdict::Use => "use",
                Verdict::Replace => "replace",
                Verdict::Refuse(_) => "refuse",
            };
            assert_eq!(word, expected, "{ours:?} meets {theirs:?}");
        }
    }

    #[test]
    fn the_refusal_says_which_program_to_update() {
        let Verdict::Refuse(error) = decide((1, "1.0.9"), (2, "1.1.0")) else { panic!() };
        assert!(error.is(&codes::DAEMON_NEWER));
        assert_eq!(error.hints[0], "update this program to umcp 1.1.0 or later");
    }
}
