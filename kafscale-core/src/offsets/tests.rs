use super::*;
use crate::TopicId;

fn at(offset: i64) -> CommittedOffset {
    CommittedOffset {
        offset,
        leader_epoch: -1,
        metadata: String::new(),
        committed_ms: 0,
    }
}

fn partition(topic: u8, partition: i32) -> PartitionId {
    PartitionId {
        topic: TopicId([topic; 16]),
        partition,
    }
}

#[test]
fn of_two_commits_the_later_one_counts_in_whichever_order_they_are_noted() {
    let mut table = OffsetTable::default();
    table.set("g", partition(1, 0), at(20), 9);
    table.set("g", partition(1, 0), at(10), 8);
    assert_eq!(table.get("g", partition(1, 0)), Some(at(20)));
}

#[test]
fn a_topic_takes_its_positions_with_it_and_a_group_without_any_is_gone() {
    let mut table = OffsetTable::default();
    table.set("a", partition(1, 0), at(1), 1);
    table.set("a", partition(2, 0), at(2), 1);
    table.set("b", partition(1, 0), at(3), 1);
    table.remove_topic(TopicId([1; 16]));
    assert_eq!(table.groups(), ["a"]);
    assert_eq!(table.of_group("a"), [(partition(2, 0), at(2))]);
    table.remove("a", partition(2, 0), 100);
    assert!(table.groups().is_empty());
}
