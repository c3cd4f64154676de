"""The audit goes red for each thing that can go wrong, and only then."""

import unittest

from .ledger import Ledger, audit
from .same_lines import assert_same
from .verdict import Failed


def books():
    """Two keys in two partitions, five records each, all acknowledged."""
    ledger, found = Ledger(), {0: [], 1: []}
    for key in (0, 1):
        for sequence in range(5):
            record = (key, sequence)
            ledger.sent.add(record)
            ledger.acknowledged[record] = (key, sequence)
            found[key].append((sequence, record))
    return ledger, found, {0: 5, 1: 5}


class Audit(unittest.TestCase):
    def red(self, ledger, found, watermarks, *parts):
        wrong = audit(ledger, found, watermarks)
        for part in parts:
            self.assertTrue(any(part in sentence for sentence in wrong), f"{part!r} is not in {wrong}")

    def test_clean_books_have_nothing_wrong(self):
        self.assertEqual(audit(*books()), [])

    def test_a_lost_record_is_seen(self):
        ledger, found, watermarks = books()
        del found[1][4]
        watermarks[1] = 4
        self.red(ledger, found, watermarks, "acknowledged records are not in the log")

    def test_a_record_that_failed_may_be_absent_or_there_once(self):
        ledger, found, watermarks = books()
        ledger.sent |= {(0, 5), (1, 5)}
        ledger.failed = {(0, 5): "timed out", (1, 5): "timed out"}
        found[1].append((5, (1, 5)))
        watermarks[1] = 6
        self.assertEqual(audit(ledger, found, watermarks), [])
        found[1].append((6, (1, 5)))
        watermarks[1] = 7
        self.red(ledger, found, watermarks, "more than once")

    def test_a_duplicate_is_seen(self):
        ledger, found, watermarks = books()
        found[0].append((5, (0, 2)))
        watermarks[0] = 6
        self.red(ledger, found, watermarks, "more than once", "out of order")

    def test_a_swap_is_seen(self):
        ledger, found, watermarks = books()
        found[0][1], found[0][2] = (1, (0, 2)), (2, (0, 1))
        self.red(ledger, found, watermarks, "out of order", "not where the acknowledgement said")

    def test_a_hole_is_seen(self):
        ledger, found, watermarks = books()
        found[0] = [(offset + (offset > 2), record) for offset, record in found[0]]
        self.red(ledger, found, watermarks, "not dense", "not where the acknowledgement said")

    def test_a_log_that_does_not_start_at_zero_is_seen(self):
        ledger, found, watermarks = books()
        found[0] = [(offset + 1, record) for offset, record in found[0]]
        self.red(ledger, found, watermarks, "position 0 holds offset 1")

    def test_a_high_watermark_beyond_the_records_is_seen(self):
        ledger, found, watermarks = books()
        watermarks[1] = 6
        self.red(ledger, found, watermarks, "high watermark 6")

    def test_a_stranger_is_seen(self):
        ledger, found, watermarks = books()
        found[0].append((5, (0, 5)))
        watermarks[0] = 6
        self.red(ledger, found, watermarks, "nobody sent")

    def test_a_key_that_changes_its_partition_is_seen(self):
        ledger, found, watermarks = books()
        found[1].append((5, (0, 5)))
        ledger.sent.add((0, 5))
        watermarks[1] = 6
        self.red(ledger, found, watermarks, "out of order")

    def test_a_record_that_came_back_changed_is_seen(self):
        key, value = Ledger.encode((3, 7), 40)
        self.assertEqual((len(value), Ledger.decode(key, value)), (40, (3, 7)))
        for broken in ((b"key-4", value), (key, value[:-1] + b"x")):
            with self.assertRaises(Failed):
                Ledger.decode(*broken)


class SameLines(unittest.TestCase):
    def test_order_does_not_matter_but_each_count_does(self):
        assert_same([b"a", b"b", b"b"], [b"b", b"a", b"b"], "")
        for received in ([b"a", b"b"], [b"a", b"b", b"b", b"b"], [b"a", b"b", b"c"], [b"a", b"b", b"b", b"c"]):
            with self.assertRaises(Failed):
                assert_same([b"a", b"b", b"b"], received, "")


if __name__ == "__main__":
    unittest.main()
