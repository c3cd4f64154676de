"""A real file goes through a producer into six partitions and comes back through a two-member consumer group.

Three client families: Kafka 4.4's console tools, kcat, and confluent-kafka with each compression codec. The same lines must come
back, each exactly as often as it was sent; both members must get some; every partition must be used.
"""

import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from rig import text, verdict, wire
from rig.brokers import arguments, subject
from rig.processes import KAFKA_TOOL, kafka_tool, log_folder, run_to_end, scratch_folder
from rig.same_lines import assert_same
from rig.verdict import Failed, check, checked, note, wait_for

PARTITIONS = 6
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def new_topic(broker, label):
    """Makes a topic of its own name and waits until every partition has a leader."""
    topic = f"round-trip-{label}-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS)])[topic].result(30)

    def led():
        with wire.Client(broker.bootstrap) as client:
            error, partitions = client.metadata([topic])["topics"][topic]
        return error == 0 and len(partitions) == PARTITIONS and all(code == 0 and leader >= 0 for code, _, leader in partitions)

    wait_for(f"leaders for {topic}", 30, led)
    return topic


def wait_for_members(broker, group, count):
    """Until the group is stable with `count` members, each of which has partitions."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})

    def stable():
        found = admin.describe_consumer_groups([group], request_timeout=10)[group].result(15)
        shares = [len(member.assignment.topic_partitions) for member in found.members]
        return found.state.name == "STABLE" and sorted(shares) == [PARTITIONS // count] * count

    wait_for(f"group {group} to be stable with {count} members of {PARTITIONS // count} partitions each", 60, stable, every=0.25)


def assert_spread(broker, topic, sent):
    """Every partition holds something and all of them together exactly what was sent."""
    with wire.Client(broker.bootstrap) as client:
        ends = [client.list_offset(topic, partition, -1)[2] for partition in range(PARTITIONS)]
    check(all(end > 0 for end in ends), f"{topic}: a partition stayed empty: end offsets {ends}")
    check(sum(ends) == sent, f"{topic}: {sent} lines sent, the end offsets {ends} add up to {sum(ends)}")


class Output:
    """What the members of a group, as processes, have printed: one file each."""

    def __init__(self, label, commands):
        self.files = [log_folder() / f"{label}-member-{index}.out" for index in range(len(commands))]
        self.members = []
        for index, (file, command) in enumerate(zip(self.files, commands)):
            with open(file, "wb") as out, open(log_folder() / f"{label}-member-{index}.log", "wb") as log:
                self.members.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log))

    def stop(self):
        for member in self.members:
            member.terminate()
        for member in self.members:
            try:
                member.wait(20)
            except subprocess.TimeoutExpired:
                member.kill()
                member.wait(20)

    def lines(self):
        """All complete lines of all members, and how many each has."""
        shares = [file.read_bytes().split(b"\n")[:-1] for file in self.files]
        return [line for share in shares for line in share], [len(share) for share in shares]

    def wait_for(self, size, seconds):
        """Until the members have printed `size` bytes, then a second more, so that a line too many is seen as well."""
        def enough():
            dead = [member.returncode for member in self.members if member.poll() is not None]
            if dead:
                raise Failed(f"a group member ended by itself with code {dead[0]}; its log is beside {self.files[0]}")
            return sum(file.stat().st_size for file in self.files) >= size

        try:
            wait_for("the group to print every line", seconds, enough, every=0.2)
        except Failed as late:
            print(f"  {late}", flush=True)
        time.sleep(1)


def through_processes(broker, label, lines, size, produce, consume, seconds):
    """Once with the members waiting for the producer, once with a new group that finds everything already there."""
    topic = new_topic(broker, label)
    for when in ("waiting", "afterwards"):
        group = f"{topic}-{when}"
        output = Output(f"{label}-{when}", [consume(topic, group), consume(topic, group)])
        try:
            started = time.monotonic()
            if when == "waiting":
                wait_for_members(broker, group, 2)
                started = time.monotonic()
                produce(topic)
            output.wait_for(size, seconds)
            took = time.monotonic() - started
        finally:
            output.stop()
        received, shares = output.lines()
        assert_same(lines, received, f"{label}, members {when}")
        if when == "waiting":
            check(min(shares) > 0, f"{label}: one member got nothing: {shares}")
        checked(f"{label}: members {when}: {len(received)} lines, each as often as sent, members got {shares[0]} + {shares[1]}, {took:.1f} s")
        for file in output.files:
            file.unlink()
    assert_spread(broker, topic, len(lines))


def console(broker, folder, count):
    file = Path(folder) / "console.txt"
    lines, digest = text.write(file, count, empty_lines=25)
    size = file.stat().st_size
    note(f"console file: {len(lines)} lines, {size} bytes, sha256 {digest}…, 25 of them empty")

    def produce(topic):
        with open(file, "rb") as stdin:
            out = kafka_tool("ConsoleProducer", "--bootstrap-server", broker.bootstrap, "--topic", topic, stdin=stdin, seconds=120)
        # It ends with 0 whatever became of the records; what went wrong is in its words.
        check("ERROR" not in out, lambda: f"the console producer reports: {out[-2000:]}")

    def consume(topic, group):
        return [KAFKA_TOOL, "consumer.ConsoleConsumer", "--bootstrap-server", broker.bootstrap, "--topic", topic, "--group", group, "--from-beginning"]

    through_processes(broker, "console", lines, size, produce, consume, 120)


def kcat(broker, folder, count):
    # kcat skips empty lines on its own account, and its delimiter is the line feed alone.
    file = Path(folder) / "kcat.txt"
    lines, digest = text.write(file, count)
    size = file.stat().st_size
    note(f"kcat file: {len(lines)} lines, {size} bytes, sha256 {digest}…")

    def produce(topic):
        run_to_end(["kcat", "-P", "-b", broker.bootstrap, "-t", topic, "-l", file], seconds=120)

    def consume(topic, group):
        return ["kcat", "-b", broker.bootstrap, "-u", "-X", "auto.offset.reset=earliest", "-G", group, topic]

    through_processes(broker, "kcat", lines, size, produce, consume, 120)


class Member:
    """One confluent-kafka consumer of a group, polled by its own thread."""

    def __init__(self, broker, topic, group):
        self.consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest"})
        self.consumer.subscribe([topic])
        self.lines, self.error, self.wanted = [], None, True
        self.thread = threading.Thread(target=self._poll, daemon=True)
        self.thread.start()

    def _poll(self):
        while self.wanted:
            for message in self.consumer.consume(5000, timeout=0.2):
                if message.error():
                    self.error = message.error()
                else:
                    self.lines.append(message.value() or b"")
        self.consumer.close()

    def stop(self):
        self.wanted = False
        self.thread.join(30)


def confluent(broker, codec, lines):
    label = f"confluent-{codec}"
    topic = new_topic(broker, label)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "compression.type": codec, "linger.ms": 5, "acks": "all",
                         "queue.buffering.max.messages": 1_000_000, "message.timeout.ms": 60_000})
    failures = []

    def delivered(error, message):
        if error:
            failures.append(str(error))
    members = [Member(broker, topic, f"{topic}-group") for _ in range(2)]
    try:
        wait_for_members(broker, f"{topic}-group", 2)
        started = time.monotonic()
        for number, line in enumerate(lines):
            producer.produce(topic, value=line, callback=delivered)
            if number % 10_000 == 0:
                producer.poll(0)
        left = producer.flush(120)
        check(left == 0 and not failures, f"{label}: {left} records never answered, {len(failures)} failed, first {failures[:1]}")
        try:
            wait_for("the group to get every line", 120, lambda: sum(len(member.lines) for member in members) >= len(lines))
        except Failed as late:
            print(f"  {late}", flush=True)
        took = time.monotonic() - started
        time.sleep(1)
    finally:
        for member in members:
            member.stop()
    errors = [str(member.error) for member in members if member.error]
    check(not errors, f"{label}: a consumer reports {errors}")
    assert_same(lines, [line for member in members for line in member.lines], label)
    shares = [len(member.lines) for member in members]
    check(min(shares) > 0, f"{label}: one member got nothing: {shares}")
    assert_spread(broker, topic, len(lines))
    assert_codec(broker, topic, codec)
    assert_committed(broker, topic, f"{topic}-group")
    checked(f"{label}: {len(lines)} lines, each exactly once, members got {shares[0]} + {shares[1]}, batches are {codec}, {took:.1f} s")


def assert_codec(broker, topic, codec):
    """The batches in the log carry the codec that the producer used: otherwise 'each codec' would say nothing."""
    with wire.Client(broker.bootstrap) as client:
        for partition in range(PARTITIONS):
            error, _, data = client.fetch(topic, partition, 0)
            check(error == 0, f"{topic}-{partition}: fetch answers error {error}")
            # librdkafka sends a batch plain when compression would make it larger; most are not.
            used = [attributes & 7 for _, attributes, _, _ in wire.batches(data)]
            check(used and CODECS[codec] in used and set(used) <= {0, CODECS[codec]}, f"{topic}-{partition}: codecs in the log {used}, wanted {codec}")


def assert_committed(broker, topic, group):
    """A member that left has committed what it read: the group's offsets are the ends of the partitions."""
    reader = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    try:
        committed = reader.committed([TopicPartition(topic, partition) for partition in range(PARTITIONS)], timeout=30)
    finally:
        reader.close()
    with wire.Client(broker.bootstrap) as client:
        ends = [client.list_offset(topic, partition, -1)[2] for partition in range(PARTITIONS)]
    found = [place.offset for place in committed]
    check(found == ends, f"{group}: committed offsets {found}, end offsets {ends}")


def main():
    parser = arguments(__doc__.split("\n", 1)[0])
    parser.add_argument("--lines", type=int, default=200_000, help="numbered lines in the file (default 200000)")
    parser.add_argument("--only", choices=["console", "kcat", *CODECS], help="one client family or one codec of confluent-kafka")
    options = parser.parse_args()
    with subject(options) as broker, scratch_folder() as folder:
        if options.only in (None, "console"):
            console(broker, folder, options.lines)
        if options.only in (None, "kcat"):
            kcat(broker, folder, options.lines)
        codecs = [codec for codec in CODECS if options.only in (None, codec)]
        if codecs:
            lines, _ = text.write(Path(folder) / "confluent.txt", options.lines)
        for codec in codecs:
            confluent(broker, codec, lines)


verdict.run("round_trip", main)
