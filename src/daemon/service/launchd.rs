//! The launch agent of macOS. Rule: launchd takes words as they are, so only XML needs escaping.

use super::{Plan, Service, words, xml};
use std::path::PathBuf;

const LABEL: &str = "dev.umcp.gateway";

pub(super) fn install(service: &Service) -> Plan {
    let program = service.program.to_string_lossy();
    let words_of_call = std::iter::once(program.as_ref()).chain(service.arguments.iter().map(String::as_str));
    let arguments: String =
        words_of_call.map(|word| format!("    <string>{}</string>\n", xml(word))).collect();
    let environment: String = service
        .environment
        .iter()
        .map(|(name, value)| format!("    <key>{}</key>\n    <string>{}</string>\n", xml(name), xml(value)))
        .collect();
    let log = xml(&service.log.to_string_lossy());
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n  <key>Label</key>\n  <string>{LABEL}</string>\n  \
         <key>ProgramArguments</key>\n  <array>\n{arguments}  </array>\n  \
         <key>EnvironmentVariables</key>\n  <dict>\n{environment}  </dict>\n  \
         <key>RunAtLoad</key>\n  <true/>\n  \
         <key>KeepAlive</key>\n  <dict>\n    <key>SuccessfulExit</key>\n    <false/>\n  </dict>\n  \
         <key>ExitTimeOut</key>\n  <integer>8</integer>\n  <key>Umask</key>\n  <integer>63</integer>\n  \
         <key>StandardOutPath</key>\n  <string>{log}</string>\n  \
         <key>StandardErrorPath</key>\n  <string>{log}</string>\n</dict>\n</plist>\n"
    );
    let file = file(service);
    let path = file.to_string_lossy().into_owned();
    let commands = vec![words(&["launchctl", "bootstrap", &format!("gui/{}", service.uid), &path])];
    Plan { file, text, commands }
}

pub(super) fn uninstall(service: &Service) -> Plan {
    let commands = vec![words(&["launchctl", "bootout", &format!("gui/{}/{LABEL}", service.uid)])];
    Plan { file: file(service), text: String::new(), commands }
}

fn file(service: &Service) -> PathBuf {
    service.home.join("Library").join("LaunchAgents").join(format!("{LABEL}.plist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_starts_programs_with_odd_names() {
        let plan = install(&super::super::example());
        assert!(plan.text.contains(
            "<string>/home/jo ann/50% &quot;bin&quot;/umcp</string>\n    <string>gateway</string>"
        ));
        assert!(plan.text.contains("<key>UMCP_HOME</key>\n    <string>/home/jo ann/$x</string>"));
        assert_eq!(plan.commands[0][..3].join(" "), "launchctl bootstrap gui/501");
        assert_eq!(plan.commands[0][3], "/home/jo ann/Library/LaunchAgents/dev.umcp.gateway.plist");
        // 63 is 0o077.
        assert!(plan.text.contains("<integer>63</integer>"));
    }
}
