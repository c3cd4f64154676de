"""How a driver says what it checked: lines on standard output, and a failure with one clear reason."""

import sys
import time
import traceback


class Failed(Exception):
    """A check did not hold; the text says what was expected and what was seen."""


def check(holds, reason):
    """Ends the driver with `reason` unless `holds`. `reason` is text, or a function that makes it when needed."""
    if not holds:
        raise Failed(reason() if callable(reason) else reason)


def checked(text):
    """Says what has just been checked and held."""
    print(f"  ok: {text}", flush=True)


def note(text):
    """Says something that was measured or done, not judged."""
    print(f"  {text}", flush=True)


def wait_for(what, seconds, probe, every=0.1):
    """Calls `probe` until it returns something true, and returns that; fails after `seconds`.

    An exception of the probe counts as "not yet"; the last one is part of the reason.
    """
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            found = probe()
            if found:
                return found
            last = None
        except Failed:
            raise
        except Exception as error:  # noqa: BLE001: whatever a half-started server makes the probe raise
            last = error
        if time.monotonic() >= deadline:
            raise Failed(f"{what}: not within {seconds:g} s" + (f" (last: {last!r})" if last else ""))
        time.sleep(every)


def run(name, body):
    """Runs a driver's body and turns its outcome into the exit code: 0 held, 1 a check failed, 2 the driver itself broke."""
    started = time.monotonic()
    try:
        body()
    except Failed as failure:
        print(f"{name}: FAILED: {failure}", flush=True)
        sys.exit(1)
    except Exception:  # noqa: BLE001: reported whole
        traceback.print_exc()
        print(f"{name}: FAILED: the driver itself broke, see above", flush=True)
        sys.exit(2)
    print(f"{name}: passed in {time.monotonic() - started:.1f} s", flush=True)
