//! ApiVersions (KIP-35, KIP-511).

use kafka_protocol::messages::ApiVersionsRequest;
use kafscale_wire::{ErrorCode, response};

use super::{Reply, RequestContext};

/// First version in which the client says which software it is.
const NAMES_SOFTWARE: i16 = 3;

/// Answers with the table of what is served.
pub(crate) fn api_versions(context: &RequestContext, request: &ApiVersionsRequest) -> Reply {
    let named =
        is_software_name(&request.client_software_name) && is_software_name(&request.client_software_version);
    if context.api_version >= NAMES_SOFTWARE && !named {
        return Reply::ready(response::api_versions(ErrorCode::InvalidRequest).with_api_keys(Vec::new()));
    }
    Reply::ready(response::api_versions(ErrorCode::None))
}

/// KIP-511: letters, digits, dots and hyphens, with a letter or digit at either end.
fn is_software_name(name: &str) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric();
    let bytes = name.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|b| plain(b) || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::is_software_name;

    #[test]
    fn software_names_are_those_of_kip_511() {
        for good in ["a", "apache-kafka-java", "4.1.0", "librdkafka"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "ä", "a_b"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}
