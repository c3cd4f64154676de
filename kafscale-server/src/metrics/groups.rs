//! How many members each consumer group has.

use std::fmt;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::broker::Broker;

/// Asks the coordinator when it is asked. The registry does not keep the broker alive.
#[derive(Debug)]
pub(crate) struct GroupCollector(Weak<Broker>);

impl GroupCollector {
    /// A collector of the broker's groups.
    pub(crate) fn new(broker: &Arc<Broker>) -> GroupCollector {
        GroupCollector(Arc::downgrade(broker))
    }
}

impl Collector for GroupCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(broker) = self.0.upgrade() else {
            return Ok(());
        };
        let help =
            "Members of a consumer group; a number that changes often is a group that rebalances often";
        let mut family =
            encoder.encode_descriptor("kafscale_consumer_group_members", help, None, MetricType::Gauge)?;
        let mut groups = broker.groups.list();
        groups.sort_by(|left, right| left.group_id.cmp(&right.group_id));
        for group in groups {
            let labels = [("group", &*group.group_id)];
            // Group sizes are bounded far below 2^53.
            ConstGauge::new(group.members as f64).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
