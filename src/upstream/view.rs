//! Everything one profile shows, made once and kept as ready bytes until something changes: exposed names and
//! where they lead, the lists, the search index, the merged instructions. Pure: values in, a view out.

mod definition;
mod items;
mod list;
mod merged;
mod passage;
mod reach;

use super::mirror::Mirrored;
use super::names::{Named, assign};
use super::supervisor::Upstream;
use super::views::Governed;
use super::{Preferences, Shared, message};
use crate::environments::{Mode, Profile};
use crate::glob;
use crate::policy::rules::Kind;
use crate::policy::rules::decide::{Bound, Gate};
use crate::search::{Document, Field, Index};
use crate::tools::model::Facts;
use crate::tools::{Catalogue, Era, Held, Pins};
use bytes::Bytes;
use definition::{needs_tasks, redefine};
use items::{items_of, once_each, prompts_of, sole_of};
pub use list::List;
use merged::{declares, extensions_of, instructions_of};
pub use passage::{Denied, refusal};
use passage::{let_items_through, let_through};
pub use reach::Reached;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

/// A tool as a client sees it.
pub struct ViewTool {
    pub exposed: String,
    pub upstream: Arc<Upstream>,
    /// The tool's own name.
    pub tool: String,
    /// The definition with the exposed name in place.
    pub json: String,
    /// Answer equal calls from a cache for this long, if the user said so.
    pub cache_ms: Option<u64>,
    /// Whether the definition is another one than was pinned.
    pub held: Option<Held>,
    /// What the policy decides at each call; nothing when it lets all of them through.
    pub gate: Option<Arc<Gate>>,
    /// Arguments that are mirrored into HTTP headers: header, argument path.
    pub mirrored: Mirrored,
}

/// A prompt, resource or template as a client sees it.
pub struct ViewItem {
    pub exposed: String,
    pub upstream: Arc<Upstream>,
    /// The server's own name or URI.
    pub key: String,
    pub json: String,
    /// As with a tool.
    pub gate: Option<Arc<Gate>>,
}

/// Everything one profile shows.
pub struct View {
    pub profile: Arc<Profile>,
    pub tools: Vec<ViewTool>,
    denied: Vec<Denied>,
    /// Prompts, resources and templates that are kept back.
    denied_items: [Vec<Denied>; 3],
    /// What decides over resources that no list names.
    bound: Option<Bound>,
    /// Servers of which the policy lets nothing through.
    pub closed: Vec<String>,
    by_name: HashMap<String, u32>,
    pub tool_list: List,
    pub prompts: Vec<ViewItem>,
    pub prompt_list: List,
    pub resources: Vec<ViewItem>,
    pub resource_list: List,
    pub templates: Vec<ViewItem>,
    pub template_list: List,
    pub instructions: Option<String>,
    /// Whether some server completes arguments, keeps a log, lets clients subscribe.
    pub completes: bool,
    pub logs: bool,
    pub subscribes: bool,
    /// Extensions that some modern server declares, as JSON text of a map.
    pub extensions: serde_json::Map<String, serde_json::Value>,
    /// Clashes of names and other things `doctor` tells.
    pub warnings: Vec<String>,
    /// The only server that has resources: every URI is a matter for it, listed or not.
    sole: Option<Arc<Upstream>>,
    index: OnceLock<Index>,
}

impl View {
    /// Makes the view of `profile` over all servers.
    pub fn build(
        profile: &Arc<Profile>,
        all: &[Arc<Upstream>],
        preferences: &Preferences,
        governed: &Governed,
        shared: &Shared,
    ) -> Self {
        let bound = governed.bound.as_ref();
        let settings = &shared.settings;
        let shown: Vec<(&Arc<Upstream>, Arc<Catalogue>)> = all
            .iter()
            .filter(|upstream| upstream.is_shown(profile))
            .filter_map(|upstream| Some((upstream, upstream.catalogue()?)))
            .collect();
        // In the order in which the servers were added: a newcomer takes nobody's name, and lists grow at their end.
        let mut shown = shown;
        shown.sort_by(|(a, _), (b, _)| (a.entry.created, a.id()).cmp(&(b.entry.created, b.id())));
        let mut warnings = Vec::new();
        let all_tools = tools_of(profile, &shown, preferences, &governed.pins, &mut warnings);
        let (tools, denied) = let_through(all_tools, governed, shared, &mut warnings);
        let (prompts, denied_prompts) = let_items_through(prompts_of(&shown), Kind::Prompt, bound);
        let items = |items| let_items_through(items, Kind::Resource, bound);
        let (resources, denied_resources) = items(items_of(&shown, |it| &it.resources));
        let (templates, denied_templates) = items(items_of(&shown, |it| &it.templates));
        let resources = once_each(resources, &mut warnings);
        let templates = once_each(templates, &mut warnings);
        let seen: HashSet<&str> = (tools.iter().map(|it| it.upstream.id()))
            .chain([&prompts, &resources, &templates].into_iter().flatten().map(|it| it.upstream.id()))
            .collect();
        let closes = |upstream: &Upstream| {
            let listed = || upstream.catalogue().is_none() || seen.contains(upstream.id());
            bound.is_some_and(|bound| {
                let name = upstream.name();
                bound.closes(name)
                    || (bound.denies_by_default() && !listed() && !bound.may_open_unlisted(name))
            })
        };
        let closed: HashSet<&str> =
            all.iter().filter(|it| it.is_shown(profile) && closes(it)).map(|it| it.id()).collect();
        shown.retain(|(upstream, _)| !closed.contains(upstream.id()));
        let closed = all.iter().filter(|it| closed.contains(it.id())).map(|it| it.name().into()).collect();
        let page = settings.gateway.page_size.max(1) as usize;
        let by_name = tools.iter().enumerate().map(|(i, tool)| (tool.exposed.clone(), i as u32)).collect();
        let tag = tools
            .iter()
            .fold(0u32, |tag, tool| crc32fast::hash(tool.exposed.as_bytes()) ^ tag.rotate_left(1));
        let stores = profile.result_limit.unwrap_or(settings.gateway.result_limit) > 0;
        let listed: Vec<&str> =
            tools.iter().map(|tool| tool.json.as_str()).chain(shared.also(stores)).collect();
        let items = |items: &[ViewItem], key| {
            List::build(key, items.iter().map(|item| item.json.as_str()), page, tag)
        };
        let has = |path: &str| shown.iter().any(|(_, catalogue)| declares(catalogue, path));
        Self {
            tool_list: List::build("tools", listed.iter().copied(), page, tag),
            prompt_list: items(&prompts, "prompts"),
            resource_list: items(&resources, "resources"),
            template_list: items(&templates, "resourceTemplates"),
            instructions: instructions_of(&shown, settings.gateway.instructions_limit as usize),
            completes: has("completions"),
            logs: has("logging"),
            subscribes: shown
                .iter()
                .any(|(_, it)| it.era == Era::Modern || declares(it, "resources.subscribe")),
            extensions: extensions_of(&shown),
            profile: profile.clone(),
            tools,
            denied,
            denied_items: [denied_prompts, denied_resources, denied_templates],
            bound: governed.bound.clone(),
            closed,
            by_name,
            prompts,
            resources,
            templates,
            warnings,
            sole: sole_of(&shown),
            index: OnceLock::new(),
        }
    }

    /// A tool by the name a client sees.
    pub fn tool(&self, exposed: &str) -> Option<&ViewTool> {
        self.by_name.get(exposed).map(|i| &self.tools[*i as usize])
    }

    /// A tool that the policy keeps from this view's clients, by exposed name or `server.tool`.
    pub fn denied(&self, target: &str) -> Option<&Denied> {
        let dotted = target.split_once('.').or_else(|| target.split_once('/'));
        self.denied.iter().find(|it| {
            it.exposed == target || dotted.is_some_and(|pair| pair == (it.upstream.name(), it.tool.as_str()))
        })
    }

    /// A tool that is kept back, by the id of its server and its own name.
    pub fn denied_own(&self, server: &str, tool: &str) -> Option<&Denied> {
        self.denied.iter().find(|it| it.upstream.id() == server && it.tool == tool)
    }

    /// Whether the policy keeps a tool from this view's clients, by the names of server and tool.
    pub fn keeps_back(&self, server: &str, tool: &str) -> bool {
        self.closed.iter().any(|name| name == server)
            || self.denied.iter().any(|it| it.upstream.name() == server && it.tool == tool)
    }

    /// A tool by the id of its server and its own name.
    pub fn own(&self, server: &str, tool: &str) -> Option<&ViewTool> {
        self.tools.iter().find(|it| it.upstream.id() == server && it.tool == tool)
    }

    /// A tool by exposed name, `server.tool` or, when only one has it, its own name.
    pub fn target(&self, target: &str) -> Option<&ViewTool> {
        if let Some(tool) = self.tool(target) {
            return Some(tool);
        }
        let dotted = target.split_once('.').or_else(|| target.split_once('/'));
        if let Some((server, name)) = dotted {
            let found = self.tools.iter().find(|tool| tool.upstream.name() == server && tool.tool == name);
            if found.is_some() {
                return found;
            }
        }
        let mut own = self.tools.iter().filter(|tool| tool.tool == target);
        own.next().filter(|_| own.next().is_none())
    }

    pub fn prompt(&self, exposed: &str) -> Option<&ViewItem> {
        self.prompts.iter().find(|prompt| prompt.exposed == exposed)
    }

    /// The search index over the tools, built at its first use. Numbers of documents are places in `tools`.
    pub fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let facts: Vec<(Facts, String)> = self.tools.iter().map(searchable).collect();
            let fields: Vec<[(Field, &str); 5]> = facts
                .iter()
                .zip(&self.tools)
                .map(|((facts, arguments), tool)| {
                    [
                        (Field::Name, tool.tool.as_str()),
                        (Field::Title, facts.title.as_deref().unwrap_or_default()),
                        (Field::Description, facts.description.as_deref().unwrap_or_default()),
                        (Field::Argument, arguments.as_str()),
                        (Field::Server, tool.upstream.name()),
                    ]
                })
                .collect();
            let documents = self.tools.iter().zip(&fields);
            Index::build(documents.map(|(tool, fields)| Document { key: &tool.exposed, fields }))
        })
    }

    /// Whether tools are listed at all, or found by search.
    pub fn is_searched(&self) -> bool {
        self.profile.mode != Mode::Full
    }
}

fn searchable(tool: &ViewTool) -> (Facts, String) {
    let facts: Facts = serde_json::from_str(&tool.json).unwrap_or_default();
    let arguments = facts.arguments().join(" ");
    (facts, arguments)
}

impl Upstream {
    /// Whether clients of `profile` see anything of this server.
    pub fn is_shown(&self, profile: &Profile) -> bool {
        self.entry.enabled && self.is_of(profile)
    }

    /// Whether this server belongs to `profile`, enabled or not.
    pub fn is_of(&self, profile: &Profile) -> bool {
        let Profile { servers, tags, .. } = profile;
        (servers.is_empty() || servers.iter().any(|name| glob::fits(name, self.name())))
            && (tags.is_empty() || tags.iter().any(|tag| self.entry.tags.contains(tag)))
    }
}

fn shows_tool(profile: &Profile, upstream: &Upstream, tool: &str) -> bool {
    let dotted = format!("{}.{tool}", upstream.name());
    let hit = |patterns: &[String]| {
        patterns.iter().any(|pattern| glob::fits(pattern, &dotted) || glob::fits(pattern, tool))
    };
    upstream.entry.tools.shows(tool)
        && (profile.include.is_empty() || hit(&profile.include))
        && !hit(&profile.exclude)
}

fn tools_of(
    profile: &Profile,
    shown: &[(&Arc<Upstream>, Arc<Catalogue>)],
    preferences: &Preferences,
    pins: &BTreeMap<String, Pins>,
    warnings: &mut Vec<String>,
) -> Vec<ViewTool> {
    let mut chosen = Vec::new();
    for (upstream, catalogue) in shown {
        let pins = pins.get(upstream.id()).map(|pins| (pins, upstream.entry.fingerprint()));
        let decided = preferences.get(upstream.id());
        for tool in &catalogue.tools {
            let preference = decided.and_then(|decided| decided.get(&tool.name));
            let disabled = preference.is_some_and(|preference| preference.disabled);
            if !disabled && shows_tool(profile, upstream, &tool.name) && !needs_tasks(&tool.json) {
                let held = pins.as_ref().and_then(|(pins, print)| pins.held(&tool.name, &tool.json, print));
                chosen.push((*upstream, tool, preference, held));
            }
        }
    }
    let named: Vec<Named<'_>> = chosen
        .iter()
        .map(|(upstream, tool, preference, _)| Named {
            server: upstream.name(),
            tool: &tool.name,
            alias: preference.and_then(|preference| preference.alias.as_deref()),
            verbatim: upstream.entry.verbatim,
        })
        .collect();
    let assigned = assign(&named);
    chosen
        .into_iter()
        .zip(assigned)
        .map(|((upstream, tool, preference, held), assigned)| {
            warnings.extend(assigned.clash);
            let (json, mirrored) = redefine(&tool.json, &tool.name, &assigned.exposed, upstream.name());
            ViewTool {
                json,
                mirrored,
                exposed: assigned.exposed,
                upstream: upstream.clone(),
                tool: tool.name.clone(),
                held,
                gate: None,
                cache_ms: preference.and_then(|preference| preference.cache_ms),
            }
        })
        .collect()
}

/// Adds what every modern list result must say to a legacy one.
pub fn as_modern_list(body: &[u8]) -> Bytes {
    message::prepend(body, r#""resultType":"complete","ttlMs":5000,"cacheScope":"private""#).into()
}
