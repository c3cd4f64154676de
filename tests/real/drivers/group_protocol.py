"""The classic group protocol, request by request: every answer's error code, generation, leader and bytes.

Clients hide most of what a coordinator does wrong, as they join again until it works. Here nothing is hidden, and the same
checks run against Apache Kafka: `--against kafka`.
"""

import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rig import verdict, wire
from rig.brokers import arguments, subject
from rig.verdict import check, checked, wait_for
from rig.wire import string

OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, JOIN, HEARTBEAT, LEAVE, SYNC = 8, 9, 10, 11, 12, 13, 14
DESCRIBE_GROUPS, LIST_GROUPS, DELETE_GROUPS, OFFSET_DELETE = 15, 16, 42, 47

UNKNOWN_TOPIC_OR_PARTITION, OFFSET_METADATA_TOO_LARGE = 3, 12
ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, INVALID_GROUP_ID, UNKNOWN_MEMBER_ID = 22, 23, 24, 25
INVALID_SESSION_TIMEOUT, REBALANCE_IN_PROGRESS = 26, 27
NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, MEMBER_ID_REQUIRED, FENCED_INSTANCE_ID = 68, 69, 79, 82
GROUP_SUBSCRIBED_TO_TOPIC = 86

TOPIC, OTHER_TOPIC = "consumed", "left-alone"


def blob(data):
    return struct.pack(">i", len(data)) + data


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def taken(reader):
    return reader.bytes(reader.take("i"))


def subscription(*topics):
    """A consumer's metadata, version 0, with bytes behind it that must survive the way."""
    return struct.pack(">h", 0) + array([string(t) for t in topics]) + struct.pack(">i", -1)


class Member:
    """One member of one group on a connection of its own. What it asks can be sent now and received later."""

    def __init__(self, bootstrap, group, seconds=90):
        self.client = wire.Client(bootstrap, seconds=seconds)
        self.group, self.id, self.generation, self.instance = group, "", -1, None

    def close(self):
        self.client.socket.close()

    def send(self, api, version, body):
        self.client.correlation += 1
        self.client.socket.sendall(wire.request(api, version, self.client.correlation, body))

    def receive(self):
        reader = wire.Reader(self.client.receive())
        check(reader.take("i") == self.client.correlation, "an answer to another request")
        reader.take("i")  # throttle time; OffsetDelete has the error before it and does not come this way
        return reader

    def send_join(self, protocols=None, version=5, session=10_000, rebalance=20_000, kind="consumer"):
        protocols = {"range": b"\0metadata\xff"} if protocols is None else protocols
        body = string(self.group) + struct.pack(">ii", session, rebalance) + string(self.id)
        body += string(self.instance) if version >= 5 else b""
        body += string(kind) + array([string(name) + blob(data) for name, data in protocols.items()])
        self.joining = version
        self.send(JOIN, version, body)

    def joined(self):
        reader, version = self.receive(), self.joining
        error, generation, protocol, leader, member = reader.take("h"), reader.take("i"), reader.string(), reader.string(), reader.string()
        members = reader.array(lambda: (reader.string(), reader.string() if version >= 5 else None, taken(reader)))
        if error in (0, MEMBER_ID_REQUIRED):
            self.id = member
        if error == 0:
            self.generation = generation
        return {"error": error, "generation": generation, "protocol": protocol, "leader": leader, "member": member,
                "members": {name: data for name, _, data in members}, "instances": {name: instance for name, instance, _ in members}}

    def join(self, **how):
        self.send_join(**how)
        return self.joined()

    def send_sync(self, assignments=None, generation=None):
        body = string(self.group) + struct.pack(">i", self.generation if generation is None else generation)
        body += string(self.id) + string(self.instance)
        self.send(SYNC, 3, body + array([string(name) + blob(data) for name, data in (assignments or {}).items()]))

    def synced(self):
        reader = self.receive()
        return reader.take("h"), taken(reader)

    def sync(self, assignments=None, generation=None):
        self.send_sync(assignments, generation)
        return self.synced()

    def heartbeat(self, generation=None, member=None):
        body = string(self.group) + struct.pack(">i", self.generation if generation is None else generation)
        self.send(HEARTBEAT, 3, body + string(self.id if member is None else member) + string(self.instance))
        return self.receive().take("h")

    def leave(self, *members):
        """[(member id, instance id)]; returns the error and each member's."""
        members = members or ((self.id, None),)
        self.send(LEAVE, 3, string(self.group) + array([string(m) + string(i) for m, i in members]))
        reader = self.receive()
        return reader.take("h"), reader.array(lambda: (reader.string(), reader.string(), reader.take("h"))[2])

    def commit(self, offset, topic=TOPIC, partition=0, generation=None, member=None, metadata="said"):
        body = string(self.group) + struct.pack(">i", self.generation if generation is None else generation)
        body += string(self.id if member is None else member) + string(self.instance)
        self.send(OFFSET_COMMIT, 7, body + array([string(topic) + array([struct.pack(">iqi", partition, offset, 5) + string(metadata)])]))
        reader = self.receive()
        (_, ((_, error),)), = reader.array(lambda: (reader.string(), reader.array(lambda: reader.take("ih"))))
        return error

    def offsets(self, topics):
        """{(topic, partition): (offset, leader epoch, metadata)}; `topics` is {name: partitions} or None for all."""
        wanted = struct.pack(">i", -1) if topics is None else array(
            [string(name) + array([struct.pack(">i", p) for p in partitions]) for name, partitions in topics.items()])
        self.send(OFFSET_FETCH, 5, string(self.group) + wanted)
        reader = self.receive()

        def partition():
            index, offset, epoch = reader.take("iqi")
            metadata, error = reader.string(), reader.take("h")
            check(error == 0, f"OffsetFetch: partition error {error}")
            return index, (offset, epoch, metadata)

        found = reader.array(lambda: (reader.string(), reader.array(partition)))
        check(reader.take("h") == 0, "OffsetFetch: an error of the whole request")
        return {(name, index): what for name, partitions in found for index, what in partitions}

    def delete_offsets(self, *topics):
        body = string(self.group) + array([string(name) + array([struct.pack(">i", 0)]) for name in topics])
        reader = self.client.call(OFFSET_DELETE, 0, body)
        error, _ = reader.take("hi")
        return error, {name: e for name, ((_, e),) in reader.array(lambda: (reader.string(), reader.array(lambda: reader.take("ih"))))}

    def describe(self, group=None):
        self.send(DESCRIBE_GROUPS, 4, array([string(group or self.group)]) + b"\0")
        reader = self.receive()

        def member():
            return {"member": reader.string(), "instance": reader.string(), "client": reader.string(), "host": reader.string(),
                    "metadata": taken(reader), "assignment": taken(reader)}

        found, = reader.array(lambda: (reader.take("h"), reader.string(), reader.string(), reader.string(), reader.string(),
                                       reader.array(member), reader.take("i")))
        error, _, state, kind, protocol, members, _ = found
        return {"error": error, "state": state, "type": kind, "protocol": protocol, "members": members}

    def listed(self):
        self.send(LIST_GROUPS, 2, b"")
        reader = self.receive()
        check(reader.take("h") == 0, "ListGroups: an error")
        return dict(reader.array(lambda: (reader.string(), reader.string())))

    def delete_group(self, group=None):
        self.send(DELETE_GROUPS, 1, array([string(group or self.group)]))
        reader = self.receive()
        (_, error), = reader.array(lambda: (reader.string(), reader.take("h")))
        return error


def same(seen, wanted, what):
    check(seen == wanted, f"{what}: {wanted!r} wanted, {seen!r} seen")


class Alive:
    """Heartbeats of a member whose own connection is busy or idle, from another connection, until the end of the block."""

    def __init__(self, bootstrap, member):
        self.ghost = Member(bootstrap, member.group)
        self.ghost.id, self.ghost.generation, self.ghost.instance = member.id, member.generation, member.instance
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.beat, daemon=True)

    def beat(self):
        while not self.over.wait(1.5):
            self.ghost.heartbeat()

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.ghost.close()


def together(bootstrap, group, count, **how):
    """Members in one first generation, the leader first; nobody has synced."""
    members = [Member(bootstrap, group) for _ in range(count)]
    for member in members:
        member.send_join(version=3, **how)
    answers = [member.joined() for member in members]
    for answer in answers:
        same((answer["error"], answer["generation"]), (0, 1), "the first generation")
    leader = answers[0]["leader"]
    check(all(a["leader"] == leader for a in answers), "members disagree about the leader")
    members.sort(key=lambda member: member.id != leader)
    return members, next(a for a in answers if a["member"] == leader)


def stable(bootstrap, group, count, **how):
    members, _ = together(bootstrap, group, count, **how)
    assignments = {m.id: b"part of " + m.id.encode() for m in members}
    for member in members[1:]:
        member.send_sync()
    same(members[0].sync(assignments), (0, assignments[members[0].id]), "the leader's own part")
    for member in members[1:]:
        same(member.synced(), (0, assignments[member.id]), "a follower's part")
    return members


def bounds(bootstrap):
    member = Member(bootstrap, "bounds")
    same(member.join(session=5_999)["error"], INVALID_SESSION_TIMEOUT, "a session below 6 s")
    same(member.join(session=1_800_001)["error"], INVALID_SESSION_TIMEOUT, "a session above 30 min")
    same(member.join(protocols={})["error"], INCONSISTENT_GROUP_PROTOCOL, "no protocols")
    same(member.join(kind="")["error"], INCONSISTENT_GROUP_PROTOCOL, "no protocol type")
    nameless = Member(bootstrap, "")
    same(nameless.join()["error"], INVALID_GROUP_ID, "JoinGroup without a group id")
    same(nameless.sync()[0], INVALID_GROUP_ID, "SyncGroup without a group id")
    same(nameless.heartbeat(), INVALID_GROUP_ID, "Heartbeat without a group id")
    same(nameless.leave()[0], INVALID_GROUP_ID, "LeaveGroup without a group id")
    unknown = Member(bootstrap, "nobody-was-ever-here")
    unknown.id = "made-up"
    same(unknown.join()["error"], UNKNOWN_MEMBER_ID, "JoinGroup with a made-up id")
    same(unknown.heartbeat(generation=1), UNKNOWN_MEMBER_ID, "Heartbeat to no group")
    same(unknown.sync(generation=1)[0], UNKNOWN_MEMBER_ID, "SyncGroup to no group")
    same(unknown.leave(), (0, [UNKNOWN_MEMBER_ID]), "LeaveGroup to no group")
    return "bounds of session, protocols and ids"


def member_ids(bootstrap):
    member = Member(bootstrap, "ids")
    first = member.join()
    same(first["error"], MEMBER_ID_REQUIRED, "JoinGroup v5 without an id")
    check(first["member"].startswith("real-parts-"), f"an id that begins with the client's name wanted, {first['member']!r} seen")
    second = member.join()
    same((second["error"], second["member"], second["leader"]), (0, first["member"], first["member"]), "JoinGroup with the id")
    same(second["generation"], 1, "the generation")
    same(member.leave(), (0, [0]), "LeaveGroup")
    same(member.describe()["state"], "Empty", "the group's state afterwards")
    same(member.heartbeat(), UNKNOWN_MEMBER_ID, "Heartbeat after LeaveGroup")
    return "member ids are given out before the first join"


def leader_and_followers(bootstrap):
    metadata = b"\0\1any bytes\xfe\xff"
    members, told = together(bootstrap, "bytes", 3, protocols={"range": metadata})
    same(told["members"], {m.id: metadata for m in members}, "what the leader is told")
    leader, *followers = members
    same(leader.heartbeat(), 0, "a heartbeat between join and sync")
    same(leader.commit(1), REBALANCE_IN_PROGRESS, "a commit between join and sync")
    again = Member(bootstrap, "bytes")
    again.id = followers[0].id
    answer = again.join(version=3, protocols={"range": metadata})
    same((answer["error"], answer["generation"], answer["members"]), (0, 1, {}), "a follower that joins again")
    same(followers[0].sync(generation=0)[0], ILLEGAL_GENERATION, "a stale SyncGroup")
    followers[0].send_sync({followers[0].id: b"not mine to give"})
    parts = {m.id: bytes([i]) * (i + 1) for i, m in enumerate(members)}
    del parts[followers[1].id]
    same(leader.sync(parts), (0, b"\0"), "the leader's part")
    same(followers[0].synced(), (0, parts[followers[0].id]), "the part of a follower that waited")
    same(followers[1].sync(), (0, b""), "the part of a follower that the leader forgot")
    shown = leader.describe()
    same((shown["error"], shown["state"], shown["type"], shown["protocol"]), (0, "Stable", "consumer", "range"), "DescribeGroups")
    same({m["member"]: (m["client"], m["host"], m["metadata"], m["assignment"]) for m in shown["members"]},
         {m.id: ("real-parts", "/127.0.0.1", metadata, parts.get(m.id, b"")) for m in members}, "the members that DescribeGroups shows")
    check(leader.listed().get("bytes") == "consumer", "ListGroups does not show the group")
    same(leader.heartbeat(), 0, "a heartbeat")
    same(leader.heartbeat(generation=0), ILLEGAL_GENERATION, "a stale heartbeat")
    same(leader.heartbeat(member="made-up"), UNKNOWN_MEMBER_ID, "a stranger's heartbeat")
    other = Member(bootstrap, "bytes")
    same(other.join(protocols={"sticky": b""})["error"], INCONSISTENT_GROUP_PROTOCOL, "another protocol")
    same(other.join(kind="connect")["error"], INCONSISTENT_GROUP_PROTOCOL, "another protocol type")
    return "the leader gets everybody's bytes, everybody gets the leader's"


def rebalances(bootstrap):
    leader, follower = stable(bootstrap, "rebalances", 2)
    calm = Member(bootstrap, "rebalances")
    calm.id = follower.id
    answer = calm.join(version=3)
    same((answer["error"], answer["generation"], answer["leader"]), (0, 1, leader.id), "a follower with nothing new")
    new = Member(bootstrap, "rebalances")
    new.send_join(version=3)
    wait_for("the rebalance", 5, lambda: follower.heartbeat() == REBALANCE_IN_PROGRESS)
    same(leader.describe()["state"], "PreparingRebalance", "the state while members come together")
    same(follower.sync()[0], REBALANCE_IN_PROGRESS, "SyncGroup during a rebalance")
    same(follower.commit(7), 0, "a commit during a rebalance")
    leader.send_join(version=3)
    follower.send_join(version=3, protocols={"range": b"changed"})
    told = leader.joined()
    same((told["generation"], told["leader"]), (2, leader.id), "the second generation")
    for one in (follower.joined(), new.joined()):
        same((one["error"], one["generation"], one["members"]), (0, 2, {}), "what a follower is told")
    same(told["members"][follower.id], b"changed", "new metadata")
    same(leader.describe()["state"], "CompletingRebalance", "the state before the assignment")
    follower.send_sync()
    time.sleep(0.3)
    # The leader goes before it assigns: those who wait are sent back, and one of them leads.
    same(leader.leave(), (0, [0]), "the leader leaves")
    same(follower.synced()[0], REBALANCE_IN_PROGRESS, "a follower whose leader is gone")
    follower.send_join(version=3, protocols={"range": b"changed"})
    new.send_join(version=3)
    told = follower.joined()
    same((told["generation"], told["leader"] in (follower.id, new.id)), (3, True), "the third generation")
    same(new.joined()["leader"], told["leader"], "the new leader")
    return "rebalances by join, leave and the leader's absence"


def silence(bootstrap):
    leader, follower = stable(bootstrap, "silence", 2, session=6_000)
    with Alive(bootstrap, leader):
        wait_for("the silent member's removal", 12, lambda: leader.heartbeat() == REBALANCE_IN_PROGRESS)
    same(follower.heartbeat(), UNKNOWN_MEMBER_ID, "the silent member's heartbeat")
    told = leader.join(version=3, session=6_000)
    same((told["error"], told["generation"], list(told["members"])), (0, 2, [leader.id]), "the generation without it")
    return "a silent member is removed when its session ends"


def late(bootstrap):
    leader, follower = stable(bootstrap, "late", 2, rebalance=5_000)
    new = Member(bootstrap, "late")
    began = time.monotonic()
    new.send_join(version=3, rebalance=5_000)
    wait_for("the rebalance", 5, lambda: leader.heartbeat() == REBALANCE_IN_PROGRESS, every=0.01)
    with Alive(bootstrap, leader):
        follower.send_join(version=3, rebalance=5_000)
        told = [follower.joined(), new.joined()]
    took = time.monotonic() - began
    check(4.5 < took < 7, f"a rebalance that ends after its timeout of 5 s wanted, {took:.1f} s seen")
    check(all(t["error"] == 0 and t["generation"] == 2 for t in told), f"the second generation wanted, {told} seen")
    check(told[0]["leader"] == told[1]["leader"] != leader.id, "a leader that did not come back still leads")
    same(leader.heartbeat(), UNKNOWN_MEMBER_ID, "the late member's heartbeat")
    return "a member that does not rejoin in time is left behind"


def unsynced(bootstrap):
    (leader, follower), _ = together(bootstrap, "unsynced", 2, rebalance=5_000)
    follower.send_sync()
    began = time.monotonic()
    with Alive(bootstrap, leader):
        same(follower.synced()[0], REBALANCE_IN_PROGRESS, "a follower whose leader never assigns")
    took = time.monotonic() - began
    check(4 < took < 7, f"5 s wanted, {took:.1f} s seen")
    same(leader.heartbeat(), UNKNOWN_MEMBER_ID, "the leader that never assigned")
    return "a leader that never assigns is removed"


def static_members(bootstrap):
    one, two = Member(bootstrap, "static"), Member(bootstrap, "static")
    one.instance, two.instance = "first", "second"
    one.send_join()
    time.sleep(0.5)
    two.send_join()
    told, other = one.joined(), two.joined()
    same((told["error"], other["error"]), (0, 0), "static members need no id first")
    check(one.id.startswith("first-") and two.id.startswith("second-"), f"ids after the instance wanted, {one.id!r} {two.id!r} seen")
    leads, follows = (one, two) if told["leader"] == one.id else (two, one)
    same((told if leads is one else other)["instances"], {one.id: "first", two.id: "second"}, "the instances that the leader is told")
    parts = {one.id: b"1", two.id: b"2"}
    leads.send_sync(parts)
    same(leads.synced(), (0, parts[leads.id]), "the leader's part")
    same(follows.sync(), (0, parts[follows.id]), "the follower's part")
    back = Member(bootstrap, "static")
    back.instance = follows.instance
    answer = back.join()
    same((answer["error"], answer["generation"], answer["leader"], answer["members"]), (0, 1, leads.id, {}), "a restarted static member")
    check(back.id != follows.id, "a restarted static member has its former id")
    same(back.sync(), (0, parts[follows.id]), "its part")
    same(leads.heartbeat(), 0, "no rebalance for the others")
    same(follows.heartbeat(), FENCED_INSTANCE_ID, "the former self's heartbeat")
    same(follows.sync()[0], FENCED_INSTANCE_ID, "the former self's SyncGroup")
    same(follows.commit(1), FENCED_INSTANCE_ID, "the former self's commit")
    same(follows.join()["error"], FENCED_INSTANCE_ID, "the former self's JoinGroup")
    same(leads.leave((follows.id, follows.instance), ("", "nobody"), ("", follows.instance)),
         (0, [FENCED_INSTANCE_ID, UNKNOWN_MEMBER_ID, 0]), "a batch of departures")
    wait_for("the rebalance", 5, lambda: leads.heartbeat() == REBALANCE_IN_PROGRESS)
    return "static members restart without a rebalance, and are fenced"


def offsets(bootstrap):
    none = (-1, -1, "")
    alone = Member(bootstrap, "offsets")
    same(alone.offsets({TOPIC: [0, 1], "no-such-topic": [0]}), {(TOPIC, 0): none, (TOPIC, 1): none, ("no-such-topic", 0): none}, "offsets of no group")
    same(alone.offsets(None), {}, "all offsets of no group")
    same(alone.commit(11), 0, "a commit without membership")
    same(alone.commit(12, partition=1, metadata=None), 0, "a commit without metadata")
    same(alone.commit(1, topic="no-such-topic"), UNKNOWN_TOPIC_OR_PARTITION, "a commit to no topic")
    same(alone.commit(1, metadata="x" * 4096), 0, "metadata of 4096 bytes")
    same(alone.commit(1, metadata="x" * 4097), OFFSET_METADATA_TOO_LARGE, "metadata of 4097 bytes")
    same(alone.commit(11), 0, "a commit again")
    same(alone.offsets(None), {(TOPIC, 0): (11, 5, "said"), (TOPIC, 1): (12, 5, "")}, "all offsets")
    same((alone.describe()["state"], alone.describe()["type"]), ("Empty", ""), "a group of offsets only")
    check(alone.listed().get("offsets") == "", "ListGroups does not show a group of offsets only")
    member, = stable(bootstrap, "offsets", 1, protocols={"range": subscription(TOPIC)})
    same(member.commit(21), 0, "a member's commit")
    same(member.commit(22, generation=0), ILLEGAL_GENERATION, "a stale commit")
    same(member.commit(22, member="made-up"), UNKNOWN_MEMBER_ID, "a stranger's commit")
    same(alone.commit(23), UNKNOWN_MEMBER_ID, "a commit without membership to a group with members")
    same(member.commit(24, topic=OTHER_TOPIC), 0, "a commit to a topic that it does not consume")
    same(alone.offsets({TOPIC: [0]}), {(TOPIC, 0): (21, 5, "said")}, "the member's offset")
    same(alone.delete_offsets(TOPIC, OTHER_TOPIC, "no-such-topic"),
         (0, {TOPIC: GROUP_SUBSCRIBED_TO_TOPIC, OTHER_TOPIC: 0, "no-such-topic": UNKNOWN_TOPIC_OR_PARTITION}), "OffsetDelete")
    same(alone.offsets({OTHER_TOPIC: [0]}), {(OTHER_TOPIC, 0): none}, "the deleted offset")
    same(alone.delete_group(), NON_EMPTY_GROUP, "DeleteGroups with a member")
    same(member.leave(), (0, [0]), "LeaveGroup")
    same(alone.delete_offsets(TOPIC), (0, {TOPIC: 0}), "OffsetDelete without members")
    same(alone.commit(31), 0, "a commit to an empty group")
    same(alone.delete_group(), 0, "DeleteGroups")
    same(alone.offsets({TOPIC: [0]}), {(TOPIC, 0): none}, "an offset of a deleted group")
    same(alone.delete_group(), GROUP_ID_NOT_FOUND, "DeleteGroups again")
    shown = alone.describe()
    same((shown["error"], shown["state"]), (0, "Dead"), "DescribeGroups of no group")
    same(alone.delete_offsets(TOPIC)[0], GROUP_ID_NOT_FOUND, "OffsetDelete of no group")
    stranger = Member(bootstrap, "offsets-of-workers")
    worker, = stable(bootstrap, "offsets-of-workers", 1, kind="connect")
    same(stranger.delete_offsets(TOPIC)[0], NON_EMPTY_GROUP, "OffsetDelete of a group of workers")
    return "offsets are committed, fetched and deleted by the rules"


SCENARIOS = [bounds, member_ids, leader_and_followers, rebalances, silence, late, unsynced, static_members, offsets]


def find_coordinator(client):
    reader = client.call(FIND_COORDINATOR, 2, string("any") + b"\0")
    _, error, _, node, host, port = reader.take("i"), reader.take("h"), reader.string(), reader.take("i"), reader.string(), reader.take("i")
    return None if error else (node, host, port)


def main():
    options = arguments(__doc__)
    options.add_argument("--only", choices=[s.__name__ for s in SCENARIOS], action="append", help="a scenario; more than one may be named")
    options = options.parse_args()
    with subject(options) as broker:
        with wire.Client(broker.bootstrap) as client:
            for topic in (TOPIC, OTHER_TOPIC):
                client.create_topic(topic, 2)
            wait_for("the topics", 20, lambda: all(e == 0 and len(p) == 2 for e, p in client.metadata([TOPIC, OTHER_TOPIC])["topics"].values()))
            _, host, port = wait_for("a coordinator", 60, lambda: find_coordinator(client))
            same(f"{host}:{port}", broker.bootstrap, "the coordinator's address")
        wanted = [s for s in SCENARIOS if not options.only or s.__name__ in options.only]

        def warm(group):
            # Apache Kafka makes its topic of offsets when it is first asked; until that is there it has no answers.
            member = Member(broker.bootstrap, group)
            wait_for("the coordinator's topic", 60, lambda: member.heartbeat(generation=1, member="x") == UNKNOWN_MEMBER_ID, every=0.5)

        for number in range(50 if broker.kind == "kafka" else 1):
            warm(f"warm-{number}")
        with ThreadPoolExecutor(len(wanted)) as pool:
            for future in [pool.submit(scenario, broker.bootstrap) for scenario in wanted]:
                checked(future.result())


if __name__ == "__main__":
    verdict.run("group_protocol", main)
