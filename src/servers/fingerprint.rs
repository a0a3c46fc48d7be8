//! What an approval of a server is bound to: how it is run or reached, never its name.

use super::Server;
use serde_json::json;

impl Server {
    /// SHA-256 over command, arguments or address, directory, and the names of variables and headers, in hex. Values
    /// of variables are left out: they change with every key that is rotated.
    pub fn fingerprint(&self) -> String {
        let variables: Vec<&String> = self.env.keys().collect();
        let headers: Vec<&String> = self.headers.keys().collect();
        let what = json!([self.transport, self.cwd, variables, headers]);
        crate::ids::digest(what.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Transport;
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_name_does_not_count_and_an_argument_does() {
        let server = |name: &str, arg: &str| {
            let transport = Transport::Stdio { command: "npx".into(), args: vec![arg.into()] };
            Server::new("srv_1".into(), name, transport, Timestamp(0))
        };
        let print = server("a", "x").fingerprint();
        assert_eq!(server("b", "x").fingerprint(), print);
        assert_ne!(server("a", "y").fingerprint(), print);
        let mut more = server("a", "x");
        more.env.insert("LD_PRELOAD".into(), String::new());
        assert_ne!(more.fingerprint(), print);
    }
}
