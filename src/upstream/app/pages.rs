//! Goes on with a list that comes in pages, as far as the tool's bounds allow: pages, bytes, and its deadline. Where the
//! next page is says `apps::pages`. Rule: what is left out of a list is said at its end.

use super::http::{self, Page};
use super::server::Server;
use super::sign::{Signed, put_account};
use crate::apps::answer::Outcome;
use crate::apps::model::{Http, Tool};
use crate::apps::pages::{Next, Walk};
use crate::apps::request::Prepared;
use crate::error::{Error, Result, codes};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

impl Server {
    /// All pages of the list that `first` begins; an answer that is no list is what it is.
    pub(super) async fn follow(
        self: &Arc<Self>,
        tool: &Tool,
        http: &Http,
        signed: &Signed,
        first: Page,
        deadline: Duration,
    ) -> Result<Outcome> {
        let (Some(pages), Some(mut items)) = (&http.pages, first.items) else { return Ok(first.outcome) };
        let mut walk = Walk::new(pages, &self.definition, http, &signed.prepared.url)?;
        let mut next = walk.next(&first.url, first.link.as_deref(), &first.text, items.len());
        let (mut count, mut size, mut failed) = (1, first.outcome.words().len() as u64, None);
        while let Some(to) = next.as_ref().filter(|_| count < pages.max) {
            let page = match self.page(tool, http, signed, to, deadline).await {
                Ok(page) => page,
                Err(error) => {
                    failed = Some(format!("[page {} could not be had: {error}]", count + 1));
                    break;
                }
            };
            size += page.outcome.words().len() as u64;
            let Some(more) = page.items.filter(|_| size <= tool.limit) else { break };
            count += 1;
            next = walk.next(&page.url, page.link.as_deref(), &page.text, more.len());
            items.extend(more);
        }
        if count == 1 && failed.is_none() && next.is_none() {
            return Ok(first.outcome);
        }
        let more = next.map(|next| format!("[there is more: the next page is at {}]", next.shown));
        Ok(Outcome::text(Value::Array(items).to_string())
            .noted((count > 1).then(|| format!("[{count} pages]")))
            .noted(failed)
            .noted(more))
    }

    async fn page(
        self: &Arc<Self>,
        tool: &Tool,
        http: &Http,
        signed: &Signed,
        to: &Next,
        deadline: Duration,
    ) -> Result<Page> {
        let mut prepared = Prepared { url: to.url.clone(), ..signed.prepared.clone() };
        if let Some((account, _)) = signed.by.as_ref().filter(|_| signed.itself) {
            put_account(account, &mut prepared).await?;
        }
        let response = http::exchange(&self.web, http, &prepared, deadline).await?;
        match response.status().is_success() {
            true => http::answer(response, tool, http, false).await,
            false => {
                let message = format!("the service answered {}", response.status());
                Err(Error::new(&codes::UPSTREAM_HTTP, message))
            }
        }
    }
}
