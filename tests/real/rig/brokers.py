"""The brokers that a driver can judge: ours as a process, Apache Kafka as a process, or any address."""

import argparse
import contextlib
import os
import socket
import subprocess
import urllib.request
from pathlib import Path

from . import wire
from .processes import CACHE, KAFKA_TOOL, ROOT, Process, free_port, scratch_folder
from .seaweedfs import SeaweedFs
from .verdict import Failed, check, wait_for


def binary():
    """The packaged broker: KAFSCALE_BINARY, or the release build."""
    path = Path(os.environ.get("KAFSCALE_BINARY") or ROOT / "target" / "release" / "kafscale")
    check(os.access(path, os.X_OK), f"no broker at {path}: run 'cargo build --release -p kafscale-server', or set KAFSCALE_BINARY")
    return path


class KafScale:
    """Our broker as a process; the ports stay the same over restarts."""

    kind = "kafscale"

    def __init__(self, store_env, name="broker", env=None, advertised_port=None):
        self.port, self.metrics_port = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        variables = {
            "KAFSCALE_BROKER_ADDR": self.bootstrap,
            "KAFSCALE_METRICS_ADDR": f"127.0.0.1:{self.metrics_port}",
            "KAFSCALE_LOG_LEVEL": "info",
            **({"KAFSCALE_BROKER_PORT": str(advertised_port)} if advertised_port else {}),
            **store_env,
            **(env or {}),
        }
        self.process = Process(name, [binary(), "broker"], env=variables)

    def start(self, wait=True):
        self.process.start()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=60):
        def ready():
            self.process.assert_running()
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/readyz", timeout=2) as answer:
                return answer.status == 200

        wait_for("the broker to be ready", seconds, ready, every=0.02)


class ApacheKafka:
    """Apache Kafka 4.4: one node, KRaft, its data in `folder`."""

    kind = "kafka"
    HEAP = ["-Xms1G", "-Xmx1G"]
    # What Kafka's own start script gives its virtual machine.
    JVM = ["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"]

    def __init__(self, folder, name="kafka", properties=None):
        self.port, self.controller_port = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        folder = Path(folder)
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": folder / "log",
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            **(properties or {}),
        }
        self.file = folder / "server.properties"
        self.file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        if not (folder / "log" / "meta.properties").exists():
            done = subprocess.run(
                [str(KAFKA_TOOL), "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(self.file)],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
            )
            check(done.returncode == 0, lambda: f"StorageTool format: {done.stdout.decode(errors='replace')}")
        self.process = Process(name, ["java", *self.HEAP, *self.JVM, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                                      "-cp", f"{CACHE}/kafka/libs/*", "kafka.Kafka", self.file])

    def start(self, wait=True):
        self.process.start()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=90):
        def ready():
            self.process.assert_running()
            with wire.Client(self.bootstrap, seconds=5) as client:
                return client.metadata([])["brokers"]

        wait_for("Apache Kafka to be ready", seconds, ready)


class Somewhere:
    """A broker that somebody else runs: it can be talked to, not killed."""

    kind = "address"
    process = None

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def start(self, wait=True):
        host, port = self.bootstrap.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10):
            return self


def arguments(description):
    """The command line that all drivers share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--against", default="kafscale", metavar="WHOM",
                        help="kafscale (default: the packaged broker), kafka (Apache Kafka 4.4), or HOST:PORT of a running broker")
    parser.add_argument("--store", choices=["dir", "s3"], default="dir", help="where our broker keeps its bucket: a local directory or SeaweedFS")
    return parser


@contextlib.contextmanager
def subject(options, env=None, start=True, controllable=False):
    """The broker that the options name, started, and stopped at the end.

    `controllable`: the driver kills and restarts it, so an address alone will not do.
    """
    with contextlib.ExitStack() as stack:
        if options.against == "kafscale":
            folder = stack.enter_context(scratch_folder())
            if options.store == "s3":
                store = stack.enter_context(SeaweedFs(Path(folder) / "seaweedfs")).broker_env()
            else:
                store = {"KAFSCALE_STORE_URL": f"file://{folder}/bucket"}
            broker = KafScale(store, env=env)
        elif options.against == "kafka":
            broker = ApacheKafka(stack.enter_context(scratch_folder()))
        elif controllable:
            raise Failed("this driver starts and ends the broker itself: --against takes kafscale or kafka here")
        else:
            broker = Somewhere(options.against)
        if broker.process:
            stack.callback(broker.process.stop)
        if start:
            broker.start()
        yield broker
        if broker.process:
            broker.process.assert_running()
