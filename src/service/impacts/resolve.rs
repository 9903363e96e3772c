//! From what a user wrote to a scenario that stands alone: stored scenarios, policies and projects
//! are replaced by what they stand for, defaults are filled in.

use chrono::NaiveDate;

use crate::dataset::{self, registers};
use crate::graph::Snapshot;
use crate::model::scenario::{
    ModelOptions, Response, Restriction, ScenarioBody, ScenarioError, Shock,
};
use crate::model::selector::{OneOrMany, Selector, suggest};
use crate::service::{Service, ServiceError};

use super::ranges::settle;

impl Service {
    /// The scenario with everything it refers to written out.
    ///
    /// # Errors
    /// An unknown stored scenario, policy or project, or a part that cannot be right.
    pub fn resolve_scenario(
        &self,
        snapshot: &Snapshot,
        body: ScenarioBody,
    ) -> Result<ScenarioBody, ServiceError> {
        let mut body = self.with_stored(body)?;
        body.check()?;
        let mut measures = Vec::new();
        for (i, shock) in body.shocks.iter_mut().enumerate() {
            if shock.policy.is_some() {
                measures.push(apply_policy(snapshot, shock, &format!("shocks[{i}]"))?);
            }
        }
        if body.description.is_none() && !measures.is_empty() {
            body.description = Some(measures.join(" "));
        }
        let start = super::timeline::start_date(&body)?;
        for (i, response) in body.responses.iter_mut().enumerate() {
            resolve_project(response, start, &format!("responses[{i}]"))?;
        }
        if body.model.rationing.is_none() {
            body.model.rationing = Some(snapshot.info().settings.rationing.clone());
        }
        body.at = Some(snapshot.info().version);
        settle(&mut body)?;
        body.include.sort_unstable();
        body.include.dedup();
        Ok(body)
    }

    fn with_stored(&self, body: ScenarioBody) -> Result<ScenarioBody, ServiceError> {
        let Some(id) = &body.scenario else { return Ok(body) };
        let mut base = self.scenario(id)?.body;
        if base.scenario.is_some() {
            return Err(ServiceError::Impossible {
                param: Some("scenario".into()),
                problem: format!("the stored scenario {id} refers to another one"),
                hint: Some("copy that one's shocks into it".into()),
            });
        }
        if !body.shocks.is_empty() {
            base.shocks = body.shocks;
        }
        if !body.responses.is_empty() {
            base.responses = body.responses;
        }
        if !body.targets.is_empty() {
            base.targets = body.targets;
        }
        if body.model != ModelOptions::default() {
            base.model = body.model;
        }
        if !body.include.is_empty() {
            base.include = body.include;
        }
        base.title = body.title.or(base.title);
        base.description = body.description.or(base.description);
        base.at = body.at.or(base.at);
        base.draws = body.draws.or(base.draws);
        base.seed = body.seed.or(base.seed);
        Ok(base)
    }
}

/// A measure of the policy register as a restriction of exports. Answers with what the register
/// says of it: dates, note and legal source.
fn apply_policy(snapshot: &Snapshot, shock: &mut Shock, at: &str) -> Result<String, ServiceError> {
    let id = shock.policy.take().unwrap_or_default();
    let policies = registers::policies(dataset::tables());
    let Some(policy) = policies.iter().find(|p| p.id == id) else {
        return Err(ServiceError::Absent {
            what: "policy",
            hint: suggest(&id, policies.iter().map(|p| p.id.as_str()))
                .map(|near| format!("did you mean {near}?"))
                .or_else(|| Some("GET /v1/policies lists them".into())),
            name: id,
        });
    };
    let known = |product: &&String| {
        snapshot
            .network()
            .symbols
            .get(product)
            .is_some_and(|symbol| snapshot.network().nodes.product.contains(&symbol))
    };
    let products: Vec<String> = policy.products.iter().filter(known).cloned().collect();
    if products.is_empty() {
        return Err(ServiceError::Impossible {
            param: Some(format!("{at}.policy")),
            problem: format!("the measure {id} is about no product of this graph"),
            hint: Some("GET /v1/policies names the products of each measure".into()),
        });
    }
    let mut restriction = shock.restrict.take().unwrap_or_default();
    if restriction.pass.is_none() {
        // A ban passes nothing; how much a licence passes is for the user to say.
        let measure = policy.measure.to_lowercase();
        if !(measure.contains("ban") || measure.contains("suspension of mining")) {
            return Err(ScenarioError::new(
                format!("{at}.restrict.pass"),
                format!(
                    "the measure is \"{}\"; say which share passes, for example \
                     \"restrict\": {{\"pass\": 0.5}}",
                    policy.measure
                ),
            )
            .into());
        }
        restriction.pass = Some(0.0);
    }
    let destinations: Vec<&String> = policy.targets.iter().filter(|t| *t != "ALL").collect();
    if restriction.to.is_none() && !destinations.is_empty() {
        restriction.to = Some(destination(&destinations));
    }
    shock.restrict = Some(Restriction { ..restriction });
    shock.select = Some(Selector {
        country: OneOrMany(vec![policy.actor.clone()]),
        product: OneOrMany(products),
        ..Selector::default()
    });
    if shock.name.is_none() {
        shock.name = Some(format!("{} ({} {})", policy.measure, policy.actor, policy.date));
    }
    Ok(described(policy))
}

fn described(policy: &registers::Policy) -> String {
    let until = policy.until.map_or_else(String::new, |day| format!(" until {day}"));
    let note = policy.note.as_ref().map_or_else(String::new, |note| format!(" {note}."));
    let registers::Policy { actor, measure, date, source, .. } = policy;
    format!("{actor}, {measure}, from {date}{until}.{note} Source: {source}.")
}

fn destination(targets: &[&String]) -> Selector {
    let countries: Vec<String> =
        targets.iter().filter(|t| t.len() == 3).map(|t| (*t).clone()).collect();
    let blocs: Vec<String> =
        targets.iter().filter(|t| t.len() != 3).map(|t| (*t).clone()).collect();
    let by_country = Selector { country: OneOrMany(countries.clone()), ..Selector::default() };
    let by_bloc = Selector { bloc: OneOrMany(blocs.clone()), ..Selector::default() };
    match (countries.is_empty(), blocs.is_empty()) {
        (false, true) => by_country,
        (true, false) => by_bloc,
        _ => Selector { any: vec![by_country, by_bloc], ..Selector::default() },
    }
}

/// A project of the register by its name: what, where, how much, and from when on.
fn resolve_project(
    response: &mut Response,
    start: Option<NaiveDate>,
    at: &str,
) -> Result<(), ServiceError> {
    let Response::Project {
        project: Some(name), product, stage, country, capacity, from_day, ..
    } = response
    else {
        return Ok(());
    };
    let projects = registers::projects(dataset::tables());
    let Some(entry) = projects.iter().find(|p| p.name == *name || p.id == *name) else {
        return Err(ServiceError::Absent {
            what: "project",
            hint: suggest(name, projects.iter().map(|p| p.name.as_str()))
                .map(|near| format!("did you mean {near}?"))
                .or_else(|| Some("GET /v1/projects lists them".into())),
            name: name.clone(),
        });
    };
    product.get_or_insert_with(|| entry.product.clone());
    stage.get_or_insert_with(|| entry.stage.clone());
    country.get_or_insert_with(|| entry.country.clone());
    if capacity.is_none() {
        // Never the announced number as it is: its unit need not be the graph's.
        let known = entry.capacity_in_graph.as_ref().map(|f| f.value);
        *capacity = Some(known.ok_or_else(|| {
            let announced = entry.capacity.as_ref().map_or_else(
                || format!("the register knows no capacity of {name}"),
                |c| {
                    let unit = c.unit.as_deref().unwrap_or_default();
                    format!("the capacity of {name}, {} {unit}, cannot be converted", c.value)
                },
            );
            let unit = format!("{} at stage {}", entry.product, entry.stage);
            ScenarioError::new(
                format!("{at}.capacity"),
                format!("{announced}; give one in the unit of the graph's nodes of {unit}"),
            )
        })?);
    }
    if let (None, Some(start)) = (&from_day, start) {
        let first = NaiveDate::from_ymd_opt(entry.start_year, 1, 1);
        *from_day = first.map(|day| (day - start).num_days().max(0) as f64);
    }
    Ok(())
}
