"""A small raw Kafka client: frames, a few requests in their non-flexible versions, record batches of version 2.

It is independent of every client library, so that what it measures and sees is the broker's doing alone.
"""

import socket
import struct
import time

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS, CREATE_TOPICS = 0, 1, 2, 3, 18, 19
UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER = 3, 5, 6

_CRC_TABLE = []
for _byte in range(256):
    _crc = _byte
    for _ in range(8):
        _crc = (_crc >> 1) ^ (0x82F63B78 if _crc & 1 else 0)
    _CRC_TABLE.append(_crc)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value & ~0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def batch(values, timestamp=None):
    """A record batch (version 2, no compression, not idempotent) of records without keys."""
    timestamp = int(time.time() * 1000) if timestamp is None else timestamp
    records = b""
    for index, value in enumerate(values):
        body = b"\0" + varint(0) + varint(index) + varint(-1) + varint(len(value)) + value + varint(0)
        records += varint(len(body)) + body
    tail = struct.pack(">hiqqqhii", 0, len(values) - 1, timestamp, timestamp, -1, -1, -1, len(values)) + records
    return struct.pack(">qiibI", 0, 9 + len(tail), -1, 2, crc32c(tail)) + tail


def string(text):
    return struct.pack(">h", -1) if text is None else struct.pack(">h", len(text.encode())) + text.encode()


def request(api, version, correlation, body, client="real-parts"):
    """A whole frame, its length in front."""
    payload = struct.pack(">hhi", api, version, correlation) + string(client) + body
    return struct.pack(">i", len(payload)) + payload


class Reader:
    """Takes big-endian fields off a byte string."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        size = struct.calcsize(">" + form)
        fields = struct.unpack_from(">" + form, self.data, self.at)
        self.at += size
        return fields[0] if len(fields) == 1 else fields

    def bytes(self, size):
        part = self.data[self.at:self.at + size]
        if len(part) != size:
            raise ValueError(f"{size} bytes wanted at {self.at}, {len(part)} there")
        self.at += size
        return part

    def string(self):
        size = self.take("h")
        return None if size < 0 else self.bytes(size).decode()

    def array(self, one):
        return [one() for _ in range(self.take("i"))]


class Client:
    """One connection, one request at a time; every wait ends after `seconds`."""

    def __init__(self, bootstrap, seconds=30):
        host, port = bootstrap.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self):
        """The next answer's payload."""
        head = self._exactly(4)
        return self._exactly(struct.unpack(">i", head)[0])

    def _exactly(self, size):
        parts = bytearray()
        while len(parts) < size:
            part = self.socket.recv(size - len(parts))
            if not part:
                raise ConnectionError(f"connection closed after {len(parts)} of {size} bytes")
            parts += part
        return bytes(parts)

    def call(self, api, version, body):
        self.correlation += 1
        self.socket.sendall(request(api, version, self.correlation, body))
        reader = Reader(self.receive())
        answered = reader.take("i")
        if answered != self.correlation:
            raise ValueError(f"answer to request {answered} instead of {self.correlation}")
        return reader

    def api_versions(self):
        """{api: (lowest, highest)}"""
        reader = self.call(API_VERSIONS, 0, b"")
        error = reader.take("h")
        if error:
            raise ValueError(f"ApiVersions: error {error}")
        return {api: (low, high) for api, low, high in reader.array(lambda: reader.take("hhh"))}

    def metadata(self, topics, create=False):
        """Version 4; `topics` None means all of them."""
        names = struct.pack(">i", -1) if topics is None else struct.pack(">i", len(topics)) + b"".join(map(string, topics))
        reader = self.call(METADATA, 4, names + struct.pack(">b", create))
        reader.take("i")
        brokers = reader.array(lambda: (reader.take("i"), reader.string(), reader.take("i"), reader.string()))
        reader.string()
        reader.take("i")

        def partition():
            error, index, leader = reader.take("hii")
            reader.array(lambda: reader.take("i"))
            reader.array(lambda: reader.take("i"))
            return error, index, leader

        found = reader.array(lambda: (reader.take("h"), reader.string(), reader.take("b"), reader.array(partition)))
        return {"brokers": brokers, "topics": {name: (error, partitions) for error, name, _, partitions in found}}

    def produce(self, topic, partition, records, acks=-1, timeout_ms=30000):
        """Version 7; returns the error code and the base offset."""
        body = string(None) + struct.pack(">hii", acks, timeout_ms, 1) + string(topic) + struct.pack(">iii", 1, partition, len(records)) + records
        reader = self.call(PRODUCE, 7, body)
        (_, answers), = reader.array(lambda: (reader.string(), reader.array(lambda: reader.take("ihqqq"))))
        (_, error, base, _, _), = answers
        return error, base

    def fetch(self, topic, partition, offset, max_bytes=1 << 20, wait_ms=500):
        """Version 4; returns error, high watermark and the record bytes (whole batches and perhaps a part of one)."""
        body = struct.pack(">iiiibi", -1, wait_ms, 1, max_bytes, 0, 1) + string(topic) + struct.pack(">iiqi", 1, partition, offset, max_bytes)
        reader = self.call(FETCH, 4, body)
        reader.take("i")

        def one():
            _, error, watermark, _ = reader.take("ihqq")
            reader.array(lambda: reader.take("qq"))
            size = reader.take("i")
            return error, watermark, None if size < 0 else reader.bytes(size)

        (_, (answer,)), = reader.array(lambda: (reader.string(), reader.array(one)))
        return answer

    def list_offset(self, topic, partition, timestamp):
        """Version 1; returns error, timestamp and offset."""
        body = struct.pack(">ii", -1, 1) + string(topic) + struct.pack(">iiq", 1, partition, timestamp)
        reader = self.call(LIST_OFFSETS, 1, body)
        (_, ((_, error, found, offset),)), = reader.array(lambda: (reader.string(), reader.array(lambda: reader.take("ihqq"))))
        return error, found, offset

    def create_topic(self, topic, partitions):
        """Version 2 (replication 1); returns the error code and message."""
        body = struct.pack(">i", 1) + string(topic) + struct.pack(">ihiiib", partitions, 1, 0, 0, 30000, 0)
        reader = self.call(CREATE_TOPICS, 2, body)
        reader.take("i")
        (_, error, message), = reader.array(lambda: (reader.string(), reader.take("h"), reader.string()))
        return error, message


def batches(data):
    """(base offset, attributes, last offset delta, record count) of each whole batch in a fetched byte string."""
    at = 0
    while len(data) - at >= 61:
        base, length = struct.unpack_from(">qi", data, at)
        if len(data) - at < 12 + length:
            return
        attributes, last = struct.unpack_from(">hi", data, at + 21)
        count, = struct.unpack_from(">i", data, at + 57)
        yield base, attributes, last, count
        at += 12 + length
