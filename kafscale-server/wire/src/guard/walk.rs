//! Walks a request body along its table.

use super::schema::{Element, Field, Kind, Schema, Shape};
use super::{GuardError, Reason};

/// The first node of the map in which the codec keeps the unknown tagged fields of one struct, in bytes: eleven keys
/// of 4 and values of 32 bytes with its links come to 408.
const FIRST_UNKNOWN_TAG: usize = 512;
/// Each further entry of that map, in bytes: a node that was split holds at least five entries.
const NEXT_UNKNOWN_TAG: usize = 128;

/// Checks `body`, of which decoding may allocate `budget` bytes.
pub(super) fn walk(schema: &Schema, version: i16, body: &[u8], budget: usize) -> Result<(), GuardError> {
    let mut walk = Walk {
        body,
        position: 0,
        version,
        flexible: version >= schema.flexible,
        budget,
        unspent: budget,
    };
    walk.shape(&schema.body)
}

struct Walk<'a> {
    body: &'a [u8],
    /// Invariant: at most `body.len()`.
    position: usize,
    version: i16,
    flexible: bool,
    budget: usize,
    unspent: usize,
}

impl Walk<'_> {
    fn shape(&mut self, shape: &Shape) -> Result<(), GuardError> {
        for field in shape.fields {
            if field.exists_in(self.version) {
                self.field(field).map_err(|error| error.within(field.name))?;
            }
        }
        if self.flexible { self.tags(shape) } else { Ok(()) }
    }

    fn field(&mut self, field: &Field) -> Result<(), GuardError> {
        match field.kind {
            Kind::Fixed(size) => self.skip(size),
            Kind::Text => self.text(field.nullable_in(self.version)),
            Kind::Blob => {
                let length = self.length32(field.nullable_in(self.version))?;
                self.skip(length.unwrap_or(0))
            }
            Kind::Struct(ref shape) => self.shape(shape),
            Kind::Array { ref element, memory } => match self.length32(field.nullable_in(self.version))? {
                None => Ok(()),
                Some(count) => self.array(element, count, memory),
            },
        }
    }

    fn array(&mut self, element: &Element, count: usize, memory: usize) -> Result<(), GuardError> {
        let least = self.least(element);
        let left = self.left();
        if count.checked_mul(least).is_none_or(|bytes| bytes > left) {
            return Err(self.error(Reason::TooManyElements { count, left }));
        }
        self.spend(count.saturating_mul(memory))?;
        match element {
            // Checked above: count × size bytes are left.
            Element::Fixed(size) => self.skip(count.saturating_mul(*size)),
            Element::Text => {
                for index in 0..count {
                    self.text(false).map_err(|error| error.at_index(index))?;
                }
                Ok(())
            }
            Element::Struct(shape) => {
                for index in 0..count {
                    self.shape(shape).map_err(|error| error.at_index(index))?;
                }
                Ok(())
            }
        }
    }

    /// The tagged fields at the end of a struct.
    fn tags(&mut self, shape: &Shape) -> Result<(), GuardError> {
        let count = self.varint()? as usize;
        // A tag and its size are at least one byte each.
        if count > self.left() / 2 {
            let left = self.left();
            return Err(self
                .error(Reason::TooManyElements { count, left })
                .within("_tagged_fields"));
        }
        let mut memory = FIRST_UNKNOWN_TAG;
        for _ in 0..count {
            let number = self.varint()?;
            let claimed = self.varint()? as usize;
            let known = shape
                .tags
                .iter()
                .find(|tag| tag.number == number && tag.field.exists_in(self.version));
            let Some(tag) = known else {
                self.spend(memory)?;
                memory = NEXT_UNKNOWN_TAG;
                self.skip(claimed)
                    .map_err(|error| error.within("_tagged_fields"))?;
                continue;
            };
            let start = self.position;
            self.field(&tag.field)
                .map_err(|error| error.within(tag.field.name))?;
            // The codec does not look at the size of a field that it knows.
            let content = self.position.saturating_sub(start);
            if content != claimed {
                let reason = Reason::TagSize {
                    tag: number,
                    claimed,
                    content,
                };
                return Err(self.error(reason).within(tag.field.name));
            }
        }
        Ok(())
    }

    fn text(&mut self, nullable: bool) -> Result<(), GuardError> {
        let length = if self.flexible {
            self.length32(nullable)?
        } else {
            let length = i16::from_be_bytes(self.take()?);
            self.length(i32::from(length), nullable)?
        };
        self.skip(length.unwrap_or(0))
    }

    /// The length of bytes or of an array; of a string too when it is compact.
    fn length32(&mut self, nullable: bool) -> Result<Option<usize>, GuardError> {
        if self.flexible {
            match self.varint()?.checked_sub(1) {
                Some(length) => Ok(Some(length as usize)),
                None if nullable => Ok(None),
                None => Err(self.error(Reason::NotNullable)),
            }
        } else {
            let length = i32::from_be_bytes(self.take()?);
            self.length(length, nullable)
        }
    }

    fn length(&self, length: i32, nullable: bool) -> Result<Option<usize>, GuardError> {
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length != -1 => Err(self.error(Reason::NegativeLength(length))),
            Err(_) if nullable => Ok(None),
            Err(_) => Err(self.error(Reason::NotNullable)),
        }
    }

    /// An unsigned integer of at most five bytes with seven bits each.
    fn varint(&mut self) -> Result<u32, GuardError> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| self.error(Reason::VarintTooLong));
            }
        }
        Err(self.error(Reason::VarintTooLong))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], GuardError> {
        let bytes = self
            .body
            .get(self.position..)
            .and_then(|rest| rest.first_chunk::<N>());
        match bytes {
            Some(bytes) => {
                self.position += N;
                Ok(*bytes)
            }
            None => Err(self.error(Reason::Truncated {
                needed: N,
                left: self.left(),
            })),
        }
    }

    fn skip(&mut self, size: usize) -> Result<(), GuardError> {
        let left = self.left();
        if size > left {
            return Err(self.error(Reason::Truncated { needed: size, left }));
        }
        self.position += size;
        Ok(())
    }

    fn spend(&mut self, memory: usize) -> Result<(), GuardError> {
        match self.unspent.checked_sub(memory) {
            Some(unspent) => {
                self.unspent = unspent;
                Ok(())
            }
            None => Err(self.error(Reason::OverBudget { budget: self.budget })),
        }
    }

    fn left(&self) -> usize {
        self.body.len().saturating_sub(self.position)
    }

    /// The fewest bytes that one element can have.
    fn least(&self, element: &Element) -> usize {
        match element {
            Element::Fixed(size) => *size,
            Element::Text => self.least_of(&Kind::Text),
            Element::Struct(shape) => self.least_of(&Kind::Struct(*shape)),
        }
    }

    fn least_of(&self, kind: &Kind) -> usize {
        match kind {
            Kind::Fixed(size) => *size,
            Kind::Text => 1 + usize::from(!self.flexible),
            Kind::Blob | Kind::Array { .. } => {
                if self.flexible {
                    1
                } else {
                    4
                }
            }
            Kind::Struct(shape) => {
                let fields = shape.fields.iter().filter(|field| field.exists_in(self.version));
                fields.map(|field| self.least_of(&field.kind)).sum::<usize>() + usize::from(self.flexible)
            }
        }
    }

    fn error(&self, reason: Reason) -> GuardError {
        GuardError {
            path: String::new(),
            position: self.position,
            reason,
        }
    }
}

impl GuardError {
    /// The same error, seen from the struct that holds the field `name`.
    fn within(mut self, name: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{name}{separator}{}", self.path);
        self
    }

    /// The same error, seen from the array that holds the element `index`.
    fn at_index(mut self, index: usize) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        self.path = format!("[{index}]{separator}{}", self.path);
        self
    }
}
