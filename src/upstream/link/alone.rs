//! For tests of connections that stand alone: a runtime, an inbox that is nobody's, a plain call. No server.

use super::{Ask, Inbox, Link, Outgoing};
use crate::error::Result;
use crate::upstream::message::Answer;
use std::sync::Arc;
use std::time::Duration;

pub struct Nobody;

impl Inbox for Nobody {
    fn notification(&self, _: &str, _: &str) {}
    fn ask(&self, _: Ask) {}
}

pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub fn outgoing(link: &Link, timeout_ms: u64) -> Outgoing<'static> {
    Outgoing {
        id: link.next_id(),
        method: "tools/call",
        params: "{}",
        listener: None,
        timeout: Duration::from_millis(timeout_ms),
        name: None,
        headers: &[],
    }
}

pub async fn call(link: &Arc<Link>) -> Result<Answer> {
    link.request(outgoing(link, 5000)).await
}
