//! The daemon's HTTP listeners: opened, kept with their certificates, told of in the log.

use super::Jobs;
use crate::engine::live::{Listening, LiveReply};
use crate::error::{Error, Result, codes};
use crate::gateway::http::Opened;
use crate::policy::scope::Scopes;
use crate::settings::Authorization;
use std::sync::{Arc, PoisonError};

impl Jobs {
    pub(super) fn listening(&self) -> std::sync::MutexGuard<'_, Vec<Opened>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for HTTP clients and gives the listener with its port.
    pub async fn listen(self: &Arc<Self>, listening: Listening) -> Result<Listening> {
        let opened = self.gateway.listen(&listening).await?;
        let shown = opened.shown();
        self.diary.line(&format!("listening on {}://{}/mcp", shown.scheme(), shown.address));
        self.listening().push(opened);
        Ok(shown)
    }

    /// Takes up certificates whose files were changed.
    pub fn watch_certificates(&self) {
        for certificate in self.listening().iter().filter_map(|it| it.certificate.as_ref()) {
            match certificate.reload_if_changed() {
                Some(Ok(())) => self.diary.line("a certificate was taken up anew"),
                Some(Err(error)) => self.diary.line(&format!("the certificate before stays: {error}")),
                None => {}
            }
        }
    }

    pub(super) fn reload(&self) -> Result<Vec<Listening>> {
        let listening = self.listening();
        for certificate in listening.iter().filter_map(|it| it.certificate.as_ref()) {
            certificate.reload()?;
        }
        Ok(listening.iter().map(Opened::shown).collect())
    }

    /// A one-time code for the consent page, where there is one.
    pub(super) fn invite(&self, profile: Option<String>, scopes: Scopes) -> Result<LiveReply> {
        if self.gateway.world().shared.settings.gateway.authorization != Authorization::Server {
            return Err(Error::new(&codes::AUTHORIZATION_OFF, "umcp gives no tokens to clients here")
                .hint("umcp config set gateway.authorization server")
                .hint("umcp gateway restart"));
        }
        let (code, until) = self.gateway.invite(profile, scopes);
        Ok(LiveReply::Invited { code, until })
    }
}
