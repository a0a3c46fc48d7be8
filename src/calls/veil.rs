//! What a server says in the middle of a call that a rule redacts: progress, log messages and questions pass to the
//! client without the matches, as the result does. It knows no rule's conditions; those were decided before.

use super::guard::Passed;
use super::{APPROVAL, Context};
use crate::policy::rules::compile::Compiled;
use crate::policy::rules::redact::redact;
use crate::upstream::link::{Ask, Listener};
use std::sync::Arc;

struct Veil {
    inner: Arc<dyn Listener>,
    rules: Vec<Arc<Compiled>>,
}

/// The context of a call whose listener hears nothing that is redacted; `None` when nothing is, or nobody listens.
pub(super) fn over(context: &Context, passed: &Passed) -> Option<Context> {
    let inner = context.listener.clone().filter(|_| !passed.redactions.is_empty())?;
    let veil = Veil { inner, rules: passed.redactions.clone() };
    Some(Context { listener: Some(Arc::new(veil)), ..context.clone() })
}

impl Listener for Veil {
    fn notify(&self, method: &str, params: &str) {
        let hidden = redact(params, &self.rules).filter(|_| method != APPROVAL);
        self.inner.notify(method, hidden.as_deref().unwrap_or(params));
    }

    fn ask(&self, ask: Ask) {
        let params = redact(&ask.params, &self.rules).unwrap_or(ask.params);
        self.inner.ask(Ask { params, ..ask });
    }

    fn session(&self) -> u64 {
        self.inner.session()
    }
}
