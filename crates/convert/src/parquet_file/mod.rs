//! Writes Parquet files page by page: pages are made anywhere, in parallel, and appended in order.
//!
//! Why not the writers of the `parquet` crate: they write no page checksums, make one compressor per page, and encode on
//! the thread that writes. Here a [`Page`] is finished bytes that do not depend on their place in the file, so a worker can
//! encode and compress it; only [`FileWriter`] is sequential, and it merely copies. Footers and page indexes are written
//! as their parts become known, and wait in bounded memory; the crate's writer holds all of them several times over.

mod bounds;
mod column_chunk;
mod compression;
mod delta;
mod footer;
mod leb128;
mod page;
mod page_header;
mod rle;
mod spool;
mod thrift;
mod writer;

pub(crate) use bounds::{lower_bound, upper_bound};
pub(crate) use compression::Compressor;
pub use compression::{Compression, ZstdLevel};
pub(crate) use page::{Page, PageBounds, dictionary_page, label_page, prefix_page, value_page};
pub(crate) use spool::SPOOL_BYTES;
pub(crate) use writer::{FileColumn, FileWriter, Spill};

#[cfg(test)]
mod tests;
