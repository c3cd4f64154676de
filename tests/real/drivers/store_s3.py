"""The engine's own suite for a store, on a real S3 server: conditional writes, ranges, lists, and what the server answers when refused."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rig import verdict
from rig.processes import ROOT, run_to_end, scratch_folder
from rig.seaweedfs import ACCESS_KEY, BUCKET, SECRET_KEY, SeaweedFs
from rig.verdict import check, checked


def main():
    with scratch_folder() as folder, SeaweedFs(Path(folder) / "seaweedfs") as server:
        names = {"ENDPOINT": server.endpoint, "BUCKET": BUCKET, "ACCESS_KEY": ACCESS_KEY, "SECRET_KEY": SECRET_KEY}
        out = run_to_end(
            ["cargo", "test", "--manifest-path", ROOT / "Cargo.toml", "--package", "kafscale-core", "--lib", "--locked", "real_s3", "--", "--ignored"],
            seconds=540, env={f"KAFSCALE_TEST_S3_{name}": value for name, value in names.items()},
        )
        passed = re.search(r"test result: ok\. (\d+) passed", out)
        check(passed and int(passed[1]) >= 1, f"no test ran:\n{out[-1500:]}")
        checked(f"{passed[1]} test of the store's suite passed on SeaweedFS")


verdict.run("store_s3", main)
