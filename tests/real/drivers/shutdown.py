"""A stop under load loses nothing that was acknowledged and ends with 0; a second broker on the same directory is refused."""

import random
import sys
import threading
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from rig import verdict
from rig.brokers import KafScale, arguments, subject
from rig.ledger import Ledger, audit, read_log
from rig.verdict import check, checked, note, wait_for

PARTITIONS, KEYS = 6, 200
DEADLINE = 40  # seconds from SIGTERM to the end


class Load(threading.Thread):
    """Produces without a pause until told to stop; a consumer in a group reads along."""

    def __init__(self, bootstrap, topic, ledger, first):
        super().__init__(daemon=True)
        self.topic, self.ledger, self.next, self.wanted = topic, ledger, first, True
        quiet = {"bootstrap.servers": bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 250}
        # What is not answered when the broker goes away shall fail soon: it is then "may be there, once".
        self.producer = Producer({**quiet, "enable.idempotence": True, "linger.ms": 2, "message.timeout.ms": 5000, "queue.buffering.max.messages": 5000})
        self.consumer = Consumer({**quiet, "group.id": f"{topic}-along", "auto.offset.reset": "earliest"})
        self.consumer.subscribe([topic])

    def run(self):
        while self.wanted:
            record = (self.next % KEYS, self.next // KEYS)
            key, value = Ledger.encode(record, 200)
            try:
                self.producer.produce(self.topic, key=key, value=value, callback=self.ledger.on_delivery(record))
                self.next += 1
            except BufferError:
                self.ledger.sent.discard(record)
                self.producer.poll(0.05)
            if self.next % 500 == 0:
                self.producer.poll(0)
                self.consumer.consume(5000, timeout=0)
        left = self.producer.flush(30)
        self.consumer.close()
        check(left == 0, f"{left} records were never answered")


def stop_under_load(broker, topic, ledger, chance, rounds):
    first = 0
    for number in range(rounds):
        load = Load(broker.bootstrap, topic, ledger, first)
        acknowledged = len(ledger.acknowledged)
        load.start()
        wait_for("the load to be under way", 60, lambda: len(ledger.acknowledged) > acknowledged + 5000, every=0.005)
        time.sleep(chance.uniform(0, 0.5))
        started = time.monotonic()
        code = broker.process.terminate(DEADLINE)
        took = time.monotonic() - started
        load.wanted = False
        load.join(60)
        check(not load.is_alive(), "the clients did not come to an end within 60 s after the broker's stop")
        # Java ends with 128 + 15 on SIGTERM, whatever it has finished.
        check(code == (0 if broker.kind == "kafscale" else 143), f"SIGTERM under load ended with code {code}:\n{broker.process.log_tail()}")
        first = (load.next // KEYS + 1) * KEYS
        note(f"stop {number + 1}: ended with {code} after {took:.2f} s; {len(ledger.acknowledged)} acknowledged so far, {len(ledger.failed)} not")
        broker.start()
        found, watermarks = read_log(broker.bootstrap, topic, PARTITIONS)
        wrong = audit(ledger, found, watermarks)
        check(not wrong, lambda: "after a clean stop: " + "; ".join(wrong))
    checked(f"{rounds} stops by SIGTERM under load: {len(ledger.acknowledged)} acknowledged records are there exactly once, in order, offsets dense")


def second_broker(broker, topic, ledger, folder):
    """Another process with the same bucket directory, on other ports, while the first one is at work."""
    load = Load(broker.bootstrap, topic, ledger, (max(sequence for _, sequence in ledger.sent) + 1) * KEYS)
    before, forgiven = len(ledger.acknowledged), set(ledger.failed)
    load.start()
    try:
        wait_for("the load to be under way", 60, lambda: len(ledger.acknowledged) > before + 2000, every=0.005)
        second = KafScale({"KAFSCALE_STORE_URL": folder}, name="second-broker")
        second.process.start()
        try:
            code = second.process.wait(60)
        finally:
            second.process.kill()
        words = second.process.log_tail(20)
        check(code != 0, f"a second broker on the same directory ended with 0:\n{words}")
        check("panicked" not in words, f"a second broker on the same directory panics:\n{words}")
        check(any(word in words.lower() for word in ("another", "already", "in use", "lock", "fenced")), f"the second broker does not say why it ends:\n{words}")
        told = next(line for line in reversed(words.splitlines()) if line.strip())
        during = len(ledger.acknowledged)
        wait_for("the first broker to serve on", 30, lambda: len(ledger.acknowledged) > during + 2000, every=0.01)
        broker.process.assert_running()
    finally:
        load.wanted = False
        load.join(60)
    failures = [reason for record, reason in ledger.failed.items() if record not in forgiven]
    check(not failures, f"records failed while the second broker came and went: {failures[:1]}")
    for when in ("while it runs", "after a restart"):
        if when == "after a restart":
            broker.process.kill()
            broker.start()
        found, watermarks = read_log(broker.bootstrap, topic, PARTITIONS)
        wrong = audit(ledger, found, watermarks)
        check(not wrong, lambda: f"with a second broker, {when}: " + "; ".join(wrong))
    checked(f"a second broker on the same directory ends with {code} and says: {told.strip()[:200]}")
    checked("the first one served on, nothing was lost or doubled, also after a restart")


def main():
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    note(f"seed {seed}")
    topic = f"shutdown-{uuid.uuid4().hex[:8]}"
    with subject(options, controllable=True) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS)])[topic].result(30)
        del admin
        ledger = Ledger()
        stop_under_load(broker, topic, ledger, random.Random(seed), options.rounds)
        if broker.kind == "kafscale" and options.store == "dir":
            second_broker(broker, topic, ledger, broker.process.env["KAFSCALE_STORE_URL"])


verdict.run("shutdown", main)
