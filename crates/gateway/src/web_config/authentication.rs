//! Names with passwords, and tokens.

use std::{
    collections::{BTreeMap, HashMap},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{hmac, rand::SystemRandom};
use tokio::sync::Semaphore;

use crate::web_config::{Files, file::File};

/// Passwords whose correctness is remembered, and wrong ones likewise, so that these push out no correct one.
const CACHED: usize = 100;
/// How long a request waits until its password is compared.
const PATIENCE: Duration = Duration::from_secs(10);
/// No token or password comes near.
const MAX_CREDENTIALS: usize = 8 << 10;

/// What is compared and remembered in place of a secret: means nothing outside this process.
type Digest = [u8; 32];

/// Who may ask.
pub(super) struct Authentication {
    users: BTreeMap<String, String>,
    /// The hash that takes longest, compared in place of that of a user who does not exist, so that time tells nothing.
    slowest: Option<String>,
    tokens: Vec<Digest>,
    /// Drawn at start, so that nobody can prepare digests.
    key: hmac::Key,
    checked: Mutex<Checked>,
    /// Comparing takes a processor's time on purpose: one at a time.
    turn: Arc<Semaphore>,
}

#[derive(Default)]
struct Checked {
    right: HashMap<Digest, ()>,
    wrong: HashMap<Digest, ()>,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Admitted,
    Refused,
    /// Too many passwords are to be compared.
    Busy,
}

impl Authentication {
    pub(super) fn new(config: &File, files: &mut Files<'_>) -> Result<Self, String> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.map_err(|_| "the system gives no random numbers".to_owned())?;
        let mut users = BTreeMap::new();
        let mut slowest: Option<(u32, &str)> = None;
        for (number, (name, hash)) in (1..).zip(&config.basic_auth_users) {
            let hash = hash.expose();
            // Names are not shown: a slip of the pen makes a secret of one.
            let parts = bcrypt::HashParts::from_str(hash).map_err(|_| {
                format!("basic_auth_users: the password of user {number}, by name, is no hash by bcrypt ($2y$10$...)")
            })?;
            if slowest.is_none_or(|(cost, _)| cost < parts.get_cost()) {
                slowest = Some((parts.get_cost(), hash));
            }
            users.insert(name.clone(), hash.to_owned());
        }
        let tokens = match &config.bearer_tokens_file {
            Some(path) => tokens(&files.named("bearer_tokens_file", path)?, &key)?,
            None => Vec::new(),
        };
        let slowest = slowest.map(|(_, hash)| hash.to_owned());
        let turn = Arc::new(Semaphore::new(1));
        Ok(Self { users, slowest, tokens, key, checked: Mutex::default(), turn })
    }

    /// The ways that there are to say who one is, as challenges; none if everybody may ask.
    pub(super) fn challenges(&self) -> impl Iterator<Item = &'static str> {
        let basic = (!self.users.is_empty()).then_some("Basic realm=\"parquet-gateway\", charset=\"UTF-8\"");
        let bearer = (!self.tokens.is_empty()).then_some("Bearer realm=\"parquet-gateway\"");
        basic.into_iter().chain(bearer)
    }

    fn digest(&self, parts: &[&[u8]]) -> Digest {
        digest(&self.key, parts)
    }

    /// Looks at the header `Authorization`.
    pub(super) async fn check(&self, authorization: Option<&[u8]>) -> Verdict {
        if self.users.is_empty() && self.tokens.is_empty() {
            return Verdict::Admitted;
        }
        let Some(credentials) = authorization.filter(|value| value.len() <= MAX_CREDENTIALS) else {
            return Verdict::Refused;
        };
        let Some(space) = credentials.iter().position(|byte| *byte == b' ') else { return Verdict::Refused };
        let (scheme, rest) = (&credentials[..space], credentials[space..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"bearer") {
            let digest = self.digest(&[rest]);
            // All are looked at, and digests tell nothing of what they are made of.
            let known = self.tokens.iter().fold(false, |known, token| known | (*token == digest));
            return if known { Verdict::Admitted } else { Verdict::Refused };
        }
        if !scheme.eq_ignore_ascii_case(b"basic") || self.users.is_empty() {
            return Verdict::Refused;
        }
        let pair = BASE64_STANDARD.decode(rest).ok().and_then(|pair| String::from_utf8(pair).ok());
        match pair.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((user, password)) => self.check_password(user, password).await,
            None => Verdict::Refused,
        }
    }

    async fn check_password(&self, user: &str, password: &str) -> Verdict {
        let known = self.users.get(user);
        let Some(hash) = known.or(self.slowest.as_ref()).cloned() else { return Verdict::Refused };
        let digest = self.digest(&[user.as_bytes(), hash.as_bytes(), password.as_bytes()]);
        if let Some(verdict) = self.remembered(&digest) {
            return verdict;
        }
        let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, Arc::clone(&self.turn).acquire_owned()).await else {
            return Verdict::Busy;
        };
        // Requests of one page come side by side.
        if let Some(verdict) = self.remembered(&digest) {
            return verdict;
        }
        let password = password.to_owned();
        // The turn goes with the work, which goes on if the client does not.
        let compared = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            bcrypt::verify(password, &hash).unwrap_or(false)
        });
        let right = compared.await.unwrap_or(false) && known.is_some();
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let place = if right { &mut checked.right } else { &mut checked.wrong };
        if place.len() >= CACHED
            && let Some(any) = place.keys().next().copied()
        {
            place.remove(&any);
        }
        place.insert(digest, ());
        if right { Verdict::Admitted } else { Verdict::Refused }
    }

    /// How many right and wrong passwords.
    #[cfg(test)]
    pub(super) fn remembers(&self) -> (usize, usize) {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        (checked.right.len(), checked.wrong.len())
    }

    fn remembered(&self, digest: &Digest) -> Option<Verdict> {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.right.contains_key(digest) {
            return Some(Verdict::Admitted);
        }
        checked.wrong.contains_key(digest).then_some(Verdict::Refused)
    }
}

/// Of parts that cannot be mistaken for others.
fn digest(key: &hmac::Key, parts: &[&[u8]]) -> Digest {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(context.sign().as_ref());
    digest
}

/// A token a line.
fn tokens(text: &[u8], key: &hmac::Key) -> Result<Vec<Digest>, String> {
    let mut tokens = Vec::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        if line.len() < 16 || !line.iter().all(u8::is_ascii_graphic) {
            return Err(format!(
                "bearer_tokens_file: line {number} is no token: at least 16 characters of ASCII without spaces"
            ));
        }
        tokens.push(digest(key, &[line]));
    }
    // Otherwise everybody would be let in by a file that was truncated.
    if tokens.is_empty() { Err("bearer_tokens_file: there is no token in it".into()) } else { Ok(tokens) }
}
