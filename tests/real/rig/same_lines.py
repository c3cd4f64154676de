"""Judges what came back against what was sent: the same lines, each exactly as often as it was sent."""

from collections import Counter

from .verdict import check


def assert_same(sent, received, what):
    """`sent` and `received` are sequences of bytes, in any order."""
    wanted, got = Counter(sent), Counter(received)
    if wanted == got:
        return
    missing, extra = wanted - got, got - wanted
    twice = [line for line in extra if line in wanted]
    reasons = [f"{what}: {len(sent)} lines sent, {len(received)} came back"]
    for label, lines in (("missing", missing), ("came more often than sent", {line: extra[line] for line in twice}),
                         ("never sent", {line: extra[line] for line in extra if line not in wanted})):
        if lines:
            reasons.append(f"{sum(lines.values())} {label}, first {[line[:80] for line in sorted(lines)[:3]]}")
    check(False, "; ".join(reasons))
