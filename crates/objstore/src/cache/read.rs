//! Ranges of objects out of subranges, and subranges from wherever they are.

use std::{collections::BTreeMap, mem, ops::Range, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::{Error, Extensions, GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore, path::Path};

use super::{
    Core,
    flight::{self, Lead, Role},
    metadata::{Epoch, Key, Kind, Presence},
    object::{Block, Object, ObjectId},
};

/// The largest range that is cut into subranges, in bytes: what one read may hold in memory.
const MAX_READ: u64 = 64 << 20;

/// Requests to the bucket, and reads from the disk, that one read has under way.
const CONCURRENCY: usize = 16;

/// How often a read starts anew because the object changes under it.
const ATTEMPTS: usize = 3;

/// A store behind the cache.
pub(super) struct Source {
    pub(super) core: Arc<Core>,
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) identity: Arc<str>,
    pub(super) number: u32,
}

/// The first read of an object of which nothing is known, not even its size.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Cold {
    key: Key,
    range: Edge,
    /// What is asked for after a change is not answered from before it.
    epoch: Epoch,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Edge {
    /// Aligned, half-open; may end beyond the object.
    Between(u64, u64),
    /// So many bytes before the end.
    Last(u64),
}

pub(super) struct ColdAnswer {
    object: Arc<Object>,
    blocks: Blocks,
}

type Blocks = BTreeMap<u64, Bytes>;

/// Why subranges could not be had.
pub(super) enum Failure {
    Store(Error),
    /// The object is not the version that was asked for. The new one has been noted.
    Changed,
    /// The answer is not what was asked for, or the runtime ends: whoever reads asks the bucket himself.
    Odd,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// What one range gave.
pub(super) struct Read {
    pub(super) object: Arc<Object>,
    /// Half-open, within the object.
    pub(super) range: Range<u64>,
    /// In order, together exactly the range.
    pub(super) parts: Vec<Bytes>,
}

impl Source {
    /// The bytes of `range`; [`None`] for what the bucket is to answer itself.
    pub(super) async fn read(
        self: &Arc<Self>,
        location: &Path,
        range: &GetRange,
        extensions: &Extensions,
    ) -> Result<Option<Read>, Error> {
        for _ in 0..ATTEMPTS {
            let object = match self.core.metadata.object(self.number, location) {
                Presence::Absent => return Err(absent(location)),
                Presence::Present(object) => object,
                Presence::Unknown => {
                    let Some(edge) = self.edge(range) else { return Ok(None) };
                    return match self.cold(location, edge, extensions).await {
                        Ok(answer) => Ok(self.cut_out(&answer, range)),
                        Err(Failure::Store(error)) => Err(error),
                        Err(Failure::Changed | Failure::Odd) => Ok(None),
                    };
                }
            };
            let (Some(id), Some(range)) = (object.id, within(&object, range)) else { return Ok(None) };
            let wanted = self.core.indexes(&range);
            match self.blocks(&object, id, wanted, extensions).await {
                Ok(blocks) => {
                    return Ok(self.core.slices(&blocks, &range).map(|parts| Read { object, range, parts }));
                }
                Err(Failure::Store(error)) => return Err(error),
                Err(Failure::Changed) => {}
                Err(Failure::Odd) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The bytes of each range, all of one version; [`None`] for what the bucket is to answer itself.
    pub(super) async fn read_all(
        self: &Arc<Self>,
        location: &Path,
        ranges: &[Range<u64>],
    ) -> Result<Option<Vec<Bytes>>, Error> {
        let extensions = Extensions::default();
        'attempts: for _ in 0..ATTEMPTS {
            let object = match self.core.metadata.object(self.number, location) {
                Presence::Absent => return Err(absent(location)),
                Presence::Present(object) => object,
                Presence::Unknown => {
                    let Some(first) = ranges.first() else { return Ok(None) };
                    let Some(edge) = self.edge(&GetRange::Bounded(first.clone())) else { return Ok(None) };
                    match self.cold(location, edge, &extensions).await {
                        Ok(answer) => Arc::clone(&answer.object),
                        Err(Failure::Store(error)) => return Err(error),
                        Err(Failure::Changed | Failure::Odd) => return Ok(None),
                    }
                }
            };
            let Some(id) = object.id else { return Ok(None) };
            let mut read = Vec::with_capacity(ranges.len());
            let mut rest = ranges;
            while !rest.is_empty() {
                let Some(batch) = self.batch(&object, rest) else { return Ok(None) };
                let mut wanted: Vec<_> = batch.iter().flat_map(|range| self.core.indexes(range)).collect();
                wanted.sort_unstable();
                wanted.dedup();
                let blocks = match self.blocks(&object, id, wanted.into_iter(), &extensions).await {
                    Ok(blocks) => blocks,
                    Err(Failure::Store(error)) => return Err(error),
                    Err(Failure::Changed) => continue 'attempts,
                    Err(Failure::Odd) => return Ok(None),
                };
                for range in &batch {
                    let Some(parts) = self.core.slices(&blocks, range) else { return Ok(None) };
                    read.push(joined(parts));
                }
                rest = rest.get(batch.len()..).unwrap_or_default();
            }
            return Ok(Some(read));
        }
        Ok(None)
    }

    /// As many of the first ranges as are read at a time, at least one; [`None`] if one is not to be read here.
    fn batch(&self, object: &Object, ranges: &[Range<u64>]) -> Option<Vec<Range<u64>>> {
        let mut batch = Vec::new();
        let mut bytes = 0_u64;
        for range in ranges {
            let range = within(object, &GetRange::Bounded(range.clone()))?;
            let indexes = self.core.indexes(&range);
            bytes = bytes.saturating_add((indexes.end - indexes.start).saturating_mul(self.core.block_bytes));
            if bytes > MAX_READ && !batch.is_empty() {
                break;
            }
            batch.push(range);
        }
        Some(batch)
    }

    /// What to ask for to get whole subranges, without knowing the object's size.
    fn edge(&self, range: &GetRange) -> Option<Edge> {
        let block_bytes = self.core.block_bytes;
        let edge = match range {
            GetRange::Bounded(range) if range.start < range.end => {
                let indexes = self.core.indexes(range);
                let end = indexes.end.saturating_mul(block_bytes);
                Edge::Between(indexes.start.saturating_mul(block_bytes), end)
            }
            // The subrange that the first byte lies in starts at most so much earlier.
            GetRange::Suffix(length) => Edge::Last(length.saturating_add(block_bytes - 1)),
            GetRange::Bounded(_) | GetRange::Offset(_) => return None,
        };
        let length = match edge {
            Edge::Between(start, end) => end - start,
            Edge::Last(length) => length,
        };
        (length <= MAX_READ + 2 * block_bytes).then_some(edge)
    }

    async fn cold(
        self: &Arc<Self>,
        location: &Path,
        range: Edge,
        extensions: &Extensions,
    ) -> Result<Arc<ColdAnswer>, Failure> {
        let epoch = self.core.metadata.epoch();
        let cold = Cold { key: Key::new(self.number, Kind::Object, location), range: range.clone(), epoch };
        let fetch = Arc::clone(self).fetch_cold(location.clone(), range, epoch, extensions.clone()).boxed();
        flight::once(&self.core.cold, cold, &self.core.counters.coalesced, fetch).await.unwrap_or(Err(Failure::Odd))
    }

    async fn fetch_cold(
        self: Arc<Self>,
        location: Path,
        edge: Edge,
        epoch: Epoch,
        extensions: Extensions,
    ) -> Result<Arc<ColdAnswer>, Failure> {
        let range = match edge {
            Edge::Between(start, end) => GetRange::Bounded(start..end),
            Edge::Last(length) => GetRange::Suffix(length),
        };
        let result = self.request(&location, range, extensions).await?;
        let (meta, attributes) = (result.meta.clone(), result.attributes.clone());
        let object = Arc::new(Object::new(&self.identity, self.core.block_bytes, meta, attributes));
        self.core.metadata.note_object(self.number, &object, epoch);
        let size = object.meta.size;
        let expected = match edge {
            Edge::Between(start, end) => start..end.min(size),
            Edge::Last(length) => size.saturating_sub(length)..size,
        };
        let Some(id) = object.id.filter(|_| result.range == expected) else { return Err(Failure::Odd) };
        let blocks = self.cut(result).await?;
        for (index, bytes) in &blocks {
            self.core.keep(Block { object: id, index: *index }, bytes);
        }
        Ok(Arc::new(ColdAnswer { object, blocks }))
    }

    fn cut_out(&self, answer: &ColdAnswer, range: &GetRange) -> Option<Read> {
        let range = within(&answer.object, range)?;
        let parts = self.core.slices(&answer.blocks, &range)?;
        Some(Read { object: Arc::clone(&answer.object), range, parts })
    }

    /// The wanted subranges, in ascending order: from memory, from others who fetch them, from the disk, the bucket.
    async fn blocks(
        self: &Arc<Self>,
        object: &Arc<Object>,
        id: ObjectId,
        wanted: impl Iterator<Item = u64>,
        extensions: &Extensions,
    ) -> Result<Blocks, Failure> {
        let core = &self.core;
        let mut found = Blocks::new();
        let (mut leads, mut waits) = (Vec::new(), Vec::new());
        for index in wanted {
            let block = Block { object: id, index };
            if let Some(bytes) = core.memory.get(&block) {
                found.insert(index, bytes);
                continue;
            }
            match core.blocks.enter(block) {
                Role::Wait(waiting) => waits.push((index, waiting)),
                Role::Lead(lead) => match core.memory.peek(&block) {
                    // Another leader ended in between.
                    Some(bytes) => {
                        lead.finish(bytes.clone());
                        found.insert(index, bytes);
                    }
                    None => leads.push((index, lead)),
                },
            }
        }
        if !leads.is_empty() {
            // A task, so that those who wait depend on nobody's polling.
            let fill = Arc::clone(self).fill(Arc::clone(object), id, leads, extensions.clone());
            found.append(&mut tokio::spawn(fill).await.unwrap_or(Err(Failure::Odd))?);
        }
        let mut left = Vec::new();
        for (index, waiting) in waits {
            core.counters.coalesced.add(1);
            match waiting.await {
                Ok(bytes) => drop(found.insert(index, bytes)),
                Err(_) => left.push(index),
            }
        }
        if !left.is_empty() {
            // All who waited do this at the same time: one after the other would multiply timeouts.
            found.append(&mut self.fetch(object, id, left.into_iter(), extensions).await?);
        }
        Ok(found)
    }

    /// Gets the subranges from disk or bucket, and gives them to those who wait.
    async fn fill(
        self: Arc<Self>,
        object: Arc<Object>,
        id: ObjectId,
        leads: Vec<(u64, Lead<Block, Bytes>)>,
        extensions: Extensions,
    ) -> Result<Blocks, Failure> {
        let core = &self.core;
        let mut leads: BTreeMap<_, _> = leads.into_iter().collect();
        let mut found = Blocks::new();
        if let Some(disk) = &core.disk {
            let reads: Vec<_> =
                leads.keys().map(|index| (*index, disk.read(Block { object: id, index: *index }))).collect();
            let reads = reads.into_iter().map(|(index, read)| read.map(move |bytes| (index, bytes)).boxed());
            let mut reads = stream::iter(reads).buffer_unordered(CONCURRENCY);
            while let Some((index, bytes)) = reads.next().await {
                let Some(bytes) = bytes else { continue };
                core.memory.insert(Block { object: id, index }, bytes.clone());
                if let Some(lead) = leads.remove(&index) {
                    lead.finish(bytes.clone());
                }
                found.insert(index, bytes);
            }
        }
        let missing: Vec<_> = leads.keys().copied().collect();
        let mut fetched = self.fetch(&object, id, missing.into_iter(), &extensions).await?;
        for (index, lead) in leads {
            if let Some(bytes) = fetched.get(&index) {
                lead.finish(bytes.clone());
            }
        }
        found.append(&mut fetched);
        Ok(found)
    }

    /// Gets the subranges, in ascending order, from the bucket, neighbours in one request, and keeps them.
    async fn fetch(
        self: &Arc<Self>,
        object: &Arc<Object>,
        id: ObjectId,
        missing: impl Iterator<Item = u64>,
        extensions: &Extensions,
    ) -> Result<Blocks, Failure> {
        // Boxed, because closures over borrows in `buffered` defeat the compiler's proof that the future is `Send`.
        let requests: Vec<_> =
            runs(missing).map(|run| self.fetch_run(object, id, run, extensions.clone()).boxed()).collect();
        let mut runs = stream::iter(requests).buffer_unordered(CONCURRENCY);
        let mut fetched = Blocks::new();
        while let Some(mut run) = runs.try_next().await? {
            fetched.append(&mut run);
        }
        Ok(fetched)
    }

    async fn fetch_run(
        &self,
        object: &Object,
        id: ObjectId,
        run: Range<u64>,
        extensions: Extensions,
    ) -> Result<Blocks, Failure> {
        let block_bytes = self.core.block_bytes;
        let range = run.start.saturating_mul(block_bytes)..run.end.saturating_mul(block_bytes).min(object.meta.size);
        let epoch = self.core.metadata.epoch();
        let result = self.request(&object.meta.location, GetRange::Bounded(range.clone()), extensions).await?;
        if !object.is(&result.meta) {
            let (meta, attributes) = (result.meta, result.attributes);
            let object = Arc::new(Object::new(&self.identity, block_bytes, meta, attributes));
            self.core.metadata.note_object(self.number, &object, epoch);
            return Err(Failure::Changed);
        }
        if result.range != range {
            return Err(Failure::Odd);
        }
        let blocks = self.cut(result).await?;
        for (index, bytes) in &blocks {
            self.core.keep(Block { object: id, index: *index }, bytes);
        }
        Ok(blocks)
    }

    async fn request(&self, location: &Path, range: GetRange, extensions: Extensions) -> Result<GetResult, Failure> {
        let options = GetOptions { range: Some(range), extensions, ..GetOptions::default() };
        self.core.counters.fetches.add(1);
        let result = self.inner.get_opts(location, options).await;
        Ok(result.inspect_err(|_| self.core.counters.errors.add(1))?)
    }

    /// The body as whole subranges, each an allocation of its own. What lies before the first is left out.
    async fn cut(&self, result: GetResult) -> Result<Blocks, Failure> {
        let (block_bytes, size, range) = (self.core.block_bytes, result.meta.size, result.range.clone());
        let mut body = match result.payload {
            GetResultPayload::Stream(body) => body,
            GetResultPayload::File(..) => result.into_stream(),
        };
        let first = range.start.next_multiple_of(block_bytes);
        let mut blocks = Blocks::new();
        let mut block = Vec::new();
        let mut at = range.start;
        while let Some(mut chunk) = body.try_next().await.inspect_err(|_| self.core.counters.errors.add(1))? {
            self.core.counters.fetched_bytes.add(chunk.len() as u64);
            if at.saturating_add(chunk.len() as u64) > range.end {
                return Err(Failure::Odd);
            }
            let before = chunk.len().min(usize::try_from(first.saturating_sub(at)).unwrap_or(usize::MAX));
            chunk.advance(before);
            at += before as u64;
            while !chunk.is_empty() {
                let index = at / block_bytes;
                let start = index * block_bytes;
                let end = start.saturating_add(block_bytes).min(size);
                if block.is_empty() {
                    block.reserve_exact(usize::try_from(end - start).unwrap_or_default());
                }
                let take = chunk.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
                block.extend_from_slice(&chunk.split_to(take));
                at += take as u64;
                if at == end {
                    blocks.insert(index, mem::take(&mut block).into());
                }
            }
        }
        if at == range.end { Ok(blocks) } else { Err(Failure::Odd) }
    }
}

impl Core {
    /// The subranges that a range, which is not empty, lies in.
    fn indexes(&self, range: &Range<u64>) -> Range<u64> {
        range.start / self.block_bytes..range.end.div_ceil(self.block_bytes)
    }

    fn keep(&self, block: Block, bytes: &Bytes) {
        self.memory.insert(block, bytes.clone());
        if let Some(disk) = &self.disk {
            disk.write(block, bytes.clone());
        }
    }

    /// The parts of `range`; [`None`] if a subrange is missing or short.
    fn slices(&self, blocks: &Blocks, range: &Range<u64>) -> Option<Vec<Bytes>> {
        let slice = |index: u64| {
            let block = blocks.get(&index)?;
            let base = index.checked_mul(self.block_bytes)?;
            let start = usize::try_from(range.start.saturating_sub(base)).ok()?;
            let end = usize::try_from((range.end - base).min(self.block_bytes)).ok()?;
            // A small piece must not keep a large subrange alive that has been evicted.
            let small = end.checked_sub(start)? < block.len() / 4;
            let part = block.get(start..end)?;
            Some(if small { Bytes::copy_from_slice(part) } else { block.slice(start..end) })
        };
        let parts = self.indexes(range).map(slice).collect::<Option<Vec<_>>>()?;
        self.counters.served_bytes.add(range.end - range.start);
        Some(parts)
    }
}

/// The range within the object, unless it is empty, unbounded, beyond the end, or too large.
fn within(object: &Object, range: &GetRange) -> Option<Range<u64>> {
    if matches!(range, GetRange::Offset(_)) {
        return None;
    }
    let range = range.as_range(object.meta.size).ok()?;
    (range.start < range.end && range.end - range.start <= MAX_READ).then_some(range)
}

/// What a bucket says of a key that it does not have.
pub(super) fn absent(location: &Path) -> Error {
    Error::NotFound { path: location.to_string(), source: "it was not there when last asked for".into() }
}

pub(super) fn joined(parts: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(parts) {
        Ok([part]) => part,
        Err(parts) => {
            let mut joined = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
            parts.iter().for_each(|part| joined.extend_from_slice(part));
            joined.freeze()
        }
    }
}

/// Neighbours among ascending numbers, as half-open ranges.
fn runs(numbers: impl Iterator<Item = u64>) -> impl Iterator<Item = Range<u64>> {
    let mut numbers = numbers.peekable();
    std::iter::from_fn(move || {
        let start = numbers.next()?;
        let mut end = start + 1;
        while numbers.next_if_eq(&end).is_some() {
            end += 1;
        }
        Some(start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined() {
        let joined = |numbers: &[u64]| runs(numbers.iter().copied()).collect::<Vec<_>>();
        assert_eq!(joined(&[]), []);
        assert_eq!(joined(&[3, 9]), [3..4, 9..10]);
        assert_eq!(joined(&[0, 1, 2, 5, 7, 8]), [0..3, 5..6, 7..9]);
    }
}
