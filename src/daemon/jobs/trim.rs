//! What is done now and then, beside the runtime: records beyond the number the settings keep go, and accounts that are
//! about to end are told.

use super::Jobs;
use crate::clock::Timestamp;
use crate::engine::{Engine, Reply, StoreRequest};
use crate::{audit, memory, schedules, usage, workflows};

/// Runs of workflows that are kept when they are over.
const KEEP_RUNS: u64 = 1000;
/// In microseconds.
const DAY: u64 = 86_400_000_000;

impl Jobs {
    /// Trims what has grown too long; returns at once.
    pub fn trim(&self) {
        let shared = &self.gateway.world().shared;
        let (keep, keep_audit) = (shared.settings.gateway.keep_calls, shared.settings.audit.keep_records);
        let call_days = u64::from(shared.settings.gateway.keep_call_days);
        let (keep_rows, keep_days) =
            (shared.settings.schedules.keep_runs, shared.settings.schedules.keep_days);
        let (engine, accounts) = (shared.engine.clone(), shared.accounts.clone());
        tokio::task::spawn_blocking(move || {
            accounts.warn();
            // What cannot be trimmed now is trimmed the next time.
            seal(&engine);
            let now = engine.now();
            let since = Timestamp(now.0.saturating_sub(call_days * DAY));
            let _ = engine.call(StoreRequest::Usage(usage::Request::Trim { keep, since, now }));
            let _ = engine.call(StoreRequest::Workflow(workflows::Request::TrimRuns { keep: KEEP_RUNS }));
            let before = Timestamp(engine.now().0.saturating_sub(u64::from(keep_days) * DAY));
            let rows = schedules::Request::Trim { keep: keep_rows.into(), before };
            let _ = engine.call(StoreRequest::Schedule(Box::new(rows)));
            let sweep = memory::Request::new(memory::model::Who::default(), engine.now(), memory::Ask::Sweep);
            let _ = engine.call(StoreRequest::Memory(Box::new(sweep)));
            let full = engine.store().read(|tx| tx.count(&audit::AUDIT)).unwrap_or(0);
            // Not for every few records: each purge leaves a record of its own.
            if full > keep_audit + keep_audit / 10 {
                let purge = audit::Request::Purge { before: None, keep: Some(keep_audit), at: engine.now() };
                let _ = engine.call(StoreRequest::Audit(purge));
            }
        });
    }
}

/// Seals the days that are over, in steps, so that calls can be recorded in between.
fn seal(engine: &Engine) {
    let (now, mut after) = (engine.now(), None);
    while let Ok(Reply::Usage(usage::Reply::Sealed(step))) =
        engine.call(StoreRequest::Usage(usage::Request::Seal { now, after }))
    {
        after = step.next;
        if after.is_none() {
            break;
        }
    }
}
