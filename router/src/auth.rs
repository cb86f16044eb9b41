//! Who asks, and what they may do: Signature Version 4, and users with allowed tables and actions.
//!
//! ```text
//! head --claim--> who says they are, when, and what they signed
//!                    |  shape, time, scope: wrong ones end here, before any secret is looked at
//!                    v
//! head, body --canonical--> hash --string to sign--> HMAC under the user's key of that day --compare--> Caller
//!                                                                                              |
//! parameters --policy--> tables and actions that the call is about ---------- allowed? <-------+
//! ```
//!
//! - this file: `Access`, what one core knows of users; `authenticate` and `authorize`.
//! - [`claim`]: what a request says of itself, in the `Authorization` header or in the query of a presigned one.
//! - [`canonical`]: the one form of a request that both sides hash.
//! - [`time`]: the notations of time that signatures use.
//! - [`users`]: users, their secrets, and patterns of tables and actions.
//! - [`policy`]: which tables and actions a call is about.
//!
//! Promises: a signature is compared in constant time; an unknown access key costs the same work as a known one; a bad
//! signature changes nothing that a good one relies on; nothing is allowed that no user's entry names; a secret is in no
//! answer, no error and no debug print.
//! Leaves to others: where users come from (`torc ctl user`, and whoever reads its file), and who may connect (`http`).

pub mod canonical;
pub mod claim;
pub mod policy;
pub mod time;
pub mod users;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use meter::ledger;
use meter::stage::Stage;
use model::error::{ApiError, Code};
use ring::digest::{self, SHA256};
use ring::hmac;
use runtime::Runtime;

use self::canonical::Query;
use self::claim::{Claim, SERVICE, TERMINATOR};
use self::users::{User, Users};
use crate::Router;
use crate::http::intake::Request;
use crate::request::Parameters;

/// Signing keys that are kept: one for each user and day that signed lately.
const SIGNING_KEYS_MAX: usize = 4096;

/// Bytes of a body that are hashed before others get their turn: about 0.2 ms.
const HASH_BYTES: usize = 256 << 10;

/// What stands for the secret of whoever is not known, so that the work is the same.
const NOBODY: &[u8] = b"nobody has this secret, and nothing that it signs is ever accepted";

/// Whom a key signs for: a user's index, or nobody.
type Signer = Option<usize>;

/// What one core knows of users. Replaced as a whole when they change, its signing keys with it.
#[derive(Debug, Default)]
pub(crate) struct Access {
    users: Option<Arc<Users>>,
    keys: SigningKeys,
}

/// Who made a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// None where nobody has to say who they are.
    user: Option<(Arc<Users>, usize)>,
}

impl Access {
    /// With these users; without any list of them everybody may do everything.
    pub(crate) fn new(users: Option<Arc<Users>>) -> Rc<Access> {
        Rc::new(Access { users, keys: SigningKeys::default() })
    }

    /// Whether it matters who asks.
    pub(crate) fn has_users(&self) -> bool {
        self.users.is_some()
    }
}

/// Finds out who made a request, if anybody has to say so.
pub(crate) async fn authenticate<R: Runtime>(
    router: &Router<R>,
    request: &Request<'_>,
) -> Result<Caller, ApiError> {
    let access = router.access();
    let Some(users) = &access.users else { return Ok(Caller { user: None }) };
    ledger::mark(&router.rt, Stage::Parse);
    let mut headers = [httparse::EMPTY_HEADER; crate::http::head::HEADERS_MAX];
    let headers = request.headers(&mut headers);
    let query = Query::read(&String::from_utf8_lossy(request.query()));
    let claim = Claim::read(&query, headers)?;
    claim.check(&router.options.region, router.rt.wall())?;
    canonical::check_signed_headers(&claim, headers)?;
    let body = hash_body(&router.rt, request.body).await;
    let hash = canonical::hash(request, headers, &claim, &body)?;
    let signer = users.position(claim.access_key);
    let right = access.keys.verify(users, signer, &claim, &router.options.region, &hash);
    ledger::mark(&router.rt, Stage::Auth);
    match (signer, right) {
        (None, _) => Err(unrecognized()),
        (Some(_), _) if claim.has_security_token => Err(unrecognized()),
        (Some(_), false) => Err(mismatch()),
        (Some(index), true) => Ok(Caller { user: Some((users.clone(), index)) }),
    }
}

/// Refuses a call that the caller may not make.
pub(crate) fn authorize<R: Runtime>(
    router: &Router<R>,
    caller: &Caller,
    operation: &str,
    parameters: &Parameters<'_>,
) -> Result<(), ApiError> {
    let Some(user) = caller.user() else { return Ok(()) };
    let here = (router.options.region.as_str(), router.options.account.as_str());
    ledger::mark(&router.rt, Stage::Parse);
    let outcome = policy::check(user, operation, parameters, here);
    ledger::mark(&router.rt, Stage::Auth);
    outcome
}

impl Caller {
    fn user(&self) -> Option<&User> {
        self.user.as_ref().map(|(users, index)| users.get(*index))
    }
}

/// The hash of a body as it came, before anything is decoded.
async fn hash_body<R: Runtime>(rt: &R, body: &[u8]) -> digest::Digest {
    let mut context = digest::Context::new(&SHA256);
    for (index, part) in body.chunks(HASH_BYTES).enumerate() {
        if index > 0 && rt.should_yield() {
            rt.yield_now().await;
        }
        context.update(part);
    }
    context.finish()
}

/// Keys derived from secrets: four HMACs that are the same all day.
#[derive(Default)]
struct SigningKeys {
    /// By user and day. The region is always this node's: others are refused earlier.
    kept: RefCell<BTreeMap<(Signer, [u8; 8]), hmac::Key>>,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKeys({})", self.kept.borrow().len())
    }
}

impl SigningKeys {
    /// Whether the signature is what `signer` makes of the canonical request's hash. In constant time.
    fn verify(&self, users: &Users, signer: Signer, claim: &Claim<'_>, region: &str, hash: &[u8]) -> bool {
        let key = self.get(users, signer, claim.day(), region);
        let text = string_to_sign(claim, region, hash);
        let same = hmac::verify(&key, text.as_bytes(), &claim.signature_bytes()).is_ok();
        same && signer.is_some() && claim.has_signature_shape()
    }

    fn get(&self, users: &Users, signer: Signer, day: [u8; 8], region: &str) -> hmac::Key {
        if let Some(key) = self.kept.borrow().get(&(signer, day)) {
            return key.clone();
        }
        let secret = signer.map_or(NOBODY, |index| users.get(index).secret.bytes());
        let key = signing_key(secret, &day, region);
        let mut kept = self.kept.borrow_mut();
        // Only days within the window get here, so a full house is one of many users: begin anew.
        if kept.len() >= SIGNING_KEYS_MAX {
            kept.clear();
        }
        kept.insert((signer, day), key.clone());
        key
    }
}

/// Source: "Create a signed AWS API request", step 3, in the IAM User Guide.
fn signing_key(secret: &[u8], day: &[u8], region: &str) -> hmac::Key {
    let first = zeroize::Zeroizing::new([b"AWS4", secret].concat());
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, &first);
    for part in [day, region.as_bytes(), SERVICE.as_bytes(), TERMINATOR.as_bytes()] {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part).as_ref());
    }
    key
}

fn string_to_sign(claim: &Claim<'_>, region: &str, hash: &[u8]) -> String {
    let time = time::basic(claim.time);
    let day = &time[..8];
    let hash = canonical::hex(hash);
    format!("AWS4-HMAC-SHA256\n{time}\n{day}/{region}/{SERVICE}/{TERMINATOR}\n{hash}")
}

fn unrecognized() -> ApiError {
    ApiError::new(Code::UnrecognizedClient, "The security token included in the request is invalid.")
}

/// Says nothing of what was expected: that would be half of an oracle.
pub(crate) fn mismatch() -> ApiError {
    ApiError::new(
        Code::InvalidSignature,
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
         Access Key and signing method. Consult the service documentation for details.",
    )
}
