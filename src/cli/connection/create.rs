//! `umcp connection create` and `umcp server login`: one sign-in, with a browser, a pasted address, a code for
//! another device, or nobody at all.

use super::super::context::Context;
use super::view::{Targets, View};
use super::{ask, browser, odd, secret};
use crate::engine::accounts::{AccountReply, AccountRequest, SignIn, Step};
use crate::error::{Error, Result, codes};
use crate::integrations::Connection;
use crate::integrations::model::Grant;
use crate::ui::{Output, Page};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

/// Sign in at a server or with an integration
///
/// A server that wants a sign-in says itself where; umcp registers as its client, opens a browser and waits for it
/// on this machine. Without a browser, `--paste` takes the address the browser ended up at on another machine, and
/// `--flow device` a code to type in there. The tokens go to the vault and are renewed as needed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp connection create notion\n  umcp connection create github --flow device\n  umcp connection create stripe --key-env STRIPE_KEY"
)]
pub struct Create {
    /// A server, an integration, or a connection to renew
    #[arg(value_name = "TARGET")]
    target: String,
    #[command(flatten)]
    options: Options,
}

/// Sign in at a server
///
/// The same as `umcp connection create`, for one server.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp server login linear\n  umcp server login linear --no-browser --paste"
)]
pub struct Login {
    #[arg(value_name = "SERVER")]
    server: String,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Flow {
    /// In a browser
    Code,
    /// With a code typed in on another device
    Device,
    /// As the client itself, without a person
    ClientCredentials,
}

#[derive(Debug, Args)]
struct Options {
    /// Name of the connection; several accounts of one target have one each
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Whose account it is, for your own eyes
    #[arg(long, value_name = "WHO")]
    user: Option<String>,
    /// How to sign in; what the provider offers first where not given
    #[arg(long, value_enum, value_name = "HOW")]
    flow: Option<Flow>,
    /// Ask for these scopes instead of those the server names
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scope: Vec<String>,
    /// A client you registered at the provider
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Read the client's secret from standard input
    #[arg(long, requires = "client_id")]
    client_secret_stdin: bool,
    /// Read the client's secret from this variable
    #[arg(long, value_name = "VARIABLE", requires = "client_id", conflicts_with = "client_secret_stdin")]
    client_secret_env: Option<String>,
    /// Sign assertions with this private key (PKCS#8, PEM) instead of a secret
    #[arg(long, value_name = "FILE", requires = "client_id", conflicts_with_all = ["client_secret_stdin", "client_secret_env"])]
    client_key: Option<PathBuf>,
    /// Address of a document that describes the client, for providers that read it
    #[arg(long, value_name = "URL", conflicts_with = "client_id")]
    client_metadata: Option<String>,
    /// Wait for the browser on this port, for providers that insist on one
    #[arg(long, value_name = "PORT")]
    redirect_port: Option<u16>,
    /// Show the address instead of opening it
    #[arg(long)]
    no_browser: bool,
    /// Read the address the browser ended up at from the terminal or standard input
    #[arg(long)]
    paste: bool,
    /// User name, for basic sign-in
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Read the key, token or password from standard input
    #[arg(long, conflicts_with_all = ["client_secret_stdin", "paste"])]
    key_stdin: bool,
    /// Read the key, token or password from this variable
    #[arg(long, value_name = "VARIABLE", conflicts_with = "key_stdin")]
    key_env: Option<String>,
}

impl Create {
    pub fn run(self, ctx: &Context) -> Result<()> {
        run(ctx, self.target, self.options)
    }
}

impl Login {
    pub fn run(self, ctx: &Context) -> Result<()> {
        run(ctx, self.server, self.options)
    }
}

impl Options {
    fn wish(&self, target: String) -> Result<SignIn> {
        let client_secret = match (&self.client_secret_env, &self.client_key) {
            _ if self.client_secret_stdin => Some(secret::from_stdin()?),
            (Some(variable), _) => Some(secret::from_variable(variable)?),
            (None, Some(file)) => Some(secret::from_file(file)?),
            (None, None) => None,
        };
        let key = match &self.key_env {
            _ if self.key_stdin => Some(secret::from_stdin()?),
            Some(variable) => Some(secret::from_variable(variable)?),
            None => None,
        };
        Ok(SignIn {
            target,
            name: self.name.clone(),
            user: self.user.clone(),
            grant: self.flow.map(|flow| match flow {
                Flow::Code => Grant::Code,
                Flow::Device => Grant::Device,
                Flow::ClientCredentials => Grant::ClientCredentials,
            }),
            client_id: self.client_id.clone(),
            client_secret,
            signs: self.client_key.is_some(),
            client_metadata: self.client_metadata.clone(),
            scopes: self.scope.clone(),
            redirect_port: self.redirect_port,
            username: self.username.clone(),
            key,
        })
    }
}

fn run(ctx: &Context, target: String, options: Options) -> Result<()> {
    let mut wish = options.wish(target)?;
    let begun = match ask(ctx, AccountRequest::Begin(Box::new(wish.clone()))) {
        // A key nobody gave is asked for where somebody is there to be asked.
        Err(error) if error.is(&codes::INPUT_NEEDED) && ctx.ui.can_ask() => {
            let question = format!("Key or password of {}", wish.target);
            wish.key = Some(crate::engine::accounts::Hidden(ctx.ui.password(&question, "--key-stdin")?));
            ask(ctx, AccountRequest::Begin(Box::new(wish)))?
        }
        other => other?,
    };
    let AccountReply::Step(step) = begun else { return odd(&begun) };
    let row = match step {
        Step::Done(row) => *row,
        Step::Browse { id, url, redirect } => {
            if options.no_browser || options.paste || !browser::open(&url) {
                ctx.ui.note(&format!("open this address to sign in:\n{url}"));
            } else {
                ctx.ui.note(&format!("a browser opens to sign in; if none does, open this address:\n{url}"));
            }
            if options.paste {
                ctx.ui.note(&format!("then paste the address the browser ended up at ({redirect}?…)"));
                let url = secret::pasted(ctx, "Address")?;
                ask(ctx, AccountRequest::Answer { id: id.clone(), url })?;
            }
            done(ctx, id, "waiting for the browser")?
        }
        Step::Enter { id, url, code, complete } => {
            let address = complete.as_deref().unwrap_or(&url);
            ctx.ui.note(&format!("on any device open {url} and type in the code {code}"));
            if complete.is_some() && !options.no_browser && browser::open(address) {
                ctx.ui.note("a browser opens with the code filled in; compare it before you agree");
            }
            done(ctx, id, "waiting for the other device")?
        }
    };
    show(ctx, &row)
}

fn done(ctx: &Context, id: String, what: &str) -> Result<Connection> {
    let _bar = ctx.ui.progress(what);
    match ask(ctx, AccountRequest::Wait { id })? {
        AccountReply::Connection(row) => Ok(*row),
        other => odd(&other),
    }
}

fn show(ctx: &Context, row: &Connection) -> Result<()> {
    let view = View::new(row, &Targets::load(ctx)?, ctx.clock.now());
    if view.state == "revoked" {
        return Err(Error::new(&codes::SIGN_IN_FAILED, "the connection was revoked meanwhile"));
    }
    ctx.ui.show(&SignedIn(view))
}

#[derive(Serialize)]
#[serde(transparent)]
struct SignedIn(View);

impl Output for SignedIn {
    const KIND: &'static str = "connection.created/1";

    fn human(&self, page: &mut Page) {
        let view = &self.0;
        let scopes = match view.scopes.as_slice() {
            [] => String::new(),
            scopes => format!(" with {}", scopes.join(", ")),
        };
        // A key was given and stored; nobody has asked its service about it.
        let said = if view.flow == Grant::Static { "stored, not checked yet" } else { "signed in" };
        page.mark(view.mark(), format!("{said}: {} for {}{scopes}", view.name, view.target));
        if view.flow == Grant::Static {
            page.text(format!("check it: umcp connection validate {}", view.name));
        }
        if view.expires.is_some() && !view.renews_itself {
            page.text("its token cannot be renewed; sign in again when it has ended");
        }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.0.name.clone()]
    }
}
