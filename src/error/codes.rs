//! Every error code of the program, in one table: code, name, kind and the long explanation.
//! Codes are never reused. The number's hundred follows the area, not the kind.

use super::Kind;

/// One error code. `umcp explain CODE` prints `explanation`.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `UM` and four digits.
    pub code: &'static str,
    /// The same in words, for scripts.
    pub name: &'static str,
    pub kind: Kind,
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($constant:ident = $code:literal $name:literal $kind:ident $explanation:literal;)*) => {
        $(pub const $constant: Code =
            Code { code: $code, name: $name, kind: Kind::$kind, explanation: $explanation };)*
        /// All codes, in the order of the table.
        pub const ALL: &[&Code] = &[$(&$constant),*];
    };
}

codes! {
    FAILED = "UM0001" "failed" Failed "The command failed for the reason given in its message.";
    BUG = "UM0002" "internal" Bug "umcp broke one of its own rules. This is a bug of umcp, not of your setup; the message and the log (`umcp gateway logs`) are what a report needs.";
    USAGE = "UM0003" "usage" Usage "The command line could not be understood. `umcp help all` shows every command, `umcp COMMAND --help` one of them.";
    INPUT_NEEDED = "UM0004" "input_needed" InputNeeded "The command wanted to ask a question, but there is no terminal or `--no-input` was given. The hint names the flag that answers the question.";
    NOT_CONFIRMED = "UM0005" "not_confirmed" Refused "A step that cannot be undone was not confirmed. Give `--yes` to confirm it.";
    TIMED_OUT = "UM0006" "timed_out" TimedOut "The operation did not finish within its deadline. `--timeout` sets another.";
    INTERRUPTED = "UM0007" "interrupted" Interrupted "The command was interrupted (Ctrl-C).";
    PARTIAL = "UM0009" "partial" Partial "Some of the items succeeded and some did not; the output lists both.";
    DIFFERS = "UM0010" "differs" Differs "A check ran to its end and found differences.";
    IO = "UM0011" "io" Failed "The operating system refused a file operation; the message names the path and the reason.";

    FILE_INVALID = "UM0101" "file_invalid" Invalid "A file could not be read as what it should be. The message shows file, line and column.";
    FILE_TOO_LARGE = "UM0102" "file_too_large" Invalid "Files of settings and servers may have at most 1 MiB.";
    FIELD_UNKNOWN = "UM0103" "field_unknown" Invalid "A field has a name that nothing reads; the hint names the nearest one that is known.";
    VALUE_INVALID = "UM0104" "value_invalid" Invalid "A value is outside what its field takes.";
    FORMAT_UNKNOWN = "UM0105" "format_unknown" Invalid "The file is none of the known formats for servers.";
    SETTING_UNKNOWN = "UM0106" "setting_unknown" NotFound "There is no setting of that name. `umcp config show` lists them all.";
    FILE_NOT_FOUND = "UM0107" "file_not_found" NotFound "The named file does not exist.";
    FILE_EXISTS = "UM0108" "file_exists" Conflict "A file of that name is there already, and nothing was written over it.";

    STORE_LOCKED = "UM0201" "store_locked" Unavailable "Another process has the store open. Short commands wait 250 ms for each other; the daemon answers for the store while it runs.";
    STORE_DAMAGED = "UM0202" "store_damaged" Unavailable "A record failed its checksum or the file cannot be opened. umcp never returns damaged data and does not touch the file; restore a backup or run `umcp doctor`.";
    STORE_NEWER = "UM0203" "store_newer" Unavailable "The store was written by a newer umcp. It was not touched. Update the program.";
    STORE_FULL = "UM0204" "store_full" Unavailable "The disk is full. Everything acknowledged is safe; free some space and try again.";
    STORE_IO = "UM0205" "store_io" Unavailable "Reading or writing the store failed. Nothing was acknowledged that is not on disk.";
    BACKUP_EXISTS = "UM0206" "backup_exists" Conflict "A backup never replaces a file. Give another name or move the old file away.";

    DAEMON_START = "UM0301" "daemon_start" Unavailable "The daemon could not be started; the message holds its own reason.";
    DAEMON_UNAVAILABLE = "UM0302" "daemon_unavailable" Unavailable "The daemon did not answer, or went away while it was asked.";
    DAEMON_NEWER = "UM0303" "daemon_newer" Unavailable "The running daemon is newer than this program and speaks another protocol. Update this program, or stop the daemon with the newer one.";
    WIRE_INVALID = "UM0304" "wire_invalid" Bug "A line on the local socket could not be understood.";
    NOT_PRIVATE = "UM0305" "not_private" Unavailable "A file or socket that must belong to you alone is open to others.";
    GATEWAY_RUNNING = "UM0306" "gateway_running" Conflict "A gateway runs in the foreground already, in a terminal or as a service. `--take-over` ends it and goes on in its place.";

    SERVER_NOT_FOUND = "UM0401" "server_not_found" NotFound "No server of that name is known. `umcp server list` shows all.";
    SERVER_EXISTS = "UM0402" "server_exists" Conflict "A server of that name exists already.";
    SERVER_DISABLED = "UM0403" "server_disabled" Refused "The server is disabled. `umcp server enable NAME` brings it back.";
    SERVER_INVALID = "UM0404" "server_invalid" Invalid "The server's entry cannot work as it stands.";
    NAME_INVALID = "UM0405" "name_invalid" Invalid "Names use letters, digits, `-` and `_`, start with a letter or digit and have at most 40 characters; `umcp` is reserved.";
    TOOL_NOT_FOUND = "UM0406" "tool_not_found" NotFound "No tool of that name is known. `umcp tool list` shows all, `umcp tool search` finds by meaning.";
    TOOL_DISABLED = "UM0407" "tool_disabled" Refused "The tool is disabled. `umcp tool enable NAME` brings it back.";
    ARGUMENTS_INVALID = "UM0408" "arguments_invalid" Usage "The arguments do not fit the tool's schema; the message names the path inside the arguments.";
    PROFILE_NOT_FOUND = "UM0409" "profile_not_found" NotFound "No profile of that name is known. `umcp profile list` shows all.";
    PROFILE_EXISTS = "UM0410" "profile_exists" Conflict "A profile of that name exists already.";
    CLIENT_NOT_FOUND = "UM0411" "client_not_found" NotFound "umcp knows no client of that name. `umcp client list` shows the ones it knows.";
    TOKEN_NOT_FOUND = "UM0412" "token_not_found" NotFound "No token of that name or id is known.";
    RESULT_NOT_FOUND = "UM0413" "result_not_found" NotFound "A stored result was not found; results are kept for a limited time.";
    UNDO_NOTHING = "UM0414" "undo_nothing" NotFound "There is nothing to undo.";
    UNDO_CHANGED = "UM0415" "undo_changed" Conflict "The file was changed after umcp edited it, so putting the old one back would lose that change.";
    CODE_NOT_FOUND = "UM0416" "code_not_found" NotFound "No error code of that name is known.";
    SECRET_MISSING = "UM0417" "secret_missing" Credential "A value refers to a secret or a variable that is not set. Both come from the environment umcp is started from; a secret also from a line NAME=VALUE in secrets.env beside the settings, a file that only you may read (`umcp config path` names it).";
    TOKEN_EXISTS = "UM0418" "token_exists" Conflict "A token of that name exists already.";
    RESOURCE_NOT_FOUND = "UM0420" "resource_not_found" NotFound "No server offers that resource.";

    INTEGRATION_NOT_FOUND = "UM0430" "integration_not_found" NotFound "No integration of that name is known. `umcp integration list` shows all, `umcp integration providers` what can be made of a preset.";
    CONNECTION_NOT_FOUND = "UM0431" "connection_not_found" NotFound "No connection of that name is known. `umcp connection list` shows all.";
    CONNECTION_EXISTS = "UM0432" "connection_exists" Conflict "An integration or connection of that name exists already.";
    INTEGRATION_IN_USE = "UM0433" "integration_in_use" Conflict "Connections stand on the integration; revoke them first.";
    INTEGRATION_INCOMPLETE = "UM0434" "integration_incomplete" Invalid "The integration lacks something that a sign-in needs; the hint names the flags.";
    SIGN_IN_FAILED = "UM0435" "sign_in_failed" Credential "The sign-in did not succeed; the message holds the provider's own reason. Nothing was stored.";
    SIGN_IN_UNSAFE = "UM0436" "sign_in_unsafe" Refused "An answer of the provider broke a rule that protects the account (issuer, state, resource, address or size), so the sign-in was given up. Nothing was stored.";
    SIGN_IN_NEEDED = "UM0437" "sign_in_needed" Credential "The account's tokens are no longer taken. `umcp connection create NAME` signs in again.";
    SIGN_IN_UNKNOWN = "UM0438" "sign_in_unknown" NotFound "That sign-in is over, or was never begun. Begin it again.";

    ALIAS_TAKEN = "UM0421" "alias_taken" Conflict "Two tools cannot have the same name in clients.";

    APP_NOT_FOUND = "UM0441" "app_not_found" NotFound "No app of that name is known. `umcp app list` shows those that are installed, `umcp app search` those that can be.";
    COMMAND_NOT_FOUND = "UM0442" "command_not_found" NotFound "No command of that name is known. `umcp command list` shows all.";
    APP_EXISTS = "UM0443" "app_exists" Conflict "An app or command of that name exists already.";
    PACKAGE_NOT_FOUND = "UM0451" "package_not_found" NotFound "No package is installed under that name. `umcp lock show` shows all, `umcp install REFERENCE` installs one.";
    PACKAGE_INVALID = "UM0452" "package_invalid" Invalid "The package, bundle or repository is not one a server can be run from, or its manager says something umcp does not understand.";
    PACKAGE_FAILED = "UM0453" "package_failed" Failed "The package manager's own program failed; its last words are in the message. Nothing was changed.";
    PACKAGE_MANAGER = "UM0454" "package_manager" Unavailable "The program that installs such packages is not on this machine.";
    PACKAGE_UNKNOWN = "UM0457" "package_unknown" NotFound "The package manager knows no such package, or no such version of it. `umcp catalog search WORDS` looks for servers by what they do.";
    PACKAGE_NETWORK = "UM0458" "package_network" Network "The package manager could not reach the place its packages come from. Nothing was changed; its own settings (proxy, mirror) count.";
    LOCK_INVALID = "UM0455" "lock_invalid" Invalid "The lock file is not one umcp wrote, or was changed by hand. `umcp lock verify` compares it with what is installed.";
    PACKAGE_DIFFERS = "UM0456" "package_differs" Differs "A package is not what the lock file says, or another version would change it. The message and `--json` name each difference.";
    OPENAPI_INVALID = "UM0444" "openapi_invalid" Invalid "The document is not an OpenAPI document of version 3.0 or 3.1, or nothing in it can become a tool.";

    UPSTREAM_START = "UM0501" "upstream_start" Upstream "The server could not be started or ended at once; its last lines of stderr are in the message. `umcp server logs NAME` shows more.";
    UPSTREAM_DIED = "UM0502" "upstream_died" Upstream "The server ended while it was working on the call. It is started again at the next call.";
    UPSTREAM_TIMEOUT = "UM0503" "upstream_timeout" TimedOut "The server did not answer in time. The call was cancelled; the server keeps running.";
    UPSTREAM_PROTOCOL = "UM0504" "upstream_protocol" Upstream "The server sent something that is not valid MCP.";
    UPSTREAM_TOO_LARGE = "UM0505" "upstream_too_large" Upstream "The server sent a message above 16 MiB.";
    UPSTREAM_BUSY = "UM0506" "upstream_busy" Unavailable "The server has as many calls running and waiting as it may, or it works for another client that it may ask. Try again in a moment.";
    UPSTREAM_OPEN = "UM0507" "upstream_open" Unavailable "The server failed repeatedly and is left alone for a while. `umcp server status` shows when it is tried again; `umcp health breakers --reset NAME` tries now.";
    UPSTREAM_LOOPING = "UM0508" "upstream_crash_loop" Upstream "The server was started five times within two minutes and ended each time, so umcp stopped trying. `umcp server restart NAME` tries again.";
    UPSTREAM_CONNECT = "UM0509" "upstream_connect" Network "No connection to the server could be made.";
    UPSTREAM_HTTP = "UM0510" "upstream_http" Network "The server answered with an HTTP error.";
    UPSTREAM_LIMITED = "UM0511" "upstream_rate_limited" Unavailable "The server asked to slow down.";
    UPSTREAM_SIGN_IN = "UM0512" "upstream_sign_in" Credential "The server wants a sign-in.";
    UPSTREAM_CERTIFICATE = "UM0530" "upstream_certificate" Network "The certificate of the server is not one this machine trusts; the message says why. umcp never falls back to a connection without it.";
    TOOL_FAILED = "UM0513" "tool_failed" Upstream "The tool itself reported an error; its own words are shown.";
    UPSTREAM_ERROR = "UM0514" "upstream_error" Upstream "The server answered the request with an error; its own words are shown.";
    CANCELLED = "UM0515" "cancelled" Interrupted "The call was cancelled.";
    UPSTREAM_LIMIT = "UM0522" "upstream_limit" Upstream "The server took more than its sandbox allows (memory, processes, disk, cpu, output or time), so umcp ended it. `umcp server edit NAME --set sandbox.memory=2GiB` allows more; it is started again at the next call.";
    SANDBOX_MISSING = "UM0523" "sandbox_missing" Refused "The server's sandbox demands a guard that this system cannot enforce, so the server was not started. `umcp doctor --only sandbox` says what is enforced here.";
    SANDBOX_FAILED = "UM0524" "sandbox_failed" Unavailable "The system did not let umcp shut the server in, so it was not started.";
    UPSTREAM_RESOURCES = "UM0521" "upstream_resources" Unavailable "The system refused a new process: no file descriptors, processes or memory are left. What runs keeps running; try again when something has ended.";

    POLICY_DENIED = "UM0701" "policy_denied" Refused "A rule of your policy forbids the call. `umcp policy explain SERVER.TOOL --client NAME` shows which one and why.";
    POLICY_INVALID = "UM0702" "policy_invalid" Invalid "A rule of the policy cannot work as it stands; the policy before it stays in force.";
    RULE_NOT_FOUND = "UM0703" "rule_not_found" NotFound "The policy has no rule, role or label of that name. `umcp policy show` shows all.";
    NOT_APPROVED = "UM0705" "not_approved" Refused "A rule of your policy asks before such a call, and nobody said yes in time. `umcp approve list` shows what waits.";
    RECORD_NOT_FOUND = "UM0707" "record_not_found" NotFound "The audit trail has no record of that number; it may have been purged.";
    AUDIT_BROKEN = "UM0708" "audit_broken" Differs "The audit trail is not what was written: the records named were changed, or others are gone.";
    TOOL_HELD = "UM0709" "tool_held" Refused "The definition of the tool is not the one you approved, so it is held back until you have looked at the difference. `umcp tool diff NAME` shows it, `umcp tool accept NAME` lets the tool through.";
    APPROVAL_NOT_FOUND = "UM0706" "approval_not_found" NotFound "No call waits for an answer under that number; it may have been answered already or given up.";
    POLICY_LIMITED = "UM0704" "policy_limited" Unavailable "A rule of your policy bounds how often or with how much a tool may be called; the message says which bound was met.";

    BIND_FAILED = "UM0601" "bind_failed" Network "The address could not be listened on.";
    BIND_REFUSED = "UM0602" "bind_refused" Refused "An address that other machines can reach needs a key and TLS, or `--insecure` spelled out.";
    CERTIFICATE_INVALID = "UM0604" "certificate_invalid" Invalid "The certificate or its key cannot be used: a file is missing, is no PEM, or the two do not belong together. What was in use before stays in use.";
    AUTHORIZATION_OFF = "UM0605" "authorization_off" Refused "umcp gives tokens to remote clients only where the setting `gateway.authorization` is `server`; it is read when the gateway starts.";
    UNAUTHORIZED = "UM0603" "unauthorized" Credential "The request has no valid key.";

    ENTRY_NOT_FOUND = "UM0801" "entry_not_found" NotFound "No catalogue has an entry of that name. `umcp catalog search` finds by words, `umcp catalog refresh` reads the sources again.";
    ENTRY_AMBIGUOUS = "UM0802" "entry_ambiguous" Conflict "Several sources have an entry of that name, and they do not offer the same thing. Say which one: `umcp catalog install SOURCE/NAME`.";
    ENTRY_NOT_RUNNABLE = "UM0803" "entry_not_runnable" Refused "The entry offers nothing that umcp runs, or only in a way that a catalogue may not ask for: an address of your own network, arguments for the package manager, variables that steer a process, references to your secrets.";
    SOURCE_NOT_FOUND = "UM0804" "source_not_found" NotFound "No source of that name is known. `umcp catalog source list` shows all.";
    SOURCE_EXISTS = "UM0805" "source_exists" Conflict "A source of that name exists already, or belongs to umcp itself.";
    SOURCE_INVALID = "UM0806" "source_invalid" Invalid "What the source answered is no catalogue, or more than a catalogue may be. What was read before is kept.";
    SOURCE_FAILED = "UM0807" "source_failed" Network "The source could not be read. What was read before is kept, and the next refresh goes on from there.";

    WORKFLOW_NOT_FOUND = "UM1001" "workflow_not_found" NotFound "No workflow of that name is known. `umcp workflow list` shows all.";
    WORKFLOW_EXISTS = "UM1002" "workflow_exists" Conflict "A workflow of that name exists already; `--replace` puts the new document in its place.";
    RUN_FAILED = "UM1003" "run_failed" Upstream "The workflow ran and a step of it failed; `umcp workflow logs RUN` shows which and why.";
    RUN_NOT_FOUND = "UM1004" "run_not_found" NotFound "No run of that id is known. `umcp workflow runs` lists them.";
    RUN_EXISTS = "UM1005" "run_exists" Conflict "A run of that id exists already.";
    RUN_STATE = "UM1006" "run_state" Conflict "The run is in a state in which this cannot be done.";
    WORKFLOW_INVALID = "UM1007" "workflow_invalid" Invalid "The workflow has mistakes; each is shown with its place.";
    SCHEDULE_NOT_FOUND = "UM1101" "schedule_not_found" NotFound "No schedule of that name is known. `umcp schedule list` shows all.";
    SCHEDULE_EXISTS = "UM1102" "schedule_exists" Conflict "A schedule of that name exists already; `umcp schedule update` changes it.";
    CRON_INVALID = "UM1103" "cron_invalid" Invalid "The cron expression cannot be read; the message shows the place. Five fields (minute, hour, day of month, month, day of week), six with seconds in front, or @yearly, @monthly, @weekly, @daily, @hourly. `umcp schedule preview` says in words what an expression means.";
    ZONE_UNKNOWN = "UM1104" "zone_unknown" Invalid "There is no time zone of that name in the zone database of this machine.";
    AGENT_NOT_FOUND = "UM1105" "agent_not_found" NotFound "No agent of that name is known. `umcp agent list` shows all.";
    AGENT_EXISTS = "UM1106" "agent_exists" Conflict "An agent of that name exists already.";
    AGENT_IN_USE = "UM1107" "agent_in_use" Conflict "Schedules belong to the agent; delete them or give them to another one first.";
    MEMORY_NOT_FOUND = "UM1301" "memory_not_found" NotFound "There is no memory of that id or key, or not one that the asking agent may read. `umcp memory list` shows what there is.";
    MEMORY_TOO_LARGE = "UM1302" "memory_too_large" Invalid "A memory holds at most 64 KiB of text, 32 tags, 64 fields of metadata and 64 triples. Longer texts belong in a file, or in several memories that can be found one by one.";
    MEMORY_DENIED = "UM1303" "memory_denied" Refused "The namespace is not open to the agent. `umcp memory grant AGENT --namespace NAME --permission read` opens it.";
    NAMESPACE_NOT_FOUND = "UM1304" "namespace_not_found" NotFound "No namespace of that name holds memories. `umcp memory namespace list` shows all.";
    NAMESPACE_EXISTS = "UM1305" "namespace_exists" Conflict "A namespace of that name exists already.";
    MEMORY_CHANGED = "UM1306" "memory_changed" Conflict "The memories were changed after the change that is to be taken back; undoing it would lose that. `--force` does it all the same.";
    MEMORY_INDEX = "UM1307" "memory_index" Unavailable "The index of the memories is damaged. No memory is lost: `umcp memory reindex` makes the index anew from them.";
    MEMORY_EXISTS = "UM1308" "memory_exists" Conflict "There is a memory under that key or path already.";

    PRICE_NOT_FOUND = "UM1201" "price_not_found" NotFound "No price of that name is in the price book. `umcp pricing list` shows all.";
    PRICE_INVALID = "UM1202" "price_invalid" Invalid "The price is none: it has no name, no amount, a negative or absurd one, or ends before it begins.";
    QUOTA_NOT_FOUND = "UM1203" "quota_not_found" NotFound "No quota of that name is known. `umcp quota list` shows all.";
    QUOTA_INVALID = "UM1204" "quota_invalid" Invalid "The quota is none: it has no name or no limit, or goes by what is not known before a call is made.";
    QUOTA_EXCEEDED = "UM1205" "quota_exceeded" Refused "A quota of the user is used up, and the call was not made. The message says which one, and when it begins anew. `umcp quota list` shows all quotas.";
    USER_NOT_FOUND = "UM1206" "user_not_found" NotFound "No user of that name is known. `umcp user list` shows all.";
    USER_INVALID = "UM1207" "user_invalid" Invalid "The user is none: it has no name, or one that is too long.";
    USER_EXISTS = "UM1208" "user_exists" Conflict "There is a user of that name already. `--replace` writes over it.";
    SKILL_NOT_FOUND = "UM1401" "skill_not_found" NotFound "No skill of that name or version is installed, or no registry offers it. `umcp skill list` shows what is installed, `umcp skill search` what could be.";
    SKILL_EXISTS = "UM1402" "skill_exists" Conflict "That version of the skill is installed already, with other content. `--replace` puts the new one in its place.";
    SKILL_INVALID = "UM1403" "skill_invalid" Invalid "The folder or archive is no skill that can be taken: a SKILL.md with `name` and `description`, plain files, and what its skill.yaml says in order. `umcp skill validate PATH` shows every mistake.";
    SKILL_IN_USE = "UM1404" "skill_in_use" Conflict "Another skill needs this one. Uninstall that one first.";
    SKILL_UNRESOLVED = "UM1405" "skill_unresolved" Conflict "No choice of versions fits what the skill and the skills it needs ask for; the message says who asks for what.";
    SIGNATURE_INVALID = "UM1406" "signature_invalid" Refused "A key, a signature or what it stands beside is not what it should be. Nothing was taken.";
    PUBLISHER_CHANGED = "UM1407" "publisher_changed" Refused "The skill is signed with another key than the one known of its publisher, or not at all where it was before. Ask the publisher; `umcp skill trust forget PUBLISHER` takes the next key that comes.";
    SKILL_CHANGED = "UM1408" "skill_changed" Differs "Files of an installed skill are not those that were installed. `umcp skill verify NAME` names them; installing it again with `--replace` brings them back.";
    REGISTRY_NOT_FOUND = "UM1409" "registry_not_found" NotFound "No registry of that name is known. `umcp skill registry list` shows all.";
    REGISTRY_EXISTS = "UM1410" "registry_exists" Conflict "A registry of that name exists already.";
    REGISTRY_INVALID = "UM1411" "registry_invalid" Invalid "What the registry holds is no list of skills, or not what its list says.";
    SKILL_TEST_FAILED = "UM1412" "skill_test_failed" Differs "A test of the skill did not come out as it says.";
    METRIC_NOT_FOUND = "UM1501" "metric_not_found" NotFound "No metric of that name is measured. `umcp metrics show` shows all.";
    TRACE_NOT_FOUND = "UM1502" "trace_not_found" NotFound "No trace of that id, and none of a run of that id, is kept. The daemon keeps the last 4,000 spans while it lives; `umcp trace list` shows them.";
    ALERT_NOT_FOUND = "UM1503" "alert_not_found" NotFound "No alert of that name is known. `umcp alert list` shows all.";
    ALERT_EXISTS = "UM1504" "alert_exists" Conflict "An alert of that name exists already; `--replace` puts another one in its place.";
    ALERT_INVALID = "UM1505" "alert_invalid" Invalid "The alert is none: its expression cannot be read or names what is not measured, or its window or wait is too long. docs/metrics.md lists the names.";
    VAULT_LOCKED = "UM0711" "vault_locked" Credential "The vault is protected by a passphrase that the asking program does not have. `umcp secret unlock` gives it to the daemon, which keeps the key in locked memory until it ends.";
    VAULT_KEY_MISSING = "UM0712" "vault_key_missing" Credential "What opens the vault, such as its key file, is not there. A new key is never made over existing secrets: put the file back, or delete the secrets one by one and set them anew.";
    VAULT_KEY_WRONG = "UM0713" "vault_key_wrong" Credential "The passphrase or the key file is not the one the vault was closed with.";
    VAULT_DAMAGED = "UM0714" "vault_damaged" Unavailable "A sealed value cannot be opened although the key is right: it was changed, cut short or moved to another name. Restore a backup, or set the secret anew.";
    VAULT_CONFLICT = "UM0715" "vault_conflict" Conflict "The vault has a key already, or was given another one in the meantime. Nothing was changed; try again.";
    SECRET_NOT_FOUND = "UM0716" "secret_not_found" NotFound "No secret of that name is stored. `umcp secret list` shows all.";
    SECRET_EXISTS = "UM0717" "secret_exists" Conflict "A secret of that name exists already.";
    SECRET_SOURCE = "UM0718" "secret_source" Credential "A value refers to a file or a program (`file://`, `cmd://`) that did not give it.";
}

/// Finds a code by its number (`UM0401`, any case) or its name (`server_not_found`).
pub fn find(word: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|code| code.code.eq_ignore_ascii_case(word) || code.name == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_and_names_are_unique() {
        let codes: BTreeSet<_> = ALL.iter().map(|code| code.code).collect();
        let names: BTreeSet<_> = ALL.iter().map(|code| code.name).collect();
        assert_eq!((codes.len(), names.len()), (ALL.len(), ALL.len()));
    }
}
