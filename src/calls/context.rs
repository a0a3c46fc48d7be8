//! Who calls, from where, and what it may be asked while the call runs. Carried through every call; the
//! parameters for the server are put together from it, with the per-hop keys of `_meta` made anew.

use crate::error::{Error, Result, codes};
use crate::metrics::trace::{Mark, TRACEPARENT};
use crate::policy::pass::Pass;
use crate::tools::Era;
use crate::upstream::app::RECORD;
use crate::upstream::builtin::CALLER;
use crate::upstream::era;
use crate::upstream::link::Listener;
use crate::upstream::message::{push_quoted, quote};
use crate::upstream::oauth::Whose;
use crate::upstream::scan::{self, Members};
use crate::usage::Door;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Everything about the caller of one call.
#[derive(Clone)]
pub struct Context {
    pub client: Arc<str>,
    /// Name of the key an HTTP client came with.
    pub token: Option<Pass>,
    /// Who calls as far as umcp itself knows, whatever the client says: a key, a client's entry, a session.
    pub identity: Arc<str>,
    pub door: Door,
    pub profile: Option<Arc<str>>,
    /// What an account is chosen by where several fit.
    pub whose: Whose,
    /// Number of the client's session; 0 for the command line.
    pub session: u64,
    pub timeout: Option<Duration>,
    pub listener: Option<Arc<dyn Listener>>,
    /// Whether the caller wants progress.
    pub progress: bool,
    /// The client's capabilities and its name, as JSON text.
    pub capabilities: Arc<str>,
    pub client_info: Arc<str>,
    /// Wants an app's service's answer as it was, for `umcp test`.
    pub record: bool,
    /// Log level the caller asked for with this request (modern era).
    pub log_level: Option<Arc<str>>,
    /// Where the call stands in its trace.
    pub mark: Mark,
    /// The run of a workflow whose step it is.
    pub run: Option<Arc<str>>,
}

/// Keys of `_meta` that belong to one hop only.
const PER_HOP: [&str; 8] = [
    RECORD,
    CALLER,
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
    "io.modelcontextprotocol/subscriptionId",
];

/// Parameters of a request as the client sent them, with the values as text.
#[derive(Debug, Default)]
pub struct Params<'a> {
    fields: Members<'a>,
    meta: Option<Box<Params<'a>>>,
}

/// `_meta` of a request that has none.
static NONE: Params<'static> = Params { fields: Vec::new(), meta: None };

impl<'a> Params<'a> {
    pub fn parse(text: &'a str) -> Result<Self> {
        Self::of(scan::members(text))
    }

    /// As `parse`, for text that was checked, as the parameters of an envelope are.
    pub fn parse_checked(text: &'a str) -> Result<Self> {
        Self::of(scan::members_of_checked(text))
    }

    fn of(fields: serde_json::Result<Members<'a>>) -> Result<Self> {
        let fields = fields.map_err(|error| {
            Error::new(&codes::ARGUMENTS_INVALID, "the parameters are no object").because(error)
        })?;
        let mut params = Self { fields, meta: None };
        if let Some(fields) = params.raw("_meta").and_then(|meta| scan::members_of_checked(meta).ok()) {
            params.meta = Some(Box::new(Self { fields, meta: None }));
        }
        Ok(params)
    }

    /// A field as JSON text.
    pub fn raw(&self, key: &str) -> Option<&'a str> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// A field that is a string.
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        let raw = self.raw(key)?;
        scan::plain(raw).map(Cow::Borrowed).or_else(|| serde_json::from_str(raw).ok().map(Cow::Owned))
    }

    /// The fields of `_meta`.
    pub fn meta(&self) -> &Self {
        self.meta.as_deref().unwrap_or(&NONE)
    }

    /// A digest of all fields but some. Spaces and the order of keys make no difference.
    pub fn digest(&self, without: &[&str]) -> String {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        let mut fields: Vec<_> =
            self.fields.iter().filter(|(key, _)| !without.contains(&key.as_ref())).collect();
        fields.sort();
        for (key, value) in fields {
            let mut value: serde_json::Value = serde_json::from_str(value).unwrap_or_default();
            value.sort_all_objects();
            context.update(format!("{}:{value}\n", serde_json::Value::from(key.as_ref())).as_bytes());
        }
        crate::ids::hex(context.finish().as_ref())
    }

    /// The parameters for the next hop: every field as it came, `replaced` ones in their place, `_meta` made anew.
    pub fn forward(&self, replaced: &[(&str, &str)], meta: &str) -> String {
        let size: usize = self.fields.iter().map(|(key, value)| key.len() + value.len() + 4).sum();
        let size = size + replaced.iter().map(|(key, value)| key.len() + value.len() + 4).sum::<usize>();
        let mut text = String::with_capacity(size + meta.len() + 32);
        text.push('{');
        let mut field = |key: &str, value: &str| {
            if text.len() > 1 {
                text.push(',');
            }
            push_quoted(&mut text, key);
            text.push(':');
            text.push_str(value);
        };
        for (key, value) in &self.fields {
            match replaced.iter().find(|(name, _)| name == key) {
                Some((_, new)) if !new.is_empty() => field(key, new),
                Some(_) => {}
                None if key == "_meta" => {}
                None => field(key, value),
            }
        }
        for (key, new) in replaced.iter().filter(|(key, new)| self.raw(key).is_none() && !new.is_empty()) {
            field(key, new);
        }
        if !meta.is_empty() {
            field("_meta", meta);
        }
        text.push('}');
        text
    }
}

impl Context {
    /// A caller without a client of its own: the command line, a test.
    pub fn plain(client: &str, door: Door) -> Self {
        Self {
            client: client.into(),
            token: None,
            identity: "local".into(),
            door,
            profile: None,
            whose: Whose::default(),
            session: 0,
            timeout: None,
            listener: None,
            progress: false,
            capabilities: "{}".into(),
            client_info: era::own_info().to_string().into(),
            record: false,
            log_level: None,
            mark: Mark::root(),
            run: None,
        }
    }

    /// `_meta` with what a server inside umcp is told of the caller: the name of its key, else what the client calls
    /// itself; the command line is the owner.
    pub fn with_caller(&self, meta: String) -> String {
        let name = self.token.as_ref().map_or(&*self.client, |token| token.name());
        let owner = self.door == Door::Cli && self.token.is_none();
        let caller =
            format!(r#""{CALLER}":{{"agent":{},"session":{},"owner":{owner}}}"#, quote(name), self.session);
        match meta.strip_suffix('}') {
            None => format!("{{{caller}}}"),
            Some(rest) => format!("{rest},{caller}}}"),
        }
    }

    /// `_meta` for a server of `era`: what the client sent without the per-hop keys, then those of this hop.
    /// Empty when there is nothing to say.
    pub fn meta(&self, sent: &Params<'_>, era: Era, token: u64) -> String {
        let mut text = String::new();
        // Room for what most say, so that it is not moved as it grows.
        let next = |text: &mut String| match text.len() {
            0 => {
                text.reserve(256 + self.capabilities.len() + self.client_info.len());
                text.push('{');
            }
            _ => text.push(','),
        };
        // In place of a trace context that could be read, the next hop is told of this one.
        let passes = |key: &str| !(PER_HOP.contains(&key) || (self.mark.told && key == TRACEPARENT));
        for (key, value) in sent.fields.iter().filter(|(key, _)| passes(key)) {
            next(&mut text);
            push_quoted(&mut text, key);
            text.push(':');
            text.push_str(value);
        }
        if self.record {
            next(&mut text);
            let _ = write!(text, r#""{RECORD}":true"#);
        }
        if self.progress {
            next(&mut text);
            let _ = write!(text, r#""progressToken":{token}"#);
        }
        if era == Era::Modern {
            next(&mut text);
            era::push_modern_meta(&mut text, &self.capabilities, &self.client_info);
            if let Some(level) = &self.log_level {
                let _ = write!(text, r#","io.modelcontextprotocol/logLevel":"{level}""#);
            }
        }
        if !text.is_empty() {
            text.push('}');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_hop_gets_its_own_keys_and_everything_else_unchanged() {
        let sent = r#"{"name":"s__t","arguments":{"a": 1.0},"odd":[1 ,2],"_meta":{"progressToken":"x","umcp/record":true,"traceparent":"00-1"}}"#;
        let params = Params::parse(sent).unwrap();
        let mut context = Context::plain("test", Door::Cli);
        context.progress = true;
        let meta = context.meta(params.meta(), Era::Legacy, 9);
        assert_eq!(meta, r#"{"traceparent":"00-1","progressToken":9}"#);
        assert_eq!(
            params.forward(&[("name", "\"t\"")], &meta),
            r#"{"name":"t","arguments":{"a": 1.0},"odd":[1 ,2],"_meta":{"traceparent":"00-1","progressToken":9}}"#
        );
    }

    #[test]
    fn the_next_hop_is_told_of_this_one_where_a_trace_was_said() {
        let said = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let sent = format!(r#"{{"_meta":{{"traceparent":"{said}","tracestate":"a=b"}}}}"#);
        let params = Params::parse(&sent).unwrap();
        let mut context = Context::plain("test", Door::Cli);
        context.mark = Mark::of(params.meta().text("traceparent").as_deref());
        assert_eq!(context.meta(params.meta(), Era::Legacy, 9), r#"{"tracestate":"a=b"}"#);
    }

    #[test]
    fn a_digest_tells_values_apart_and_no_spelling() {
        let digest = |text: &str| Params::parse(text).unwrap().digest(&["requestState"]);
        let one = digest(r#"{"name":"t","arguments":{"a":1,"b":{"c":[1,2],"d":2}}}"#);
        for (text, same) in [
            (r#"{"arguments": {"b": {"d":2, "c":[1, 2]}, "a":1}, "name":"t", "requestState":"s"}"#, true),
            (r#"{"name":"t","arguments":{"a":1,"b":{"c":[2,1],"d":2}}}"#, false),
            (r#"{"name":"t","arguments":{"a":"1","b":{"c":[1,2],"d":2}}}"#, false),
            (r#"{"name":"t"}"#, false),
        ] {
            assert_eq!(digest(text) == one, same, "{text}");
        }
    }

    #[test]
    fn a_modern_server_is_told_who_asks() {
        let context = Context::plain("test", Door::Cli);
        let told = context.with_caller(r#"{"a":1}"#.into());
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["a"], &told[CALLER]["agent"]), (&1.into(), &(*context.client).into()));
        assert!(context.with_caller(String::new()).starts_with("{\"umcp/caller\":{"));
        let meta: serde_json::Value =
            serde_json::from_str(&context.meta(&Params::default(), Era::Modern, 1)).unwrap();
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], era::MODERN);
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "umcp");
        assert!(meta.get("progressToken").is_none());
    }
}
