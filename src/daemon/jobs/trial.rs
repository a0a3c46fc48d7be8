//! `server test`: a connection of its own beside the running one, and what it shows. The running one is left alone;
//! only the lists that were seen are kept.

use super::Jobs;
use crate::engine::live::{Phase, TestReport};
use crate::error::{Error, Result};
use crate::servers::Server;
use crate::tools::Catalogue;
use crate::upstream::supervisor::Upstream;
use std::time::Instant;

impl Jobs {
    /// A connection of its own beside the running one, with the time of each phase.
    pub(super) async fn test(&self, name: &str) -> Result<TestReport> {
        let world = self.gateway.world();
        let known = world.find(name)?;
        let entry = Server { id: format!("{}-test", known.id()), enabled: true, ..(*known.entry).clone() };
        let probe = Upstream::for_test(entry, world.shared.clone());
        let mut report = TestReport {
            server: known.name().into(),
            ok: false,
            phases: Vec::new(),
            era: None,
            revision: None,
            server_info: None,
            tools: 0,
            prompts: 0,
            resources: 0,
            warnings: Vec::new(),
        };
        let mut started = Instant::now();
        let mut phase = |report: &mut TestReport, name: &str, error: Option<Error>| {
            let duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            started = Instant::now();
            report.phases.push(Phase { name: name.into(), duration_us, error });
        };
        let running = match probe.connect(0).await {
            Ok(running) => running,
            Err(error) => {
                phase(&mut report, "connect", Some(error));
                return Ok(report);
            }
        };
        phase(&mut report, "connect", None);
        report.era = Some(running.agreement.era);
        report.revision = Some(running.agreement.revision.clone());
        report.server_info = Some(running.agreement.server_info.clone());
        match probe.look(&running).await {
            Ok(catalogue) => {
                report.tools = catalogue.tools.len() as u64;
                report.prompts = catalogue.prompts.len() as u64;
                report.resources = catalogue.resources.len() as u64;
                report.warnings.clone_from(&catalogue.warnings);
                report.ok = true;
                phase(&mut report, "list", None);
                // What was seen once need not be asked for again.
                let transport = running.transport.map(Into::into);
                known.keep(Catalogue { transport, ..catalogue }).await;
            }
            Err(error) => phase(&mut report, "list", Some(error)),
        }
        probe.stop().await;
        phase(&mut report, "stop", None);
        Ok(report)
    }

    /// What a server offers that need not be an entry; it runs for as long as that takes.
    pub(super) async fn offer(&self, entry: Server) -> Result<Catalogue> {
        let entry = Server { id: format!("{}-test", entry.id), enabled: true, ..entry };
        let probe = Upstream::for_test(entry, self.gateway.world().shared.clone());
        let running = probe.connect(0).await?;
        let listed = probe.look(&running).await;
        probe.stop().await;
        listed
    }
}
