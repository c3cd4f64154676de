//! The coordinator on a paused clock: tokio moves the time on when everybody waits.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::group::effects::Joined;
use crate::group::member::Protocol;
use bytes::Bytes;

fn start(settings: CoordinatorSettings) -> GroupCoordinator {
    GroupCoordinator::start(settings, Random::seeded(7))
}

fn request(member_id: &str, new_member_id: &str) -> JoinRequest {
    JoinRequest {
        member_id: Arc::from(member_id),
        new_member_id: Arc::from(new_member_id),
        instance_id: None,
        client_id: Arc::from("client"),
        client_host: Arc::from("/127.0.0.1"),
        rebalance_timeout: Duration::from_secs(60),
        session_timeout: Duration::from_secs(10),
        protocol_type: Arc::from("consumer"),
        protocols: vec![Protocol {
            name: Arc::from("range"),
            metadata: Bytes::from_static(b"hello"),
        }],
        requires_member_id: false,
        can_skip_assignment: true,
    }
}

fn sync(member_id: &str, generation: i32, assignments: &[(&str, &'static str)]) -> SyncRequest {
    SyncRequest {
        member_id: Arc::from(member_id),
        instance_id: None,
        generation,
        protocol_type: None,
        protocol_name: None,
        assignments: assignments
            .iter()
            .map(|(id, bytes)| (Arc::from(*id), Bytes::from_static(bytes.as_bytes())))
            .collect(),
    }
}

fn claim(member_id: &str, generation: i32) -> MemberClaim<'_> {
    MemberClaim {
        member_id,
        instance_id: None,
        generation,
    }
}

async fn get<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Now(reply) => reply,
        Answer::Later(reply) => reply.await,
    }
}

async fn joined(answer: Answer<JoinReply>) -> Joined {
    get(answer).await.expect("joined")
}

fn refusal(answer: &Answer<JoinReply>) -> GroupError {
    match answer {
        Answer::Now(Err(refused)) => refused.error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn two_members_join_sync_and_stay_with_heartbeats() {
    let groups = start(CoordinatorSettings::default());
    let started = Instant::now();
    let (a, b) = (
        groups.join("g", request("", "a")),
        groups.join("g", request("", "b")),
    );
    let (a, b) = tokio::join!(joined(a), joined(b));
    assert_eq!(
        started.elapsed().as_secs(),
        6,
        "the initial delay and one extension"
    );
    assert_eq!((a.generation, b.generation, &*b.leader), (1, 1, "a"));
    let follower = groups.sync("g", sync("b", 1, &[]));
    assert!(matches!(follower, Answer::Later(_)));
    let leader = get(groups.sync("g", sync("a", 1, &[("a", "1"), ("b", "2")])))
        .await
        .unwrap();
    assert_eq!(&*leader.assignment, b"1");
    assert_eq!(&*get(follower).await.unwrap().assignment, b"2");
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(groups.heartbeat("g", claim("a", 1)), Ok(()));
        assert_eq!(groups.heartbeat("g", claim("b", 1)), Ok(()));
    }
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(groups.heartbeat("g", claim("a", 1)), Ok(()));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        groups.heartbeat("g", claim("a", 1)),
        Err(GroupError::RebalanceInProgress)
    );
    assert_eq!(
        groups.heartbeat("g", claim("b", 1)),
        Err(GroupError::UnknownMemberId)
    );
}

#[tokio::test(start_paused = true)]
async fn members_of_groups_that_are_not_here_are_told_to_start_over() {
    let groups = start(CoordinatorSettings::default());
    assert_eq!(
        refusal(&groups.join("g", request("old", ""))),
        GroupError::UnknownMemberId
    );
    assert_eq!(
        groups.heartbeat("g", claim("old", 4)),
        Err(GroupError::UnknownMemberId)
    );
    assert_eq!(
        groups.check_commit("g", claim("old", 4)),
        Err(GroupError::UnknownMemberId)
    );
    assert_eq!(groups.check_commit("g", claim("", -1)), Ok(()));
    assert_eq!(
        get(groups.sync("g", sync("old", 4, &[]))).await,
        Err(GroupError::UnknownMemberId)
    );
    let leaving = [Leaving {
        member_id: Arc::from("old"),
        instance_id: None,
    }];
    assert_eq!(
        groups.leave("g", &leaving),
        Ok(vec![Err(GroupError::UnknownMemberId)])
    );
    assert_eq!(groups.delete("g"), Err(GroupError::GroupIdNotFound));
    assert!(groups.describe("g").is_none() && groups.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn member_ids_are_the_clients_name_and_a_new_uuid() {
    let groups = start(CoordinatorSettings::default());
    let (a, b) = (groups.new_member_id("client"), groups.new_member_id("client"));
    assert_ne!(a, b);
    let uuid = a.strip_prefix("client-").expect("the prefix");
    assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
}

#[tokio::test(start_paused = true)]
async fn requests_outside_of_the_bounds_are_refused() {
    let groups = start(CoordinatorSettings::default());
    assert_eq!(
        refusal(&groups.join("", request("", "a"))),
        GroupError::InvalidGroupId
    );
    let mut short = request("", "a");
    short.session_timeout = Duration::from_millis(5_999);
    assert_eq!(
        refusal(&groups.join("g", short)),
        GroupError::InvalidSessionTimeout
    );
    let mut long = request("", "a");
    long.session_timeout = Duration::from_millis(1_800_001);
    assert_eq!(
        refusal(&groups.join("g", long)),
        GroupError::InvalidSessionTimeout
    );
    assert_eq!(
        groups.heartbeat("", claim("a", 1)),
        Err(GroupError::InvalidGroupId)
    );
    assert_eq!(groups.leave("", &[]), Err(GroupError::InvalidGroupId));
    assert_eq!(
        get(groups.sync("", sync("a", 1, &[]))).await,
        Err(GroupError::InvalidGroupId)
    );
    assert!(
        groups.list().is_empty(),
        "a refused request leaves no group behind"
    );
}

#[tokio::test(start_paused = true)]
async fn neither_groups_nor_memory_grow_without_bounds() {
    let groups = start(CoordinatorSettings {
        max_groups: 2,
        max_bytes: 4_000,
        ..CoordinatorSettings::default()
    });
    let mut ask = request("", "id");
    ask.requires_member_id = true;
    assert_eq!(
        refusal(&groups.join("one", ask.clone())),
        GroupError::MemberIdRequired
    );
    assert_eq!(
        refusal(&groups.join("two", ask.clone())),
        GroupError::MemberIdRequired
    );
    assert_eq!(
        refusal(&groups.join("three", ask.clone())),
        GroupError::CoordinatorNotAvailable
    );
    // Ids that were given out are forgotten, and with them groups that never had a member.
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(groups.registry.groups.load(Ordering::Relaxed), 0);
    assert_eq!(groups.registry.bytes.load(Ordering::Relaxed), 0);
    assert_eq!(
        refusal(&groups.join("three", ask.clone())),
        GroupError::MemberIdRequired
    );
    ask.protocols = vec![Protocol {
        name: Arc::from("range"),
        metadata: Bytes::from(vec![0; 4_000]),
    }];
    assert_eq!(
        refusal(&groups.join("three", ask)),
        GroupError::CoordinatorNotAvailable
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_gives_the_place_free() {
    let groups = start(CoordinatorSettings::default());
    let a = groups.join("g", request("", "a"));
    drop(groups.join("g", request("", "phantom")));
    let a = joined(a).await;
    assert_eq!(a.members.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_deleted_when_it_is_empty_and_made_anew_by_the_next_member() {
    let groups = start(CoordinatorSettings::default());
    let a = joined(groups.join("g", request("", "a"))).await;
    assert_eq!(groups.delete("g"), Err(GroupError::NonEmptyGroup));
    assert_eq!(groups.list().len(), 1);
    let leaving = [Leaving {
        member_id: a.member_id,
        instance_id: None,
    }];
    assert_eq!(groups.leave("g", &leaving), Ok(vec![Ok(())]));
    assert_eq!(groups.describe("g").unwrap().state, GroupState::Empty);
    assert_eq!(groups.check_offset_delete("g", &["orders"]), Ok(vec![true]));
    assert_eq!(groups.delete("g"), Ok(()));
    assert_eq!(groups.delete("g"), Err(GroupError::GroupIdNotFound));
    assert_eq!(joined(groups.join("g", request("", "b"))).await.generation, 1);
}

#[tokio::test(start_paused = true)]
async fn offsets_of_topics_that_a_group_may_consume_are_not_deleted() {
    let groups = start(CoordinatorSettings::default());
    let mut join = request("", "a");
    join.protocols = vec![Protocol {
        name: Arc::from("range"),
        metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x06orders"),
    }];
    joined(groups.join("g", join)).await;
    assert_eq!(
        groups.check_offset_delete("g", &["orders", "users"]),
        Ok(vec![false, true])
    );
    let mut join = request("", "w");
    join.protocol_type = Arc::from("connect");
    joined(groups.join("workers", join)).await;
    assert_eq!(
        groups.check_offset_delete("workers", &["orders"]),
        Err(GroupError::NonEmptyGroup)
    );
    assert_eq!(
        groups.check_offset_delete("none", &[]),
        Err(GroupError::GroupIdNotFound)
    );
}

#[tokio::test(start_paused = true)]
async fn closing_sends_everybody_away() {
    let groups = start(CoordinatorSettings::default());
    let a = groups.join("g", request("", "a"));
    let started = Instant::now();
    groups.close();
    assert_eq!(get(a).await.unwrap_err().error, GroupError::NotCoordinator);
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(
        refusal(&groups.join("g", request("", "a"))),
        GroupError::NotCoordinator
    );
    assert_eq!(
        groups.heartbeat("g", claim("a", 1)),
        Err(GroupError::NotCoordinator)
    );
    assert_eq!(groups.registry.bytes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn many_clients_on_many_threads_come_together() {
    let groups = Arc::new(start(CoordinatorSettings {
        initial_rebalance_delay: Duration::from_millis(50),
        ..CoordinatorSettings::default()
    }));
    let clients: Vec<_> = (0..60)
        .map(|i| {
            let groups = Arc::clone(&groups);
            tokio::spawn(async move {
                let group = format!("g{}", i % 3);
                let mut id: Arc<str> = Arc::from("");
                for attempt in 0..50 {
                    let mut join = request(&id, &format!("m{i}-{attempt}"));
                    join.requires_member_id = true;
                    let member = match get(groups.join(&group, join)).await {
                        Ok(joined) => joined,
                        Err(refused) => {
                            id = refused.member_id;
                            continue;
                        }
                    };
                    let mut ask = sync(&member.member_id, member.generation, &[]);
                    ask.assignments = member
                        .members
                        .iter()
                        .map(|m| (Arc::clone(&m.member_id), Bytes::from(m.member_id.to_string())))
                        .collect();
                    if let Ok(synced) = get(groups.sync(&group, ask)).await {
                        assert_eq!(&*synced.assignment, member.member_id.as_bytes());
                        return;
                    }
                    id = member.member_id;
                }
                panic!("client {i} never got an assignment");
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(groups.list().len(), 3);
}
