"""Child processes: started with a log, watched, measured from /proc, ended by their id and never left behind."""

import os
import random
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from .verdict import Failed, note

TICKS = os.sysconf("SC_CLK_TCK")

ROOT = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("KAFSCALE_PARTS") or Path.home() / ".cache" / "kafscale-parts")
PARTS = ROOT / "tests" / "real" / "parts"
KAFKA_TOOL = PARTS / "kafka-tool"


def log_folder():
    """Where this driver's logs go: target/real-logs/NAME, or what KAFSCALE_REAL_LOGS says."""
    folder = Path(os.environ.get("KAFSCALE_REAL_LOGS") or ROOT / "target" / "real-logs" / "by-hand")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def scratch_folder():
    """A temporary folder (a `TemporaryDirectory`) on the disk that holds the build, not on a memory file system."""
    base = ROOT / "target" / "real-scratch"
    base.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=base, ignore_cleanup_errors=True)


_handed_out = set()


def free_port():
    """A loopback port that nobody listens on now, never the same one twice.

    It lies below the range from which the kernel takes ports for outgoing connections: a broker that is killed and
    started again must find its port free.
    """
    while True:
        port = random.randrange(15000, 32000)
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port


class Process:
    """One child process. Its output goes to `LOGS/NAME.log`, appended over restarts."""

    def __init__(self, name, command, env=None, cwd=None):
        self.name, self.command, self.cwd = name, [str(part) for part in command], cwd
        # Our own variables of the outside are for other processes: the broker shall start as on a machine that knows nothing of it.
        outside = {key: value for key, value in os.environ.items() if not key.startswith("KAFSCALE_")}
        self.env = {**outside, **(env or {})}
        self.log = log_folder() / f"{name}.log"
        self.child = None

    def start(self):
        with open(self.log, "ab") as out:
            out.write(f"--- {' '.join(self.command)}\n".encode())
            out.flush()
            self.child = subprocess.Popen(
                self.command, env=self.env, cwd=self.cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )
        return self

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child is not None and self.child.poll() is None

    def assert_running(self):
        if not self.running():
            raise Failed(f"{self.name} ended by itself with code {self.child.poll()}:\n{self.log_tail()}")

    def log_tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self):
        """SIGKILL, and waits until it is gone."""
        if self.running():
            self.child.kill()
        if self.child is not None:
            self.child.wait(30)

    def terminate(self, seconds=60):
        """SIGTERM; returns the exit code. Fails when the process is still there after `seconds`."""
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.name} was still running {seconds} s after SIGTERM:\n{self.log_tail()}") from None

    def wait(self, seconds):
        """Waits for the end and returns the exit code."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} was still running after {seconds} s:\n{self.log_tail()}") from None

    def stop(self):
        """Ends the process whatever it does; used for cleaning up, so it judges nothing."""
        if not self.running():
            return
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            note(f"{self.name} did not end on SIGTERM within 20 s, killed")
            self.kill()

    def cpu_seconds(self):
        """User and system time so far, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _status_kib(self, key):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        raise Failed(f"/proc/{self.pid}/status has no {key}")

    def memory_mib(self):
        """Resident memory now, in MiB."""
        return self._status_kib("VmRSS") / 1024

    def peak_memory_mib(self):
        """The largest resident memory so far, in MiB."""
        return self._status_kib("VmHWM") / 1024

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def run_to_end(command, seconds=60, stdin=None, expect=0, env=None):
    """Runs a command to its end and returns its standard output and error, joined; `expect` None takes any exit code."""
    command = [str(part) for part in command]
    words = " ".join([Path(command[0]).name, *command[1:]])
    try:
        done = subprocess.run(
            command, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
            env={**os.environ, **(env or {})}, check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{words}: not done within {seconds} s:\n{(late.stdout or b'').decode(errors='replace')[-2000:]}") from None
    output = done.stdout.decode(errors="replace")
    with open(log_folder() / "commands.log", "a", encoding="utf-8") as log:
        log.write(f"$ {words}   -> {done.returncode}\n{output}\n")
    if expect is not None and done.returncode != expect:
        raise Failed(f"{words}: exit code {done.returncode} instead of {expect}:\n{output[-2000:]}")
    return output


def kafka_tool(name, *arguments, **how):
    """Runs one Kafka command-line class, see `run_to_end`."""
    return run_to_end([KAFKA_TOOL, name, *arguments], **how)
