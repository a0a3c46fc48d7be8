//! Agents as schedules know them: a name, what runs are to know, and whether its schedules are held.

use super::model::{Agent, EVERYONE};
use super::{AGENTS, Reply, SCHEDULES};
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Writer};

pub fn all(tx: &Reader) -> Result<Vec<Agent>> {
    Ok(tx.all(&AGENTS)?.into_iter().map(|(_, agent)| agent).collect())
}

/// A schedule's agent is made when it is first named.
pub fn demand(tx: &mut Writer, name: &str) -> Result<()> {
    if !tx.contains(&AGENTS, name)? {
        let agent = Agent { name: name.into(), context: "{}".into(), ..Agent::default() };
        tx.put(&AGENTS, name, &agent)?;
    }
    Ok(())
}

pub fn put(tx: &mut Writer, mut agent: Agent, replace: bool) -> Result<Reply> {
    match tx.get(&AGENTS, &agent.name)? {
        Some(_) if !replace => {
            let message = format!("an agent named `{}` exists already", agent.name);
            return Err(Error::new(&codes::AGENT_EXISTS, message)
                .hint(format!("umcp agent create {} --replace", agent.name)));
        }
        Some(old) => (agent.paused, agent.created) = (old.paused, old.created),
        None => {}
    }
    tx.put(&AGENTS, &agent.name, &agent)?;
    Ok(Reply::Agent(agent))
}

/// Agents that schedules belong to stay.
pub fn delete(tx: &mut Writer, names: &[String]) -> Result<Reply> {
    for name in names {
        find(tx, name)?;
        let owned = tx.find(&SCHEDULES, |schedule| schedule.agent.as_ref() == Some(name))?;
        if let Some(schedule) = owned {
            let message = format!("the schedule `{}` belongs to the agent `{name}`", schedule.name);
            return Err(
                Error::new(&codes::AGENT_IN_USE, message).hint(format!("umcp schedule list --agent {name}"))
            );
        }
        tx.remove(&AGENTS, name)?;
    }
    Ok(Reply::Names(names.to_vec()))
}

pub fn hold(tx: &mut Writer, name: &str, paused: bool) -> Result<()> {
    let mut agent = find(tx, name)?;
    agent.paused = paused;
    tx.put(&AGENTS, name, &agent)
}

fn find(tx: &Reader, name: &str) -> Result<Agent> {
    if let Some(agent) = tx.get(&AGENTS, name)?.filter(|agent| agent.name != EVERYONE) {
        return Ok(agent);
    }
    let names: Vec<String> = all(tx)?.into_iter().map(|agent| agent.name).collect();
    let error = Error::new(&codes::AGENT_NOT_FOUND, format!("no agent named `{name}`"));
    let known = names.iter().map(String::as_str).filter(|name| *name != EVERYONE);
    Err(match crate::documents::near(name, known) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("umcp agent list"),
    })
}
