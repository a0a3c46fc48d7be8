//! Which requests leave a record in the audit trail, and what it says: the noun, the verb, the names. Never a value.

use super::{Deploy, StoreRequest};
use crate::audit::Event;
use crate::policy::grant;
use crate::policy::rules;
use crate::{
    alerts, catalogue, environments, integrations, memory as memories, policy, schedules, secrets, servers,
    skills, tools, usage, workflows,
};

/// The record of a change; `None` for what is no decision of the user.
pub fn change(request: &StoreRequest) -> Option<Event> {
    let (what, names) = match request {
        StoreRequest::Server(request) => server(request)?,
        StoreRequest::Tool(request) => tool(request)?,
        StoreRequest::Profile(request) => profile(request)?,
        StoreRequest::Token(request) => match request {
            policy::Request::List | policy::Request::Issuers => return None,
            policy::Request::Grant(grant::Request::Issue { grant }) => {
                ("token grant", vec![grant.name.clone()])
            }
            policy::Request::Grant(grant::Request::End { .. }) => ("token grant end", Vec::new()),
            policy::Request::Grant(_) => return None,
            policy::Request::AddIssuer { issuer } => ("token issuer add", vec![issuer.name.clone()]),
            policy::Request::RemoveIssuer { name } => ("token issuer remove", vec![name.clone()]),
            policy::Request::Create { token } => ("token create", vec![token.name.clone()]),
            policy::Request::Revoke { name, .. } => ("token revoke", vec![name.clone()]),
            policy::Request::Rotate { name, .. } => ("token rotate", vec![name.clone()]),
        },
        StoreRequest::Policy(request) => rule(request)?,
        StoreRequest::Integration(request) => integration(request)?,
        StoreRequest::Workflow(request) => workflow(request)?,
        StoreRequest::Schedule(request) => schedule(request)?,
        StoreRequest::Memory(request) => memory(&request.ask)?,
        StoreRequest::Skill(request) => skill(request)?,
        StoreRequest::Secret(request) => secret(request)?,
        StoreRequest::Catalogue(request) => catalogue(request)?,
        StoreRequest::Install(install) => ("app install", vec![install.server.name.clone()]),
        StoreRequest::Package(deploy) => package(deploy),
        StoreRequest::Usage(request) => usage(request)?,
        StoreRequest::Alert(request) => alert(request)?,
        StoreRequest::Audit(_) | StoreRequest::App(_) | StoreRequest::Packages(_) => return None,
    };
    Some(Event::Change { what: what.into(), names })
}

impl StoreRequest {
    /// Whether it may change names that completion offers.
    pub fn renames(&self) -> bool {
        use schedules::Request;
        match self {
            Self::Server(_)
            | Self::Tool(_)
            | Self::Profile(_)
            | Self::Policy(_)
            | Self::Secret(_)
            | Self::Skill(_)
            | Self::Integration(_)
            | Self::Install(_)
            | Self::Package(_) => true,
            Self::Token(request) => !matches!(request, policy::Request::Grant(_)),
            Self::Catalogue(request) => request.renames(),
            Self::Memory(request) => request.renames(),
            Self::Schedule(request) => matches!(
                **request,
                Request::Put { .. }
                    | Request::Delete { .. }
                    | Request::PutAgent { .. }
                    | Request::DeleteAgents { .. }
            ),
            // The server whose tools they are may come with the first.
            Self::Workflow(request) => request.changes_tools(),
            Self::Alert(request) => {
                matches!(request, alerts::Request::Put { .. } | alerts::Request::Delete { .. })
            }
            Self::Usage(request) => request.renames(),
            Self::Audit(_) | Self::App(_) | Self::Packages(_) => false,
        }
    }
}

fn package(deploy: &Deploy) -> (&'static str, Vec<String>) {
    let version = deploy.package.current().map(|installed| installed.version.as_str()).unwrap_or_default();
    let what = if deploy.replace { "package switch" } else { "package install" };
    (what, vec![deploy.server.name.clone(), deploy.package.reference.clone(), version.into()])
}

type Said = Option<(&'static str, Vec<String>)>;

fn alert(request: &alerts::Request) -> Said {
    use alerts::Request;
    Some(match request {
        Request::Put { alert, .. } => ("alert create", vec![alert.name.clone()]),
        Request::Delete { names } => ("alert delete", names.clone()),
        Request::Silence { names, .. } => ("alert silence", names.clone()),
        _ => return None,
    })
}

/// What is recorded is no decision of the user; what it costs and how much may be used is.
fn usage(request: &usage::Request) -> Said {
    use usage::{Request, price, quota, user};
    Some(match request {
        Request::Price(price::Request::Put { book, replace, .. }) => {
            let names = book.prices.iter().map(|price| price.name.clone()).collect();
            (if *replace { "pricing replace" } else { "pricing set" }, names)
        }
        Request::Price(price::Request::Delete { names, .. }) => ("pricing delete", names.clone()),
        Request::Quota(quota::Request::Put { quota, .. }) => ("quota set", vec![quota.name.clone()]),
        Request::Quota(quota::Request::Delete { names, .. }) => ("quota delete", names.clone()),
        Request::User(user::Request::Put { user, .. }) => ("user create", vec![user.name.clone()]),
        Request::User(user::Request::Delete { names }) => ("user delete", names.clone()),
        _ => return None,
    })
}

fn server(request: &servers::Request) -> Said {
    use servers::Request;
    Some(match request {
        Request::List { .. } | Request::Show { .. } => return None,
        Request::Add { servers, .. } => {
            ("server add", servers.iter().map(|server| server.name.clone()).collect())
        }
        Request::Update { server } => ("server edit", vec![server.name.clone()]),
        Request::Rename { from, to } => ("server rename", vec![from.clone(), to.clone()]),
        Request::Remove { names } => ("server remove", names.clone()),
        Request::Enable { names, enabled: true } => ("server enable", names.clone()),
        Request::Enable { names, enabled: false } => ("server disable", names.clone()),
    })
}

fn skill(request: &skills::Request) -> Said {
    use skills::Request;
    Some(match request {
        Request::Install { new, .. } => {
            let names = new.iter().map(|it| format!("{} {}", it.name, it.installed.version));
            ("skill install", names.collect())
        }
        Request::Use { name, version } => ("skill use", vec![format!("{name} {version}")]),
        Request::Uninstall { name, .. } => ("skill uninstall", vec![name.clone()]),
        Request::Distrust { name } => ("skill trust forget", vec![name.clone()]),
        Request::AddRegistry { registry } => ("skill registry add", vec![registry.name.clone()]),
        Request::RemoveRegistry { name } => ("skill registry remove", vec![name.clone()]),
        _ => return None,
    })
}

fn schedule(request: &schedules::Request) -> Said {
    use schedules::{Request, Whom};
    Some(match request {
        Request::Put { schedule, replace: false } => ("schedule create", vec![schedule.name.clone()]),
        Request::Put { schedule, replace: true } => ("schedule update", vec![schedule.name.clone()]),
        Request::Delete { names } => ("schedule delete", names.clone()),
        Request::Enable { names, enabled: true, .. } => ("schedule enable", names.clone()),
        Request::Enable { names, enabled: false, .. } => ("schedule disable", names.clone()),
        Request::Pause { whom, paused, .. } => {
            let names = match whom {
                Whom::Schedules(names) => names.clone(),
                Whom::Agent(name) => vec![format!("agent {name}")],
                Whom::All => vec!["all".into()],
            };
            (if *paused { "schedule pause" } else { "schedule resume" }, names)
        }
        Request::Begin { name, .. } => ("schedule run", vec![name.clone()]),
        Request::PutAgent { agent, .. } => ("agent create", vec![agent.name.clone()]),
        Request::DeleteAgents { names } => ("agent delete", names.clone()),
        // What the daemon does by itself is told by the history and by the calls.
        _ => return None,
    })
}

fn tool(request: &tools::Request) -> Said {
    use tools::Request;
    let path = |server: &String, tool: &String| vec![format!("{server}.{tool}")];
    Some(match request {
        Request::Enable { server, tool, enabled: true } => ("tool enable", path(server, tool)),
        Request::Enable { server, tool, enabled: false } => ("tool disable", path(server, tool)),
        Request::Alias { server, tool, .. } => ("tool alias", path(server, tool)),
        Request::Cache { server, tool, .. } => ("tool cache", path(server, tool)),
        Request::Accept { server, tool } => ("tool accept", path(server, tool)),
        Request::Approve { server, fingerprint: Some(_), .. } => ("server approve", vec![server.clone()]),
        Request::Approve { server, fingerprint: None, .. } => ("server disapprove", vec![server.clone()]),
        Request::Pins
        | Request::Catalogues
        | Request::Catalogue { .. }
        | Request::PutCatalogues(_)
        | Request::Forget { .. }
        | Request::Preferences => return None,
    })
}

fn integration(request: &integrations::Request) -> Said {
    use integrations::Request;
    Some(match request {
        Request::Create { integration } => ("integration create", vec![integration.name.clone()]),
        Request::Configure { integration } => ("integration configure", vec![integration.name.clone()]),
        Request::Delete { name } => ("integration delete", vec![name.clone()]),
        Request::Use { name, .. } => ("connection use", vec![name.clone()]),
        Request::Forget { names } => ("connection forget", names.clone()),
        // Written at every renewal too, which is no decision of the user.
        _ => return None,
    })
}

/// What is read from a source is no decision of the user; which sources there are is.
fn catalogue(request: &catalogue::Request) -> Said {
    use catalogue::Request;
    Some(match request {
        Request::AddSource { source } => ("catalog source add", vec![source.name.clone()]),
        Request::RemoveSource { name } => ("catalog source remove", vec![name.clone()]),
        Request::EnableSource { name, enabled: true } => ("catalog source enable", vec![name.clone()]),
        Request::EnableSource { name, enabled: false } => ("catalog source disable", vec![name.clone()]),
        _ => return None,
    })
}

fn profile(request: &environments::Request) -> Said {
    use environments::Request;
    Some(match request {
        Request::List | Request::Show { .. } => return None,
        Request::Create { profile } => ("profile create", vec![profile.name.clone()]),
        Request::Update { profile } => ("profile update", vec![profile.name.clone()]),
        Request::Delete { names } => ("profile delete", names.clone()),
    })
}

fn workflow(request: &workflows::Request) -> Said {
    use workflows::Request;
    Some(match request {
        Request::Put { definition, .. } => ("workflow set", vec![definition.name.clone()]),
        Request::Delete { names } => ("workflow delete", names.clone()),
        Request::Publish { names, tool: true } => ("workflow publish", names.clone()),
        Request::Publish { names, tool: false } => ("workflow withdraw", names.clone()),
        // Runs have a journal of their own.
        _ => return None,
    })
}

/// What is remembered is told by the memories themselves; who may read it, and what is gone, is told here. Never a text.
fn memory(ask: &memories::Ask) -> Said {
    use memories::Ask;
    Some(match ask {
        Ask::Forget { words, dry_run: false, .. } => ("memory forget", words.clone()),
        Ask::Prune { dry_run: false, .. } => ("memory prune", Vec::new()),
        Ask::Undo { .. } => ("memory undo", Vec::new()),
        Ask::SetNamespace { name, create: true, .. } => ("memory namespace create", vec![name.clone()]),
        Ask::SetNamespace { name, create: false, .. } => ("memory namespace update", vec![name.clone()]),
        Ask::DeleteNamespace { name } => ("memory namespace delete", vec![name.clone()]),
        Ask::Grant { namespace, agent, permission: Some(permission) } => {
            ("memory grant", vec![namespace.clone(), agent.clone(), permission.word().into()])
        }
        Ask::Grant { namespace, agent, permission: None } => {
            ("memory revoke", vec![namespace.clone(), agent.clone()])
        }
        _ => return None,
    })
}

/// Names only; what umcp keeps for itself, such as a token that is refreshed, is no decision of the user.
fn secret(request: &secrets::Request) -> Said {
    use secrets::Request;
    let (what, mut names) = match request {
        Request::Begin { .. } => return Some(("secret vault", Vec::new())),
        Request::Slots { .. } => return Some(("secret backend", Vec::new())),
        Request::Rekey { .. } => return Some(("secret rekey", Vec::new())),
        Request::Set { name, .. } => ("secret set", vec![name.clone()]),
        Request::Delete { names } => ("secret delete", names.clone()),
        Request::Rename { from, to, .. } => ("secret rename", vec![from.clone(), to.clone()]),
        Request::Vault | Request::List | Request::All | Request::Get { .. } => return None,
    };
    names.retain(|name| !secrets::is_internal(name));
    (!names.is_empty()).then_some((what, names))
}

fn rule(request: &rules::Request) -> Said {
    use rules::Request;
    Some(match request {
        Request::Show => return None,
        Request::Put { document, replace } => {
            let names = document.rules.iter().map(|rule| rule.name.clone());
            let roles = document.roles.keys().map(|role| format!("role {role}"));
            let labels = document.labels.keys().map(|label| format!("label {label}"));
            let default = document.default.map(|effect| format!("default {}", effect.word()));
            let what = if *replace { "policy replace" } else { "policy set" };
            (what, names.chain(roles).chain(labels).chain(default).collect())
        }
        Request::DeleteRules { names } => ("policy delete", names.clone()),
        Request::DeleteRole { name } => ("policy delete", vec![format!("role {name}")]),
        Request::DeleteLabel { name } => ("policy delete", vec![format!("label {name}")]),
    })
}
