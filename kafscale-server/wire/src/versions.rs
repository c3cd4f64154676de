//! The APIs and versions that KafScale serves: our own table, not the codec's.

use kafka_protocol::messages::ApiKey;

/// One API that KafScale serves, with the versions it decodes and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServedApi {
    /// Which API.
    pub key: ApiKey,
    /// Lowest version that is decoded and answered.
    pub min: i16,
    /// Highest version that is decoded and answered.
    pub max: i16,
    /// Lowest version that the ApiVersions response names. Differs from `min` for Produce only.
    pub advertised_min: i16,
}

impl ServedApi {
    /// Whether requests of `version` are decoded and answered.
    pub const fn serves(&self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Whether requests of `version` have the flexible encoding: compact lengths and tagged fields (KIP-482).
    pub fn is_flexible(&self, version: i16) -> bool {
        self.key.request_header_version(version) >= 2
    }
}

const fn api(key: ApiKey, min: i16, max: i16) -> ServedApi {
    ServedApi {
        key,
        min,
        max,
        advertised_min: min,
    }
}

/// Every served API, in the order of its number.
///
/// OffsetCommit and OffsetFetch end at 9 and InitProducerId at 5: the next version of each has no request
/// codec. Kafka's lower bounds since 4.0 apply (KIP-896).
pub const SERVED: &[ServedApi] = &[
    // librdkafka before 2.8.1 sends compressed batches only to brokers that name Produce version 0, although it
    // then uses the highest version. Kafka 4 names it for the same reason (KAFKA-18659) and refuses 0 to 2 as we do.
    ServedApi {
        key: ApiKey::Produce,
        min: 3,
        max: 13,
        advertised_min: 0,
    },
    api(ApiKey::Fetch, 4, 18),
    api(ApiKey::ListOffsets, 1, 10),
    api(ApiKey::Metadata, 0, 13),
    api(ApiKey::OffsetCommit, 2, 9),
    api(ApiKey::OffsetFetch, 1, 9),
    api(ApiKey::FindCoordinator, 0, 6),
    api(ApiKey::JoinGroup, 0, 9),
    api(ApiKey::Heartbeat, 0, 4),
    api(ApiKey::LeaveGroup, 0, 5),
    api(ApiKey::SyncGroup, 0, 5),
    api(ApiKey::DescribeGroups, 0, 6),
    api(ApiKey::ListGroups, 0, 5),
    api(ApiKey::ApiVersions, 0, 4),
    api(ApiKey::CreateTopics, 2, 7),
    api(ApiKey::DeleteTopics, 1, 6),
    api(ApiKey::InitProducerId, 0, 5),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4),
    api(ApiKey::DescribeConfigs, 1, 4),
    api(ApiKey::AlterConfigs, 0, 2),
    api(ApiKey::CreatePartitions, 0, 3),
    api(ApiKey::DeleteGroups, 0, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1),
    api(ApiKey::OffsetDelete, 0, 0),
    api(ApiKey::DescribeCluster, 0, 2),
];

/// The served API with this number, if there is one.
pub fn served(key: i16) -> Option<&'static ServedApi> {
    let position = SERVED
        .binary_search_by_key(&key, |served| served.key as i16)
        .ok()?;
    SERVED.get(position)
}

#[cfg(test)]
mod tests;
