"""The broker is killed again and again while an idempotent producer writes to it; afterwards the log is audited.

Every acknowledged record must be there exactly once, at the offset of its acknowledgement, in order within its key; offsets must be
dense from 0 to the high watermark. Some kills hit the broker while it is still starting.
"""

import logging
import random
import sys
import threading
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from rig import verdict
from rig.brokers import arguments, subject
from rig.ledger import Ledger, audit, read_log
from rig.processes import log_folder
from rig.verdict import Failed, check, checked, note

PARTITIONS, KEYS, VALUE_BYTES = 8, 1000, 100


class Killer(threading.Thread):
    """Kills the broker at random moments of the load and starts it again on the same port and store."""

    def __init__(self, broker, ledger, records, kills, chance):
        super().__init__(daemon=True)
        self.broker, self.ledger, self.chance = broker, ledger, chance
        # Spread over the load: one random moment in each of `kills` equal shares of the records.
        share = records / (kills + 1)
        self.moments = [int(share * (index + chance.random())) for index in range(kills)]
        self.kills, self.early_kills, self.error, self.outages = 0, 0, None, []
        self.stopped = threading.Event()

    def run(self):
        try:
            for moment in self.moments:
                while len(self.ledger.acknowledged) < moment:
                    self.broker.process.assert_running()
                    if self.stopped.wait(0.002):
                        return
                time.sleep(self.chance.uniform(0, 0.05))
                self.broker.process.assert_running()
                self.broker.process.kill()
                down = time.monotonic()
                self.kills += 1
                time.sleep(self.chance.uniform(0, 0.3))
                self.broker.start(wait=False)
                # Now and then it does not even get to its feet: what it reads and writes while starting must bear that too.
                if self.chance.random() < 0.4:
                    time.sleep(self.chance.uniform(0, 0.15))
                    self.broker.process.kill()
                    self.early_kills += 1
                    self.broker.start(wait=False)
                self.broker.wait_ready(120)
                self.outages.append(time.monotonic() - down)
        except BaseException as error:  # noqa: BLE001: handed to the main thread
            self.error = error


def produce(bootstrap, topic, records, ledger, killer, seconds):
    """Hands all records to one idempotent producer and waits until each is answered."""
    fatal = []
    # The client complains about each lost connection; that is for its log, not for the reader of this driver's words.
    quarrels = logging.getLogger("producer")
    quarrels.addHandler(logging.FileHandler(log_folder() / "producer.log"))
    quarrels.propagate = False
    producer = Producer({
        "bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "linger.ms": 5, "compression.type": "none",
        # Longer than everything that happens here: no record may fail merely because the broker was away.
        "message.timeout.ms": 600_000, "request.timeout.ms": 10_000, "socket.timeout.ms": 12_000,
        "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 250, "retry.backoff.ms": 50, "retry.backoff.max.ms": 500,
        # A short queue: while the broker is away the load stands still, so that the kills spread over the whole of it.
        "queue.buffering.max.messages": 20_000,
        "error_cb": lambda error: fatal.append(str(error)) if error.fatal() else None,
    }, logger=quarrels)
    deadline = time.monotonic() + seconds

    def alive():
        check(not fatal, lambda: f"the idempotent producer gave up: {fatal[0]}")
        if killer.error:
            raise killer.error
        check(time.monotonic() < deadline,
              f"not done within {seconds} s: {len(ledger.acknowledged)} of {records} records acknowledged, {killer.kills} kills")

    for number in range(records):
        record = (number % KEYS, number // KEYS)
        key, value = Ledger.encode(record, VALUE_BYTES)
        callback = ledger.on_delivery(record)
        while True:
            try:
                producer.produce(topic, key=key, value=value, callback=callback)
                break
            except BufferError:
                producer.poll(0.1)
                alive()
        if number % 1000 == 0:
            producer.poll(0)
            alive()
    while len(producer):
        producer.poll(0.1)
        alive()


def main():
    parser = arguments(__doc__.split("\n", 1)[0])
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--kills", type=int, default=12, help="kills under load (default 12); kills during a start come on top")
    parser.add_argument("--seed", type=int, default=None, help="for the moments of the kills (default: random, printed)")
    parser.add_argument("--seconds", type=int, default=420, help="for the whole load (default 420)")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    note(f"seed {seed}")
    with subject(options, controllable=True) as broker:
        topic = f"kill-{uuid.uuid4().hex[:8]}"
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS)])[topic].result(30)
        del admin  # it would try to reconnect all the while
        ledger = Ledger()
        killer = Killer(broker, ledger, options.records, options.kills, random.Random(seed))
        started = time.monotonic()
        killer.start()
        try:
            produce(broker.bootstrap, topic, options.records, ledger, killer, options.seconds)
        finally:
            killer.stopped.set()
            killer.join(180)
        if killer.error:
            raise killer.error
        took = time.monotonic() - started
        check(killer.kills == options.kills, f"{killer.kills} kills instead of {options.kills}: the load was over too soon")
        note(f"{len(ledger.acknowledged)} of {options.records} records acknowledged, {len(ledger.failed)} failed in {took:.1f} s; {killer.kills} kills under load, "
             f"{killer.early_kills} during a start; away {min(killer.outages):.2f} to {max(killer.outages):.2f} s")
        check(len(ledger.acknowledged) + len(ledger.failed) == options.records, "a record was never answered")
        # A broker that fails everything would pass the audit.
        check(not ledger.failed, lambda: f"{len(ledger.failed)} records failed although the broker came back each time: {sorted(set(ledger.failed.values()))[:3]}")

        for restart in (False, True):
            if restart:
                broker.process.kill()
                broker.start()
            found, watermarks = read_log(broker.bootstrap, topic, PARTITIONS)
            wrong = audit(ledger, found, watermarks)
            if wrong:
                raise Failed("; ".join(wrong) + f"; seed {seed}")
            total = sum(len(records) for records in found.values())
            checked(f"{total} records read back{' after one more kill' if restart else ''}: every acknowledged one exactly once where it was acknowledged, in order "
                    f"per key, offsets dense to the high watermark in {PARTITIONS} partitions")


verdict.run("kill", main)
