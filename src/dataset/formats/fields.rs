//! One JSON object -> one record, in a single pass over its text.
//!
//! The `type` may stand anywhere in the object, so all fields of all three kinds are read into one
//! flat set first; what belongs to the kind is sorted out at the end. (Serde's tagged enums do the
//! same through a buffered copy of the object, which costs more than the rest of the import.)

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::report::{RowProblem, did_you_mean, shown};
use crate::model::record::Attributes;
use crate::model::{Figure, FigureClass, FlowRecord, NodeRecord, Record, RequirementRecord, Rule};

/// What a record describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A node.
    Node,
    /// A flow.
    Flow,
    /// A requirement.
    Requirement,
}

impl Kind {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Node, Self::Flow, Self::Requirement];

    /// The word in the field `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Flow => "flow",
            Self::Requirement => "requirement",
        }
    }

    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Node => &[
                "id",
                "stage",
                "product",
                "country",
                "output",
                "capacity",
                "stock_days",
                "attributes",
            ],
            Self::Flow => &[
                "from",
                "to",
                "product",
                "quantity",
                "unit",
                "class",
                "source",
                "year",
                "low",
                "high",
                "capacity",
                "joint",
                "lead_days",
                "attributes",
            ],
            Self::Requirement => {
                &["output", "input", "rule", "dependence", "min_share", "intensity"]
            }
        }
    }
}

/// How the fields of an object are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As in the API; unknown fields are refused.
    Own,
    /// As in NetworkX's node-link form: `source` and `target` are the ends of a flow (its figure's
    /// source is `quantity_source`), `weight` is a quantity, `key` tells parallel edges apart and
    /// is not needed. Fields that we do not know become attributes.
    NodeLink,
}

/// A figure, a product name, or nothing: `output` is a figure in a node and a product in a
/// requirement; node-link ids may be numbers.
enum Loose {
    Text(String),
    Figure(Figure),
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LooseVisitor;
        impl<'de> Visitor<'de> for LooseVisitor {
            type Value = Loose;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a figure object with `value`, or text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Loose, E> {
                Ok(Loose::Text(text.to_owned()))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Loose, E> {
                Ok(Loose::Figure(Figure::bare(value)))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Loose, E> {
                Ok(Loose::Figure(Figure::bare(value as f64)))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Loose, E> {
                Ok(Loose::Figure(Figure::bare(value as f64)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Loose, A::Error> {
                Figure::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(Loose::Figure)
            }
        }
        deserializer.deserialize_any(LooseVisitor)
    }
}

impl Loose {
    fn into_text(self, field: &'static str) -> Result<String, RowProblem> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Figure(_) => Err(RowProblem::new(format!("{field} must be text")).column(field)),
        }
    }

    fn into_id(self, field: &'static str, dialect: Dialect) -> Result<String, RowProblem> {
        // Beyond 2^53 two whole numbers may be one float.
        let whole = |f: &Figure| f.value.fract() == 0.0 && f.value.abs() < 9e15;
        match self {
            Self::Figure(f)
                if dialect == Dialect::NodeLink && f == Figure::bare(f.value) && whole(&f) =>
            {
                Ok(format!("{}", f.value))
            }
            other => other.into_text(field),
        }
    }

    fn into_figure(self, field: &'static str) -> Result<Figure, RowProblem> {
        match self {
            Self::Figure(figure) => Ok(figure),
            Self::Text(text) => Err(RowProblem::new(format!(
                "{field} must be a number or a figure object, not the text \"{}\"",
                shown(&text)
            ))
            .column(field)),
        }
    }
}

#[derive(Default)]
struct Fields {
    kind: Option<String>,
    id: Option<Loose>,
    stage: Option<String>,
    product: Option<String>,
    country: Option<String>,
    output: Option<Loose>,
    capacity: Option<Figure>,
    stock_days: Option<Figure>,
    from: Option<Loose>,
    to: Option<Loose>,
    quantity: Option<Figure>,
    unit: Option<String>,
    class: Option<FigureClass>,
    source: Option<String>,
    year: Option<i32>,
    low: Option<f64>,
    high: Option<f64>,
    joint: Option<bool>,
    lead_days: Option<f64>,
    input: Option<String>,
    rule: Option<Rule>,
    dependence: Option<Figure>,
    min_share: Option<f64>,
    intensity: Option<Figure>,
    attributes: Option<Attributes>,
    /// Names of the fields seen, in order.
    seen: Vec<&'static str>,
    unknown: Option<String>,
    /// Fields of another tool.
    foreign: Attributes,
}

/// Reads the fields of an object; `at` is the field being read, for messages.
struct FieldsSeed<'c> {
    at: &'c Cell<&'static str>,
    unknown: &'c RefCell<Option<String>>,
    dialect: Dialect,
    kind: Option<Kind>,
}

struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }

            fn visit_borrowed_str<E: serde::de::Error>(self, s: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(s)))
            }

            fn visit_str<E: serde::de::Error>(self, s: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(s.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de> DeserializeSeed<'de> for FieldsSeed<'_> {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields { seen: Vec::with_capacity(8), ..Fields::default() };
        macro_rules! read {
            ($($name:literal => $field:ident),* $(,)?) => {
                while let Some(Key(key)) = map.next_key()? {
                    let name = self.own_name(&key);
                    match name {
                        $($name => {
                            self.at.set($name);
                            if fields.seen.contains(&$name) {
                                return Err(A::Error::custom(format!("{key} is given twice")));
                            }
                            fields.seen.push($name);
                            fields.$field = map.next_value()?;
                        })*
                        "key" if self.dialect == Dialect::NodeLink => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        _ if self.dialect == Dialect::NodeLink => {
                            *self.unknown.borrow_mut() = Some(key.clone().into_owned());
                            let value = map.next_value()?;
                            *self.unknown.borrow_mut() = None;
                            if fields.foreign.insert(key.clone().into_owned(), value).is_some() {
                                return Err(A::Error::custom(format!("{} is given twice", shown(&key))));
                            }
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            fields.unknown.get_or_insert_with(|| key.into_owned());
                        }
                    }
                    self.at.set("");
                }
            };
        }
        read! {
            "type" => kind, "id" => id, "stage" => stage, "product" => product,
            "country" => country, "output" => output, "capacity" => capacity,
            "stock_days" => stock_days, "from" => from, "to" => to, "quantity" => quantity,
            "unit" => unit, "class" => class, "source" => source, "year" => year, "low" => low,
            "high" => high, "joint" => joint, "lead_days" => lead_days, "input" => input,
            "rule" => rule, "dependence" => dependence, "min_share" => min_share,
            "intensity" => intensity, "attributes" => attributes,
        }
        Ok(fields)
    }
}

impl FieldsSeed<'_> {
    /// Our name of a field that the dialect calls `key`.
    fn own_name<'k>(&self, key: &'k str) -> &'k str {
        if self.dialect == Dialect::Own {
            return key;
        }
        match (self.kind, key) {
            (Some(Kind::Flow), "source") => "from",
            (Some(Kind::Flow), "target") => "to",
            (Some(Kind::Flow), "quantity_source") => "source",
            (Some(Kind::Flow), "weight") => "quantity",
            // Known words of another kind are plain attributes here.
            (Some(kind), name)
                if kind.fields().contains(&name) && !matches!(name, "from" | "to") =>
            {
                name
            }
            _ => "\0foreign",
        }
    }
}

/// The record that one JSON object stands for. `kind` is known beforehand where the format
/// keeps nodes and flows apart; else the object's `type` says.
///
/// # Errors
/// What is wrong, with the field or the byte of the line, without the line.
pub(super) fn record_of_json(
    text: &str,
    dialect: Dialect,
    kind: Option<Kind>,
) -> Result<Record, RowProblem> {
    let at = Cell::new("");
    let unknown = RefCell::new(None);
    let seed = FieldsSeed { at: &at, unknown: &unknown, dialect, kind };
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = seed
        .deserialize(&mut json)
        .and_then(|fields| json.end().map(|()| fields))
        .map_err(|e| {
            let foreign = unknown.borrow().clone();
            json_problem(&e, foreign.as_deref().unwrap_or_else(|| at.get()), text)
        })?;
    fields.into_record(kind, dialect)
}

/// A serde_json error as a problem: its own words without "at line 1 column n".
fn json_problem(error: &serde_json::Error, field: &str, text: &str) -> RowProblem {
    let full = error.to_string();
    let said = full.rsplit_once(" at line ").map_or(full.as_str(), |(said, _)| said);
    let mut problem = match error.classify() {
        serde_json::error::Category::Eof => {
            RowProblem::new("the line ends in the middle of a record").hint("is the file cut off?")
        }
        serde_json::error::Category::Syntax if text.contains('\0') => {
            RowProblem::new("not JSON: the line holds a NUL byte").hint("is this a text file?")
        }
        serde_json::error::Category::Syntax => {
            let problem = RowProblem::new(format!("not JSON: {said}"));
            let rest = text.get(error.column().saturating_sub(1)..).unwrap_or_default();
            if said.starts_with("number out of range") {
                problem.hint("numbers must be finite")
            } else if ["NaN", "Inf", "-Inf"].iter().any(|word| rest.contains(word)) {
                problem.hint("JSON knows no NaN or Infinity; leave an unknown number out")
            } else {
                problem
            }
        }
        _ => RowProblem::new(said.to_owned()),
    };
    problem.position = Some(error.column() as u64);
    if !field.is_empty() {
        problem.column = Some(shown(field));
    }
    problem
}

fn required<T>(value: Option<T>, kind: Kind, field: &'static str) -> Result<T, RowProblem> {
    value.ok_or_else(|| RowProblem::new(format!("a {} needs {field}", kind.as_str())).column(field))
}

impl Fields {
    fn into_record(mut self, kind: Option<Kind>, dialect: Dialect) -> Result<Record, RowProblem> {
        let kind = match (kind, self.kind.as_deref()) {
            (Some(kind), None) => kind,
            (expected, Some(word)) => {
                let kind = Kind::ALL.into_iter().find(|k| k.as_str() == word).ok_or_else(|| {
                    let problem =
                        RowProblem::new(format!("unknown type \"{}\"", shown(word))).column("type");
                    let hint = did_you_mean(word, Kind::ALL.map(Kind::as_str));
                    problem.hint(hint.unwrap_or_else(|| "use node, flow or requirement".into()))
                })?;
                if expected.is_some_and(|expected| expected != kind) {
                    return Err(
                        RowProblem::new(format!("a {word} does not belong here")).column("type")
                    );
                }
                kind
            }
            (None, None) => {
                return Err(RowProblem::new("the field type is missing")
                    .column("type")
                    .hint("use \"type\":\"node\", \"flow\" or \"requirement\""));
            }
        };
        let allowed = kind.fields();
        let stray = self.seen.iter().find(|f| **f != "type" && !allowed.contains(f));
        if let Some(field) = self.unknown.as_deref().or(stray.copied()) {
            let problem =
                RowProblem::new(format!("a {} has no field {}", kind.as_str(), shown(field)))
                    .column(shown(field));
            let hint = did_you_mean(field, allowed.iter().copied());
            return Err(
                problem.hint(hint.unwrap_or_else(|| format!("fields: {}", allowed.join(", "))))
            );
        }
        let mut attributes = self.attributes.take().unwrap_or_default();
        for (name, value) in std::mem::take(&mut self.foreign) {
            attributes.entry(name).or_insert(value);
        }
        // serde reads null as absent for optional fields; these are not optional once written.
        for (field, given) in [
            ("quantity", self.quantity.is_some()),
            ("joint", self.joint.is_some()),
            ("rule", self.rule.is_some()),
        ] {
            if !given && self.seen.contains(&field) {
                return Err(RowProblem::new(format!("{field} must not be null"))
                    .column(field)
                    .hint("leave it out if it is not known"));
            }
        }
        match kind {
            Kind::Node => Ok(Record::Node(NodeRecord {
                id: required(self.id, kind, "id")?.into_id("id", dialect)?,
                stage: self.stage,
                product: self.product,
                country: self.country,
                output: self.output.map(|o| o.into_figure("output")).transpose()?,
                capacity: self.capacity,
                stock_days: self.stock_days,
                attributes,
            })),
            Kind::Flow => {
                let capacity = self.capacity.map(|c| {
                    if c == Figure::bare(c.value) {
                        Ok(c.value)
                    } else {
                        Err(RowProblem::new(
                            "capacity of a flow is a plain number, in the unit of its quantity",
                        )
                        .column("capacity"))
                    }
                });
                Ok(Record::Flow(FlowRecord {
                    from: required(self.from, kind, "from")?.into_id("from", dialect)?,
                    to: required(self.to, kind, "to")?.into_id("to", dialect)?,
                    product: self.product,
                    quantity: self.quantity.unwrap_or_else(|| Figure::bare(1.0)),
                    unit: self.unit,
                    class: self.class,
                    source: self.source,
                    year: self.year,
                    low: self.low,
                    high: self.high,
                    capacity: capacity.transpose()?,
                    joint: self.joint.unwrap_or_default(),
                    lead_days: self.lead_days,
                    attributes,
                }))
            }
            Kind::Requirement => Ok(Record::Requirement(RequirementRecord {
                output: required(self.output, kind, "output")?.into_text("output")?,
                input: required(self.input, kind, "input")?,
                rule: self.rule.unwrap_or_default(),
                dependence: self.dependence,
                min_share: self.min_share,
                intensity: self.intensity,
            })),
        }
    }
}
