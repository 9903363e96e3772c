//! Concentration of groups of nodes by country, bloc and owner, before and after a scenario.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::analyses::Analysis;
use super::criticality::{Score, ScoreView, score};
use super::jobs::Estimate;
use super::{Service, ServiceError};
use crate::analysis::Progress;
use crate::analysis::concentration::{Bounded, Concentration, Party, Survivors, survivors};
use crate::analysis::impact::shock::Effect;
use crate::analysis::impact::{ImpactError, Shocks};
use crate::graph::Snapshot;
use crate::model::Countries;
use crate::model::country::Country;
use crate::model::scenario::ScenarioBody;
use crate::model::selector::Selector;

/// Parties that an answer lists for each way of grouping.
const LISTED: usize = 10;
/// Blocs in the order in which a country is counted to one where each country may stand once.
const BLOCS: [&str; 6] = ["EU", "BRICS", "G7", "QUAD", "NATO", "MSP"];
/// Region of pseudo countries.
const PSEUDO: &str = "pseudo";

/// What is grouped, and under which scenario.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConcentrationBody {
    /// What makes a group: `product`, `stage`, `country` or attributes.
    pub group_by: Vec<String>,
    /// Nodes that are looked at (default: all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Selector>,
    /// What is lost: concentration among survivors is given beside, with the share lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<ScenarioBody>,
    /// Published scores to evaluate beside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<Score>,
    /// Groups in the answer (default: all).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

impl Default for ConcentrationBody {
    fn default() -> Self {
        Self {
            group_by: vec!["product".into(), "stage".into()],
            select: None,
            scenario: None,
            scores: Vec::new(),
            top: None,
            at: None,
        }
    }
}

/// Concentration of every group, most concentrated first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConcentrationAnswer {
    /// What was asked, written out.
    pub question: ConcentrationBody,
    /// Number of groups, also of those that `top` leaves out.
    pub count: usize,
    /// Groups, by falling index, then by name.
    pub results: Vec<GroupView>,
    /// Published scores.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<ScoreView>,
    /// What to keep in mind.
    pub notes: Vec<&'static str>,
}

/// A number with the range that what is not known leaves.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Range {
    /// With every lump as one party of its own.
    pub value: f64,
    /// Least.
    pub low: f64,
    /// Most.
    pub high: f64,
}

impl From<Bounded> for Range {
    fn from(b: Bounded) -> Self {
        Self { value: b.value, low: b.low, high: b.high }
    }
}

/// One party and its share.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Share {
    /// Code of a country, bloc or owner.
    pub id: String,
    /// Name.
    pub name: String,
    /// Share, 0-1.
    pub share: f64,
}

/// How a supply is held.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Held {
    /// Herfindahl-Hirschman index, 0-1.
    pub hhi: f64,
    /// Least, if every lump were many small parties.
    pub hhi_low: f64,
    /// Most, if the unknown part belonged to the largest party.
    pub hhi_high: f64,
    /// The index times 10^4, as in merger guidelines.
    pub hhi_points: f64,
    /// Number of equal suppliers that would be as concentrated.
    pub effective_suppliers: f64,
    /// Share of the largest.
    pub top1: f64,
    /// Share of the three largest.
    pub top3: f64,
    /// Largest parties.
    pub shares: Vec<Share>,
    /// Share of others, a lump of several parties or one.
    pub others: f64,
    /// Share of which nobody knows whose it is.
    pub unknown: f64,
}

/// A bloc: members may belong to several, so shares do not add up.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BlocShare {
    /// Bloc.
    pub bloc: String,
    /// Share of its members together.
    pub share: f64,
    /// The index if they acted as one.
    pub hhi_as_one: f64,
}

/// Index weighted by governance: sum of squared shares times the score.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Governance {
    /// Weighted index, 0 (best) to 10 (worst).
    pub weighted_hhi: Range,
    /// Share held by countries with a score.
    pub coverage: f64,
    /// What the score is.
    pub scale: &'static str,
}

/// What a scenario leaves. The index among survivors always stands beside the share lost.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct After {
    /// Share of the group's supply that is lost.
    pub share_lost: f64,
    /// Index by country among survivors; `null` if nothing is left.
    pub hhi: Option<f64>,
    /// The same times 10^4.
    pub hhi_points: Option<f64>,
    /// Effective suppliers among survivors.
    pub effective_suppliers: Option<f64>,
    /// Largest survivors.
    pub shares: Vec<Share>,
}

/// A scenario's effect on a group.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UnderScenario {
    /// What the shocks themselves take from the group.
    #[serde(flatten)]
    pub direct: After,
    /// What is lost once losses have travelled.
    pub cascade: After,
}

/// One group.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GroupView {
    /// Values of the keys.
    pub group: BTreeMap<String, String>,
    /// The values in one line.
    pub name: String,
    /// Number of nodes.
    pub nodes: usize,
    /// What shares are shares of: `output`, or `throughput` where not every output is known.
    pub measure: &'static str,
    /// Sum of the measure; `null` if nothing is known.
    pub total: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// Nodes without an amount: what they hold is not in the shares.
    pub nodes_without_amount: usize,
    /// Index by country, as `country.hhi`; `null` if no country is known.
    pub hhi: Option<f64>,
    /// The same times 10^4.
    pub hhi_points: Option<f64>,
    /// Share of the largest country.
    pub top1: Option<f64>,
    /// Share of the three largest countries.
    pub top3: Option<f64>,
    /// 1 over the index.
    pub effective_suppliers: Option<f64>,
    /// By country.
    pub country: Option<Held>,
    /// By bloc, each country counted once (EU, BRICS, G7, QUAD, NATO, MSP, else itself).
    pub bloc: Option<Held>,
    /// Each bloc for itself.
    pub blocs: Vec<BlocShare>,
    /// By owner (attribute `owner`); `null` where no node states one.
    pub owner: Option<Held>,
    /// Share held by nodes that state an owner.
    pub owner_coverage: f64,
    /// By governance.
    pub governance: Option<Governance>,
    /// Under the scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<UnderScenario>,
}

impl Analysis for ConcentrationBody {
    const PREFIX: &'static str = "con";
    const NAME: &'static str = "concentration";
    type Answer = ConcentrationAnswer;

    fn location(&self, id: &str) -> String {
        format!("/v1/concentrations/{id}")
    }

    fn estimate(&self, snapshot: &Snapshot) -> Estimate {
        let size = snapshot.flow_count() + snapshot.node_count();
        Estimate { seconds: size as f64 / 5e6, bytes: size as u64 * 64 }
    }

    fn answer(
        &self,
        service: &Service,
        snapshot: &Arc<Snapshot>,
        progress: &Progress,
    ) -> Result<ConcentrationAnswer, ServiceError> {
        let nodes = match &self.select {
            Some(select) => {
                snapshot.select(select).map_err(|e| ServiceError::selector("select", e))?
            }
            None => snapshot.nodes().collect(),
        };
        let losses = self.losses(service, snapshot, progress)?;
        let mut results: Vec<GroupView> = groups(snapshot, &self.group_by, &nodes)?
            .into_iter()
            .map(|(values, members)| {
                let group = self.group_by.iter().cloned().zip(values.iter().cloned()).collect();
                view(snapshot, group, values.join(" "), &members, losses.as_ref())
            })
            .collect();
        let index = |g: &GroupView| g.hhi.unwrap_or(-1.0);
        results.sort_by(|a, b| index(b).total_cmp(&index(a)).then_with(|| a.name.cmp(&b.name)));
        let count = results.len();
        results.truncate(self.top.unwrap_or(usize::MAX));
        Ok(ConcentrationAnswer {
            question: self.clone(),
            count,
            results,
            scores: self.scores.iter().map(|&s| score(s, snapshot, &nodes)).collect(),
            notes: vec![
                "removing one of many suppliers can lower the index while supply falls: read the \
                 index among survivors with the share lost",
                "OTH is a lump of countries: hhi counts it as one, hhi_low as many; nodes without \
                 a country may be anyone's: hhi_high gives them to the largest",
                "EUU stands for the EU as one party where the data do not tell its members apart",
            ],
        })
    }
}

/// Losses of every node: by the shocks themselves, and once they have travelled.
struct Losses {
    direct: Vec<f64>,
    cascade: Vec<f64>,
}

impl ConcentrationBody {
    fn losses(
        &self,
        service: &Service,
        snapshot: &Arc<Snapshot>,
        progress: &Progress,
    ) -> Result<Option<Losses>, ServiceError> {
        let Some(body) = &self.scenario else { return Ok(None) };
        let shocks = Shocks::compile(snapshot, &body.shocks).map_err(within)?;
        let model = service.models.get(snapshot, &body.model, &body.responses).map_err(within)?;
        let prepared = model.prepare(&shocks);
        let solution = model.solve(&prepared, progress)?;
        let mut direct = vec![0.0f64; snapshot.node_count()];
        for shock in &shocks.all {
            match &shock.effect {
                Effect::Loss { nodes, down, .. } => {
                    for &v in nodes {
                        direct[v as usize] = direct[v as usize].max(*down);
                    }
                }
                Effect::Shut { .. } => {}
            }
        }
        // A supplier loses what it can no longer deliver.
        let mut shut = vec![0.0f64; snapshot.node_count()];
        for (flow, share) in shocks.flow_cuts() {
            let from = snapshot.flow_from(flow as usize);
            shut[from as usize] += share * snapshot.quantity(flow as usize);
        }
        for v in snapshot.nodes() {
            let all = snapshot.out_strength(v);
            if shut[v as usize] > 0.0 && all > 0.0 {
                direct[v as usize] = direct[v as usize].max(shut[v as usize] / all);
            }
        }
        let cascade = snapshot.nodes().map(|v| solution.loss(v).max(direct[v as usize])).collect();
        Ok(Some(Losses { direct, cascade }))
    }
}

/// The same error with its path inside `scenario`.
fn within(error: ImpactError) -> ServiceError {
    match ServiceError::from(error) {
        ServiceError::Impossible { param: Some(param), problem, hint } => {
            ServiceError::Impossible { param: Some(format!("scenario.{param}")), problem, hint }
        }
        other => other,
    }
}

/// Nodes by the values of the keys; nodes that lack one of them are in no group.
fn groups(
    snapshot: &Snapshot,
    keys: &[String],
    nodes: &[u32],
) -> Result<BTreeMap<Vec<String>, Vec<u32>>, ServiceError> {
    let impossible = |problem: String| ServiceError::Impossible {
        param: Some("group_by".into()),
        problem,
        hint: Some("use product, stage, country or an attribute of the nodes".into()),
    };
    if keys.is_empty() {
        return Err(impossible("nothing to group by is given".into()));
    }
    let mut known = vec![false; keys.len()];
    let mut groups: BTreeMap<Vec<String>, Vec<u32>> = BTreeMap::new();
    for &v in nodes {
        let mut values = Vec::with_capacity(keys.len());
        for (k, key) in keys.iter().enumerate() {
            if let Some(value) = label(snapshot, v, key) {
                known[k] = true;
                values.push(value);
            }
        }
        if values.len() == keys.len() {
            groups.entry(values).or_default().push(v);
        }
    }
    match known.iter().position(|known| !known) {
        Some(k) if !nodes.is_empty() => {
            Err(impossible(format!("no selected node has \"{}\"", keys[k])))
        }
        _ => Ok(groups),
    }
}

fn label(snapshot: &Snapshot, node: u32, key: &str) -> Option<String> {
    let text = match key {
        "product" => snapshot.name(snapshot.product(node)).to_owned(),
        "stage" => snapshot.name(snapshot.stage(node)).to_owned(),
        "country" => snapshot.name(snapshot.country(node)).to_owned(),
        attribute => match snapshot.network().nodes.attributes.get(&node)?.get(attribute)? {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        },
    };
    (!text.is_empty()).then_some(text)
}

/// Amounts of a group's nodes, what they are, their sum's unit, and how many nodes have none.
pub(super) fn amounts(
    snapshot: &Snapshot,
    members: &[u32],
) -> (Vec<f64>, &'static str, String, usize) {
    let outputs: Option<Vec<f64>> = members.iter().map(|&v| snapshot.output(v)).collect();
    match outputs.filter(|o| o.iter().sum::<f64>() > 0.0) {
        Some(outputs) => {
            let unit = |v: u32| {
                snapshot.name(snapshot.network().nodes.output.meta(v as usize).unit).to_owned()
            };
            let first = members.first().map(|&v| unit(v)).unwrap_or_default();
            let same = members.iter().all(|&v| unit(v) == first);
            (outputs, "output", if same { first } else { "mixed units".into() }, 0)
        }
        None => {
            let through: Vec<f64> = members
                .iter()
                .map(|&v| {
                    let out = snapshot.out_strength(v);
                    if out > 0.0 { out } else { snapshot.in_strength(v) }
                })
                .collect();
            let without = through.iter().filter(|a| **a <= 0.0).count();
            (through, "throughput", String::new(), without)
        }
    }
}

/// Parties by name, numbered.
#[derive(Default)]
struct Parties {
    number: BTreeMap<String, u32>,
    names: Vec<String>,
}

impl Parties {
    fn of(&mut self, name: &str) -> Party {
        let next = self.names.len() as u32;
        let number = *self.number.entry(name.to_owned()).or_insert_with(|| {
            self.names.push(name.to_owned());
            next
        });
        Party::Known(number)
    }

    /// A country's party: pseudo countries other than the EU are lumps.
    fn country(&mut self, countries: &Countries, code: &str) -> Party {
        match code {
            "" => Party::Unknown,
            _ if is_lump(countries, code) => Party::Others,
            code => self.of(code),
        }
    }
}

/// True for pseudo countries that stand for several (all but the EU as one).
pub(super) fn is_lump(countries: &Countries, code: &str) -> bool {
    code != "EUU" && countries.get(code).is_some_and(|c| c.region == PSEUDO)
}

/// Governance score of a country, 0 (best) to 10 (worst).
pub(super) fn governance(country: Option<&Country>) -> Option<f64> {
    country.and_then(|c| c.governance).map(|g| 10.0 * (1.0 - g))
}

fn held(found: &Concentration, name: impl Fn(u32) -> (String, String)) -> Held {
    Held {
        hhi: found.hhi.value,
        hhi_low: found.hhi.low,
        hhi_high: found.hhi.high,
        hhi_points: found.hhi.value * 1e4,
        effective_suppliers: found.effective().0,
        top1: found.top(1),
        top3: found.top(3),
        shares: shares(found, name),
        others: found.others,
        unknown: found.unknown,
    }
}

fn shares(found: &Concentration, name: impl Fn(u32) -> (String, String)) -> Vec<Share> {
    found
        .shares
        .iter()
        .take(LISTED)
        .map(|&(party, share)| {
            let (id, name) = name(party);
            Share { id, name, share }
        })
        .collect()
}

fn after(found: &Survivors, name: impl Fn(u32) -> (String, String)) -> After {
    let left = found.left.as_ref();
    After {
        share_lost: found.share_lost,
        hhi: left.map(|l| l.hhi.value),
        hhi_points: left.map(|l| l.hhi.value * 1e4),
        effective_suppliers: left.map(|l| l.effective().0),
        shares: left.map(|l| shares(l, name)).unwrap_or_default(),
    }
}

fn view(
    snapshot: &Snapshot,
    group: BTreeMap<String, String>,
    name: String,
    members: &[u32],
    losses: Option<&Losses>,
) -> GroupView {
    let countries = snapshot.countries().clone();
    let (amounts, measure, unit, without) = amounts(snapshot, members);
    let code = |v: u32| snapshot.name(snapshot.country(v));
    let mut parties = Parties::default();
    let by_country: Vec<(Party, f64)> = members
        .iter()
        .zip(&amounts)
        .map(|(&v, &a)| (parties.country(&countries, code(v)), a))
        .collect();
    let titled = |names: &[String], p: u32| {
        let id = names[p as usize].clone();
        let name = countries.get(&id).map_or_else(|| id.clone(), |c| c.name.clone());
        (id, name)
    };
    let country = Concentration::of(by_country.iter().copied());

    let mut bloc_parties = Parties::default();
    let by_bloc = members.iter().zip(&amounts).map(|(&v, &a)| {
        let bloc = BLOCS.iter().find(|b| countries.in_bloc(code(v), b));
        let party = match bloc {
            Some(bloc) => bloc_parties.of(bloc),
            None => bloc_parties.country(&countries, code(v)),
        };
        (party, a)
    });
    let bloc = Concentration::of(by_bloc.collect::<Vec<_>>());

    let mut owners = Parties::default();
    let mut owned = 0.0;
    let by_owner: Vec<(Party, f64)> = members
        .iter()
        .zip(&amounts)
        .map(|(&v, &a)| match label(snapshot, v, "owner") {
            Some(owner) => {
                owned += a;
                (owners.of(&owner), a)
            }
            None => (Party::Unknown, a),
        })
        .collect();
    let owner = Concentration::of(by_owner).filter(|_| owned > 0.0);
    let total = country.as_ref().map(|c| c.total);

    let blocs = country.iter().flat_map(|c| {
        countries.blocs().into_iter().filter_map(|bloc| {
            let joins = |p: u32| countries.in_bloc(&parties.names[p as usize], bloc);
            let (share, hhi_as_one) = c.as_one(joins);
            (share > 0.0).then(|| BlocShare { bloc: bloc.to_owned(), share, hhi_as_one })
        })
    });
    let mut blocs: Vec<BlocShare> = blocs.collect();
    blocs.sort_by(|a, b| b.share.total_cmp(&a.share));

    let scenario = losses.map(|losses| {
        let left = |lost: &[f64]| {
            let holdings: Vec<(Party, f64, f64)> = by_country
                .iter()
                .zip(members)
                .map(|(&(party, a), &v)| (party, a, lost[v as usize]))
                .collect();
            after(&survivors(&holdings), |p| titled(&parties.names, p))
        };
        UnderScenario { direct: left(&losses.direct), cascade: left(&losses.cascade) }
    });
    let governance = country.as_ref().map(|c| {
        let (weighted, coverage) =
            c.weighted(|p| governance(countries.get(&parties.names[p as usize])));
        Governance {
            weighted_hhi: weighted.into(),
            coverage,
            scale: "(2.5 - mean of the six World Bank indicators) x 2: 0 best, 10 worst",
        }
    });
    let by = country.as_ref().map(|c| held(c, |p| titled(&parties.names, p)));
    // Of a lump alone nobody knows how it is held.
    let known = by.as_ref().filter(|c| !c.shares.is_empty());
    GroupView {
        group,
        name,
        nodes: members.len(),
        measure,
        total,
        unit,
        nodes_without_amount: without,
        hhi: known.map(|c| c.hhi),
        hhi_points: known.map(|c| c.hhi_points),
        top1: known.map(|c| c.top1),
        top3: known.map(|c| c.top3),
        effective_suppliers: known.map(|c| c.effective_suppliers),
        country: by,
        bloc: bloc.as_ref().map(|b| held(b, |p| titled(&bloc_parties.names, p))),
        blocs,
        owner: owner.as_ref().map(|o| held(o, |p| titled(&owners.names, p))),
        owner_coverage: total.map_or(0.0, |t| owned / t),
        governance,
        scenario,
    }
}
