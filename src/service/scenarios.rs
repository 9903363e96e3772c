//! Scenarios: presets, which are read-only, and stored ones.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Service;
use super::error::ServiceError;
use super::time::{iso, now_ms};
use crate::model::scenario::ScenarioBody;
use crate::model::selector::suggest;
use crate::store::DocumentKind;

/// A scenario with its id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredScenario {
    /// Id: what `scenario` in an impact question takes.
    pub id: String,
    /// True for those that the program brings along; they are read-only.
    pub preset: bool,
    /// When it was stored (ISO 8601).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    /// What happens, to whom it matters and how it is evaluated.
    pub body: ScenarioBody,
}

impl StoredScenario {
    /// The scenario as one flat object: the body's fields with `id`, `preset` and `updated`.
    pub fn flat(&self) -> Map<String, Value> {
        let mut flat = Map::new();
        flat.insert("id".into(), self.id.clone().into());
        flat.insert("preset".into(), self.preset.into());
        if let Some(updated) = &self.updated {
            flat.insert("updated".into(), updated.clone().into());
        }
        if let Ok(Value::Object(body)) = serde_json::to_value(&self.body) {
            flat.extend(body);
        }
        flat
    }
}

fn check_id(id: &str) -> Result<(), ServiceError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !id.is_empty() && id.len() <= 128 && id.chars().all(good) {
        return Ok(());
    }
    Err(ServiceError::malformed_hint(
        "id",
        "this cannot be the id of a scenario",
        "use up to 128 letters, digits, - _ and .",
    ))
}

impl Service {
    /// How often stored scenarios were written: a question that names one means the same as long as
    /// this stays.
    pub fn scenarios_changed(&self) -> u64 {
        self.scenario_writes.load(Ordering::Acquire)
    }

    /// Every scenario: presets first, then stored ones, each by id.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn scenarios(&self) -> Result<Vec<StoredScenario>, ServiceError> {
        let presets = self.reference.presets.iter().map(|(id, body)| StoredScenario {
            id: id.clone(),
            preset: true,
            updated: None,
            body: body.clone(),
        });
        let stored = self.store.documents(DocumentKind::Scenario, "")?;
        let stored = stored.into_iter().filter_map(|(id, bytes)| {
            serde_json::from_slice(&bytes)
                .inspect_err(|error| tracing::error!(id, %error, "a stored scenario is broken"))
                .ok()
        });
        Ok(presets.chain(stored).collect())
    }

    /// One scenario.
    ///
    /// # Errors
    /// [`ServiceError::Absent`] with the nearest id.
    pub fn scenario(&self, id: &str) -> Result<StoredScenario, ServiceError> {
        if let Some(body) = self.reference.presets.get(id) {
            let body = body.clone();
            return Ok(StoredScenario { id: id.into(), preset: true, updated: None, body });
        }
        let known = self.store.get_document(DocumentKind::Scenario, id)?;
        if let Some(scenario) = known.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(scenario);
        }
        let ids: Vec<String> = self.scenarios()?.into_iter().map(|s| s.id).collect();
        Err(ServiceError::Absent {
            what: "scenario",
            name: id.to_owned(),
            hint: suggest(id, ids.iter().map(String::as_str))
                .map(|near| format!("did you mean {near}?"))
                .or_else(|| Some("GET /v1/scenarios lists them".into())),
        })
    }

    /// Stores a scenario under an id. Returns it and whether it is new.
    ///
    /// # Errors
    /// A preset's id; a body that cannot be right.
    pub fn put_scenario(
        &self,
        id: &str,
        body: ScenarioBody,
    ) -> Result<(StoredScenario, bool), ServiceError> {
        check_id(id)?;
        if self.reference.presets.contains_key(id) {
            return Err(ServiceError::Taken { what: "preset", name: id.to_owned() });
        }
        body.check()?;
        let new = self.store.get_document(DocumentKind::Scenario, id)?.is_none();
        let scenario =
            StoredScenario { id: id.to_owned(), preset: false, updated: Some(iso(now_ms())), body };
        let bytes = serde_json::to_vec(&scenario).map_err(|_| ServiceError::Internal)?;
        self.store.put_document(DocumentKind::Scenario, id, &bytes)?;
        self.scenario_writes.fetch_add(1, Ordering::Release);
        Ok((scenario, new))
    }

    /// Stores a scenario under a new id: the one given, else one made from its title.
    ///
    /// # Errors
    /// An id in use; a body that cannot be right.
    pub fn post_scenario(
        &self,
        id: Option<String>,
        body: ScenarioBody,
    ) -> Result<StoredScenario, ServiceError> {
        let taken = |id: &str| match self.scenario(id) {
            Ok(_) => Ok(true),
            Err(ServiceError::Absent { .. }) => Ok(false),
            Err(error) => Err(error),
        };
        let id = match id {
            Some(id) if taken(&id)? => {
                return Err(ServiceError::Taken { what: "scenario", name: id });
            }
            Some(id) => id,
            None => {
                let slug = slug(body.title.as_deref().unwrap_or("scenario"));
                if taken(&slug)? {
                    format!("{slug}-{}", uuid::Uuid::now_v7().simple())
                } else {
                    slug
                }
            }
        };
        Ok(self.put_scenario(&id, body)?.0)
    }

    /// Deletes a stored scenario.
    ///
    /// # Errors
    /// A preset; an absent id.
    pub fn delete_scenario(&self, id: &str) -> Result<(), ServiceError> {
        if self.scenario(id)?.preset {
            return Err(ServiceError::Taken { what: "preset", name: id.to_owned() });
        }
        self.store.delete_document(DocumentKind::Scenario, id)?;
        self.scenario_writes.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

fn slug(title: &str) -> String {
    let words: Vec<String> = title
        .to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let mut slug = words.join("-");
    slug.truncate(64);
    if slug.is_empty() { "scenario".into() } else { slug.trim_end_matches('-').to_owned() }
}
