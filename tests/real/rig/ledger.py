"""Books of a producer and of a log, and the audit of one against the other.

Every record is (key, sequence): the sequences of one key are 0, 1, 2, … in the order of sending.
"""

import time
from collections import defaultdict

from confluent_kafka import Consumer, TopicPartition

from . import wire
from .verdict import Failed, wait_for


class Ledger:
    """What the producer was told about each record."""

    def __init__(self):
        self.acknowledged = {}  # (key, sequence) -> (partition, offset)
        self.failed = {}        # (key, sequence) -> reason; such a record may be in the log, once, or not
        self.sent = set()       # everything handed to the client; what is in neither book above has no answer yet

    def on_delivery(self, record):
        """A delivery callback for one record. Hand it to `produce`."""
        def delivered(error, message):
            if error is not None:
                self.failed[record] = str(error)
            else:
                self.acknowledged[record] = (message.partition(), message.offset())
        self.sent.add(record)
        return delivered

    @staticmethod
    def encode(record, size):
        """Key and value bytes of a record; the value is padded to `size` bytes."""
        key, sequence = record
        return b"key-%d" % key, (b"%d:%d:" % (key, sequence)).ljust(size, b".")

    @staticmethod
    def decode(key, value):
        number, sequence, padding = value.split(b":", 2)
        if key != b"key-" + number or padding.strip(b"."):
            raise Failed(f"a record came back changed: key {key[:40]!r}, value {value[:80]!r}")
        return int(number), int(sequence)


def read_log(bootstrap, topic, partitions, seconds=120):
    """The whole topic as a fresh consumer without a group sees it, with the broker's high watermarks.

    Returns ({partition: [(offset, record), …]}, {partition: high watermark}).
    """
    watermarks = {}
    with wire.Client(bootstrap) as client:
        for partition in range(partitions):
            watermarks[partition] = int(wait_for(f"a high watermark of {topic}-{partition}", 30, lambda: _watermark(client, topic, partition)))
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{topic}-audit", "enable.auto.commit": False,
                         "auto.offset.reset": "error", "check.crcs": True, "enable.partition.eof": True, "fetch.message.max.bytes": 4 << 20})
    places = [TopicPartition(topic, partition, 0) for partition in range(partitions)]
    consumer.assign(places)
    found = defaultdict(list)
    ended = set()
    deadline = time.monotonic() + seconds
    try:
        while len(ended) < partitions:
            if time.monotonic() > deadline:
                raise Failed(f"{topic}: partitions {sorted(set(range(partitions)) - ended)} not read to the end within {seconds} s; "
                             f"read {({partition: len(records) for partition, records in found.items()})} of {watermarks}")
            for message in consumer.consume(10_000, timeout=1):
                error = message.error()
                if error is None:
                    found[message.partition()].append((message.offset(), Ledger.decode(message.key(), message.value())))
                elif error.name() == "_PARTITION_EOF":
                    ended.add(message.partition())
                elif error.fatal() or not error.retriable():
                    raise Failed(f"{topic}: the consumer reports {error}")
    finally:
        consumer.close()
    return found, watermarks


def _watermark(client, topic, partition):
    """The partition's high watermark as text (0 is true, too), or None while its leader is still on its way after a start."""
    error, watermark, _ = client.fetch(topic, partition, 0, max_bytes=1, wait_ms=0)
    if error in (wire.UNKNOWN_TOPIC_OR_PARTITION, wire.LEADER_NOT_AVAILABLE, wire.NOT_LEADER_OR_FOLLOWER):
        return None
    if error:
        raise Failed(f"{topic}-{partition}: fetch answers error {error}")
    return str(watermark)


def audit(ledger, found, watermarks):
    """Everything that is wrong with the log, as a list of sentences; an empty list is a clean bill."""
    wrong = []

    def complain(kind, cases):
        cases = list(cases)
        if cases:
            wrong.append(f"{len(cases)} {kind}, first {cases[:3]}")

    places = defaultdict(list)
    for partition, records in found.items():
        for offset, record in records:
            places[record].append((partition, offset))

    complain("acknowledged records are not in the log", (r for r in sorted(ledger.acknowledged) if r not in places))
    complain("records are in the log more than once", ((r, places[r]) for r in sorted(places) if len(places[r]) > 1))
    complain("records are in the log that nobody sent", (r for r in sorted(places) if r not in ledger.sent))
    complain("records are not where the acknowledgement said",
             ((r, place, places[r][0]) for r, place in sorted(ledger.acknowledged.items()) if places.get(r) and place not in places[r]))

    for partition, watermark in sorted(watermarks.items()):
        offsets = [offset for offset, _ in found.get(partition, [])]
        if offsets != list(range(len(offsets))):
            at = next(i for i, offset in enumerate(offsets) if offset != i)
            wrong.append(f"partition {partition}: offsets are not dense: position {at} holds offset {offsets[at]}")
        if watermark != len(offsets):
            wrong.append(f"partition {partition}: high watermark {watermark}, but {len(offsets)} records")

    last, out_of_order = {}, []
    for partition, records in sorted(found.items()):
        for offset, (key, sequence) in records:
            before = last.get(key)
            if before is not None and (before[0] != partition or sequence <= before[1]):
                out_of_order.append(f"key {key}: sequence {sequence} at {partition}/{offset} after {before[1]} in partition {before[0]}")
            last[key] = (partition, sequence)
    complain("records are out of order within their key", out_of_order)
    return wrong
