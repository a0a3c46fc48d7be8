//! Opening an address in the user's browser. That there is none is no error: the address is shown as well.

use std::process::{Command, Stdio};

/// True when a browser was asked to open it.
pub fn open(url: &str) -> bool {
    // What a provider named as its page goes to another program: only addresses of the web do.
    if !(url.starts_with("https://") || url.starts_with("http://")) || !has_screen() {
        return false;
    }
    let (program, arguments): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else {
        ("xdg-open", &[])
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}

/// Text browsers would take over the terminal.
fn has_screen() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(target_os = "macos", windows)) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}
