//! The Fetch response, versions 4 to 18, without a copy of the records.
//!
//! The codec's own encoder copies every record into one buffer. Here the records stay the slices that the engine
//! handed out: the response is a list of chunks in which only what stands between the records is new.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::error_code::ErrorCode;
use crate::request::RequestHeader;
use crate::response::{EncodeError, Response, frame_prefix};
use crate::versions::served;

/// First version with compact lengths and tagged fields.
const FLEXIBLE: i16 = 12;
/// First version that names topics by their id (KIP-516).
const TOPIC_IDS: i16 = 13;
/// First version that can name the endpoints of new leaders (KIP-951).
const NODE_ENDPOINTS: i16 = 16;

/// The answer to one Fetch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchResponse {
    /// How long the client was held back for a quota, in milliseconds.
    pub throttle_time_ms: i32,
    /// The error of the whole request; not sent before version 7.
    pub error: ErrorCode,
    /// The fetch session, 0 for none; must be 0 before version 7.
    pub session_id: i32,
    /// The topics.
    pub topics: Vec<FetchableTopic>,
    /// Where the leaders are that [`FetchablePartition::current_leader`] names; sent from version 16 on.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// One topic of a Fetch response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchableTopic {
    /// Its name; sent up to version 12.
    pub name: StrBytes,
    /// Its id; sent from version 13 on.
    pub topic_id: Uuid,
    /// Its partitions.
    pub partitions: Vec<FetchablePartition>,
}

/// One partition of a Fetch response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchablePartition {
    /// Its number.
    pub partition: i32,
    /// Its error.
    pub error: ErrorCode,
    /// The high watermark, -1 if unknown.
    pub high_watermark: i64,
    /// The last stable offset, -1 if unknown.
    pub last_stable_offset: i64,
    /// The log start offset, -1 if unknown; sent from version 5 on.
    pub log_start_offset: i64,
    /// Aborted transactions among the records; `None` for a reader of uncommitted data.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// The broker to read from instead, -1 for none; must be -1 before version 11.
    pub preferred_read_replica: i32,
    /// Whole record batches, in slices that follow each other. No slices are sent as records of length 0, never as
    /// null, which librdkafka refuses.
    pub records: Vec<Bytes>,
    /// Where the client's log diverges from ours; sent from version 12 on.
    pub diverging_epoch: Option<EpochEndOffset>,
    /// The leader, if the client asked somebody else; sent from version 12 on.
    pub current_leader: Option<LeaderIdAndEpoch>,
}

impl Default for FetchablePartition {
    fn default() -> Self {
        Self {
            partition: 0,
            error: ErrorCode::None,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted_transactions: None,
            preferred_read_replica: -1,
            records: Vec::new(),
            diverging_epoch: None,
            current_leader: None,
        }
    }
}

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Its producer.
    pub producer_id: i64,
    /// Its first offset in the partition.
    pub first_offset: i64,
}

/// An epoch and the offset at which it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEndOffset {
    /// The epoch.
    pub epoch: i32,
    /// Its end.
    pub end_offset: i64,
}

/// A leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderIdAndEpoch {
    /// The broker's id.
    pub leader_id: i32,
    /// The leader epoch.
    pub leader_epoch: i32,
}

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// The broker's id.
    pub node_id: i32,
    /// Its host.
    pub host: StrBytes,
    /// Its port.
    pub port: i32,
    /// Its rack, if it has one.
    pub rack: Option<StrBytes>,
}

/// Encodes a whole response, length prefix and response header included.
///
/// # Errors
/// [`EncodeError`], when the version is not served, a field is set that the version does not have, a name is longer
/// than its length can say, or the records exceed the largest frame.
pub fn encode(header: &RequestHeader, response: &FetchResponse) -> Result<Response, EncodeError> {
    let mut encoder = Encoder::new(header.api_version, response)?;
    encoder.meta.put_i32(0); // the length prefix, filled in at the end
    encoder.meta.put_i32(header.correlation_id);
    encoder.no_tags();
    encoder.response(response)?;
    let size = encoder
        .meta
        .len()
        .saturating_sub(4)
        .saturating_add(encoder.records);
    let prefix = frame_prefix(size)?.to_be_bytes();
    if let Some(place) = encoder.meta.first_chunk_mut() {
        *place = prefix;
    }
    Ok(encoder.finish())
}

/// Encodes the body alone: what follows the response header and its tagged fields.
///
/// # Errors
/// As [`encode`].
pub fn encode_body(version: i16, response: &FetchResponse) -> Result<Vec<Bytes>, EncodeError> {
    let mut encoder = Encoder::new(version, response)?;
    encoder.response(response)?;
    Ok(encoder.finish())
}

struct Encoder {
    version: i16,
    /// Everything but records, in one allocation.
    meta: BytesMut,
    /// Where in `meta` records stand, and which.
    cuts: Vec<(usize, Bytes)>,
    /// Bytes in all records.
    records: usize,
}

impl Encoder {
    fn new(version: i16, response: &FetchResponse) -> Result<Self, EncodeError> {
        if !served(ApiKey::Fetch as i16).is_some_and(|api| api.serves(version)) {
            return Err(EncodeError::UnsupportedVersion(version));
        }
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        let (count, slices) = partitions.fold((0, 0), |(count, slices), next| {
            (count + 1, slices + next.records.len())
        });
        // 41 bytes for a partition without options, 64 for one with a leader.
        let capacity = 64 + 64 * (response.topics.len() + count);
        Ok(Self {
            version,
            meta: BytesMut::with_capacity(capacity),
            cuts: Vec::with_capacity(slices),
            records: 0,
        })
    }

    fn finish(self) -> Vec<Bytes> {
        let meta = self.meta.freeze();
        let mut chunks = Vec::with_capacity(2 * self.cuts.len() + 1);
        let mut start = 0;
        for (end, records) in self.cuts {
            if end > start {
                chunks.push(meta.slice(start..end));
            }
            chunks.push(records);
            start = end;
        }
        if start < meta.len() {
            chunks.push(meta.slice(start..));
        }
        chunks
    }

    fn response(&mut self, response: &FetchResponse) -> Result<(), EncodeError> {
        self.meta.put_i32(response.throttle_time_ms);
        if self.version >= 7 {
            self.meta.put_i16(response.error.code());
            self.meta.put_i32(response.session_id);
        } else if response.session_id != 0 {
            return Err(self.refused("a session id needs version 7"));
        }
        self.length32(response.topics.len())?;
        for topic in &response.topics {
            self.topic(topic)?;
        }
        if self.version < NODE_ENDPOINTS || response.node_endpoints.is_empty() {
            self.no_tags();
            return Ok(());
        }
        self.varint(1);
        self.node_endpoints(&response.node_endpoints)
    }

    fn topic(&mut self, topic: &FetchableTopic) -> Result<(), EncodeError> {
        if self.version >= TOPIC_IDS {
            self.meta.put_slice(topic.topic_id.as_bytes());
        } else {
            self.text(&topic.name)?;
        }
        self.length32(topic.partitions.len())?;
        for partition in &topic.partitions {
            self.partition(partition)?;
        }
        self.no_tags();
        Ok(())
    }

    fn partition(&mut self, partition: &FetchablePartition) -> Result<(), EncodeError> {
        self.meta.put_i32(partition.partition);
        self.meta.put_i16(partition.error.code());
        self.meta.put_i64(partition.high_watermark);
        self.meta.put_i64(partition.last_stable_offset);
        if self.version >= 5 {
            self.meta.put_i64(partition.log_start_offset);
        }
        match &partition.aborted_transactions {
            None => self.null32(),
            Some(aborted) => {
                self.length32(aborted.len())?;
                for transaction in aborted {
                    self.meta.put_i64(transaction.producer_id);
                    self.meta.put_i64(transaction.first_offset);
                    self.no_tags();
                }
            }
        }
        if self.version >= 11 {
            self.meta.put_i32(partition.preferred_read_replica);
        } else if partition.preferred_read_replica != -1 {
            return Err(self.refused("a preferred read replica needs version 11"));
        }
        self.length32(partition.records.iter().map(Bytes::len).sum())?;
        for slice in partition.records.iter().filter(|slice| !slice.is_empty()) {
            self.records = self.records.saturating_add(slice.len());
            self.cuts.push((self.meta.len(), slice.clone()));
        }
        if self.version >= FLEXIBLE {
            self.partition_tags(partition);
        }
        Ok(())
    }

    fn partition_tags(&mut self, partition: &FetchablePartition) {
        let count =
            u32::from(partition.diverging_epoch.is_some()) + u32::from(partition.current_leader.is_some());
        self.varint(count);
        if let Some(diverging) = partition.diverging_epoch {
            self.varint(0);
            self.varint(4 + 8 + 1);
            self.meta.put_i32(diverging.epoch);
            self.meta.put_i64(diverging.end_offset);
            self.no_tags();
        }
        if let Some(leader) = partition.current_leader {
            self.varint(1);
            self.varint(4 + 4 + 1);
            self.meta.put_i32(leader.leader_id);
            self.meta.put_i32(leader.leader_epoch);
            self.no_tags();
        }
    }

    /// Tag 0 of the response. Its size is known only once it is written, so that it is written apart.
    fn node_endpoints(&mut self, endpoints: &[NodeEndpoint]) -> Result<(), EncodeError> {
        let mut apart = Self {
            version: self.version,
            meta: BytesMut::new(),
            cuts: Vec::new(),
            records: 0,
        };
        apart.length32(endpoints.len())?;
        for endpoint in endpoints {
            apart.meta.put_i32(endpoint.node_id);
            apart.text(&endpoint.host)?;
            apart.meta.put_i32(endpoint.port);
            match &endpoint.rack {
                Some(rack) => apart.text(rack)?,
                None => apart.varint(0),
            }
            apart.no_tags();
        }
        self.varint(0);
        self.varint(u32::try_from(apart.meta.len()).map_err(|_| EncodeError::TooLarge(apart.meta.len()))?);
        self.meta.put_slice(&apart.meta);
        Ok(())
    }

    /// The length of bytes or of an array.
    fn length32(&mut self, length: usize) -> Result<(), EncodeError> {
        let too_large = |_| EncodeError::TooLarge(length);
        // Kafka's lengths are signed wherever they are kept, so that compact ones end there too.
        let fits = i32::try_from(length).map_err(too_large)?;
        if self.version >= FLEXIBLE {
            self.varint(fits.unsigned_abs().saturating_add(1));
        } else {
            self.meta.put_i32(fits);
        }
        Ok(())
    }

    fn null32(&mut self) {
        if self.version >= FLEXIBLE {
            self.varint(0);
        } else {
            self.meta.put_i32(-1);
        }
    }

    fn text(&mut self, text: &str) -> Result<(), EncodeError> {
        if self.version >= FLEXIBLE {
            self.length32(text.len())?;
        } else {
            let length = i16::try_from(text.len()).map_err(|_| self.refused("a name exceeds 32767 bytes"))?;
            self.meta.put_i16(length);
        }
        self.meta.put_slice(text.as_bytes());
        Ok(())
    }

    /// The end of a struct that has no tagged fields, in the versions where structs have such an end.
    fn no_tags(&mut self) {
        if self.version >= FLEXIBLE {
            self.varint(0);
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.meta.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.meta.put_u8(value as u8);
    }

    fn refused(&self, reason: &str) -> EncodeError {
        EncodeError::Codec {
            version: self.version,
            reason: reason.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
