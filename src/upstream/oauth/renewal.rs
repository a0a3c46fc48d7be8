//! A refresh, once it has its turn: what the provider says, and what becomes of the account. Whatever comes back late - the
//! account was revoked meanwhile, or somebody has signed in anew - changes nothing.

use super::account::{Account, Held, needs_sign_in};
use super::token::{Desk, Refusal, Tokens};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::integrations::model::{Connection, Grant, Standing};
use std::sync::Arc;
use std::time::Instant;

impl Account {
    pub(super) async fn exchange(self: &Arc<Self>) -> Result<()> {
        let (row, held) = {
            let now = self.now();
            (now.row.clone(), now.held.clone())
        };
        let time = self.ground.engine.now();
        let desk = self.ground.desk(&row, &held).await?;
        let outcome = match (&held.refresh, row.grant) {
            (Some(token), _) => desk.refresh(token, time).await,
            (None, Grant::ClientCredentials) => desk.client_credentials(&row.scopes, time).await,
            (None, _) => {
                let why = "the token has ended and the provider gave none to renew it";
                return Err(self.fail(&held.access, why, true).await);
            }
        };
        match outcome {
            Ok(tokens) => self.renewed(&desk, &held, tokens).await,
            Err(Refusal::Said { error, words }) if is_final(&error) => {
                let said = if words.is_empty() { error } else { format!("{error}: {words}") };
                let why = format!("the provider refused to renew the token ({said})");
                Err(self.fail(&held.access, &why, true).await)
            }
            Err(refusal) => {
                let error = Error::from(refusal);
                Err(self.fail(&held.access, &error.to_string(), false).await)
            }
        }
    }

    async fn renewed(self: &Arc<Self>, desk: &Desk, before: &Held, tokens: Tokens) -> Result<()> {
        let _turn = self.storing.lock().await;
        let time = self.ground.engine.now();
        let (row, held) = {
            let now = self.now();
            let held = Held {
                access: tokens.access_token,
                refresh: tokens.refresh_token.or(before.refresh.clone()),
                ..before.clone()
            };
            let mut row = now.row.clone();
            took(&mut row, time, tokens.expires_in);
            match (now.ended, now.held.access == before.access) {
                (true, _) => (Err(row), held),
                // Somebody has signed in anew meanwhile: that counts.
                (false, false) => return Ok(()),
                (false, true) => (Ok(row), held),
            }
        };
        let row = match row {
            Ok(row) => row,
            Err(row) => {
                // The account ended while the provider made a new token: that one ends, too.
                desk.give_back(&row, &held, time).await;
                return Err(needs_sign_in(&row));
            }
        };
        let stored = self.ground.store(row, Some(held.clone())).await;
        {
            let mut now = self.now();
            if now.ended {
                return Err(needs_sign_in(&now.row));
            }
            took(&mut now.row, time, tokens.expires_in);
            // The old token may be gone at the provider: the new one is used even where it could not be kept.
            if let Err(error) = &stored {
                now.row.last_error = Some(format!("the renewed token could not be stored: {error}"));
            }
            now.failed = None;
            self.ground.keep.hide(&now.held.access, &held.access);
            now.held = held;
        }
        self.plan();
        stored
    }

    /// Notes that `used` could not be renewed. `for_good`: only a new sign-in helps, which is told once.
    pub(super) async fn fail(self: &Arc<Self>, used: &str, why: &str, for_good: bool) -> Error {
        let (error, told, name) = {
            let mut now = self.now();
            // It has ended, or somebody has signed in anew meanwhile.
            if now.ended || now.held.access != used {
                return needs_sign_in(&now.row);
            }
            now.row.failures += 1;
            now.row.last_error = Some(why.into());
            let told = for_good && now.row.standing == Standing::Ready;
            let error = if for_good {
                now.row.standing = Standing::NeedsSignIn;
                needs_sign_in(&now.row)
            } else {
                let message = format!("the token of `{}` could not be renewed", now.row.name);
                Error::new(&codes::UPSTREAM_SIGN_IN, message)
                    .because(why)
                    .hint(format!("umcp connection refresh {}", now.row.name))
            };
            now.failed = Some((Instant::now(), error.clone()));
            (error, told, now.row.name.clone())
        };
        let _ = self.write_down().await;
        if told {
            self.ground.tell(&name, "needs sign-in", Some(why));
        }
        error
    }
}

/// What a new token changes in its row.
fn took(row: &mut Connection, time: Timestamp, expires_in: Option<u64>) {
    row.obtained = time;
    row.expires = expires_in.map(|seconds| time.plus_ms(seconds.saturating_mul(1000)));
    row.refreshes += 1;
    row.failures = 0;
    row.last_error = None;
    row.last_used = Some(time);
}

/// Words of a provider after which trying again is of no use.
fn is_final(error: &str) -> bool {
    ["invalid_grant", "bad_refresh_token", "invalid_client", "unauthorized_client", "token_revoked"]
        .contains(&error)
}

#[cfg(test)]
mod tests {
    use super::super::client::Client;
    use super::super::web::Net;
    use super::super::{Accounts, locked};
    use super::*;
    use crate::clock::Clock;
    use crate::engine::Engine;
    use crate::engine::vault::{Places, Vault};
    use crate::integrations::life;
    use crate::integrations::model::ClientAuth;
    use crate::store::Store;
    use crate::upstream::known::Known;

    struct Room {
        accounts: Arc<Accounts>,
        account: Arc<Account>,
        desk: Desk,
        before: Held,
        _dir: tempfile::TempDir,
    }

    impl Room {
        /// An account that has signed in and is in use.
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let engine = Engine::new(Store::memory(), Clock::System);
            let places = Places { own: dir.path().join("vault.key"), named: None };
            let vault = Arc::new(Vault::new(engine.clone(), places));
            let accounts = Accounts::new(engine, vault, Arc::new(Known::default()));
            let before = Held { access: "old".into(), refresh: Some("r1".into()), ..Held::default() };
            accounts.ground.store(life::tests::connection("c"), Some(before.clone())).await.unwrap();
            let account = accounts.named_beside("c").await.unwrap();
            let client = Client { id: "x".into(), auth: ClientAuth::None, secret: None };
            let desk = Desk {
                net: Net::anywhere(),
                endpoint: "http://127.0.0.1:9/token".into(),
                issuer: None,
                client,
                resource: None,
            };
            Self { accounts, account, desk, before, _dir: dir }
        }

        fn rows(&self) -> Vec<(String, Standing, u64)> {
            let rows = self.accounts.rows().unwrap();
            rows.into_iter().map(|row| (row.name, row.standing, row.refreshes)).collect()
        }

        fn in_vault(&self) -> Option<String> {
            let text = self.accounts.ground.keep.get(&self.account.row().secret_name()).unwrap();
            text.map(|text| serde_json::from_str::<Held>(&text).unwrap().access)
        }
    }

    fn tokens() -> Tokens {
        let text = r#"{"access_token":"new","refresh_token":"r2","expires_in":60}"#;
        serde_json::from_str(text).unwrap()
    }

    fn run(work: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    }

    #[test]
    fn a_refresh_that_comes_back_after_the_end_revives_nothing() {
        run(async {
            let room = Room::new().await;
            room.accounts.revoke(&["c".into()], true).await.unwrap();
            assert!(locked(&room.accounts.open).is_empty());
            let late = room.account.renewed(&room.desk, &room.before, tokens()).await;
            assert!(late.unwrap_err().is(&codes::SIGN_IN_NEEDED));
            let failed = room.account.fail("old", "why", true).await;
            assert!(failed.is(&codes::SIGN_IN_NEEDED));
            room.account.write_down().await.unwrap();
            assert_eq!((room.rows(), room.in_vault()), (vec![], None));
            assert_eq!(room.account.token_as_it_is(), "");
        });
    }

    #[test]
    fn a_note_of_use_does_not_undo_a_refresh() {
        run(async {
            let room = Room::new().await;
            // The note is made first, and its turn comes after the refresh.
            let turn = room.account.storing.clone().lock_owned().await;
            room.account.now().row.last_used = Some(Timestamp(1));
            let noted = room.account.write_down();
            let renewing = tokio::spawn({
                let account = room.account.clone();
                let (desk, before) = (Desk { ..room.desk }, room.before.clone());
                async move { account.renewed(&desk, &before, tokens()).await }
            });
            drop(turn);
            noted.await.unwrap();
            renewing.await.unwrap().unwrap();
            room.account.write_down().await.unwrap();
            let row = room.accounts.rows().unwrap().remove(0);
            assert_eq!((row.refreshes, row.expires.is_some()), (1, true));
            assert_eq!(room.account.token_as_it_is(), "new");
        });
    }

    #[test]
    fn a_refresh_that_comes_back_after_a_new_sign_in_changes_nothing() {
        run(async {
            let room = Room::new().await;
            let anew = Held { access: "anew".into(), ..Held::default() };
            room.accounts.admit(room.account.row(), anew).await.unwrap();
            room.account.renewed(&room.desk, &room.before, tokens()).await.unwrap();
            assert_eq!(room.account.token_as_it_is(), "anew");
            assert_eq!(room.in_vault().as_deref(), Some("anew"));
        });
    }
}
