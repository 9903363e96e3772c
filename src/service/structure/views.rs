//! Views of snapshots for structural analyses, kept for the next question; weights by name.

use std::sync::{Arc, Mutex, Weak};

use crate::analysis::structure::{Direction, StructureError};
use crate::graph::{Csr, Snapshot, Weighting};
use crate::service::ServiceError;
use crate::service::catalogue::lock;

/// Bytes of views kept.
const MOST_BYTES: usize = 512 << 20;

struct Kept {
    snapshot: Weak<Snapshot>,
    weighting: Option<Weighting>,
    view: Arc<Csr>,
}

/// Views of the last questions. A view goes when its snapshot does.
#[derive(Default)]
pub struct ViewCache {
    kept: Mutex<Vec<Kept>>,
}

impl ViewCache {
    /// Who supplies whom: every flow counts, even one of quantity 0.
    ///
    /// # Errors
    /// None; the type is that of [`ViewCache::weighted`].
    pub fn links(&self, snapshot: &Arc<Snapshot>) -> Result<Arc<Csr>, ServiceError> {
        self.get(snapshot, None)
    }

    /// The view with these weights.
    ///
    /// # Errors
    /// The first flow without a usable weight.
    pub fn weighted(
        &self,
        snapshot: &Arc<Snapshot>,
        weighting: &Weighting,
    ) -> Result<Arc<Csr>, ServiceError> {
        self.get(snapshot, Some(weighting))
    }

    fn get(
        &self,
        snapshot: &Arc<Snapshot>,
        weighting: Option<&Weighting>,
    ) -> Result<Arc<Csr>, ServiceError> {
        let weighting = weighting.filter(|w| **w != Weighting::One);
        let same = |k: &Kept| {
            k.weighting.as_ref() == weighting && k.snapshot.as_ptr() == Arc::as_ptr(snapshot)
        };
        if let Some(kept) = lock(&self.kept).iter().find(|k| same(k)) {
            return Ok(kept.view.clone());
        }
        let view = Arc::new(match weighting {
            None => Csr::links(snapshot),
            Some(weighting) => {
                Csr::from_snapshot(snapshot, weighting).map_err(StructureError::from)?
            }
        });
        let mut kept = lock(&self.kept);
        kept.retain(|k| k.snapshot.strong_count() > 0);
        let mut bytes = view.bytes() + kept.iter().map(|k| k.view.bytes()).sum::<usize>();
        while bytes > MOST_BYTES && !kept.is_empty() {
            bytes -= kept.remove(0).view.bytes();
        }
        if bytes <= MOST_BYTES {
            kept.push(Kept {
                snapshot: Arc::downgrade(snapshot),
                weighting: weighting.cloned(),
                view: view.clone(),
            });
        }
        Ok(view)
    }
}

/// How an analysis reads weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Not at all.
    Nothing,
    /// More is closer.
    Strengths,
    /// More is farther.
    Lengths,
}

/// What a weight by name is, for an analysis that reads weights in this way, and a sentence on it.
///
/// # Errors
/// A name that is not known, or that the analysis has no use for.
pub fn weighting(
    snapshot: &Snapshot,
    name: &str,
    reads: Reads,
) -> Result<(Weighting, String), ServiceError> {
    let refuse = |problem: String, hint: &str| {
        Err(ServiceError::Impossible {
            param: Some("weight".into()),
            problem,
            hint: Some(hint.to_owned()),
        })
    };
    let attribute = name.strip_prefix("attribute:").map(str::trim);
    let of = |weighting, text: &str| Ok((weighting, text.to_owned()));
    match (name, attribute, reads) {
        ("none", _, _) => of(Weighting::One, "none: every link counts 1"),
        (_, Some(""), _) => {
            refuse("the attribute has no name".into(), "write attribute:lead_days, for example")
        }
        ("quantity" | "distance", _, Reads::Nothing) | (_, Some(_), Reads::Nothing) => refuse(
            format!("this analysis counts links; it has no use for the weight \"{name}\""),
            "leave weight out",
        ),
        ("quantity", _, Reads::Strengths) => of(
            Weighting::Quantity,
            "quantity per year as a strength; flows of several products between two nodes add up, \
             flows of 0 are left out",
        ),
        ("distance", _, Reads::Strengths) => refuse(
            "this analysis reads weights as strengths (more is closer), but a distance is a length"
                .into(),
            "use quantity, attribute:NAME or none",
        ),
        ("quantity" | "distance", _, Reads::Lengths) => {
            let own = |e: &u32| {
                let of_flow = snapshot.network().flows.attributes.get(e);
                of_flow.is_some_and(|a| a.contains_key("distance"))
            };
            let flows = 0..snapshot.flow_count() as u32;
            if name == "distance" && flows.into_iter().any(|e| own(&e)) {
                return of(
                    Weighting::Length("distance".into()),
                    "the attribute distance of each flow as a length; of several flows between \
                     two nodes the shortest counts",
                );
            }
            of(
                Weighting::InverseQuantity,
                "1 / quantity per year as a length: the more flows, the closer; flows of 0 are \
                 left out",
            )
        }
        (_, Some(attribute), Reads::Strengths) => Ok((
            Weighting::Strength(attribute.into()),
            format!("the attribute {attribute} of each flow as a strength; parallel flows add up"),
        )),
        (_, Some(attribute), Reads::Lengths) => Ok((
            Weighting::Length(attribute.into()),
            format!(
                "the attribute {attribute} of each flow as a length; of several flows between two \
                 nodes the shortest counts"
            ),
        )),
        _ => refuse(
            format!("there is no weight \"{name}\""),
            "use none, quantity, distance or attribute:NAME",
        ),
    }
}

/// A view as a direction reads it: as it is, turned round, or both ways joined.
pub fn turned(view: &Arc<Csr>, direction: Direction, reads: Reads) -> Arc<Csr> {
    match direction {
        Direction::Out => view.clone(),
        Direction::In => Arc::new(view.reversed()),
        Direction::Both => Arc::new(view.undirected(match reads {
            Reads::Lengths => f64::min,
            Reads::Strengths | Reads::Nothing => |a, b| a + b,
        })),
    }
}
