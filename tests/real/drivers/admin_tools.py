"""Kafka 4.4's own administration tools do what the operations guide shows: topics, configs, groups, offsets."""

import re
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from confluent_kafka import Consumer, Producer

from rig import verdict
from rig.brokers import arguments, subject
from rig.processes import kafka_tool
from rig.verdict import check, checked, wait_for

RETENTION = "604800000"  # the guide's example


class Tools:
    """The four tools, each with the broker's address already given."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def _run(self, name, *arguments, **how):
        return kafka_tool(name, "--bootstrap-server", self.bootstrap, *arguments, **how)

    def topics(self, *arguments, **how):
        return self._run("TopicCommand", *arguments, **how)

    def configs(self, *arguments, **how):
        return self._run("ConfigCommand", *arguments, **how)

    def groups(self, *arguments, **how):
        return self._run("consumer.group.ConsumerGroupCommand", *arguments, **how)

    def offsets(self, topic, *arguments):
        """{partition: offset} as kafka-get-offsets prints them."""
        output = self._run("GetOffsetShell", "--topic", topic, *arguments)
        found = re.findall(rf"^{re.escape(topic)}:(\d+):(-?\d*)$", output, re.MULTILINE)
        return {int(partition): int(offset) if offset else None for partition, offset in found}


def partitions_described(output, topic):
    """{partition: leader} of what kafka-topics --describe prints."""
    return {int(partition): leader for partition, leader in re.findall(rf"Topic: {re.escape(topic)}\s+Partition: (\d+)\s+Leader: (\S+)", output)}


def topics(tools, topic):
    out = tools.topics("--create", "--topic", topic, "--partitions", 3)
    check(f"Created topic {topic}." in out, f"create says: {out}")
    out = tools.topics("--list")
    check(topic in out.splitlines(), f"the list does not name {topic}: {out}")
    out = tools.topics("--describe", "--topic", topic)
    check(re.search(rf"Topic: {topic}\s+TopicId: [A-Za-z0-9_-]{{22}}\s+PartitionCount: 3\s+ReplicationFactor: 1", out), f"describe says: {out}")
    leaders = partitions_described(out, topic)
    check(sorted(leaders) == [0, 1, 2] and all(leader.isdigit() for leader in leaders.values()), f"describe names partitions and leaders {leaders}: {out}")
    checked("kafka-topics: create without a replication factor, list, describe (topic id, 3 partitions with leaders)")

    out = tools.topics("--create", "--topic", topic, "--partitions", 3, expect=1)
    check("already exists" in out, f"a second create says: {out}")
    tools.topics("--create", "--topic", topic, "--partitions", 3, "--if-not-exists")
    out = tools.topics("--create", "--topic", "not/a/topic", "--partitions", 1, expect=1)
    check("InvalidTopicException" in out or "invalid" in out, f"a bad name is answered with: {out}")
    plain = f"{topic}-defaults"
    out = tools.topics("--create", "--topic", plain)
    check(f"Created topic {plain}." in out, f"create with default partitions says: {out}")
    out = tools.topics("--describe", "--topic", plain)
    check(re.search(r"PartitionCount: [1-9]", out), f"describe says: {out}")
    tools.topics("--delete", "--topic", plain)
    checked("kafka-topics: a name that exists and a bad name are refused, --if-not-exists and default partitions work")

    tools.topics("--alter", "--topic", topic, "--partitions", 6)
    leaders = wait_for("six partitions", 20, lambda: (found := partitions_described(tools.topics("--describe", "--topic", topic), topic)) and len(found) == 6 and found)
    check(sorted(leaders) == list(range(6)), f"partitions after the change: {leaders}")
    out = tools.topics("--alter", "--topic", topic, "--partitions", 2, expect=1)
    check("6" in out and "InvalidPartitions" in out, f"fewer partitions are answered with: {out}")
    checked("kafka-topics --alter --partitions: 3 to 6; a smaller count is refused")


def configs(tools, topic):
    def described(*more):
        return tools.configs("--describe", "--entity-type", "topics", "--entity-name", topic, *more)

    out = described()
    check(f"Dynamic configs for topic {topic} are:" in out, f"describe says: {out}")
    check("retention.ms" not in out, f"retention.ms is set before anybody set it: {out}")
    out = tools.configs("--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", f"retention.ms={RETENTION}")
    check(f"Completed updating config for topic {topic}." in out, f"alter says: {out}")
    out = wait_for("the new retention", 20, lambda: (text := described()) and f"retention.ms={RETENTION}" in text and text)
    check(re.search(rf"retention\.ms={RETENTION} .*DYNAMIC_TOPIC_CONFIG:retention\.ms={RETENTION}", out), f"describe says: {out}")
    out = described("--all")
    check(f"retention.ms={RETENTION}" in out and "cleanup.policy=delete" in out and "DEFAULT_CONFIG" in out, f"describe --all says: {out}")
    out = tools.topics("--describe", "--topic", topic)
    check(f"retention.ms={RETENTION}" in out, f"kafka-topics --describe does not show the setting: {out}")
    checked(f"kafka-configs: describe, --add-config retention.ms={RETENTION} as the guide shows it, and it is shown as the topic's own")

    out = tools.configs("--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", "retention.ms=soon", expect=1)
    check("InvalidConfiguration" in out or "Invalid value" in out, f"a bad value is answered with: {out}")
    out = tools.configs("--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", "no.such.key=1", expect=1)
    check("InvalidConfiguration" in out or "Unknown topic config" in out, f"an unknown key is answered with: {out}")
    check(f"retention.ms={RETENTION}" in described(), "the refused changes changed something")
    tools.configs("--alter", "--entity-type", "topics", "--entity-name", topic, "--delete-config", "retention.ms")
    wait_for("the retention to be gone", 20, lambda: "retention.ms" not in described())
    checked("kafka-configs: a bad value and an unknown key are refused, --delete-config takes the setting back")


def offsets(tools, topic):
    producer = Producer({"bootstrap.servers": tools.bootstrap, "acks": "all"})
    answers = []
    start = int(time.time() * 1000) - 10_000
    for partition in range(6):
        for number in range(10 * (partition + 1)):
            producer.produce(topic, value=b"record %d" % number, partition=partition, timestamp=start + number * 100,
                             callback=lambda error, message: answers.append(error))
    check(producer.flush(30) == 0 and not any(answers), f"producing failed: {[error for error in answers if error][:1]}")
    ends = {partition: 10 * (partition + 1) for partition in range(6)}
    found = tools.offsets(topic)
    check(found == ends, f"latest offsets {found} instead of {ends}")
    found = tools.offsets(topic, "--time", "earliest")
    check(found == {partition: 0 for partition in range(6)}, f"earliest offsets {found}")
    found = tools.offsets(topic, "--time", "latest", "--partitions", "2,4")
    check(found == {2: 30, 4: 50}, f"latest offsets of two partitions {found}")
    # Record 7 of each partition is the first that is not older than its own timestamp less a moment.
    found = tools.offsets(topic, "--time", start + 650)
    check(found == {partition: 7 for partition in range(6)}, f"offsets by timestamp {found}, wanted 7 everywhere")
    # A time after the last record has no offset: the tool leaves the number away or prints the end, never a record.
    found = tools.offsets(topic, "--time", start + 3_600_000)
    check(all(offset in (None, -1) for offset in found.values()), f"offsets after the last record {found}")
    found = tools.offsets(topic, "--time", "max-timestamp")
    check(found == {partition: end - 1 for partition, end in ends.items()}, f"offsets of the largest timestamps {found}")
    checked("kafka-get-offsets: latest, earliest, chosen partitions, by timestamp, after the last record, max-timestamp")


def group_rows(output, group):
    """{partition: (current, end, lag, consumer)} of what kafka-consumer-groups --describe prints."""
    rows = {}
    for line in output.splitlines():
        fields = line.split()
        if len(fields) >= 7 and fields[0] == group:
            rows[int(fields[2])] = tuple(fields[3:7])
    return rows


def consumer_groups(tools, topic):
    group = f"{topic}-group"
    check(group not in tools.groups("--list").splitlines(), "the group is there before anybody used it")
    settings = {"bootstrap.servers": tools.bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    members = [Consumer({**settings, "client.id": f"member-{index}"}) for index in range(2)]
    read = 0
    try:
        for member in members:
            member.subscribe([topic])
        deadline = time.monotonic() + 60
        while read < 210 or not all(member.assignment() for member in members):
            check(time.monotonic() < deadline, f"the group has read {read} of 210 records in 60 s")
            for member in members:
                read += sum(message.error() is None for message in member.consume(500, timeout=0.2))
        for member in members:
            member.commit(asynchronous=False)
        # Five more in partition 0: that is its lag.
        producer = Producer({"bootstrap.servers": tools.bootstrap})
        for _ in range(5):
            producer.produce(topic, value=b"late", partition=0)
        check(producer.flush(30) == 0, "producing the late records failed")

        check(group in tools.groups("--list").splitlines(), "the list does not name the group")
        rows = group_rows(tools.groups("--describe", "--group", group), group)
        wanted = {0: ("10", "15", "5"), **{partition: (str(10 * (partition + 1)),) * 2 + ("0",) for partition in range(1, 6)}}
        check({partition: row[:3] for partition, row in rows.items()} == wanted, f"describe shows {rows}, wanted (current, end, lag) {wanted}")
        check(all(row[3].startswith("member-") for row in rows.values()), f"describe names no members: {rows}")
        out = tools.groups("--describe", "--group", group, "--members", "--verbose")
        found = re.findall(rf"^{re.escape(group)}\s+(member-\d)-\S+\s+\S+\s+member-\d\s+(\d+)\s", out, re.MULTILINE)
        check(sorted(found) == [("member-0", "3"), ("member-1", "3")], f"--members shows {found}: {out}")
        out = tools.groups("--describe", "--group", group, "--state")
        check(re.search(rf"^{re.escape(group)}\s.*\sStable\s+2\b", out, re.MULTILINE), f"--state says: {out}")
        checked("kafka-consumer-groups: list, describe (offsets, ends, a lag of 5, members), --members, --state")

        out = tools.groups("--delete", "--group", group, expect=None)
        check("GroupNotEmpty" in out or "not empty" in out, f"deleting a group with members is answered with: {out}")
    finally:
        for member in members:
            member.close()
    out = wait_for("the group to be empty", 30, lambda: (text := tools.groups("--describe", "--group", group)) and "no active members" in text and text, every=0.5)
    check(group_rows(out, group)[0][:3] == ("10", "15", "5"), f"the empty group's offsets: {out}")
    out = tools.groups("--reset-offsets", "--group", group, "--topic", f"{topic}:1", "--to-earliest", "--execute")
    check(re.search(rf"{re.escape(topic)}\s+1\s+0\b", out), f"--reset-offsets says: {out}")
    check(group_rows(tools.groups("--describe", "--group", group), group)[1][:3] == ("0", "20", "20"), "the reset offset is not what describe shows")
    out = tools.groups("--delete", "--group", group)
    check("was successful" in out, f"delete says: {out}")
    check(group not in tools.groups("--list").splitlines(), "the deleted group is still in the list")
    out = tools.groups("--delete", "--group", group, expect=None)
    check("GroupIdNotFound" in out or "not exist" in out or "not found" in out, f"deleting a group that is gone is answered with: {out}")
    checked("kafka-consumer-groups: a group with members is not deleted; empty it can be reset and deleted, and then it is gone")


def deletion(tools, topic):
    tools.topics("--delete", "--topic", topic)
    wait_for("the topic to be gone", 20, lambda: topic not in tools.topics("--list").splitlines())
    out = tools.topics("--delete", "--topic", topic, expect=1)
    check("does not exist" in out, f"deleting a topic that is gone is answered with: {out}")
    tools.topics("--create", "--topic", topic, "--partitions", 6)
    found = wait_for("the new topic's offsets", 20, lambda: tools.offsets(topic))
    check(found == {partition: 0 for partition in range(6)}, f"the second life of a topic shows the first one's records: {found}")
    tools.topics("--delete", "--topic", topic)
    checked("kafka-topics --delete: gone from the list, unknown afterwards, empty when made again")


def main():
    options = arguments(__doc__).parse_args()
    topic = f"admin-{uuid.uuid4().hex[:8]}"
    with subject(options) as broker:
        tools = Tools(broker.bootstrap)
        topics(tools, topic)
        configs(tools, topic)
        offsets(tools, topic)
        consumer_groups(tools, topic)
        deletion(tools, topic)


verdict.run("admin_tools", main)
