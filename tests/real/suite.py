"""Runs the drivers one after the other, keeps their logs, and closes with a line 'N passed, N failed'. See ./run."""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOGS = HERE.parents[1] / "target" / "real-logs"

# Name, driver with its options, seconds after which it counts as failed.
DRIVERS = {
    "start_time": (["start_time.py"], 120),
    "round_trip": (["round_trip.py"], 420),
    "admin_tools": (["admin_tools.py"], 240),
    "group_protocol": (["group_protocol.py"], 120),
    "hostile": (["hostile.py"], 300),
    "shutdown": (["shutdown.py"], 240),
    "store_s3": (["store_s3.py"], 600),
    "kill": (["kill.py"], 480),
    "kill_s3": (["kill.py", "--store", "s3"], 600),
}


def main():
    if sys.argv[1:] in (["--list"], ["-l"]):
        print("\n".join(DRIVERS))
        return 0
    names = sys.argv[1:] or list(DRIVERS)
    unknown = [name for name in names if name not in DRIVERS]
    if unknown:
        print(f"no driver {', '.join(unknown)}; there are: {', '.join(DRIVERS)}", file=sys.stderr)
        return 2
    outcomes = {}
    for name in names:
        command, limit = DRIVERS[name]
        logs = LOGS / name
        logs.mkdir(parents=True, exist_ok=True)
        for old in logs.iterdir():
            old.unlink()
        print(f"--- {' '.join(command)}", flush=True)
        started = time.monotonic()
        # A session of its own, so that a driver that is late can be ended together with all that it started.
        child = subprocess.Popen([sys.executable, HERE / "drivers" / command[0], *command[1:]], stdin=subprocess.DEVNULL,
                                 env={**os.environ, "KAFSCALE_REAL_LOGS": str(logs), "PYTHONUNBUFFERED": "1"}, start_new_session=True)
        try:
            code = child.wait(limit)
            reason = f"exit code {code}"
        except subprocess.TimeoutExpired:
            code, reason = None, f"not done within {limit} s"
        except KeyboardInterrupt:
            end_session(child.pid)
            raise
        left = end_session(child.pid)
        if left and code == 0:
            code, reason = 1, f"left {left} processes behind"
        outcomes[name] = (code == 0, time.monotonic() - started, reason)
    widest = max(map(len, outcomes))
    print("--- summary", flush=True)
    for name, (held, took, reason) in outcomes.items():
        print(f"{name:<{widest}} {'passed' if held else 'FAILED: ' + reason} in {took:.0f} s" + ("" if held else f"; logs in {(LOGS / name).relative_to(HERE.parents[1])}"))
    passed = sum(held for held, _, _ in outcomes.values())
    print(f"{passed} passed, {len(outcomes) - passed} failed", flush=True)
    return 0 if passed == len(outcomes) else 1


def end_session(leader):
    """Kills what is left of the session that `leader` began, and returns how many processes that were."""
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        # After the name: state, parent, group, session.
        if int(fields[3]) == leader and fields[0] != "Z":
            members.append(int(entry.name))
    for pid in members:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass
    return len(members)


sys.exit(main())
