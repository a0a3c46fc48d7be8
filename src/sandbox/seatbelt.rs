//! A plan in the language of macOS's Seatbelt. Pure text, so that it can be read and tested on any system.
//! Rule: later lines win, so what is closed for everybody stands last.

use super::plan::{Files, Plan};
use super::profile::Net;
use std::fmt::Write as _;
use std::path::Path;

/// The profile for `sandbox-exec -p`.
pub fn profile(plan: &Plan) -> String {
    let mut text = String::from("(version 1)\n(allow default)\n");
    match &plan.files {
        Files::Hide(places) => {
            for place in places {
                line(&mut text, "deny file-read* file-write*", place);
            }
        }
        Files::Only(reach) => {
            text.push_str("(deny file-read-data file-write*)\n(allow file-read-metadata)\n");
            for place in reach.read.iter().chain(&reach.write) {
                line(&mut text, "allow file-read*", place);
            }
            for place in &reach.write {
                line(&mut text, "allow file-write*", place);
            }
            // Services hand out keys; a child of its own is all it may signal.
            text.push_str("(deny mach-lookup (global-name \"com.apple.SecurityServer\"))\n");
            text.push_str("(deny signal)\n(allow signal (target same-sandbox))\n");
        }
    }
    match &plan.net {
        Net::Any => {}
        Net::None => text.push_str("(deny network*)\n"),
        Net::Ports(ports) => {
            text.push_str(
                "(deny network*)\n(allow network-outbound (literal \"/private/var/run/mDNSResponder\"))\n",
            );
            for port in ports {
                let _ = writeln!(text, "(allow network-outbound (remote tcp \"*:{port}\"))");
            }
        }
    }
    text.push_str("(deny process-info-pidinfo (target others))\n");
    text
}

fn line(text: &mut String, verb: &str, place: &Path) {
    let place = place.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    let _ = writeln!(text, "({verb} (subpath \"{place}\"))");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::job::Limits;
    use crate::sandbox::profile::Base;
    use crate::sandbox::reach::Reach;

    fn plan(files: Files, net: Net) -> Plan {
        Plan { base: Base::Default, files, net, require: Vec::new(), limits: Limits::default() }
    }

    #[test]
    fn a_plan_is_written_as_lines() {
        let hide = plan(Files::Hide(vec!["/Users/u/a \"b".into()]), Net::Any);
        assert_eq!(
            profile(&hide),
            "(version 1)\n(allow default)\n(deny file-read* file-write* (subpath \"/Users/u/a \\\"b\"))\n\
             (deny process-info-pidinfo (target others))\n"
        );
        let reach = Reach { read: vec!["/usr".into()], write: vec!["/w".into()] };
        let strict = profile(&plan(Files::Only(reach), Net::Ports(vec![443])));
        for line in [
            "(allow file-read* (subpath \"/usr\"))",
            "(allow file-write* (subpath \"/w\"))",
            "(deny network*)",
            "(allow network-outbound (remote tcp \"*:443\"))",
        ] {
            assert!(strict.lines().any(|found| found == line), "{line} in\n{strict}");
        }
        assert!(!strict.contains("(allow file-write* (subpath \"/usr\"))"));
    }
}
