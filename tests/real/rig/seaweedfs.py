"""SeaweedFS as a real S3 server: one process on loopback, its data in a folder, keys in its own file."""

import datetime
import hashlib
import hmac
import json
import urllib.error
import urllib.request
from pathlib import Path

from .processes import CACHE, Process, free_port
from .verdict import check, wait_for

ACCESS_KEY, SECRET_KEY, REGION, BUCKET = "kafscale", "kafscale-secret", "us-east-1", "kafscale"


class SeaweedFs:
    """Use as a context manager: up with an empty bucket at the start, gone at the end."""

    def __init__(self, folder):
        folder = Path(folder)
        (folder / "data").mkdir(parents=True)
        weed = CACHE / "seaweedfs" / "weed"
        check(weed.exists(), "SeaweedFS is not installed: run tests/real/parts/install seaweedfs")
        keys = folder / "s3.json"
        keys.write_text(json.dumps({"identities": [{
            "name": "kafscale", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]}))
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        flags = {"dir": folder / "data", "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "s3.config": keys, "s3.port": self.port,
                 "volume.max": 50, "master.volumeSizeLimitMB": 512, "master.telemetry": "false"}
        # Each service has an HTTP and a gRPC port; the defaults of the latter are the former plus 10,000.
        for service in ("master", "volume", "filer"):
            flags[f"{service}.port"], flags[f"{service}.port.grpc"] = free_port(), free_port()
        flags["s3.port.grpc"] = free_port()
        self.process = Process("seaweedfs", [weed, "server", "-s3", *(f"-{key}={value}" for key, value in flags.items())], cwd=folder)

    def request(self, method, path):
        """One signed (Signature Version 4) request without a body; returns the status and the answer's bytes."""
        now = datetime.datetime.now(datetime.timezone.utc)
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        empty = hashlib.sha256(b"").hexdigest()
        headers = {"host": f"127.0.0.1:{self.port}", "x-amz-content-sha256": empty, "x-amz-date": stamp}
        names = ";".join(sorted(headers))
        canonical = "\n".join([method, path, "", *(f"{key}:{headers[key]}" for key in sorted(headers)), "", names, empty])
        scope = f"{day}/{REGION}/s3/aws4_request"
        key = ("AWS4" + SECRET_KEY).encode()
        for part in (day, REGION, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
        request = urllib.request.Request(self.endpoint + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def __enter__(self):
        self.process.start()
        try:
            def bucket_made():
                self.process.assert_running()
                status, body = self.request("PUT", f"/{BUCKET}")
                check(status != 403, lambda: f"SeaweedFS refuses the keys: {body!r}")
                return status == 200

            wait_for("SeaweedFS to make the bucket", 60, bucket_made, every=0.2)
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(self, *_):
        # Its data is thrown away with it, and a clean shutdown takes it 20 s.
        self.process.kill()

    def broker_env(self):
        """The guide's variables that make our broker use this bucket."""
        return {
            "KAFSCALE_S3_BUCKET": BUCKET, "KAFSCALE_S3_REGION": REGION, "KAFSCALE_S3_ENDPOINT": self.endpoint, "KAFSCALE_S3_PATH_STYLE": "true",
            "KAFSCALE_S3_ACCESS_KEY": ACCESS_KEY, "KAFSCALE_S3_SECRET_KEY": SECRET_KEY,
        }
