//! Who may do what: principals, roles, grants by graph; API keys, tokens and the audit log.
//!
//! Knows no HTTP: `http::guard` takes the credential from a request, asks here who it is, and
//! compares what the route needs with what the principal may.

pub mod audit;
pub mod keys;
pub mod tokens;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use keys::Keys;
use tokens::Tokens;

use crate::model::selector::wildcard_match;
use crate::store::Store;

/// What a principal may do; each role may do what the ones before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads graphs, rows, registers and answers.
    Reader,
    /// Asks questions, stores scenarios, cancels own jobs.
    Analyst,
    /// Writes graphs.
    Editor,
    /// Makes keys, backs up, reads the audit log.
    Admin,
}

impl Role {
    /// The role as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Analyst => "analyst",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Reader, Self::Analyst, Self::Editor, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| {
                format!("\"{text}\" is no role; roles are reader, analyst, editor, admin")
            })
    }
}

/// Roles on single graphs, by pattern of their names (`*` stands for any text).
pub type Grants = BTreeMap<String, Role>;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Name for logs, limits and the author of versions: of a key `key:{id}`, of a token its
    /// subject.
    pub name: Arc<str>,
    /// Role outside graphs, and on every graph if there are no grants.
    pub role: Role,
    /// Roles on single graphs; none: `role` holds for all.
    pub graphs: Arc<Grants>,
}

impl Principal {
    /// Whoever asks a server without access control: may do everything.
    pub fn anyone() -> Self {
        static ANYONE: LazyLock<Principal> = LazyLock::new(|| Principal {
            name: "anyone".into(),
            role: Role::Admin,
            graphs: Arc::default(),
        });
        ANYONE.clone()
    }

    /// True if nobody needed to show a credential.
    pub fn is_anyone(&self) -> bool {
        &*self.name == "anyone"
    }

    /// True if some graphs are out of reach.
    pub fn is_restricted(&self) -> bool {
        !self.graphs.is_empty()
    }

    /// The role on a graph, if any.
    pub fn role_on(&self, graph: &str) -> Option<Role> {
        if !self.is_restricted() {
            return Some(self.role);
        }
        let granted = self.graphs.iter().filter(|(pattern, _)| wildcard_match(pattern, graph));
        granted.map(|(_, role)| *role).max()
    }
}

/// Why a credential is not accepted. Says nothing that would help to guess one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// None was shown.
    #[error("a credential is needed")]
    Missing,
    /// It is not one of ours, or malformed.
    #[error("the credential is not valid")]
    Invalid,
    /// Its time is over.
    #[error("the credential has expired")]
    Expired,
    /// It was taken back.
    #[error("the credential was revoked")]
    Revoked,
    /// The keys of the issuer cannot be had at the moment.
    #[error("the issuer's keys cannot be read at the moment")]
    Unavailable,
}

/// Which credentials are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessOptions {
    /// API keys are taken.
    pub keys: bool,
    /// Tokens of this issuer are taken.
    pub tokens: Option<tokens::TokenOptions>,
}

impl AccessOptions {
    /// True if everyone may do everything.
    pub fn is_open(&self) -> bool {
        !self.keys && self.tokens.is_none()
    }
}

/// Access control of the service.
pub struct Access {
    open: bool,
    /// API keys.
    pub keys: Keys,
    takes_keys: bool,
    tokens: Option<Tokens>,
}

impl Access {
    /// Access control over the keys in a store.
    ///
    /// # Errors
    /// Key records that cannot be read; a JWKS file that cannot be read.
    pub fn new(store: Arc<Store>, options: &AccessOptions) -> Result<Self, super::ServiceError> {
        Ok(Self {
            open: options.is_open(),
            keys: Keys::load(store)?,
            takes_keys: options.keys,
            tokens: options.tokens.clone().map(Tokens::new).transpose()?,
        })
    }

    /// True if everyone may do everything.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Who shows this credential. May wait for the issuer's keys: see [`Access::may_block`].
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn principal(&self, credential: Option<&str>) -> Result<Principal, Denied> {
        if self.open {
            return Ok(Principal::anyone());
        }
        let credential = credential.ok_or(Denied::Missing)?;
        if credential.starts_with(keys::PREFIX) {
            return if self.takes_keys {
                self.keys.check(credential)
            } else {
                Err(Denied::Invalid)
            };
        }
        self.tokens.as_ref().ok_or(Denied::Invalid)?.check(credential)
    }

    /// True if checking this credential may fetch the issuer's keys over the network.
    pub fn may_block(&self, credential: Option<&str>) -> bool {
        let token = credential.is_some_and(|c| !c.starts_with(keys::PREFIX));
        token && self.tokens.as_ref().is_some_and(Tokens::may_block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_name_graphs_by_pattern_and_the_best_counts() {
        let grants = Grants::from([
            ("critical-*".to_owned(), Role::Reader),
            ("*-draft".to_owned(), Role::Editor),
        ]);
        let principal =
            Principal { name: "key:1".into(), role: Role::Analyst, graphs: Arc::new(grants) };
        assert_eq!(principal.role_on("critical-minerals"), Some(Role::Reader));
        assert_eq!(principal.role_on("critical-draft"), Some(Role::Editor));
        assert_eq!(principal.role_on("other"), None);
        assert_eq!(Principal::anyone().role_on("other"), Some(Role::Admin));
    }

    #[test]
    fn roles_are_ordered() {
        assert!(Role::Reader < Role::Analyst && Role::Editor < Role::Admin);
        assert!("root".parse::<Role>().unwrap_err().contains("reader"));
    }
}
