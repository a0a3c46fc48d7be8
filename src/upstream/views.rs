//! Who sees what: the policy in force, and the views of profiles under it, each made once for all callers that the
//! same rules concern. What a view holds is `view`; what a rule means is the noun `policy`.

use super::view::View;
use super::{World, put, read};
use crate::engine::{Reply, StoreRequest, unexpected};
use crate::environments::Profile;
use crate::error::Result;
use crate::policy::pass::Pass;
use crate::policy::rules::compile::Compiled;
use crate::policy::rules::decide::{Bound, Called, Caller, Passage};
use crate::policy::rules::{self, Policy};
use crate::tools::{self, Pins};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// The views of one profile by the places of its rules in the policy, each with the generation it was made in.
pub(super) type ByRules = HashMap<Arc<[u32]>, (u64, Arc<View>)>;

/// Views and callers kept at once; a client can go by many names.
const MOST: usize = 256;

/// What decides over a view: the rules that concern its callers, and the pins of all servers by id.
pub struct Governed {
    pub bound: Option<Bound>,
    pub pins: Arc<BTreeMap<String, Pins>>,
}

/// The policy in force, and which of its rules concern each caller that was seen.
#[derive(Default)]
pub(super) struct Governance {
    /// Whether the policy decides anything: without one a call costs this look.
    active: AtomicBool,
    state: Mutex<(Arc<Policy>, HashMap<Caller, Bound>)>,
    pins: RwLock<Arc<BTreeMap<String, Pins>>>,
}

impl Governance {
    fn state(&self) -> MutexGuard<'_, (Arc<Policy>, HashMap<Caller, Bound>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// Swaps the policy in one step: a call sees the old one or the new one, never a part.
    pub(super) fn read_policy(&self) -> Result<()> {
        let show = StoreRequest::Policy(rules::Request::Show);
        let rules::Reply::Policy(document) = match self.shared.engine.call(show)? {
            Reply::Policy(reply) => reply,
            other => return unexpected(&other),
        };
        let policy = Policy::compile(&document)?;
        self.governance.active.store(!policy.is_empty(), Relaxed);
        *self.governance.state() = (Arc::new(policy), HashMap::new());
        Ok(())
    }

    /// Reads what was pinned; also after a catalogue was stored, which may have pinned what was not known before.
    pub fn read_pins(&self) -> Result<()> {
        match self.shared.engine.call(StoreRequest::Tool(tools::Request::Pins))? {
            Reply::Tool(tools::Reply::Pins(pins)) => put(&self.governance.pins, Arc::new(pins)),
            other => return unexpected(&other),
        }
        Ok(())
    }

    /// The rules that concern a caller; `None` when there is no policy.
    fn bound(&self, profile: &Profile, client: &Arc<str>, token: Option<&Pass>) -> Option<Bound> {
        if !self.governance.active.load(Relaxed) {
            return None;
        }
        let profile = profile.name.as_str().into();
        self.bound_of(Caller { client: client.clone(), token: token.cloned(), profile })
    }

    /// What stands between a caller and what it calls by the policy as it is now; `None` when there is no policy.
    pub fn passage(&self, caller: Caller, called: &Called<'_>) -> Option<Passage> {
        Some(self.bound_of(caller)?.passage(called))
    }

    fn bound_of(&self, caller: Caller) -> Option<Bound> {
        if !self.governance.active.load(Relaxed) {
            return None;
        }
        let mut state = self.governance.state();
        let (policy, known) = &mut *state;
        if let Some(bound) = known.get(&caller) {
            return Some(bound.clone());
        }
        if known.len() >= MOST {
            known.clear();
        }
        let bound = policy.bind(&caller);
        known.insert(caller, bound.clone());
        Some(bound)
    }

    /// Whether the policy lets nothing of a server through to a caller.
    pub fn is_closed(
        &self,
        server: &str,
        profile: &Arc<Profile>,
        client: &Arc<str>,
        token: Option<&Pass>,
    ) -> bool {
        let Some(bound) = self.bound(profile, client, token) else { return false };
        bound.closes(server) || self.view(profile, client, token).closed.iter().any(|name| name == server)
    }

    /// What is taken out of whatever a server tells a caller outside any call.
    pub fn redactions(
        &self,
        server: &str,
        profile: &Profile,
        client: &Arc<str>,
        token: Option<&Pass>,
    ) -> Vec<Arc<Compiled>> {
        self.bound(profile, client, token).map(|bound| bound.redactions(server)).unwrap_or_default()
    }

    /// Everything a profile shows to a caller, as last made; made anew after a change.
    pub fn view(&self, profile: &Arc<Profile>, client: &Arc<str>, token: Option<&Pass>) -> Arc<View> {
        let generation = self.generation.load(Relaxed);
        let bound = self.bound(profile, client, token);
        let places = bound.as_ref().map_or(&[][..], |bound| &bound.places);
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, view)) = views.get(&profile.name).and_then(|views| views.get(places))
            && *made == generation
            && (Arc::ptr_eq(&view.profile, profile) || view.profile == *profile)
        {
            return view.clone();
        }
        let places = places.into();
        let preferences = read(&self.preferences);
        let governed = Governed { bound, pins: read(&self.governance.pins) };
        let view = Arc::new(View::build(profile, &self.all(), &preferences, &governed, &self.shared));
        if views.values().map(HashMap::len).sum::<usize>() >= MOST {
            views.clear();
        }
        views.entry(profile.name.clone()).or_default().insert(places, (generation, view.clone()));
        view
    }
}
