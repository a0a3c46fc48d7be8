//! How the daemon, its servers and its sessions stand, as plain data. It looks and changes nothing.

use super::Jobs;
use crate::clock::Timestamp;
use crate::engine::live::{ServerStatus, Session, State, Status};
use crate::gateway;
use crate::upstream::link::Counters;
use crate::upstream::process::usages;
use crate::upstream::supervisor::Upstream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

impl Jobs {
    pub(super) fn status(&self) -> Status {
        let all = self.gateway.world().all();
        let listeners: Vec<_> = self.listening().iter().map(crate::gateway::http::Opened::shown).collect();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            started: self.started,
            http: listeners.iter().map(|listening| listening.address.clone()).collect(),
            listeners,
            foreground: self.foreground,
            sessions: self.gateway.hub.count() as u64,
            calls: self.gateway.caller.calls.load(Relaxed),
            memory: own_memory(),
            servers: self.statuses(&all),
        }
    }

    pub(super) fn statuses(&self, all: &[Arc<Upstream>]) -> Vec<ServerStatus> {
        let pids: Vec<Vec<u32>> = all.iter().map(|upstream| upstream.pids()).collect();
        let flat: Vec<u32> = pids.iter().flatten().copied().collect();
        // A look at every process of the system, so only when there is one to find.
        let mut used = if flat.is_empty() { Vec::new() } else { usages(&flat) }.into_iter();
        let now = self.gateway.world().shared.engine.now();
        all.iter()
            .zip(pids)
            .map(|(upstream, pids)| {
                let mut status = status_of(upstream, now);
                status.pid = pids.first().copied();
                for usage in used.by_ref().take(pids.len()).flatten() {
                    status.cpu_ms = Some(status.cpu_ms.unwrap_or(0) + usage.cpu_ms);
                    status.memory = Some(status.memory.unwrap_or(0) + usage.rss_bytes);
                    status.processes = Some(status.processes.unwrap_or(0) + u64::from(usage.processes));
                }
                status
            })
            .collect()
    }

    /// As `statuses`, without a look at their processes.
    pub(super) fn stand(&self, all: &[Arc<Upstream>]) -> Vec<ServerStatus> {
        let now = self.gateway.world().shared.engine.now();
        all.iter().map(|upstream| status_of(upstream, now)).collect()
    }

    pub(super) fn sessions(&self) -> Vec<Session> {
        let describe = |session: Arc<gateway::session::Session>| {
            let info: serde_json::Value =
                session.peer().and_then(|peer| serde_json::from_str(&peer.info).ok()).unwrap_or_default();
            Session {
                id: session.id,
                client: session.client().to_string(),
                version: info["version"].as_str().map(Into::into),
                door: session.arrival.door,
                era: session.era(),
                profile: session.profile().name.clone(),
                since: session.since,
                calls: session.calls.load(Relaxed),
                in_flight: session.in_flight() as u64,
            }
        };
        self.gateway.hub.all().into_iter().map(describe).collect()
    }
}

fn status_of(upstream: &Arc<Upstream>, now: Timestamp) -> ServerStatus {
    let note = upstream.note();
    let catalogue = upstream.catalogue();
    let connections = upstream.connections();
    let first = connections.first();
    let sum = |count: fn(&Counters) -> u64| {
        connections.iter().map(|running| count(running.connection.counters())).sum()
    };
    let after = |at: Instant| now.plus_ms(at.saturating_duration_since(Instant::now()).as_millis() as u64);
    let since = |at: Instant| Timestamp(now.0.saturating_sub(at.elapsed().as_micros() as u64));
    ServerStatus {
        id: upstream.id().into(),
        name: upstream.name().into(),
        transport: upstream.entry.transport.word().into(),
        state: if first.is_some() { State::Ready } else { note.state },
        breaker: upstream.breaker_state(),
        retry_at: note.retry_at.map(after),
        era: catalogue.as_ref().map(|catalogue| catalogue.era),
        revision: catalogue.as_ref().map(|catalogue| catalogue.revision.clone()),
        pid: None,
        since: first.map(|running| since(running.started)),
        tools: catalogue.as_ref().map(|catalogue| catalogue.tools.len() as u64),
        in_flight: upstream.in_flight() as u64,
        waiting: upstream.stats.waiting.load(Relaxed),
        calls: upstream.stats.calls.load(Relaxed),
        failures: upstream.stats.failures.load(Relaxed),
        restarts: upstream.stats.restarts.load(Relaxed),
        noise: sum(|counters| counters.noise.load(Relaxed)),
        late: sum(|counters| counters.late.load(Relaxed)),
        last_error: note.last_error,
        cpu_ms: None,
        memory: None,
        processes: None,
    }
}

/// Resident memory of this process in bytes, where the system tells.
pub(super) fn own_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
