"""Broken and malicious clients: the broker lives, serves everybody else meanwhile, and its memory stays bounded."""

import contextlib
import random
import socket
import struct
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rig import verdict, wire
from rig.brokers import arguments, subject
from rig.verdict import check, checked, note, wait_for

FRAMES = Path(__file__).resolve().parents[1] / "frames" / "requests.txt"
EDGES = [0, 1, -1, -2, 2, 127, 128, 255, 256, 32767, -32768, 65535, 1 << 20, 100 << 20, (1 << 31) - 1, -(1 << 31)]


def recorded():
    """The requests that real clients sent, as whole frames."""
    frames = [bytes.fromhex(line.split()[2]) for line in FRAMES.read_text().splitlines() if line and not line.startswith("#")]
    check(len(frames) >= 30, f"only {len(frames)} requests in {FRAMES}")
    return frames


def mutated(frame, chance):
    """A copy with one to three changes; most keep the header, and a length in front that fits."""
    body = bytearray(frame[4:])
    for _ in range(chance.choice([1, 1, 2, 3])):
        first = 8 if len(body) > 8 and chance.random() < 0.8 else 0
        at = chance.randrange(first, len(body)) if body else 0
        # Half of the changes keep every field where it is and reach what lies behind the decoder.
        how = chance.randrange(2) if chance.random() < 0.5 else chance.randrange(2, 8)
        if how == 0 and body:
            body[at] ^= 1 << chance.randrange(8)
        elif how == 1 and body:
            body[at] = chance.choice([0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF])
        elif how == 2:
            body[at:at] = chance.randbytes(chance.randint(1, 40))
        elif how == 3:
            del body[at:at + chance.randint(1, 40)]
        elif how == 4:
            body = body[:at]
        elif how == 5:
            body[at:at] = body[max(0, at - chance.randint(1, 60)):at]
        elif how == 6:
            body[at:at + 4] = struct.pack(">I", chance.choice(EDGES) & 0xFFFFFFFF)
        else:
            # An unsigned varint with the largest value: what compact arrays and strings are measured by.
            body[at:at + 1] = b"\xff\xff\xff\xff\x0f"
    length = len(body) if chance.random() < 0.85 else chance.choice(EDGES)
    return struct.pack(">I", length & 0xFFFFFFFF) + bytes(body)


def arbitrary(chance):
    """Random bytes; half of them behind a header that names a real API."""
    body = chance.randbytes(chance.choice([0, 1, 3, 8, 20, 100, 1000, 5000]))
    if chance.random() < 0.5:
        body = struct.pack(">hhih", chance.randrange(0, 92), chance.randrange(0, 19), chance.randrange(1 << 31), -1) + body
    length = len(body) if chance.random() < 0.8 else chance.randrange(-(1 << 31), 1 << 31)
    return struct.pack(">i", length) + body


def throw(bootstrap, frame):
    """Sends a frame and takes whatever comes within a moment; returns True when an answer came."""
    host, port = bootstrap.rsplit(":", 1)
    whole = len(frame) >= 4 and struct.unpack(">i", frame[:4])[0] == len(frame) - 4
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.settimeout(0.1)
        try:
            connection.sendall(frame)
            if not whole:
                # The rest never comes: saying so ends the wait for it. Whole frames keep the connection open while they are served.
                connection.shutdown(socket.SHUT_WR)
            return bool(connection.recv(1 << 16))
        except OSError:  # refused, reset or no answer within the time: all of them are the broker's right
            return False


class Witness:
    """A normal client with a topic of its own: what it writes it must get back, at any time, within ten seconds."""

    def __init__(self, bootstrap):
        self.bootstrap, self.topic, self.written = bootstrap, f"hostile-{uuid.uuid4().hex[:8]}", 0
        with wire.Client(bootstrap) as client:
            error, message = client.create_topic(self.topic, 1)
            check(error == 0, f"creating {self.topic} answers error {error} ({message})")
        wait_for("the witness' topic", 20, self._writes)
        self.slowest = 0.0

    def _writes(self):
        with wire.Client(self.bootstrap, seconds=10) as client:
            error, base = client.produce(self.topic, 0, wire.batch([b"witness %d" % self.written]))
            if error:
                return False
            check(base == self.written, f"the witness' record got offset {base} instead of {self.written}")
            self.written += 1
            error, watermark, data = client.fetch(self.topic, 0, base)
            check(error == 0 and watermark == self.written and b"witness %d" % base in data,
                  f"the witness reads error {error}, high watermark {watermark}, its record is {'there' if data else 'not there'}")
            return True

    def asks(self, when):
        started = time.monotonic()
        try:
            held = self._writes()
        except OSError as error:
            check(False, f"{when}: the normal client is not served: {error!r}")
        check(held, f"{when}: the normal client's record was refused")
        self.slowest = max(self.slowest, time.monotonic() - started)


def assert_no_panic(broker, when):
    if broker.process:
        broker.process.assert_running()
        if broker.kind == "kafscale":
            lines = [line for line in broker.process.log.read_text(errors="replace").splitlines() if "panicked at" in line]
            check(not lines, lambda: f"{when}: the broker's log has {len(lines)} panics, first: {lines[0]}")


def throw_all(broker, witness, frames, what):
    answered = 0
    for number, frame in enumerate(frames):
        try:
            answered += throw(broker.bootstrap, frame)
        except OSError as error:
            assert_no_panic(broker, what)
            check(False, f"{what} {number}: no connection any more: {error!r}; the frame before was {frames[number - 1].hex()[:400]}")
        if number % 25 == 24:
            witness.asks(f"after {what} {number}")
    assert_no_panic(broker, what)
    return answered


# What a client sends before it falls silent, and by when a broker with deadlines must have ended the connection.
NOTHING = [b""]
BEGINNINGS = [b"\0\0", b"\0\0\0\x40", b"\0\0\0\x40\0\x12", b"\0\0\0\x40\0\x12\0\x03\0\0\0\x01\0\x20abc"]
BEGINNINGS_SECONDS = 60
# Announcements that nobody may make are refused at once; those within the limit may take as long as a slow client needs.
FORBIDDEN = [(1 << 31) - 1, (1 << 30) + 1, 1 << 31, 0xFFFFFFFF]
LARGE = [100 << 20, 100 << 20, 64 << 20, 16 << 20]


def announcing(size):
    """The length, a plausible Produce header and 64 KiB of the promised body."""
    return struct.pack(">I", size) + struct.pack(">hhih", 0, 9, 1, -1) + b"\0" * 65536


@contextlib.contextmanager
def unfinished(broker, witness, requests):
    """Connections that have sent these bytes and now keep silent, while the normal client goes on."""
    host, port = broker.bootstrap.rsplit(":", 1)
    with contextlib.ExitStack() as stack:
        connections = []
        for request in requests:
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            with contextlib.suppress(OSError):  # it may have been closed after the first bytes
                connection.sendall(request)
            connections.append(connection)
        for _ in range(5):
            witness.asks(f"with {len(connections)} unfinished requests open")
        yield connections


def closed(connections):
    """How many of the connections the broker has ended."""
    ended = 0
    for connection in connections:
        connection.setblocking(False)
        try:
            ended += connection.recv(1) == b""
        except BlockingIOError:
            pass
        except OSError:
            ended += 1
    return ended


def byte_by_byte(broker):
    """A valid request that arrives one byte at a time is answered like any other."""
    with wire.Client(broker.bootstrap, seconds=20) as client:
        for byte in wire.request(wire.API_VERSIONS, 0, 77, b""):
            client.socket.sendall(bytes([byte]))
            time.sleep(0.02)
        answer = wire.Reader(client.receive())
        correlation, error = answer.take("ih")
    check((correlation, error) == (77, 0), f"a request sent byte by byte is answered with correlation {correlation}, error {error}")


def main():
    parser = arguments(__doc__)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--frames", type=int, default=300, help="of each kind (default 300)")
    parser.add_argument("--memory-mib", type=float, default=64, help="how much the broker's peak memory may grow (default 64; not judged for Apache Kafka)")
    options = parser.parse_args()
    note(f"seed {options.seed}")
    chance = random.Random(options.seed)
    with subject(options) as broker:
        witness = Witness(broker.bootstrap)
        with wire.Client(broker.bootstrap) as client:
            client.create_topic("frames", 3)  # the topic of the recorded requests, so that they mean something
        genuine = recorded()
        answered = throw_all(broker, witness, genuine, "recorded request")
        # Requests whose topic ids, members or producer ids are of another cluster get errors, but answers all the same.
        check(answered >= len(genuine) * 2 // 3, f"only {answered} of {len(genuine)} unchanged requests got an answer at once: the recording no longer fits")
        witness.asks("before")
        before = broker.process.memory_mib() if broker.process else None

        answered = throw_all(broker, witness, [arbitrary(chance) for _ in range(options.frames)], "random frame")
        checked(f"{options.frames} random frames ({answered} answered): alive, the normal client served all along")
        answered = throw_all(broker, witness, [mutated(chance.choice(genuine), chance) for _ in range(options.frames)], "mutated frame")
        checked(f"{options.frames} mutated frames ({answered} answered): alive, the normal client served all along")
        byte_by_byte(broker)
        checked("a request sent one byte at a time is answered")

        with unfinished(broker, witness, [announcing(size) for size in FORBIDDEN] * 6) as connections:
            wait_for("the broker to turn away announcements of 1 GiB and more, and negative ones", 10, lambda: closed(connections) == len(connections))
            checked(f"{len(connections)} announcements of 1 GiB and more or below zero: all turned away, the normal client served all along")
        # Apache Kafka takes memory for whatever is announced within its limit, and is brought down by a dozen times 100 MiB.
        large = LARGE if broker.kind != "kafka" else [1 << 20]
        with unfinished(broker, witness, [announcing(size) for size in large] * 6) as connections:
            checked(f"{len(connections)} requests that announce up to {max(large) >> 20} MiB and stop after 64 KiB: the normal client served all along")
        with unfinished(broker, witness, (NOTHING + BEGINNINGS) * 4) as connections:
            if broker.kind == "kafscale":
                started = time.monotonic()
                wait_for("the broker to end connections whose request never comes", BEGINNINGS_SECONDS,
                         lambda: closed(connections) >= len(BEGINNINGS) * 4, every=0.5)
                note(f"the last unfinished header was turned away after {time.monotonic() - started:.0f} s")
            witness.asks("after the unfinished requests")
            checked(f"{len(connections)} silent connections and unfinished headers: {closed(connections)} turned away, the normal client served all along")
        witness.asks("at the end")
        assert_no_panic(broker, "at the end")
        note(f"the normal client made {witness.written} round trips, the slowest took {witness.slowest * 1000:.0f} ms")
        if broker.process:
            now, peak = broker.process.memory_mib(), broker.process.peak_memory_mib()
            note(f"memory: {before:.0f} MiB before, {now:.0f} MiB after, {peak:.0f} MiB at its peak")
            if broker.kind == "kafscale":
                check(peak - before <= options.memory_mib, f"memory grew by {peak - before:.0f} MiB at its peak, allowed are {options.memory_mib:.0f} MiB")
                checked(f"the peak lies {peak - before:.0f} MiB above the start, at most {options.memory_mib:.0f} MiB are allowed")


verdict.run("hostile", main)
