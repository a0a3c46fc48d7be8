//! The checks over made-up facts and files: what each finds, says and offers to mend.

use super::*;
use crate::paths::Paths;
use crate::sandbox::{Base, Guard, Sandbox};
use crate::servers::model::Transport;
use crate::settings;
use crate::tools::model::{Era, Tool};
use std::fs;
use std::path::Path;

fn facts(paths: &Paths) -> Facts {
    Facts {
        settings: settings::load(paths, []),
        daemon: Ok(None),
        store: Ok(Vec::new()),
        store_read: StoreRead::Whole,
        servers: Vec::new(),
        apps: Vec::new(),
        integrations: Vec::new(),
        vault: Ok(crate::secrets::Vault { slots: Vec::new(), secrets: 0 }),
        secrets: Vec::new(),
        catalogues: BTreeMap::new(),
        statuses: Vec::new(),
        schedules: 0,
        http: vec!["127.0.0.1:7332".into()],
    }
}

fn server(name: &str, command: &str) -> Server {
    let transport = Transport::Stdio { command: command.into(), args: Vec::new() };
    Server::new(name.into(), name, transport, Timestamp::default())
}

fn with_home(test: impl Fn(&Path, &Machine<'_>)) {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::in_folder(&dir.path().join("umcp"), dir.path().into());
    paths.create().unwrap();
    let program = std::env::current_exe().unwrap();
    let machine = Machine { paths: &paths, env: &|_| None, project: None, home: None, program };
    test(dir.path(), &machine);
}

fn lines(report: &Report) -> Vec<(Level, String)> {
    report.checks.iter().map(|check| (check.level, check.what.clone())).collect()
}

#[test]
fn a_fresh_home_is_well() {
    with_home(|_, machine| {
        let report = run(machine, &facts(machine.paths), None, Timestamp::default());
        assert_eq!((report.failed, report.warned), (0, 0), "{:#?}", report.checks);
    });
}

#[test]
fn only_a_store_that_was_read_has_good_checksums() {
    with_home(|_, machine| {
        for read in
            [StoreRead::Whole, StoreRead::Served, StoreRead::Busy, StoreRead::Unclean, StoreRead::Missing]
        {
            let facts = Facts { store_read: read, ..facts(machine.paths) };
            let report = run(machine, &facts, Some(Area::Store), Timestamp::default());
            let said = &report.checks[0].what;
            assert_eq!(said.contains("every checksum holds"), read == StoreRead::Whole, "{said}");
        }
    });
}

#[test]
fn schedules_that_nobody_keeps_the_time_of_are_told() {
    with_home(|_, machine| {
        let facts = Facts { schedules: 2, ..facts(machine.paths) };
        let report = run(machine, &facts, Some(Area::Daemon), Timestamp::default());
        let (level, cure) = (report.checks[0].level, report.checks[0].cure.as_deref());
        assert_eq!((level, cure), (Level::Warn, Some("umcp gateway start --detach")));
    });
}

#[test]
fn a_client_with_a_dead_entry_is_found_and_mended() {
    with_home(|home, machine| {
        let file = home.join(".cursor/mcp.json");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let text = r#"{"mcpServers": {"umcp": {"command": "/gone/umcp", "args": ["serve", "--client", "cursor"]},
            "git": {"command": "uvx"}}}"#;
        fs::write(&file, text).unwrap();
        let now = Timestamp::default();
        let report = run(machine, &facts(machine.paths), Some(Area::Clients), now);
        assert_eq!(
            lines(&report),
            [
                (Level::Fail, format!("Cursor starts `/gone/umcp`, which is not there ({})", file.display())),
                (Level::Warn, format!("Cursor has 1 server beside umcp in `{}`: git", file.display())),
            ]
        );
        assert_eq!(report.checks[1].cure.as_deref(), Some("umcp client connect cursor --replace"));
        let report = fix(report, machine, now).unwrap();
        assert_eq!((report.failed, report.fixed, report.undo), (0, 1, Some(1)));
        let again = run(machine, &facts(machine.paths), Some(Area::Clients), now);
        assert_eq!((again.failed, again.warned), (0, 1));

        fs::write(&file, "{").unwrap();
        let broken = run(machine, &facts(machine.paths), Some(Area::Clients), now);
        assert_eq!(broken.failed, 1, "{:?}", broken.checks);
    });
}

#[test]
fn servers_without_a_program_and_tools_of_one_name_are_found() {
    with_home(|_, machine| {
        let mut facts = facts(machine.paths);
        let tools = vec![Tool { name: "read".into(), json: "{}".into() }];
        for name in ["a", "b"] {
            let mut server = server(name, machine.program.to_str().unwrap());
            server.verbatim = true;
            facts.servers.push(server);
            let catalogue = Catalogue {
                era: Era::Legacy,
                revision: String::new(),
                transport: None,
                server_info: String::new(),
                capabilities: String::new(),
                instructions: None,
                tools: tools.clone(),
                prompts: Vec::new(),
                resources: Vec::new(),
                templates: Vec::new(),
                warnings: if name == "a" { vec!["the tool `x` has no name".into()] } else { Vec::new() },
                fetched: Timestamp::default(),
                entry_revision: 1,
            };
            facts.catalogues.insert(name.into(), catalogue);
        }
        facts.servers.push(server("gone", "no-such-program"));
        facts.servers.push(Server { enabled: false, ..server("off", "no-such-program") });
        let report = run(machine, &facts, Some(Area::Servers), Timestamp::default());
        assert_eq!(
            lines(&report),
            [
                (Level::Fail, "`gone` starts `no-such-program`, which is not there".to_string()),
                (Level::Warn, "`a`: the tool `x` has no name".into()),
                (Level::Warn, "a and b all have a tool `read` and show it without a prefix".into()),
            ]
        );
    });
}

#[test]
fn what_an_entry_refers_to_and_is_not_set_is_told() {
    with_home(|_, machine| {
        let mut facts = facts(machine.paths);
        let mut server = server("git", machine.program.to_str().unwrap());
        server.env.insert("A".into(), "${NO_SUCH_VARIABLE}".into());
        server.env.insert("B".into(), "${NOR_THIS:-but a default}".into());
        server.env.insert("C".into(), "secret://none".into());
        server.env.insert("D".into(), "Bearer ${secret://kept}".into());
        facts.servers.push(server);
        fs::write(machine.paths.secrets_file(), "# mine\nexport kept='x'\n#none=1\n").unwrap();
        let report = run(machine, &facts, Some(Area::Servers), Timestamp::default());
        let what = "`git` needs the variable `NO_SUCH_VARIABLE` and the secret `none`, not set here";
        assert_eq!(lines(&report), [(Level::Warn, what.to_string())]);
    });
}

#[cfg(unix)]
#[test]
fn open_files_and_left_sockets_are_mended() {
    use std::os::unix::fs::PermissionsExt;
    with_home(|_, machine| {
        let data = machine.paths.data.clone();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
        let socket = machine.paths.socket();
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
        let now = Timestamp::default();
        let report = run(machine, &facts(machine.paths), None, now);
        assert_eq!((report.failed, report.warned), (1, 1), "{:?}", report.checks);
        let report = fix(report, machine, now).unwrap();
        assert_eq!((report.failed, report.warned, report.fixed, report.undo), (0, 0, 2, None));
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!socket.exists());
    });
}

#[test]
fn plain_keys_are_found_wherever_servers_stand() {
    with_home(|home, machine| {
        let file = home.join(".cursor/mcp.json");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let text = r#"{"mcpServers": {"gh": {"command": "gh", "env": {"GH_TOKEN": "hunter2hunter2", "HOME": "/home/me"}}}}"#;
        fs::write(&file, text).unwrap();
        let mut facts = facts(machine.paths);
        let mut server = server("git", machine.program.to_str().unwrap());
        server.env =
            [("API_KEY", "hunter2hunter2"), ("KEY_PATH", "/etc/keys"), ("PATH", "/usr/bin:/opt/x1/bin")]
                .map(|(key, value)| (key.into(), value.into()))
                .into();
        facts.servers.push(server);
        let told = |area| run(machine, &facts, Some(area), Timestamp::default()).checks;
        let clients = told(Area::Clients);
        let what = format!("Cursor holds plain keys in `{}`: gh (env GH_TOKEN)", file.display());
        assert_eq!((clients[0].level, &clients[0].what), (Level::Warn, &what));
        let servers = told(Area::Servers);
        assert_eq!(servers[0].what, "`git` holds 1 key as it stands: env API_KEY");
        for check in [&clients[0], &servers[0]] {
            assert_eq!(check.cure.as_deref(), Some("umcp secret scan --move"));
        }
    });
}

#[test]
fn what_an_app_or_an_integration_lacks_is_told_with_the_command() {
    use crate::apps::model::{App, Definition, Kind, Setting};
    use crate::integrations::model::{self, Integration};
    with_home(|_, machine| {
        let now = Timestamp::default();
        let setting = |name: &str, secret, default: Option<&str>| Setting {
            name: name.into(),
            secret,
            default: default.map(String::from),
            ..Setting::default()
        };
        let settings =
            vec![setting("KEY", true, None), setting("CITY", false, None), setting("UNIT", false, Some("C"))];
        let mut app = App {
            name: "weather".into(),
            kind: Kind::Http,
            title: None,
            description: None,
            definition: String::new(),
            origin: None,
            integration: None,
            created: now,
            updated: now,
        };
        app.define(&Definition { settings, ..Definition::default() }).unwrap();
        let mut facts = facts(machine.paths);
        let transport = Transport::App { name: "weather".into() };
        facts.servers.push(Server::new("w".into(), "sky", transport, now));
        facts.apps.push(app);
        let mut sso = Integration::new("int_1".into(), "sso", model::Kind::Oauth2, now);
        sso.endpoints.issuer = Some("https://sso.example.com".into());
        facts.integrations = vec![sso, Integration::new("int_2".into(), "key", model::Kind::ApiKey, now)];
        let told = |area| {
            let check = run(machine, &facts, Some(area), now).checks.remove(0);
            (check.level, check.what, check.cure.unwrap())
        };
        let app = "umcp app configure sky KEY=secret://KEY CITY=VALUE".to_string();
        assert_eq!(
            told(Area::Servers),
            (Level::Warn, "the app `sky` has no value for KEY, CITY".to_string(), app)
        );
        let sso = "umcp integration configure sso --client-id ID".to_string();
        assert_eq!(
            told(Area::Accounts),
            (Level::Warn, "nobody can sign in to `sso`: it lacks --client-id".to_string(), sso)
        );
    });
}

#[test]
fn the_vault_is_told_with_what_opens_it() {
    use crate::sealing::{DataKey, Guard, Slot, keyfile};
    with_home(|_, machine| {
        let file = machine.paths.vault_key();
        let wrapping = keyfile::create(&file).unwrap();
        let slot = Slot::new("s".into(), Guard::KeyFile { path: None }, &wrapping, &DataKey::generate());
        let check = |level: Level, text: &str| {
            let slot = crate::secrets::KeySlot { slot: slot.clone(), created: Timestamp::default() };
            let vault = Ok(crate::secrets::Vault { slots: vec![slot], secrets: 2 });
            let facts = Facts { vault, ..facts(machine.paths) };
            let found = lines(&run(machine, &facts, Some(Area::Vault), Timestamp::default()));
            let (told, what) = found.last().unwrap();
            assert!(*told == level && what.contains(text), "{found:?}");
        };
        check(Level::Ok, "is opened by the key file");
        fs::write(machine.paths.secrets_file(), "A=1\n").unwrap();
        check(Level::Ok, "is opened by the key file");
        fs::remove_file(&file).unwrap();
        check(Level::Fail, "is missing");
        keyfile::create(&file).unwrap();
        check(Level::Fail, "not the one the vault was closed with");
    });
}

#[test]
fn servers_that_no_sandbox_fits_are_named() {
    with_home(|_, machine| {
        let mut facts = facts(machine.paths);
        facts.servers.push(server("tame", "node"));
        facts.servers.push(server("boxes", "podman"));
        let shut = |base| Sandbox { profile: Some(base), ..Sandbox::default() };
        facts.servers.push(Server { sandbox: shut(Base::Off), ..server("free", "podman") });
        let require = Sandbox { require: vec![Guard::Files], ..shut(Base::Off) };
        facts.servers.push(Server { sandbox: require, ..server("torn", "node") });
        let report = run(machine, &facts, Some(Area::Sandbox), Timestamp::default());
        let of_servers: Vec<(Level, String)> =
            lines(&report).into_iter().filter(|(_, what)| !what.starts_with("the profile")).collect();
        assert_eq!(
            of_servers,
            [
                (Level::Info, "`boxes` runs outside a sandbox: `podman` needs privileges".to_string()),
                (Level::Fail, "`torn` requires files, which cannot be guarded here".into()),
            ]
        );
    });
}
