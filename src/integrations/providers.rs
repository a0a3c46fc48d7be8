//! Presets of well-known providers: addresses as their public documentation names them, and what they insist on.
//! The user brings a client id; where a provider has no OAuth for such a client, the preset takes a key.

use super::model::{ClientAuth, Endpoints, Integration, Kind};
use crate::clock::Timestamp;
use serde::Serialize;

/// One preset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provider {
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    /// Where the user registers a client or gets a key.
    pub register: &'static str,
    pub authorize: Option<&'static str>,
    pub token: Option<&'static str>,
    pub device: Option<&'static str>,
    pub revoke: Option<&'static str>,
    pub test: Option<&'static str>,
    /// The names of the parts of an address that every organisation has its own of, such as `{domain}`.
    pub needs: &'static [&'static str],
    pub client_auth: ClientAuth,
    pub scopes: &'static [&'static str],
    pub extra: &'static [(&'static str, &'static str)],
}

const OAUTH2: Provider = Provider {
    name: "",
    title: "",
    kind: Kind::Oauth2,
    register: "",
    authorize: None,
    token: None,
    device: None,
    revoke: None,
    test: None,
    needs: &[],
    client_auth: ClientAuth::ClientSecretPost,
    scopes: &[],
    extra: &[],
};

/// All presets, by name.
pub const ALL: &[Provider] = &[
    Provider {
        name: "atlassian",
        title: "Atlassian (Jira, Confluence)",
        register: "https://developer.atlassian.com/console/myapps/",
        authorize: Some("https://auth.atlassian.com/authorize"),
        token: Some("https://auth.atlassian.com/oauth/token"),
        test: Some("https://api.atlassian.com/oauth/token/accessible-resources"),
        scopes: &["offline_access", "read:jira-work"],
        extra: &[("audience", "api.atlassian.com"), ("prompt", "consent")],
        ..OAUTH2
    },
    Provider {
        name: "discord",
        title: "Discord",
        register: "https://discord.com/developers/applications",
        authorize: Some("https://discord.com/oauth2/authorize"),
        token: Some("https://discord.com/api/oauth2/token"),
        revoke: Some("https://discord.com/api/oauth2/token/revoke"),
        test: Some("https://discord.com/api/users/@me"),
        client_auth: ClientAuth::ClientSecretBasic,
        scopes: &["identify"],
        ..OAUTH2
    },
    Provider {
        name: "github",
        title: "GitHub",
        register: "https://github.com/settings/developers",
        authorize: Some("https://github.com/login/oauth/authorize"),
        token: Some("https://github.com/login/oauth/access_token"),
        device: Some("https://github.com/login/device/code"),
        test: Some("https://api.github.com/user"),
        scopes: &["repo", "read:user"],
        ..OAUTH2
    },
    Provider {
        name: "google",
        title: "Google",
        register: "https://console.cloud.google.com/apis/credentials",
        authorize: Some("https://accounts.google.com/o/oauth2/v2/auth"),
        token: Some("https://oauth2.googleapis.com/token"),
        device: Some("https://oauth2.googleapis.com/device/code"),
        revoke: Some("https://oauth2.googleapis.com/revoke"),
        test: Some("https://openidconnect.googleapis.com/v1/userinfo"),
        scopes: &["openid", "email"],
        // Without both, Google gives no token to refresh with.
        extra: &[("access_type", "offline"), ("prompt", "consent")],
        ..OAUTH2
    },
    Provider {
        name: "linear",
        title: "Linear",
        register: "https://linear.app/settings/api/applications/new",
        authorize: Some("https://linear.app/oauth/authorize"),
        token: Some("https://api.linear.app/oauth/token"),
        revoke: Some("https://api.linear.app/oauth/revoke"),
        scopes: &["read"],
        ..OAUTH2
    },
    Provider {
        name: "microsoft",
        title: "Microsoft",
        register: "https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps",
        authorize: Some("https://login.microsoftonline.com/common/oauth2/v2.0/authorize"),
        token: Some("https://login.microsoftonline.com/common/oauth2/v2.0/token"),
        device: Some("https://login.microsoftonline.com/common/oauth2/v2.0/devicecode"),
        test: Some("https://graph.microsoft.com/v1.0/me"),
        client_auth: ClientAuth::None,
        scopes: &["offline_access", "User.Read"],
        ..OAUTH2
    },
    Provider {
        name: "notion",
        title: "Notion",
        register: "https://www.notion.so/profile/integrations",
        authorize: Some("https://api.notion.com/v1/oauth/authorize"),
        token: Some("https://api.notion.com/v1/oauth/token"),
        client_auth: ClientAuth::ClientSecretBasic,
        extra: &[("owner", "user")],
        ..OAUTH2
    },
    Provider {
        name: "okta",
        title: "Okta",
        register: "https://developer.okta.com/docs/guides/implement-grant-type/authcodepkce/main/",
        authorize: Some("https://{domain}/oauth2/v1/authorize"),
        token: Some("https://{domain}/oauth2/v1/token"),
        device: Some("https://{domain}/oauth2/v1/device/authorize"),
        revoke: Some("https://{domain}/oauth2/v1/revoke"),
        test: Some("https://{domain}/oauth2/v1/userinfo"),
        needs: &["domain"],
        client_auth: ClientAuth::None,
        scopes: &["openid", "offline_access"],
        ..OAUTH2
    },
    Provider {
        name: "reddit",
        title: "Reddit",
        register: "https://www.reddit.com/prefs/apps",
        authorize: Some("https://www.reddit.com/api/v1/authorize"),
        token: Some("https://www.reddit.com/api/v1/access_token"),
        revoke: Some("https://www.reddit.com/api/v1/revoke_token"),
        test: Some("https://oauth.reddit.com/api/v1/me"),
        client_auth: ClientAuth::ClientSecretBasic,
        scopes: &["identity", "read"],
        extra: &[("duration", "permanent")],
        ..OAUTH2
    },
    Provider {
        name: "slack",
        title: "Slack",
        register: "https://api.slack.com/apps",
        authorize: Some("https://slack.com/oauth/v2/authorize"),
        token: Some("https://slack.com/api/oauth.v2.access"),
        scopes: &["channels:read", "chat:write"],
        ..OAUTH2
    },
    Provider {
        name: "stripe",
        title: "Stripe",
        kind: Kind::Bearer,
        register: "https://dashboard.stripe.com/apikeys",
        test: Some("https://api.stripe.com/v1/balance"),
        ..OAUTH2
    },
    Provider {
        name: "supabase",
        title: "Supabase",
        register: "https://supabase.com/dashboard/org/_/apps",
        authorize: Some("https://api.supabase.com/v1/oauth/authorize"),
        token: Some("https://api.supabase.com/v1/oauth/token"),
        test: Some("https://api.supabase.com/v1/organizations"),
        client_auth: ClientAuth::ClientSecretBasic,
        ..OAUTH2
    },
    Provider {
        name: "x",
        title: "X",
        register: "https://developer.x.com/en/portal/dashboard",
        authorize: Some("https://x.com/i/oauth2/authorize"),
        token: Some("https://api.x.com/2/oauth2/token"),
        revoke: Some("https://api.x.com/2/oauth2/revoke"),
        test: Some("https://api.x.com/2/users/me"),
        client_auth: ClientAuth::None,
        scopes: &["tweet.read", "users.read", "offline.access"],
        ..OAUTH2
    },
];

pub fn find(name: &str) -> Option<&'static Provider> {
    ALL.iter().find(|provider| provider.name == name)
}

impl Provider {
    /// An integration made of this preset; `domain` fills in what each organisation has its own of.
    pub fn integration(&self, id: String, name: &str, domain: &str, now: Timestamp) -> Integration {
        let own = |address: Option<&str>| address.map(|address| address.replace("{domain}", domain));
        Integration {
            provider: Some(self.name.into()),
            endpoints: Endpoints {
                issuer: None,
                authorize: own(self.authorize),
                token: own(self.token),
                device: own(self.device),
                revoke: own(self.revoke),
                test: own(self.test),
                temporary: None,
            },
            client_auth: Some(self.client_auth),
            scopes: self.scopes.iter().map(ToString::to_string).collect(),
            extra: self.extra.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            ..Integration::new(id, name, self.kind, now)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_makes_a_sound_integration() {
        let mut last = "";
        for provider in ALL {
            assert!(last < provider.name, "{} stands out of order", provider.name);
            last = provider.name;
            let integration =
                provider.integration("int_1".into(), provider.name, "acme.okta.com", Timestamp(0));
            integration.check().unwrap();
            let expected: &[&str] = if provider.kind == Kind::Oauth2 { &["--client-id"] } else { &[] };
            assert_eq!(integration.missing(), expected, "{}", provider.name);
            assert!(!integration.endpoints.token.is_some_and(|token| token.contains('{')));
            let has_place = provider.token.is_some_and(|token| token.contains("{domain}"));
            assert_eq!(has_place, !provider.needs.is_empty());
        }
    }
}
