//! The vocabulary in which the guard's tables describe requests.
//!
//! A table reads like Kafka's message definition: fields in their order, `since` and `until` for the versions that
//! have them, `nullable_since` for the versions that allow null. Whether lengths are compact and structs end with
//! tagged fields follows from the version alone (KIP-482).

use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;

/// One request.
pub(super) struct Schema {
    /// Which request.
    pub(super) key: ApiKey,
    /// First flexible version (KIP-482); `i16::MAX` when there is none.
    pub(super) flexible: i16,
    /// Its body.
    pub(super) body: Shape,
}

/// The content of a struct.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// The fields, in the order on the wire.
    pub(super) fields: &'static [Field],
    /// The tagged fields that the codec decodes; it keeps others as they are.
    pub(super) tags: &'static [Tag],
}

/// A tagged field that the codec knows.
pub(super) struct Tag {
    pub(super) number: u32,
    pub(super) field: Field,
}

/// One field.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    since: i16,
    until: i16,
    nullable_since: i16,
    pub(super) kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A value of this many bytes.
    Fixed(usize),
    /// A string.
    Text,
    /// Bytes, records among them.
    Blob,
    /// A struct in place; only tagged fields have this kind.
    Struct(Shape),
    /// An array.
    Array {
        /// One element.
        element: Element,
        /// Memory that one decoded element takes in the array, in bytes.
        memory: usize,
    },
}

/// What an array holds.
#[derive(Clone, Copy)]
pub(super) enum Element {
    /// A value of this many bytes.
    Fixed(usize),
    /// A string.
    Text,
    /// A struct.
    Struct(Shape),
}

impl Field {
    /// The field exists from this version on.
    pub(super) const fn since(mut self, version: i16) -> Self {
        self.since = version;
        self
    }

    /// The field exists up to this version.
    pub(super) const fn until(mut self, version: i16) -> Self {
        self.until = version;
        self
    }

    /// The field may be null from this version on.
    pub(super) const fn nullable_since(mut self, version: i16) -> Self {
        self.nullable_since = version;
        self
    }

    /// The field may be null in every version.
    pub(super) const fn nullable(self) -> Self {
        self.nullable_since(0)
    }

    /// Whether `version` has the field.
    pub(super) const fn exists_in(&self, version: i16) -> bool {
        self.since <= version && version <= self.until
    }

    /// Whether the field may be null in `version`.
    pub(super) const fn nullable_in(&self, version: i16) -> bool {
        self.nullable_since <= version
    }
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        since: 0,
        until: i16::MAX,
        nullable_since: i16::MAX,
        kind,
    }
}

pub(super) const fn request(key: ApiKey, flexible: i16, fields: &'static [Field]) -> Schema {
    Schema {
        key,
        flexible,
        body: shape(fields),
    }
}

pub(super) const fn shape(fields: &'static [Field]) -> Shape {
    Shape { fields, tags: &[] }
}

pub(super) const fn boolean(name: &'static str) -> Field {
    field(name, Kind::Fixed(1))
}

pub(super) const fn int8(name: &'static str) -> Field {
    field(name, Kind::Fixed(1))
}

pub(super) const fn int16(name: &'static str) -> Field {
    field(name, Kind::Fixed(2))
}

pub(super) const fn int32(name: &'static str) -> Field {
    field(name, Kind::Fixed(4))
}

pub(super) const fn int64(name: &'static str) -> Field {
    field(name, Kind::Fixed(8))
}

pub(super) const fn uuid(name: &'static str) -> Field {
    field(name, Kind::Fixed(16))
}

pub(super) const fn string(name: &'static str) -> Field {
    field(name, Kind::Text)
}

pub(super) const fn bytes(name: &'static str) -> Field {
    field(name, Kind::Blob)
}

/// A struct as the content of a tagged field.
pub(super) const fn inline(name: &'static str, shape: Shape) -> Field {
    field(name, Kind::Struct(shape))
}

pub(super) const fn int32s(name: &'static str) -> Field {
    field(
        name,
        Kind::Array {
            element: Element::Fixed(4),
            memory: 4,
        },
    )
}

pub(super) const fn strings(name: &'static str) -> Field {
    field(
        name,
        Kind::Array {
            element: Element::Text,
            memory: size_of::<StrBytes>(),
        },
    )
}

/// An array of structs that the codec decodes to `T`.
pub(super) const fn structs<T>(name: &'static str, fields: &'static [Field]) -> Field {
    tagged_structs::<T>(name, shape(fields))
}

/// An array of structs with known tagged fields that the codec decodes to `T`.
pub(super) const fn tagged_structs<T>(name: &'static str, shape: Shape) -> Field {
    field(
        name,
        Kind::Array {
            element: Element::Struct(shape),
            memory: size_of::<T>(),
        },
    )
}
