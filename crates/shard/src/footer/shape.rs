//! What a footer and its page indexes are made of, by type.
//!
//! The parquet crate does not look at the types that fields claim to have, reserves what lists claim to hold, and its
//! skipping of some values does not end. Bytes that were checked here hold for each field of `parquet.thrift` a value of
//! its type, fields ascend, those that are required are there, and lists are as long as they say. Unknown fields are
//! passed over, but for lists of booleans; see [`crate::thrift`].

use parquet::file::{
    metadata::{ColumnChunkMetaData, KeyValue, RowGroupMetaData},
    page_index::offset_index::PageLocation,
};

use crate::thrift::{BINARY, Field, I32, I64, LIST, Reader, Result, STRUCT};

/// Type of a value.
enum Type {
    Bool,
    I8,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List(&'static Self),
    Struct(&'static Struct),
}

/// A struct or a union: its fields, ascending, and bytes that it takes in memory, but for lists and strings.
pub(super) struct Struct {
    fields: &'static [(i16, Need, Type)],
    memory: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
}

use Need::{Optional, Required};

/// Text lies in an allocation of its own.
const STRING_MEMORY: usize = 32;
/// A schema element, the type made of it and the column's description with its path.
const COLUMN_MEMORY: usize = 512;

pub(super) const FILE_METADATA: Struct = Struct {
    fields: &[
        (1, Required, Type::I32),                                  // version
        (2, Required, Type::List(&Type::Struct(&SCHEMA_ELEMENT))), // schema
        (3, Required, Type::I64),                                  // number of rows
        (4, Required, Type::List(&Type::Struct(&ROW_GROUP))),      // row groups
        (5, Optional, Type::List(&Type::Struct(&KEY_VALUE))),      // key/value metadata
        (6, Optional, Type::Binary),                               // created by
        (7, Optional, Type::List(&Type::Struct(&COLUMN_ORDER))),   // column orders
    ],
    memory: 0,
};

const SCHEMA_ELEMENT: Struct = Struct {
    fields: &[
        (1, Optional, Type::I32),                    // type
        (2, Optional, Type::I32),                    // type length
        (3, Optional, Type::I32),                    // repetition
        (4, Required, Type::Binary),                 // name
        (5, Optional, Type::I32),                    // number of children
        (6, Optional, Type::I32),                    // converted type
        (7, Optional, Type::I32),                    // scale
        (8, Optional, Type::I32),                    // precision
        (9, Optional, Type::I32),                    // field id
        (10, Optional, Type::Struct(&LOGICAL_TYPE)), // logical type
    ],
    memory: COLUMN_MEMORY,
};

const EMPTY: Struct = Struct { fields: &[], memory: 0 };

const LOGICAL_TYPE: Struct = Struct {
    fields: &[
        (1, Optional, Type::Struct(&EMPTY)),      // string
        (2, Optional, Type::Struct(&EMPTY)),      // map
        (3, Optional, Type::Struct(&EMPTY)),      // list
        (4, Optional, Type::Struct(&EMPTY)),      // enum
        (5, Optional, Type::Struct(&DECIMAL)),    // decimal
        (6, Optional, Type::Struct(&EMPTY)),      // date
        (7, Optional, Type::Struct(&TIME)),       // time
        (8, Optional, Type::Struct(&TIME)),       // timestamp
        (10, Optional, Type::Struct(&INTEGER)),   // integer
        (11, Optional, Type::Struct(&EMPTY)),     // unknown
        (12, Optional, Type::Struct(&EMPTY)),     // JSON
        (13, Optional, Type::Struct(&EMPTY)),     // BSON
        (14, Optional, Type::Struct(&EMPTY)),     // UUID
        (15, Optional, Type::Struct(&EMPTY)),     // float of 16 bits
        (16, Optional, Type::Struct(&VARIANT)),   // variant
        (17, Optional, Type::Struct(&GEOMETRY)),  // geometry
        (18, Optional, Type::Struct(&GEOGRAPHY)), // geography
        (19, Optional, Type::Struct(&EMPTY)),     // file
    ],
    memory: 0,
};

const DECIMAL: Struct = Struct { fields: &[(1, Required, Type::I32), (2, Required, Type::I32)], memory: 0 };
const TIME: Struct =
    Struct { fields: &[(1, Required, Type::Bool), (2, Required, Type::Struct(&TIME_UNIT))], memory: 0 };
const TIME_UNIT: Struct = Struct {
    fields: &[
        (1, Optional, Type::Struct(&EMPTY)),
        (2, Optional, Type::Struct(&EMPTY)),
        (3, Optional, Type::Struct(&EMPTY)),
    ],
    memory: 0,
};
const INTEGER: Struct = Struct { fields: &[(1, Required, Type::I8), (2, Required, Type::Bool)], memory: 0 };
const VARIANT: Struct = Struct { fields: &[(1, Optional, Type::I8)], memory: 0 };
const GEOMETRY: Struct = Struct { fields: &[(1, Optional, Type::Binary)], memory: 0 };
const GEOGRAPHY: Struct = Struct { fields: &[(1, Optional, Type::Binary), (2, Optional, Type::I32)], memory: 0 };

const ROW_GROUP: Struct = Struct {
    fields: &[
        (1, Required, Type::List(&Type::Struct(&COLUMN_CHUNK))), // columns
        (2, Required, Type::I64),                                // bytes without compression
        (3, Required, Type::I64),                                // number of rows
        (4, Optional, Type::List(&Type::Struct(&SORTING_COLUMN))), // sorting columns
        (5, Optional, Type::I64),                                // offset in the file
        (6, Optional, Type::I64),                                // bytes, compressed
        (7, Optional, Type::I16),                                // ordinal
    ],
    memory: size_of::<RowGroupMetaData>(),
};

const SORTING_COLUMN: Struct =
    Struct { fields: &[(1, Required, Type::I32), (2, Required, Type::Bool), (3, Required, Type::Bool)], memory: 8 };

const COLUMN_CHUNK: Struct = Struct {
    fields: &[
        (1, Optional, Type::Binary),                   // path of another file
        (2, Required, Type::I64),                      // offset in the file
        (3, Required, Type::Struct(&COLUMN_METADATA)), // metadata
        (4, Optional, Type::I64),                      // offset index: offset
        (5, Optional, Type::I32),                      // and length
        (6, Optional, Type::I64),                      // column index: offset
        (7, Optional, Type::I32),                      // and length
        (8, Optional, Type::Struct(&COLUMN_CRYPTO)),   // how it is encrypted
        (9, Optional, Type::Binary),                   // its metadata, encrypted
    ],
    memory: size_of::<ColumnChunkMetaData>(),
};

const COLUMN_CRYPTO: Struct =
    Struct { fields: &[(1, Optional, Type::Struct(&EMPTY)), (2, Optional, Type::Struct(&COLUMN_KEY))], memory: 0 };
const COLUMN_KEY: Struct =
    Struct { fields: &[(1, Required, Type::List(&Type::Binary)), (2, Optional, Type::Binary)], memory: 0 };

const COLUMN_METADATA: Struct = Struct {
    fields: &[
        (1, Required, Type::I32),                                   // type
        (2, Required, Type::List(&Type::I32)),                      // encodings
        (3, Required, Type::List(&Type::Binary)),                   // path in the schema
        (4, Required, Type::I32),                                   // codec
        (5, Required, Type::I64),                                   // number of values
        (6, Required, Type::I64),                                   // bytes without compression
        (7, Required, Type::I64),                                   // bytes, compressed
        (8, Optional, Type::List(&Type::Struct(&KEY_VALUE))),       // key/value metadata
        (9, Required, Type::I64),                                   // first data page
        (10, Optional, Type::I64),                                  // first index page
        (11, Optional, Type::I64),                                  // dictionary page
        (12, Optional, Type::Struct(&STATISTICS)),                  // statistics
        (13, Optional, Type::List(&Type::Struct(&ENCODING_STATS))), // pages by encoding
        (14, Optional, Type::I64),                                  // bloom filter: offset
        (15, Optional, Type::I32),                                  // and length
        (16, Optional, Type::Struct(&SIZE_STATISTICS)),             // size statistics
        (17, Optional, Type::Struct(&GEOSPATIAL_STATISTICS)),       // geospatial statistics
    ],
    memory: 0,
};

const STATISTICS: Struct = Struct {
    fields: &[
        (1, Optional, Type::Binary), // maximum, deprecated
        (2, Optional, Type::Binary), // minimum, deprecated
        (3, Optional, Type::I64),    // nulls
        (4, Optional, Type::I64),    // distinct values
        (5, Optional, Type::Binary), // maximum
        (6, Optional, Type::Binary), // minimum
        (7, Optional, Type::Bool),   // whether the maximum is exact
        (8, Optional, Type::Bool),   // whether the minimum is exact
        (9, Optional, Type::I64),    // NaNs
    ],
    memory: 0,
};

const ENCODING_STATS: Struct =
    Struct { fields: &[(1, Required, Type::I32), (2, Required, Type::I32), (3, Required, Type::I32)], memory: 12 };

const SIZE_STATISTICS: Struct = Struct {
    fields: &[
        (1, Optional, Type::I64),              // bytes of byte arrays
        (2, Optional, Type::List(&Type::I64)), // histogram of repetition levels
        (3, Optional, Type::List(&Type::I64)), // histogram of definition levels
    ],
    memory: 0,
};

const GEOSPATIAL_STATISTICS: Struct = Struct {
    fields: &[(1, Optional, Type::Struct(&BOUNDING_BOX)), (2, Optional, Type::List(&Type::I32))],
    memory: 128,
};

const BOUNDING_BOX: Struct = Struct {
    fields: &[
        (1, Required, Type::Double),
        (2, Required, Type::Double),
        (3, Required, Type::Double),
        (4, Required, Type::Double),
        (5, Optional, Type::Double),
        (6, Optional, Type::Double),
        (7, Optional, Type::Double),
        (8, Optional, Type::Double),
    ],
    memory: 0,
};

const KEY_VALUE: Struct =
    Struct { fields: &[(1, Required, Type::Binary), (2, Optional, Type::Binary)], memory: size_of::<KeyValue>() };

const COLUMN_ORDER: Struct = Struct {
    fields: &[
        (1, Optional, Type::Struct(&EMPTY)), // that of the type
        (2, Optional, Type::Struct(&EMPTY)), // total order of IEEE 754
        (3, Optional, Type::Struct(&EMPTY)), // timestamps of 96 bits
    ],
    memory: 4,
};

pub(super) const COLUMN_INDEX: Struct = Struct {
    fields: &[
        (1, Required, Type::List(&Type::Bool)),   // pages of nulls only
        (2, Required, Type::List(&Type::Binary)), // minima
        (3, Required, Type::List(&Type::Binary)), // maxima
        (4, Required, Type::I32),                 // their order
        (5, Optional, Type::List(&Type::I64)),    // nulls
        (6, Optional, Type::List(&Type::I64)),    // histograms of repetition levels
        (7, Optional, Type::List(&Type::I64)),    // histograms of definition levels
        (8, Optional, Type::List(&Type::I64)),    // NaNs
    ],
    memory: 0,
};

pub(super) const OFFSET_INDEX: Struct = Struct {
    fields: &[
        (1, Required, Type::List(&Type::Struct(&PAGE_LOCATION))), // pages
        (2, Optional, Type::List(&Type::I64)),                    // bytes of byte arrays
    ],
    memory: 0,
};

const PAGE_LOCATION: Struct = Struct {
    fields: &[(1, Required, Type::I64), (2, Required, Type::I32), (3, Required, Type::I64)],
    memory: size_of::<PageLocation>(),
};

impl Struct {
    /// Checks that `bytes` begin with such a struct; returns how many bytes the parquet crate needs to hold it, about.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<u64> {
        let mut memory = 0;
        self.pass(&mut Reader::new(bytes), &mut memory)?;
        Ok(memory)
    }

    /// Depth is that of the tables above, which do not contain themselves.
    fn pass(&self, reader: &mut Reader<'_>, memory: &mut u64) -> Result<()> {
        add(memory, self.memory);
        let mut fields = self.fields.iter();
        let mut previous = 0;
        while let Some(Field { id, kind }) = reader.field(previous)? {
            if id <= previous {
                return reader.error("each field once, in ascending order");
            }
            previous = id;
            // Those before it are absent.
            let known = loop {
                match fields.as_slice().first() {
                    Some((next, need, ty)) if *next <= id => {
                        fields.next();
                        if *next == id {
                            break Some(ty);
                        }
                        if *need == Required {
                            return reader.error("all required fields");
                        }
                    }
                    _ => break None,
                }
            };
            match known {
                Some(ty) if ty.is(kind) => ty.pass(reader, false, memory)?,
                Some(_) => return reader.error("fields of the types that Parquet says"),
                None => reader.skip(kind)?,
            }
        }
        if fields.any(|(_, need, _)| *need == Required) {
            return reader.error("all required fields");
        }
        Ok(())
    }
}

impl Type {
    /// Whether a field's header or a list's may give this type as `kind`.
    const fn is(&self, kind: u8) -> bool {
        match self {
            Self::Bool => kind == 1 || kind == 2,
            Self::I8 => kind == 3,
            Self::I16 => kind == 4,
            Self::I32 => kind == I32,
            Self::I64 => kind == I64,
            Self::Double => kind == 7,
            Self::Binary => kind == BINARY,
            Self::List(_) => kind == LIST,
            Self::Struct(_) => kind == STRUCT,
        }
    }

    fn pass(&self, reader: &mut Reader<'_>, element: bool, memory: &mut u64) -> Result<()> {
        match self {
            // As a field, its type is its value; as an element, it is a byte.
            Self::Bool if element => reader.skip(3),
            Self::Bool => Ok(()),
            Self::I8 => reader.skip(3),
            Self::I16 => reader.i16().map(drop),
            Self::I32 => reader.i32().map(drop),
            Self::I64 => reader.i64().map(drop),
            Self::Double => reader.skip(7),
            Self::Binary => {
                let length = reader.binary()?.len();
                add(memory, length);
                add(memory, STRING_MEMORY);
                Ok(())
            }
            Self::List(of) => {
                let (kind, size) = reader.list()?;
                // The type of an empty list's elements does not matter.
                if size > 0 && !of.is(kind) {
                    return reader.error("elements of the types that Parquet says");
                }
                for _ in 0..size {
                    of.pass(reader, true, memory)?;
                    add(memory, of.size());
                }
                Ok(())
            }
            Self::Struct(of) => of.pass(reader, memory),
        }
    }

    /// Bytes that an element of this type takes in a list; those of structs and strings count by themselves.
    const fn size(&self) -> usize {
        match self {
            Self::Bool | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 => 4,
            Self::I64 | Self::Double => 8,
            Self::Binary | Self::List(_) | Self::Struct(_) => 0,
        }
    }
}

fn add(memory: &mut u64, bytes: usize) {
    *memory = memory.saturating_add(bytes as u64);
}
