//! Tokens of an OpenID Connect issuer (JWT, RFC 7519 and 8725): signature against the issuer's
//! JWKS, algorithm pinned, issuer, audience and times checked.
//!
//! The service verifies tokens; it does not log anybody in. The keys come from a file or an
//! `https` address and are read again when a token names one that is not known, at most once in
//! half a minute.

use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};
use ureq::tls::{RootCerts, TlsConfig};

use super::{Denied, Grants, Principal, Role};
use crate::service::ServiceError;
use crate::service::catalogue::lock;

/// Largest token.
const MAX_TOKEN: usize = 16 << 10;
/// Largest key set.
const MAX_JWKS: u64 = 1 << 20;
/// Shortest time between two fetches of the keys.
const REFETCH: Duration = Duration::from_secs(30);
/// How long fetched keys are used without asking again.
const FRESH: Duration = Duration::from_secs(3600);
/// Clocks may differ by this much, in seconds.
const LEEWAY: u64 = 30;

/// Which tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOptions {
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
    /// File or address of the key set.
    pub jwks: String,
    /// Claim that holds the role; dots go into objects, and a list holds its best role.
    pub role_claim: String,
    /// Claim that holds roles by graph (an object), if any.
    pub graphs_claim: String,
}

/// A key with the only algorithm that it may verify.
struct Pinned {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Verifies tokens.
pub struct Tokens {
    options: TokenOptions,
    keys: RwLock<(Arc<Vec<Pinned>>, Option<Instant>)>,
    fetched: Mutex<Option<Instant>>,
}

impl Tokens {
    /// A verifier; a key file is read at once, an address when first needed.
    ///
    /// # Errors
    /// A key file that cannot be read or holds no key that can be used.
    pub fn new(options: TokenOptions) -> Result<Self, ServiceError> {
        let tokens =
            Self { options, keys: RwLock::new((Arc::default(), None)), fetched: Mutex::new(None) };
        if !tokens.may_block() {
            let text = std::fs::read(&tokens.options.jwks).map_err(|error| {
                ServiceError::malformed(
                    "jwt_jwks",
                    format!("{} cannot be read: {error}", tokens.options.jwks),
                )
            })?;
            let keys = pinned(&text).map_err(|problem| {
                ServiceError::malformed("jwt_jwks", format!("{}: {problem}", tokens.options.jwks))
            })?;
            tokens.keep(keys);
        }
        Ok(tokens)
    }

    /// True if checking a token may fetch keys over the network.
    pub fn may_block(&self) -> bool {
        self.options.jwks.starts_with("https://") || self.options.jwks.starts_with("http://")
    }

    /// Who shows this token.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn check(&self, token: &str) -> Result<Principal, Denied> {
        if token.len() > MAX_TOKEN {
            return Err(Denied::Invalid);
        }
        // Refuses `none` and everything else that is not in the library's list.
        let header = decode_header(token).map_err(|_| Denied::Invalid)?;
        if !asymmetric(header.alg) {
            return Err(Denied::Invalid);
        }
        let find = |keys: &[Pinned]| {
            keys.iter().position(|k| {
                k.algorithm == header.alg && (header.kid.is_none() || k.id == header.kid)
            })
        };
        let mut keys = self.current()?;
        let mut found = find(&keys);
        if found.is_none() && self.may_block() {
            keys = self.fetch()?;
            found = find(&keys);
        }
        let key = &keys[found.ok_or(Denied::Invalid)?];
        let mut validation = Validation::new(key.algorithm);
        validation.set_issuer(&[&self.options.issuer]);
        validation.set_audience(&[&self.options.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        let claims = decode::<Map<String, Value>>(token, &key.key, &validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => Denied::Expired,
                _ => Denied::Invalid,
            })?
            .claims;
        self.principal(claims)
    }

    fn principal(&self, claims: Map<String, Value>) -> Result<Principal, Denied> {
        let claims = Value::Object(claims);
        let subject = claims["sub"].as_str().unwrap_or_default();
        if subject.is_empty() || subject.len() > 256 || subject.chars().any(char::is_control) {
            return Err(Denied::Invalid);
        }
        let mut path = self.options.role_claim.split('.');
        let role = path.try_fold(&claims, |at, name| at.get(name));
        // A valid token without a role of ours may read.
        let best =
            |names: &[Value]| names.iter().filter_map(|n| n.as_str()?.parse::<Role>().ok()).max();
        let role = match role {
            Some(Value::String(name)) => name.parse().unwrap_or(Role::Reader),
            Some(Value::Array(names)) => best(names).unwrap_or(Role::Reader),
            _ => Role::Reader,
        };
        let graphs: Grants = match claims.get(&self.options.graphs_claim) {
            Some(granted) => {
                serde_json::from_value(granted.clone()).map_err(|_| Denied::Invalid)?
            }
            None => Grants::new(),
        };
        Ok(Principal { name: format!("sub:{subject}").into(), role, graphs: Arc::new(graphs) })
    }

    fn current(&self) -> Result<Arc<Vec<Pinned>>, Denied> {
        let (keys, since) = {
            let held = self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            (held.0.clone(), held.1)
        };
        if self.may_block() && since.is_none_or(|since| since.elapsed() > FRESH) {
            return match self.fetch() {
                // Old keys beat none when the issuer is away.
                Err(_) if !keys.is_empty() => Ok(keys),
                fetched => fetched,
            };
        }
        Ok(keys)
    }

    fn fetch(&self) -> Result<Arc<Vec<Pinned>>, Denied> {
        let mut fetched = lock(&self.fetched);
        if fetched.is_some_and(|at| at.elapsed() < REFETCH) {
            let held = self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            return Ok(held.0.clone());
        }
        *fetched = Some(Instant::now());
        let text = download(&self.options.jwks).map_err(|error| {
            tracing::error!(error, address = self.options.jwks, "the key set cannot be fetched");
            Denied::Unavailable
        })?;
        let keys = pinned(&text).map_err(|problem| {
            tracing::error!(problem, address = self.options.jwks, "the key set cannot be used");
            Denied::Unavailable
        })?;
        Ok(self.keep(keys))
    }

    fn keep(&self, keys: Vec<Pinned>) -> Arc<Vec<Pinned>> {
        let keys = Arc::new(keys);
        let mut held = self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *held = (keys.clone(), Some(Instant::now()));
        keys
    }
}

fn asymmetric(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

/// The keys of a set, each pinned to one algorithm: its own, or the usual one of its kind. Shared
/// secrets and encryption keys are left out.
fn pinned(text: &[u8]) -> Result<Vec<Pinned>, String> {
    let set: JwkSet =
        serde_json::from_slice(text).map_err(|error| format!("not a JSON Web Key Set: {error}"))?;
    let keys: Vec<Pinned> = set.keys.iter().filter_map(pin).collect();
    if keys.is_empty() {
        return Err("it holds no RSA, EC or Ed25519 key for signatures".into());
    }
    Ok(keys)
}

fn pin(jwk: &Jwk) -> Option<Pinned> {
    use jsonwebtoken::jwk::PublicKeyUse;
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let stated = jwk.common.key_algorithm.map(|a| a.to_string().parse::<Algorithm>());
    let algorithm = match stated {
        Some(stated) => stated.ok()?,
        None => match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
                EllipticCurve::P256 => Algorithm::ES256,
                EllipticCurve::P384 => Algorithm::ES384,
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(_) => Algorithm::EdDSA,
            _ => return None,
        },
    };
    if !asymmetric(algorithm) {
        return None;
    }
    Some(Pinned { id: jwk.common.key_id.clone(), algorithm, key: DecodingKey::from_jwk(jwk).ok()? })
}

fn download(address: &str) -> Result<Vec<u8>, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .max_redirects(2)
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .build()
        .into();
    let mut response = agent.get(address).call().map_err(|error| error.to_string())?;
    response
        .body_mut()
        .with_config()
        .limit(MAX_JWKS)
        .read_to_vec()
        .map_err(|error| error.to_string())
}
