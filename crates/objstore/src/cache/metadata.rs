//! What is known of objects, absent keys and listings, for a time.

use std::{
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use object_store::{ListResult, ObjectMeta, path::Path};
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, OptionsBuilder, Weighter, sync};
use tokio::time::Instant;

use super::{
    CacheConfig,
    object::Object,
    statistics::{TierCounters, TierStatistics},
};

/// What an entry takes besides its texts: table, allocations, structs.
const OVERHEAD_BYTES: u64 = 768;

/// What one object of a listing takes besides its texts.
const LISTED_BYTES: u64 = 160;

const SHARDS: u64 = 4;

pub(super) struct Metadata {
    entries: sync::Cache<Key, Entry, Weight, DefaultHashBuilder, Evictions>,
    counters: Arc<TierCounters>,
    /// Counts the changes made through the cache.
    epoch: AtomicU64,
    max_bytes: u64,
    attributes_ttl: Duration,
    absent_ttl: Duration,
    listing_ttl: Duration,
}

/// An object's key, or a prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Key {
    store: u32,
    kind: Kind,
    path: Box<str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kind {
    Object,
    Listing,
}

/// A [`Key`] that is asked for.
struct Asked<'a> {
    store: u32,
    kind: Kind,
    path: &'a str,
}

impl Key {
    pub(super) fn new(store: u32, kind: Kind, path: &Path) -> Self {
        Self { store, kind, path: path.as_ref().into() }
    }
}

/// As of [`Asked`].
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked { store: self.store, kind: self.kind, path: &self.path }.hash(state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.store, self.kind, self.path).hash(state);
    }
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        (self.store, self.kind, self.path) == (key.store, key.kind, &key.path)
    }
}

#[derive(Clone)]
struct Entry {
    known: Known,
    expires: Instant,
}

#[derive(Clone)]
enum Known {
    Object(Arc<Object>),
    Absent,
    Listing(Arc<ListResult>),
}

/// What is known of a key.
pub(super) enum Presence {
    Present(Arc<Object>),
    Absent,
    Unknown,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, key: &Key, entry: &Entry) -> u64 {
        let texts = |meta: &ObjectMeta| {
            let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            meta.location.as_ref().len() + optional(&meta.e_tag) + optional(&meta.version)
        };
        let value = match &entry.known {
            Known::Absent => 0,
            Known::Object(object) => {
                let attributes = object.attributes.iter().map(|(_, value)| 256 + value.len() as u64).sum::<u64>();
                attributes.saturating_add(texts(&object.meta) as u64)
            }
            Known::Listing(listing) => {
                let prefixes = listing.common_prefixes.iter().map(|path| LISTED_BYTES + path.as_ref().len() as u64);
                let objects = listing.objects.iter().map(|meta| LISTED_BYTES + texts(meta) as u64);
                prefixes.chain(objects).fold(0, u64::saturating_add)
            }
        };
        OVERHEAD_BYTES.saturating_add(key.path.len() as u64).saturating_add(value)
    }
}

#[derive(Clone)]
struct Evictions(Arc<TierCounters>);

impl Lifecycle<Key, Entry> for Evictions {
    type RequestState = Vec<Entry>;

    fn on_evict(&self, evicted: &mut Vec<Entry>, _: Key, entry: Entry) {
        self.0.evictions.add(1);
        evicted.push(entry);
    }
}

/// The changes that were known when a request was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Epoch(u64);

impl Metadata {
    pub(super) fn new(config: &CacheConfig) -> Self {
        let counters = Arc::<TierCounters>::default();
        let max_bytes = config.metadata_bytes;
        let mut options = OptionsBuilder::new();
        options.shards(SHARDS as usize).weight_capacity(max_bytes / SHARDS * SHARDS);
        options.estimated_items_capacity(usize::try_from(max_bytes / (OVERHEAD_BYTES + 256)).unwrap_or(usize::MAX));
        #[expect(clippy::expect_used, reason = "both settings that it asks for are there")]
        let options = options.build().expect("complete options");
        let lifecycle = Evictions(Arc::clone(&counters));
        Self {
            entries: sync::Cache::with_options(options, Weight, DefaultHashBuilder::default(), lifecycle),
            counters,
            epoch: AtomicU64::new(0),
            max_bytes,
            attributes_ttl: config.attributes_ttl,
            absent_ttl: config.absent_ttl,
            listing_ttl: config.listing_ttl,
        }
    }

    pub(super) fn caches_listings(&self) -> bool {
        !self.listing_ttl.is_zero()
    }

    pub(super) fn object(&self, store: u32, path: &Path) -> Presence {
        match self.get(&Asked { store, kind: Kind::Object, path: path.as_ref() }) {
            Some(Known::Object(object)) => Presence::Present(object),
            Some(Known::Absent) => Presence::Absent,
            Some(Known::Listing(_)) | None => Presence::Unknown,
        }
    }

    pub(super) fn listing(&self, store: u32, prefix: &Path) -> Option<Arc<ListResult>> {
        match self.get(&Asked { store, kind: Kind::Listing, path: prefix.as_ref() }) {
            Some(Known::Listing(listing)) => Some(listing),
            _ => None,
        }
    }

    fn get(&self, asked: &Asked<'_>) -> Option<Known> {
        let found = match self.entries.get(asked) {
            Some(entry) if entry.expires > Instant::now() => Some(entry.known),
            Some(_) => {
                self.entries.remove_if(asked, |entry| entry.expires <= Instant::now());
                None
            }
            None => None,
        };
        self.counters.found(found.is_some().then_some(0));
        found
    }

    /// To be taken before the request whose answer is to be noted.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    pub(super) fn note_object(&self, store: u32, object: &Arc<Object>, epoch: Epoch) {
        let key = Key::new(store, Kind::Object, &object.meta.location);
        self.note(&key, Known::Object(Arc::clone(object)), self.attributes_ttl, epoch);
    }

    pub(super) fn note_absent(&self, store: u32, path: &Path, epoch: Epoch) {
        self.note(&Key::new(store, Kind::Object, path), Known::Absent, self.absent_ttl, epoch);
    }

    pub(super) fn note_listing(&self, store: u32, prefix: &Path, listing: &Arc<ListResult>, epoch: Epoch) {
        let key = Key::new(store, Kind::Listing, prefix);
        self.note(&key, Known::Listing(Arc::clone(listing)), self.listing_ttl, epoch);
    }

    fn note(&self, key: &Key, known: Known, ttl: Duration, epoch: Epoch) {
        if ttl.is_zero() || self.epoch() != epoch {
            return;
        }
        let now = Instant::now();
        // Beyond what clocks can tell: for a year.
        let expires = now.checked_add(ttl).unwrap_or(now + Duration::from_secs(365 * 24 * 3600));
        self.counters.insertions.add(1);
        self.entries.insert(key.clone(), Entry { known, expires });
        // A change that came between was to remove this.
        if self.epoch() != epoch {
            self.entries.remove(key);
        }
    }

    /// Forgets the object and the listings that it is in, since it was changed; answers to requests that are under way
    /// will not be noted.
    pub(super) fn forget(&self, store: u32, path: &Path) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.entries.remove(&Asked { store, kind: Kind::Object, path: path.as_ref() });
        let mut prefix = path.as_ref();
        while let Some((parent, _)) = prefix.rsplit_once('/') {
            self.entries.remove(&Asked { store, kind: Kind::Listing, path: parent });
            prefix = parent;
        }
        self.entries.remove(&Asked { store, kind: Kind::Listing, path: "" });
    }

    /// Forgets everything, since something was changed.
    pub(super) fn forget_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.entries.clear();
    }

    pub(super) fn statistics(&self) -> TierStatistics {
        self.counters.snapshot(self.entries.len(), self.entries.weight(), self.max_bytes)
    }
}
