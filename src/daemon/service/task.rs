//! The task of the Windows task scheduler: starts at logon, as the user, without a window of rights.
//! Rule: the arguments are quoted as the C runtime splits them; a task has no environment of its own, so
//! variables are set by `cmd`.

use super::{NAME, Plan, Service, words, xml};
use std::path::PathBuf;

pub(super) fn install(service: &Service) -> Plan {
    let program = service.program.to_string_lossy();
    let line = service.arguments.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let (command, arguments) = if service.environment.is_empty() {
        (program.into_owned(), line)
    } else {
        let set: String =
            service.environment.iter().map(|(name, value)| format!("set \"{name}={value}\"&& ")).collect();
        ("cmd.exe".to_string(), format!("/d /s /c \"{set}{} {line}\"", quoted(&program)))
    };
    let text = format!(
        "<?xml version=\"1.0\"?>\n\
         <Task version=\"1.2\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">\n  \
         <Triggers><LogonTrigger><Enabled>true</Enabled></LogonTrigger></Triggers>\n  \
         <Principals><Principal id=\"Author\"><LogonType>InteractiveToken</LogonType>\
         <RunLevel>LeastPrivilege</RunLevel></Principal></Principals>\n  \
         <Settings>\n    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>\n    \
         <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>\n    \
         <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>\n    \
         <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>\n    \
         <RestartOnFailure><Interval>PT1M</Interval><Count>3</Count></RestartOnFailure>\n  </Settings>\n  \
         <Actions Context=\"Author\"><Exec>\n    <Command>{}</Command>\n    <Arguments>{}</Arguments>\n  \
         </Exec></Actions>\n</Task>\n",
        xml(&command),
        xml(&arguments)
    );
    let file = file(service);
    let path = file.to_string_lossy().into_owned();
    let commands = vec![
        words(&["schtasks", "/Create", "/TN", NAME, "/XML", &path, "/F"]),
        words(&["schtasks", "/Run", "/TN", NAME]),
    ];
    Plan { file, text, commands }
}

pub(super) fn uninstall(service: &Service) -> Plan {
    let commands =
        vec![words(&["schtasks", "/End", "/TN", NAME]), words(&["schtasks", "/Delete", "/TN", NAME, "/F"])];
    Plan { file: file(service), text: String::new(), commands }
}

/// The scheduler keeps its own copy; this one stands beside the log.
fn file(service: &Service) -> PathBuf {
    service.log.with_file_name(format!("{NAME}-task.xml"))
}

/// One argument as programs on Windows split their command line.
fn quoted(word: &str) -> String {
    if !word.is_empty() && !word.contains([' ', '\t', '"']) {
        return word.to_string();
    }
    let mut quoted = String::from("\"");
    let mut slashes = 0;
    for c in word.chars() {
        match c {
            '\\' => slashes += 1,
            '"' => {
                // Backslashes before a quote count double, and the quote needs one of its own.
                quoted.extend(std::iter::repeat_n('\\', slashes + 1));
                slashes = 0;
            }
            _ => slashes = 0,
        }
        quoted.push(c);
    }
    quoted.extend(std::iter::repeat_n('\\', slashes));
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_survive_the_splitting_of_windows() {
        let cases = [
            ("plain", "plain"),
            ("", "\"\""),
            (r"C:\Program Files\x", r#""C:\Program Files\x""#),
            (r"ends in\ ", r#""ends in\ ""#),
            (r"a b\", r#""a b\\""#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            (r#"a\"b"#, r#""a\\\"b""#),
        ];
        for (word, expected) in cases {
            assert_eq!(quoted(word), expected, "{word}");
        }
    }

    #[test]
    fn the_task_runs_the_program_with_its_variables() {
        let mut service = super::super::example();
        service.program = r"C:\Program Files\umcp.exe".into();
        let plan = install(&service);
        assert!(plan.text.contains(
            "<Arguments>/d /s /c &quot;set &quot;UMCP_HOME=/home/jo ann/$x&quot;&amp;&amp; \
             &quot;C:\\Program Files\\umcp.exe&quot; gateway start&quot;</Arguments>"
        ));
        service.environment.clear();
        assert!(install(&service).text.contains(
            "<Command>C:\\Program Files\\umcp.exe</Command>\n    <Arguments>gateway start</Arguments>"
        ));
        assert_eq!(
            plan.commands[0].join(" "),
            "schtasks /Create /TN umcp /XML /home/jo ann/umcp-task.xml /F"
        );
    }
}
