"""Side by side with Apache Kafka 4.4 in one run: throughput, latency, CPU and memory of the broker, with Kafka's own tools.

Every broker gets one warm-up round, which is thrown away; then the brokers take turns, so that what the machine does meanwhile hits all.
"""

import argparse
import re
import statistics
import sys
import time
import uuid
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from confluent_kafka.admin import AdminClient, NewTopic

from rig import verdict
from rig.brokers import ApacheKafka, KafScale
from rig.processes import kafka_tool, scratch_folder
from rig.verdict import check, note

PARTITIONS, RECORD_BYTES = 16, 1024
# The clients get the heap and the compiler of Kafka's own start scripts; only that shows what a broker can take.
CLIENT = {"KAFKA_JVM": "-Xmx512M -XX:+UseG1GC"}

CONTENDERS = {
    "ours": "KafScale, fsync on",
    "ours-nosync": "KafScale, fsync off",
    "kafka": "Apache Kafka 4.4 as it comes (page cache)",
    "kafka-sync": "Apache Kafka 4.4, log.flush.interval.messages=1",
}


def start(which, folder):
    """Each broker with its own data, all idle but the one that is measured."""
    folder = Path(folder) / which
    folder.mkdir()
    if which.startswith("ours"):
        switch = "" if which == "ours" else "?fsync=false"
        return KafScale({"KAFSCALE_STORE_URL": f"file://{folder}/bucket{switch}"}, name=which).start()
    return ApacheKafka(folder, name=which, properties={"log.flush.interval.messages": 1} if which == "kafka-sync" else {}).start()


def round_of(broker, records):
    """Produces and then consumes `records` in a topic of their own; returns what was measured."""
    topic = f"versus-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS)])[topic].result(60)
    gib = records * RECORD_BYTES / (1 << 30)
    cpu = broker.process.cpu_seconds()
    out = kafka_tool("ProducerPerformance", "--bootstrap-server", broker.bootstrap, "--topic", topic, "--num-records", records, "--record-size", RECORD_BYTES,
                     "--throughput", -1, "--command-property", "acks=all", "--command-property", "linger.ms=5", seconds=900, env=CLIENT)
    # The last line sums up the whole run: rates, mean and maximum, then percentiles.
    last = [line for line in out.splitlines() if "50th" in line]
    check(len(last) == 1, f"ProducerPerformance says: {out[-1500:]}")
    found = re.match(r"(\d+) records sent, .*\(([\d.]+) MB/sec\).* (\d+) ms 50th, (\d+) ms 95th, (\d+) ms 99th", last[0])
    check(found and int(found[1]) == records, f"ProducerPerformance says: {last[0]}")
    produced = broker.process.cpu_seconds()
    out = kafka_tool("ConsumerPerformance", "--bootstrap-server", broker.bootstrap, "--topic", topic, "--num-records", records, "--timeout", 60_000, seconds=900, env=CLIENT)
    lines = [line for line in out.splitlines() if "," in line]
    names = [name.strip() for name in next(line for line in lines if line.startswith("start.time")).split(",")]
    row = dict(zip(names, (value.strip() for value in lines[-1].split(","))))
    count = int(row.get("data.consumed.in.nMsg", row.get("data.consumed.in.nMsg ", "0")))
    check(count >= records, f"ConsumerPerformance read {count} of {records} records: {out[-1500:]}")
    consumed = broker.process.cpu_seconds()
    # fetch.time is without the wait for the group to form, which has nothing to do with the broker's speed.
    admin.delete_topics([topic])[topic].result(60)
    return {
        "produce MB/s": float(found[2]), "p50 ms": int(found[3]), "p99 ms": int(found[5]), "consume MB/s": float(row["fetch.MB.sec"]),
        "produce CPU s/GiB": (produced - cpu) / gib, "consume CPU s/GiB": (consumed - produced) / gib,
    }


def plain(value):
    """Three figures that matter, never an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(results, peaks, reference):
    """Medians of the rounds, the spread of the throughput, and each figure as a ratio to the reference broker's."""
    figures = list(next(iter(results.values()))[0])
    medians = {which: {figure: statistics.median(measured[figure] for measured in rounds) for figure in figures} for which, rounds in results.items()}
    for which in medians:
        medians[which]["peak memory MiB"] = peaks[which]
    lines = ["| broker | " + " | ".join([*figures, "peak memory MiB"]) + " |", "|---" * (len(figures) + 2) + "|"]
    for which, row in medians.items():
        cells = []
        for figure, value in row.items():
            ratio = value / medians[reference][figure] if reference in medians and medians[reference][figure] else None
            cells.append(plain(value) + (f" ({ratio:.2f} x)" if ratio is not None and which != reference else ""))
        lines.append(f"| {CONTENDERS[which]} | " + " | ".join(cells) + " |")
    lines += ["", "Rounds: " + "; ".join(f"{CONTENDERS[which]}: produce {', '.join(format(r['produce MB/s'], '.0f') for r in rounds)}, "
                                          f"consume {', '.join(format(r['consume MB/s'], '.0f') for r in rounds)} MB/s" for which, rounds in results.items()) + "."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--records", type=int, default=1_000_000, help="a round, 1 KiB each (default 1000000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--out", type=Path, help="write the Markdown table here as well")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder())
        brokers = {}
        for which in options.only:
            brokers[which] = start(which, folder)
            stack.callback(brokers[which].process.stop)
        results = {which: [] for which in brokers}
        for number in range(options.rounds + 1):
            for which, broker in brokers.items():
                # Kafka that syncs every message is so slow here that a tenth tells as much.
                measured = round_of(broker, options.records // 10 if which == "kafka-sync" else options.records)
                note(f"{'warm-up' if number == 0 else f'round {number}'} {which}: " + ", ".join(f"{figure} {plain(value)}" for figure, value in measured.items()))
                if number > 0:
                    results[which].append(measured)
                time.sleep(1)
        peaks = {which: broker.process.peak_memory_mib() for which, broker in brokers.items()}
        text = (f"{options.records} records of {RECORD_BYTES} bytes a round (a tenth where Kafka syncs each message), {PARTITIONS} partitions, acks=all, linger.ms=5, {options.rounds} rounds after one warm-up; medians, "
                f"in brackets the ratio to Apache Kafka as it comes.\n\n{table(results, peaks, 'kafka')}\n")
        print("\n" + text)
        if options.out:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(text)


verdict.run("versus_kafka", main)
