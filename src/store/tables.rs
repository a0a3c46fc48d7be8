//! Every table of the program: its name, the shape of its keys and the noun that owns it.
//! Row types live with their nouns; a noun joins the two with `Table::new(tables::SERVERS)`.
//! Rule: the name carries the number of the key's format; a table is never renamed in place.

use std::marker::PhantomData;

/// How the keys of a table are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// UTF-8 text.
    Text,
    /// Eight bytes of microseconds and four of sequence, big-endian: [`super::Position`].
    Time,
}

/// One line of the list below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableName {
    pub name: &'static str,
    pub keys: Keys,
    /// The room whose rows stand in it.
    pub owner: &'static str,
}

macro_rules! tables {
    ($($(#[$doc:meta])* $constant:ident = $name:literal $keys:ident $owner:literal;)*) => {
        $($(#[$doc])* pub const $constant: TableName =
            TableName { name: $name, keys: Keys::$keys, owner: $owner };)*
        /// All tables, in the order of the list.
        pub const ALL: &[TableName] = &[$($constant),*];
    };
}

tables! {
    /// One row `format`: format number and identity of the store. Readable by every version, for ever.
    META = "meta" Text "store";
    /// Server id -> server.
    SERVERS = "servers.v1" Text "servers";
    /// Server id -> what it offered when last asked.
    CATALOGUES = "catalogues.v1" Text "tools";
    /// Tool name -> what the user decided about it.
    TOOL_PREFERENCES = "tool_preferences.v1" Text "tools";
    /// Server id -> the definitions of its tools as they were first seen or accepted.
    PINS = "pins.v1" Text "tools";
    /// App name -> app: tools that are no MCP server themselves.
    APPS = "apps.v1" Text "apps";
    /// Server id -> the package it runs, with its versions.
    PACKAGES = "packages.v1" Text "packages";
    /// Profile name -> profile.
    PROFILES = "profiles.v1" Text "tools";
    /// Token id -> token, without its secret.
    TOKENS = "tokens.v1" Text "policy";
    /// Issuer name -> whose signed tokens open the endpoint.
    ISSUERS = "issuers.v1" Text "policy";
    /// Client id -> a client that registered itself at our authorization server.
    OAUTH_CLIENTS = "oauth_clients.v1" Text "policy";
    /// Grant id -> what the owner granted to such a client, without its tokens.
    GRANTS = "grants.v1" Text "policy";
    /// One row: the policy as JSON text.
    POLICY = "policy.v1" Text "policy";
    /// One record per call.
    CALLS = "calls.v1" Time "usage";
    /// Position of the first record in hex and a letter -> a part of many records of a day that is over, as columns.
    SEALED = "sealed.v1" Text "usage";
    /// Number of the day in hex -> where its sealed records stand.
    SEALED_DAYS = "sealed_days.v1" Text "usage";
    /// Unit of time, its number and what is told apart -> what the records of that time add up to.
    ROLLUPS = "rollups.v1" Text "usage";
    /// One row: how far the sums reach back.
    ROLLUP_STATE = "rollup_state.v1" Text "usage";
    /// Version in hex -> the price book of that version.
    PRICES = "prices.v1" Text "usage";
    /// Quota name -> quota.
    QUOTAS = "quotas.v1" Text "usage";
    /// User name -> whom calls are accounted to.
    USERS = "users.v1" Text "usage";
    /// Calls, changes and approvals, each with the hash of the one before.
    AUDIT = "audit.v1" Time "audit";
    /// What happened to servers, clients and the daemon.
    EVENTS = "events.v1" Time "audit";
    /// Undo id -> edit of another program's file.
    UNDO = "undo.v1" Text "clients";
    /// Result id -> stored result of a call.
    RESULTS = "results.v1" Text "tools";
    /// Server id -> the protocol era it was found to speak.
    ERAS = "eras.v1" Text "servers";
    /// Workflow name -> its document.
    WORKFLOWS = "workflows.v1" Text "workflows";
    /// Run id -> head of the run.
    RUNS = "runs.v1" Text "workflows";
    /// Run id, `/` and number of the entry -> what was written down in one commit.
    RUN_EVENTS = "run_events.v1" Text "workflows";
    /// Schedule name -> schedule.
    SCHEDULES = "schedules.v1" Text "schedules";
    /// Schedule id -> how far it has come, and which runs are under way.
    SCHEDULE_STATES = "schedule_states.v1" Text "schedules";
    /// Schedule id, `/` and due instant in hex -> what became of it.
    FIRINGS = "firings.v1" Text "schedules";
    /// Agent name -> agent.
    AGENTS = "agents.v1" Text "schedules";
    /// Skill name -> its versions, and which one is in use.
    SKILLS = "skills.v1" Text "skills";
    /// Publisher name -> the key its skills are signed with.
    SKILL_PUBLISHERS = "skill_publishers.v1" Text "skills";
    /// Registry name -> where skills are offered, and which.
    SKILL_REGISTRIES = "skill_registries.v1" Text "skills";
    /// Skill name -> what the user thinks of it.
    SKILL_RATINGS = "skill_ratings.v1" Text "skills";
    /// Setting -> value set by command rather than by file.
    SETTINGS = "settings.v1" Text "settings";
    /// Source name -> where a catalogue is read, and how far it was read.
    CATALOGUE_SOURCES = "catalogue_sources.v1" Text "catalogue";
    /// `SOURCE/NAME` -> an entry of a catalogue.
    CATALOGUE_ENTRIES = "catalogue_entries.v1" Text "catalogue";
    /// `SOURCE/NAME` -> what the user thinks of it.
    CATALOGUE_RATINGS = "catalogue_ratings.v1" Text "catalogue";
    /// What is made of the entries for searches; it can be made anew.
    CATALOGUE_SHELF = "catalogue_shelf.v1" Text "catalogue";
    /// Integration id -> how one signs in somewhere, without its secret.
    INTEGRATIONS = "integrations.v1" Text "integrations";
    /// Connection id -> an account that signed in, without its tokens.
    CONNECTIONS = "connections.v1" Text "integrations";
    /// Number of the memory in hex -> memory.
    MEMORIES = "memories.v1" Text "memory";
    /// Namespace, term and block of numbers -> which memories of the block hold the term.
    MEMORY_TERMS = "memory_terms.v1" Text "memory";
    /// Number of the memory in hex -> what its text means, as a vector.
    MEMORY_VECTORS = "memory_vectors.v1" Text "memory";
    /// Namespace -> who may use it and how much it holds; the empty key has what concerns all.
    MEMORY_SPACES = "memory_spaces.v1" Text "memory";
    /// Number of the change in hex -> the memories as they were before it.
    MEMORY_CHANGES = "memory_changes.v1" Text "memory";
    /// Alert name -> rule, and whether it fires.
    ALERTS = "alerts.v1" Text "alerts";
    /// When alerts began to fire and ceased.
    ALERT_TURNS = "alert_turns.v1" Time "alerts";
    /// Secret name -> its sealed value.
    SECRETS = "secrets.v1" Text "secrets";
    /// Slot id -> the vault's key, wrapped by what opens the slot.
    KEY_SLOTS = "key_slots.v1" Text "secrets";
}

/// The table called `name`, if it is one of ours.
pub fn find(name: &str) -> Option<TableName> {
    ALL.iter().copied().find(|table| table.name == name)
}

/// A table of rows `R` under text keys.
pub struct Table<R> {
    pub(super) name: &'static str,
    row: PhantomData<fn() -> R>,
}

impl<R> Table<R> {
    /// Joins a name of the list with its row type; a table of another key shape does not compile in a constant.
    pub const fn new(table: TableName) -> Self {
        assert!(matches!(table.keys, Keys::Text), "a table has text keys");
        Self { name: table.name, row: PhantomData }
    }
}

/// A table of rows `R` in order of time, for records that arrive at a high rate.
pub struct Series<R> {
    pub(super) name: &'static str,
    row: PhantomData<fn() -> R>,
}

impl<R> Series<R> {
    /// The series of a name that is known to be one's.
    pub(super) const fn named(name: &'static str) -> Self {
        Self { name, row: PhantomData }
    }

    /// Joins a name of the list with its row type; a table of another key shape does not compile in a constant.
    pub const fn new(table: TableName) -> Self {
        assert!(matches!(table.keys, Keys::Time), "a series has time keys");
        Self { name: table.name, row: PhantomData }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<_> = ALL.iter().map(|table| table.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(find("calls.v1"), Some(CALLS));
        assert_eq!(find("calls"), None);
    }
}
