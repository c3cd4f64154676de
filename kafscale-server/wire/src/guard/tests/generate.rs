//! Makes random valid bodies from a table, in the form that the codec itself writes.

use super::*;

pub(super) fn body(schema: &Schema, version: i16, seed: u64) -> Vec<u8> {
    let flexible = version >= schema.flexible;
    let mut body = Body {
        bytes: Vec::new(),
        version,
        flexible,
        state: seed | 1,
    };
    body.shape(&schema.body);
    body.bytes
}

struct Body {
    bytes: Vec<u8>,
    version: i16,
    flexible: bool,
    state: u64,
}

impl Body {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64: enough for test data.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn shape(&mut self, shape: &Shape) {
        let version = self.version;
        for field in shape.fields.iter().filter(|field| field.exists_in(version)) {
            let null = field.nullable_in(self.version) && self.below(4) == 0;
            self.field(field, null);
        }
        if self.flexible {
            self.tags(shape);
        }
    }

    fn field(&mut self, field: &Field, null: bool) {
        match &field.kind {
            Kind::Fixed(size) => self.fixed(*size),
            Kind::Text => self.text(null),
            Kind::Blob => {
                let length = self.below(200);
                self.length(null, length);
                self.filler(null, length);
            }
            Kind::Struct(shape) => self.shape(shape),
            Kind::Array { element, .. } => {
                let count = self.below(4);
                self.length(null, count);
                for _ in 0..if null { 0 } else { count } {
                    match element {
                        Element::Fixed(size) => self.fixed(*size),
                        Element::Text => self.text(false),
                        Element::Struct(shape) => self.shape(shape),
                    }
                }
            }
        }
    }

    fn fixed(&mut self, size: usize) {
        // The codec writes booleans as 0 and 1 only.
        let bound = if size == 1 { 2 } else { 256 };
        for _ in 0..size {
            let byte = self.below(bound) as u8;
            self.bytes.push(byte);
        }
    }

    fn text(&mut self, null: bool) {
        let length = self.below(150);
        if self.flexible {
            self.length(null, length);
        } else {
            self.bytes
                .extend(if null { -1i16 } else { length as i16 }.to_be_bytes());
        }
        self.filler(null, length);
    }

    fn filler(&mut self, null: bool, length: u64) {
        let letter = b'a' + self.below(26) as u8;
        self.bytes
            .extend(vec![letter; if null { 0 } else { length as usize }]);
    }

    fn length(&mut self, null: bool, length: u64) {
        if self.flexible {
            self.varint(if null { 0 } else { length + 1 });
        } else {
            self.bytes
                .extend(if null { -1i32 } else { length as i32 }.to_be_bytes());
        }
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Some of the known tagged fields, with a value that is not the default, then some that nobody knows.
    fn tags(&mut self, shape: &Shape) {
        let mut tags: Vec<(u64, Vec<u8>)> = Vec::new();
        let version = self.version;
        for tag in shape.tags.iter().filter(|tag| tag.field.exists_in(version)) {
            if self.below(2) == 0 {
                let start = self.bytes.len();
                self.field(&tag.field, false);
                tags.push((u64::from(tag.number), self.bytes.split_off(start)));
            }
        }
        for number in [20, 300] {
            if self.below(16) == 0 {
                let size = self.below(200) as usize;
                tags.push((number, vec![7; size]));
            }
        }
        self.varint(tags.len() as u64);
        for (number, content) in tags {
            self.varint(number);
            self.varint(content.len() as u64);
            self.bytes.extend(content);
        }
    }
}
