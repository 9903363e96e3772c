//! Records: one node, flow or requirement as users write and read it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::figure::{Figure, FigureClass};

/// Free attributes of a node or flow: name to JSON value (text, number, boolean, list of these).
pub type Attributes = BTreeMap<String, serde_json::Value>;

/// Longest id, product, stage or attribute name accepted, in bytes.
pub const MAX_NAME_BYTES: usize = 512;
/// Largest attribute set accepted, in bytes of JSON.
pub const MAX_ATTRIBUTE_BYTES: usize = 4096;
/// What separates the ends of a flow in its id.
pub const FLOW_SEPARATOR: &str = "..";

/// An economic actor: by default one country's part of one stage of one product.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeRecord {
    /// Unique id, for example `gallium.refine.CHN`.
    pub id: String,
    /// Stage: `mine`, `refine`, `component`, `platform`, `industry`, `consumption`, or your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// What the node makes; the node's own id if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// ISO 3166-1 alpha-3, or `OTH`, `WLD`, `EUU`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Output per year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Figure>,
    /// Most it could make in a year; unknown capacity is not spare capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Figure>,
    /// Days of its own use that it holds of each input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock_days: Option<Figure>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    #[schema(value_type = Object)]
    pub attributes: Attributes,
}

/// A weighted directed edge: `from` supplies `to` with `quantity` of `product` per year.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowRecord {
    /// Id of the supplier.
    pub from: String,
    /// Id of the consumer.
    pub to: String,
    /// What flows; the supplier's product if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Quantity per year. The other parts of the figure may stand beside it (`unit`, `class`, ...).
    #[serde(default = "one", serialize_with = "value_only")]
    #[schema(value_type = f64)]
    pub quantity: Figure,
    /// Unit of the quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How the quantity is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<FigureClass>,
    /// Where the quantity comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Year of the quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<i32>,
    /// Lower end of the quantity's range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of the quantity's range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Most the link can carry per year; its quantity if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<f64>,
    /// By-product of its supplier: outside rationing, it follows its host.
    #[serde(default, skip_serializing_if = "is_false")]
    pub joint: bool,
    /// Days from dispatch to arrival (timelines).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_days: Option<f64>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    #[schema(value_type = Object)]
    pub attributes: Attributes,
}

fn one() -> Figure {
    Figure::bare(1.0)
}

fn is_false(value: &bool) -> bool {
    !value
}

fn value_only<S: serde::Serializer>(figure: &Figure, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(figure.value)
}

impl FlowRecord {
    /// A flow with a bare quantity.
    pub fn new(from: impl Into<String>, to: impl Into<String>, quantity: f64) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            product: None,
            quantity: Figure::bare(quantity),
            unit: None,
            class: None,
            source: None,
            year: None,
            low: None,
            high: None,
            capacity: None,
            joint: false,
            lead_days: None,
            attributes: Attributes::new(),
        }
    }

    /// The quantity with what stands beside it folded in: one figure.
    pub fn figure(&self) -> Figure {
        let q = &self.quantity;
        Figure {
            value: q.value,
            low: q.low.or(self.low),
            high: q.high.or(self.high),
            unit: q.unit.clone().or_else(|| self.unit.clone()),
            year: q.year.or(self.year),
            class: q.class.or(self.class),
            source: q.source.clone().or_else(|| self.source.clone()),
        }
    }
}

/// How the loss of one input acts on the output that needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The scarcest input binds: output is at most `1 - dependence * (1 - arrived share)`.
    #[default]
    Limiting,
    /// Losses add up, weighted by the input's share of all inputs.
    Additive,
    /// No effect (still counted among all inputs).
    None,
    /// Fully there while at least `min_share` of the baseline arrives, else gone.
    Threshold,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Limiting => "limiting",
            Self::Additive => "additive",
            Self::None => "none",
            Self::Threshold => "threshold",
        })
    }
}

/// What one product needs to make another.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequirementRecord {
    /// Product that is made.
    pub output: String,
    /// Product that it needs.
    pub input: String,
    /// How a shortage acts.
    #[serde(default)]
    pub rule: Rule,
    /// `limiting`: share of output that stops when the input stops, 0-1 (default 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependence: Option<Figure>,
    /// `threshold`: least share of the baseline that keeps production whole, 0-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_share: Option<f64>,
    /// Input per unit of output, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intensity: Option<Figure>,
}

/// One line of an NDJSON file, one element of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// A node.
    Node(NodeRecord),
    /// A flow.
    Flow(FlowRecord),
    /// A requirement.
    Requirement(RequirementRecord),
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("{what} must not be empty"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("{what} is {} bytes long; at most {MAX_NAME_BYTES}", name.len()));
    }
    check_text(what, name)
}

/// Control characters and U+FFFE, U+FFFF stand for nothing and have no form in XML.
fn check_text(what: &str, text: &str) -> Result<(), String> {
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}')) {
        return Err(format!("{what} holds a control character"));
    }
    Ok(())
}

fn check_attributes(attributes: &Attributes) -> Result<(), String> {
    if attributes.is_empty() {
        return Ok(());
    }
    for (name, value) in attributes {
        check_name("an attribute name", name)?;
        let plain = |v: &serde_json::Value| v.is_string() || v.is_number() || v.is_boolean();
        let ok = plain(value) || value.as_array().is_some_and(|list| list.iter().all(plain));
        if !ok {
            return Err(format!(
                "attribute {name} must be text, a number, a boolean or a list of these"
            ));
        }
    }
    let bytes = serde_json::to_string(attributes).map_or(usize::MAX, |text| text.len());
    if bytes > MAX_ATTRIBUTE_BYTES {
        return Err(format!("attributes take {bytes} bytes; at most {MAX_ATTRIBUTE_BYTES}"));
    }
    Ok(())
}

fn check_figure(field: &str, figure: Option<&Figure>) -> Result<(), String> {
    let Some(figure) = figure else { return Ok(()) };
    figure.check().map_err(|problem| format!("{field}: {problem}"))?;
    for (part, text) in [("unit", &figure.unit), ("source", &figure.source)] {
        if let Some(text) = text {
            check_text(part, text).map_err(|problem| format!("{field}: {problem}"))?;
        }
    }
    Ok(())
}

impl NodeRecord {
    /// A node with nothing but its id.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// Checks everything that can be checked without the rest of the graph.
    ///
    /// # Errors
    /// A sentence that names the field and the problem.
    pub fn check(&self) -> Result<(), String> {
        check_name("id", &self.id)?;
        if self.id.contains(FLOW_SEPARATOR) {
            return Err(format!(
                "id must not hold \"{FLOW_SEPARATOR}\", which joins the ends of a flow"
            ));
        }
        for (field, value) in
            [("stage", &self.stage), ("product", &self.product), ("country", &self.country)]
        {
            if let Some(value) = value {
                check_name(field, value)?;
            }
        }
        check_figure("output", self.output.as_ref())?;
        check_figure("capacity", self.capacity.as_ref())?;
        check_figure("stock_days", self.stock_days.as_ref())?;
        check_attributes(&self.attributes)
    }
}

impl FlowRecord {
    /// Checks everything that can be checked without the rest of the graph.
    ///
    /// # Errors
    /// A sentence that names the field and the problem.
    pub fn check(&self) -> Result<(), String> {
        check_name("from", &self.from)?;
        check_name("to", &self.to)?;
        if let Some(product) = &self.product {
            check_name("product", product)?;
        }
        check_figure("quantity", Some(&self.figure()))?;
        for (field, value) in [("capacity", self.capacity), ("lead_days", self.lead_days)] {
            check_figure(field, value.map(Figure::bare).as_ref())?;
        }
        check_attributes(&self.attributes)
    }
}

impl RequirementRecord {
    /// Checks everything that can be checked without the rest of the graph.
    ///
    /// # Errors
    /// A sentence that names the field and the problem.
    pub fn check(&self) -> Result<(), String> {
        check_name("output", &self.output)?;
        check_name("input", &self.input)?;
        check_figure("dependence", self.dependence.as_ref())?;
        check_figure("intensity", self.intensity.as_ref())?;
        if self.dependence.as_ref().is_some_and(|d| d.value > 1.0) {
            return Err("dependence must be between 0 and 1".into());
        }
        if self.dependence.is_some() && self.rule != Rule::Limiting {
            return Err(format!("dependence goes with the rule limiting, not with {}", self.rule));
        }
        match (self.rule, self.min_share) {
            (Rule::Threshold, None) => Err("the rule threshold needs min_share".into()),
            (Rule::Threshold, Some(share)) if !(0.0..=1.0).contains(&share) => {
                Err("min_share must be between 0 and 1".into())
            }
            (Rule::Threshold, Some(_)) | (_, None) => Ok(()),
            (rule, Some(_)) => {
                Err(format!("min_share goes with the rule threshold, not with {rule}"))
            }
        }
    }
}

impl Record {
    /// Checks everything that can be checked without the rest of the graph.
    ///
    /// # Errors
    /// A sentence that names the field and the problem.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Node(node) => node.check(),
            Self::Flow(flow) => flow.check(),
            Self::Requirement(requirement) => requirement.check(),
        }
    }
}
