//! Calls that wait for the user: what is shown of them, and the user's answer on its way to them.

use super::Jobs;
use crate::calls::approvals::Answered;
use crate::engine::live::LiveReply;
use crate::error::{Error, Result, codes};

impl Jobs {
    pub(super) fn approvals(&self) -> LiveReply {
        let caller = &self.gateway.caller;
        LiveReply::Approvals(caller.guard.desk.list(caller.world.shared.engine.now()))
    }

    pub(super) fn approve(&self, id: u64, allow: bool, for_ms: Option<u64>) -> Result<LiveReply> {
        let answered = Answered { allow, for_ms, by: "approve" };
        match self.gateway.caller.guard.desk.answer(id, answered) {
            true => Ok(LiveReply::Done),
            false => Err(Error::new(&codes::APPROVAL_NOT_FOUND, format!("nothing waits under {id}"))
                .hint("umcp approve list")),
        }
    }
}
