//! The user unit of systemd. Rule: every word is quoted, `%` and `$` are doubled; systemd expands both.

use super::{NAME, Plan, Service, words};
use std::fmt::Write;
use std::path::PathBuf;

pub(super) fn install(service: &Service) -> Plan {
    let mut start = quoted_program(&service.program.to_string_lossy());
    for argument in &service.arguments {
        let _ = write!(start, " {}", quoted(argument, true));
    }
    let mut environment = String::new();
    for (name, value) in &service.environment {
        let _ = writeln!(environment, "Environment={}", quoted(&format!("{name}={value}"), false));
    }
    // Eight seconds to stop: the daemon needs at most six to end its calls.
    let text = format!(
        "[Unit]\nDescription=umcp: every MCP server behind one endpoint\n\n\
         [Service]\nType=exec\nExecStart={start}\n{environment}Restart=on-failure\nRestartSec=2\n\
         TimeoutStopSec=8\nKillMode=mixed\nUMask=0077\n\n\
         [Install]\nWantedBy=default.target\n"
    );
    let unit = format!("{NAME}.service");
    let commands = vec![
        words(&["systemctl", "--user", "daemon-reload"]),
        words(&["systemctl", "--user", "enable", "--now", &unit]),
    ];
    Plan { file: file(service), text, commands }
}

pub(super) fn uninstall(service: &Service) -> Plan {
    let commands = vec![words(&["systemctl", "--user", "disable", "--now", &format!("{NAME}.service")])];
    Plan { file: file(service), text: String::new(), commands }
}

fn file(service: &Service) -> PathBuf {
    let config = service.config_home.clone().unwrap_or_else(|| service.home.join(".config"));
    config.join("systemd").join("user").join(format!("{NAME}.service"))
}

/// One word of a unit file. Only command lines expand `$`.
fn quoted(word: &str, command: bool) -> String {
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '%' => quoted.push_str("%%"),
            '$' if command => quoted.push_str("$$"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The first word of a command line: variables are not expanded there.
fn quoted_program(program: &str) -> String {
    quoted(program, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_starts_programs_with_odd_names() {
        let plan = install(&super::super::example());
        assert_eq!(plan.file, PathBuf::from("/home/jo ann/.config/systemd/user/umcp.service"));
        let lines: Vec<&str> = plan.text.lines().filter(|line| line.starts_with('E')).collect();
        assert_eq!(
            lines,
            [
                r#"ExecStart="/home/jo ann/50%% \"bin\"/umcp" "gateway" "start""#,
                r#"Environment="UMCP_HOME=/home/jo ann/$x""#,
            ]
        );
        assert_eq!(plan.commands[1].join(" "), "systemctl --user enable --now umcp.service");
        assert_eq!(quoted("$a", true), "\"$$a\"");
    }
}
