//! API keys: made, listed, revoked; stored as a hash, shown once.
//!
//! A key is `cpk_{id}_{secret}` with 32 random bytes of secret, so a fast hash is enough
//! (there is nothing to guess). Checking compares hashes in constant time.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::{Denied, Grants, Principal, Role};
use crate::service::ServiceError;
use crate::service::time::{iso, now_ms};
use crate::store::{DocumentKind, Store};

/// How every key starts, so that leaked ones can be found by scanners.
pub const PREFIX: &str = "cpk_";
/// Most keys.
const MOST_KEYS: usize = 10_000;
/// Longest name.
const MAX_NAME: usize = 200;
/// Longest life, in days.
const MAX_DAYS: u32 = 3650;

/// A key to make.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "dashboard", "role": "analyst", "expires_days": 365}))]
pub struct NewKey {
    /// Who or what will use it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Roles on single graphs by pattern of their names; if given, other graphs are out of reach.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, Role>)]
    pub graphs: Grants,
    /// Days until it expires (default: never).
    #[serde(default)]
    #[schema(minimum = 1, maximum = 3650)]
    pub expires_days: Option<u32>,
}

/// What is stored of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    name: String,
    role: Role,
    #[serde(default)]
    graphs: Grants,
    /// SHA-256 of the secret, in hexadecimal.
    hash: String,
    created_ms: i64,
    #[serde(default)]
    expires_ms: Option<i64>,
    #[serde(default)]
    revoked_ms: Option<i64>,
}

/// A key as it may be shown: without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyView {
    /// Id: the part between the underscores.
    pub id: String,
    /// Who or what uses it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Roles on single graphs.
    #[schema(value_type = std::collections::BTreeMap<String, Role>)]
    pub graphs: Grants,
    /// When it was made (ISO 8601).
    pub created: String,
    /// When it expires.
    pub expires: Option<String>,
    /// When it was revoked.
    pub revoked: Option<String>,
}

/// A key that was just made. The only time that its secret is shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MadeKey {
    /// The whole key: send it as `Authorization: Bearer …` or `X-API-Key`.
    pub key: String,
    /// What it is.
    #[serde(flatten)]
    pub view: KeyView,
}

/// All keys.
pub struct Keys {
    store: Arc<Store>,
    known: RwLock<BTreeMap<String, Record>>,
}

impl Keys {
    /// The keys in a store.
    ///
    /// # Errors
    /// Records that cannot be read.
    pub fn load(store: Arc<Store>) -> Result<Self, ServiceError> {
        let mut known = BTreeMap::new();
        for (id, bytes) in store.documents(DocumentKind::ApiKey, "")? {
            match serde_json::from_slice(&bytes) {
                Ok(record) => {
                    known.insert(id, record);
                }
                // Not a reason to let nobody in; the key itself no longer works.
                Err(error) => tracing::error!(%error, id, "the record of an API key is broken"),
            }
        }
        Ok(Self { store, known: RwLock::new(known) })
    }

    /// Makes a key. Durable when it returns.
    ///
    /// # Errors
    /// A name that is empty or too long, a life that is too long, too many keys, a failed store.
    pub fn create(&self, new: NewKey) -> Result<MadeKey, ServiceError> {
        let name = new.name.trim();
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(ServiceError::malformed(
                "name",
                format!("a name has 1 to {MAX_NAME} printable characters"),
            ));
        }
        if new.expires_days.is_some_and(|days| days == 0 || days > MAX_DAYS) {
            return Err(ServiceError::malformed(
                "expires_days",
                format!("must be from 1 to {MAX_DAYS}"),
            ));
        }
        let mut random = [0u8; 38];
        getrandom::fill(&mut random).map_err(|error| {
            tracing::error!(%error, "the system gives no random bytes");
            ServiceError::Internal
        })?;
        let (id, secret) = (hex(&random[..6]), hex(&random[6..]));
        let created_ms = now_ms();
        let record = Record {
            name: name.to_owned(),
            role: new.role,
            graphs: new.graphs,
            hash: hash(&secret),
            created_ms,
            expires_ms: new.expires_days.map(|days| created_ms + i64::from(days) * 86_400_000),
            revoked_ms: None,
        };
        let mut known = self.write();
        if known.len() >= MOST_KEYS {
            return Err(ServiceError::Busy { what: "API keys" });
        }
        self.keep(&id, &record)?;
        let view = view(&id, &record);
        known.insert(id.clone(), record);
        Ok(MadeKey { key: format!("{PREFIX}{id}_{secret}"), view })
    }

    /// All keys, oldest first.
    pub fn list(&self) -> Vec<KeyView> {
        let mut keys: Vec<(i64, KeyView)> =
            self.read().iter().map(|(id, record)| (record.created_ms, view(id, record))).collect();
        keys.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.id.cmp(&b.1.id)));
        keys.into_iter().map(|(_, view)| view).collect()
    }

    /// Takes a key back; from then on it is refused. Revoking again changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::Absent`]; a failed store.
    pub fn revoke(&self, id: &str) -> Result<KeyView, ServiceError> {
        let mut known = self.write();
        let record = known.get_mut(id).ok_or_else(|| ServiceError::Absent {
            what: "API key",
            name: id.to_owned(),
            hint: Some("the id is the part between the underscores".into()),
        })?;
        if record.revoked_ms.is_none() {
            let revoked = Record { revoked_ms: Some(now_ms()), ..record.clone() };
            self.keep(id, &revoked)?;
            *record = revoked;
        }
        Ok(view(id, record))
    }

    /// True if there is no key that works.
    pub fn is_empty(&self) -> bool {
        self.read().values().all(|record| record.revoked_ms.is_some())
    }

    /// Who shows this key.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn check(&self, key: &str) -> Result<Principal, Denied> {
        let (id, secret) = key
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .ok_or(Denied::Invalid)?;
        let shown = hash(secret);
        let known = self.read();
        let record = known.get(id).ok_or(Denied::Invalid)?;
        if !bool::from(shown.as_bytes().ct_eq(record.hash.as_bytes())) {
            return Err(Denied::Invalid);
        }
        if record.revoked_ms.is_some() {
            return Err(Denied::Revoked);
        }
        if record.expires_ms.is_some_and(|end| now_ms() >= end) {
            return Err(Denied::Expired);
        }
        Ok(Principal {
            name: format!("key:{id}").into(),
            role: record.role,
            graphs: Arc::new(record.graphs.clone()),
        })
    }

    fn keep(&self, id: &str, record: &Record) -> Result<(), ServiceError> {
        let bytes = serde_json::to_vec(record).map_err(|_| ServiceError::Internal)?;
        Ok(self.store.put_document(DocumentKind::ApiKey, id, &bytes)?)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Record>> {
        self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Record>> {
        self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn view(id: &str, record: &Record) -> KeyView {
    KeyView {
        id: id.to_owned(),
        name: record.name.clone(),
        role: record.role,
        graphs: record.graphs.clone(),
        created: iso(record.created_ms),
        expires: record.expires_ms.map(iso),
        revoked: record.revoked_ms.map(iso),
    }
}

fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str) -> NewKey {
        NewKey { name: name.into(), role: Role::Analyst, graphs: Grants::new(), expires_days: None }
    }

    #[test]
    fn a_key_works_until_it_is_revoked_also_after_a_restart() {
        let store = Arc::new(Store::in_memory());
        let keys = Keys::load(store.clone()).unwrap();
        let made = keys.create(new("dashboard")).unwrap();
        let principal = keys.check(&made.key).unwrap();
        assert_eq!(principal.role, Role::Analyst);
        let again = Keys::load(store.clone()).unwrap();
        assert_eq!(again.check(&made.key).unwrap(), principal);
        again.revoke(&made.view.id).unwrap();
        assert_eq!(again.check(&made.key), Err(Denied::Revoked));
        assert_eq!(Keys::load(store).unwrap().check(&made.key), Err(Denied::Revoked));
    }

    #[test]
    fn the_secret_is_not_stored() {
        let store = Arc::new(Store::in_memory());
        let made = Keys::load(store.clone()).unwrap().create(new("x")).unwrap();
        let secret = made.key.rsplit('_').next().unwrap();
        for (_, bytes) in store.documents(DocumentKind::ApiKey, "").unwrap() {
            assert!(!String::from_utf8(bytes).unwrap().contains(secret));
        }
    }

    #[test]
    fn wrong_keys_are_refused() {
        let keys = Keys::load(Arc::new(Store::in_memory())).unwrap();
        let made = keys.create(new("x")).unwrap();
        let other = keys.create(new("y")).unwrap();
        let swapped = format!("cpk_{}_{}", made.view.id, other.key.rsplit('_').next().unwrap());
        for key in
            ["", "cpk_", "cpk_x", "cpk__", "cpk_0_0", &made.key[..made.key.len() - 1], &swapped]
        {
            assert_eq!(keys.check(key), Err(Denied::Invalid), "{key}");
        }
        assert!(keys.create(new("  ")).is_err());
        assert!(keys.create(NewKey { expires_days: Some(0), ..new("z") }).is_err());
        assert!(keys.revoke("absent").is_err());
    }
}
