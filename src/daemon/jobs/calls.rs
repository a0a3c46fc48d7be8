//! Calls from the command line: a tool by its name, and a request to a server as it stands.

use super::{Jobs, PATIENCE};
use crate::calls::{Context, Params};
use crate::daemon::wire::Hello;
use crate::engine::live::{CallRequest, Called, Event};
use crate::environments::Profile;
use crate::error::{Error, Result, codes};
use crate::upstream::message::quote;
use crate::upstream::oauth::Whose;
use crate::usage::Door;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

impl Jobs {
    pub(super) async fn call(
        &self,
        call: CallRequest,
        events: mpsc::UnboundedSender<Event>,
        hello: &Hello,
    ) -> Result<Called> {
        let world = self.gateway.world();
        let profile = world.profile(call.profile.as_deref(), &call.client, hello.cwd.as_deref())?;
        let client = Arc::from(call.client.as_str());
        let mut view = world.view(&profile, &client, None);
        if view.target(&call.target).is_none() {
            // The server may never have been listed; waiting for that one alone spares the others.
            if let Some(upstream) =
                call.target.split_once('.').and_then(|(server, _)| world.find(server).ok())
            {
                upstream.listed().await?;
                world.touch();
            } else {
                let _ = tokio::time::timeout(PATIENCE, world.list_missing()).await;
            }
            view = world.view(&profile, &client, None);
        }
        let mut plain = Context::plain(&call.client, Door::Cli);
        plain.whose = Whose { account: call.account.as_deref().map(Into::into), ..whose(&profile, hello) };
        if let Some(denied) = view.denied(&call.target) {
            return Err(self.gateway.caller.refuse(denied, &call.arguments, &plain));
        }
        let tool = view.target(&call.target).ok_or_else(|| self.not_shown(&view, &call.target))?;
        let text = format!(r#"{{"name":{},"arguments":{}}}"#, quote(&tool.tool), call.arguments);
        let params = Params::parse(&text)?;
        let mut context = plain;
        context.timeout = call.timeout_ms.map(Duration::from_millis);
        context.progress = true;
        context.record = call.record;
        context.listener = Some(Arc::new(crate::daemon::teller::Teller(events)));
        let started = Instant::now();
        let reply = self.gateway.caller.call(tool, &params, &context).await?;
        if !reply.answer.ok {
            let message =
                format!("`{}.{}` was refused: {}", tool.upstream.name(), tool.tool, reply.answer.message());
            return Err(Error::new(&codes::UPSTREAM_ERROR, message));
        }
        Ok(Called {
            server: tool.upstream.name().into(),
            tool: tool.tool.clone(),
            result: reply.answer.text().into(),
            duration_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        })
    }

    pub(super) async fn raw(
        &self,
        server: &str,
        method: &str,
        params: &str,
        hello: &Hello,
    ) -> Result<String> {
        let world = self.gateway.world();
        let upstream = world.find(server)?;
        let client = Arc::from(hello.client.as_str());
        let profile = world.profile(None, &hello.client, hello.cwd.as_deref())?;
        let closed = world.is_closed(upstream.name(), &profile, &client, None);
        may_send_raw(upstream.name(), method, closed.then_some(&hello.client))?;
        let params = Params::parse(params)?;
        let mut context = Context::plain(&hello.client, Door::Cli);
        context.whose = whose(&profile, hello);
        let request =
            crate::calls::Relayed { method, params: &params, replaced: &[], name: None, headers: &[] };
        let reply = self.gateway.caller.relay(&upstream, request, &context).await?;
        if !reply.answer.ok {
            let message =
                format!("server `{server}` answered `{method}` with an error: {}", reply.answer.message());
            return Err(Error::new(&codes::UPSTREAM_ERROR, message));
        }
        Ok(reply.answer.text().into())
    }
}

/// Refuses a raw request that would pass by the policy and the records; `closed_to` is who may not reach the server.
/// What an account is chosen by for a caller at the local socket.
fn whose(profile: &Profile, hello: &Hello) -> Whose {
    Whose {
        account: None,
        profile: Some(profile.name.as_str().into()),
        directory: hello.cwd.as_deref().map(Into::into),
    }
}

fn may_send_raw(server: &str, method: &str, closed_to: Option<&String>) -> Result<()> {
    if let Some(client) = closed_to {
        let message = format!("the policy closes the server `{server}` to `{client}`");
        return Err(Error::new(&codes::POLICY_DENIED, message).hint("umcp policy list"));
    }
    if method == "tools/call" {
        let message = "a tool is not called by a raw request, which the policy and the records do not see";
        return Err(Error::new(&codes::USAGE, message).hint(format!("umcp call {server}.TOOL")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_request_calls_no_tool_and_reaches_no_closed_server() {
        let cli = "cli".to_string();
        for (method, closed_to, code) in [
            ("tools/list", None, None),
            ("tools/call", None, Some(codes::USAGE.code)),
            ("tools/list", Some(&cli), Some(codes::POLICY_DENIED.code)),
            ("tools/call", Some(&cli), Some(codes::POLICY_DENIED.code)),
        ] {
            let refused = may_send_raw("s", method, closed_to).err().map(|error| error.code.code);
            assert_eq!(refused, code, "{method}");
        }
    }
}
