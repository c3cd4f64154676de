"""From starting the broker to its first acknowledged record on a local directory. It reports times and judges only that it works."""

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rig import verdict, wire
from rig.brokers import ApacheKafka, KafScale, arguments
from rig.processes import scratch_folder
from rig.verdict import Failed, check, checked

TOPIC = "first"
RECORD = wire.batch([b"the first record"])


def first_acknowledgement(broker, limit=60):
    """Starts the broker; returns ms until its port answers and until the record is acknowledged, and the record's offset.

    The client is as a test harness has it: it connects as soon as it can, lets the topic be made by asking for it, and writes.
    """
    started = time.perf_counter()
    broker.start(wait=False)
    while True:
        broker.process.assert_running()
        try:
            client = wire.Client(broker.bootstrap, seconds=10)
            break
        except OSError:
            if time.perf_counter() - started > limit:
                raise Failed(f"the broker's port did not open within {limit} s") from None
            time.sleep(0.0005)
    connected = time.perf_counter()
    with client:
        client.api_versions()
        while True:
            error, partitions = client.metadata([TOPIC], create=True)["topics"][TOPIC]
            if error == 0 and partitions and partitions[0][0] == 0:
                break
            check(time.perf_counter() - started < limit, f"no leader for the topic within {limit} s (error {error}, partitions {partitions})")
            time.sleep(0.001)
        while True:
            error, base = client.produce(TOPIC, 0, RECORD)
            acknowledged = time.perf_counter()
            # Metadata may name a leader that has not taken up its work; clients try again.
            if error != wire.NOT_LEADER_OR_FOLLOWER or acknowledged - started > limit:
                break
            time.sleep(0.001)
        check(error == 0, f"the first record is answered with error {error}")
        error, watermark, data = client.fetch(TOPIC, 0, base)
        check(error == 0 and watermark == base + 1 and b"the first record" in data, f"the first record does not come back: error {error}, watermark {watermark}")
    return (connected - started) * 1000, (acknowledged - started) * 1000, base


def main():
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=None, help="default 9; 2 for Apache Kafka")
    options = parser.parse_args()
    check(options.against in ("kafscale", "kafka"), "this driver starts the broker itself: --against takes kafscale or kafka")
    runs = options.runs or (9 if options.against == "kafscale" else 2)
    times = {"empty": [], "used": []}
    for _ in range(runs):
        with scratch_folder() as folder:
            broker = KafScale({"KAFSCALE_STORE_URL": f"file://{folder}/bucket"}) if options.against == "kafscale" else ApacheKafka(folder)
            for round_number, directory in enumerate(times):
                try:
                    connected, acknowledged, base = first_acknowledgement(broker)
                    check(base == round_number, f"the record of start {round_number + 1} has offset {base}")
                finally:
                    broker.process.kill()
                times[directory].append((connected, acknowledged))
    for directory, measured in times.items():
        ports, acknowledgements = zip(*measured)
        checked(f"{directory} directory, {len(measured)} starts: port open after {statistics.median(ports):.1f} ms, first acknowledged record after "
                f"{statistics.median(acknowledgements):.1f} ms (medians; {min(acknowledgements):.1f} to {max(acknowledgements):.1f})")


verdict.run("start_time", main)
