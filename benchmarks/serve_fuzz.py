"""Send a running server what its OpenAPI document allows and what it forbids, and count what fails.

Requests and statuses are those that the server counted itself; a traceback in its log fails, too.

    python benchmarks/serve_fuzz.py --index my-index --requests 20000
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import httpx
from recording import record
from served import served

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
COUNTED = re.compile(r'kbqa_requests_total\{method="(\w+)",route="([^"]+)",status="(\d+)"\} ([\d.]+)')


def main() -> None:
    """Fuzz, and write results/serve-fuzz.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # A queue that is full is no fault; here it must be a fault if anything answers 5xx.
        arguments = ["--model", "none", "--queue", "100000", "--request-seconds", "600"]
        with served(options.index, Path(folder), arguments) as running:
            before = _counted(running.url)
            seed, failures, output = options.seed, 0, ""
            while (sent := (_counted(running.url) - before).total()) < options.requests:
                done = _round(running.url, seed, options.requests - sent)
                failures, output = failures + (done.returncode != 0), output + done.stdout
                seed += 1
            counted = _counted(running.url) - before
            assert httpx.get(f"{running.url}/readyz", trust_env=False).status_code == 200
        log = "".join(running.log)
    if failures:
        print(output[-20_000:], file=sys.stderr)
    statuses: Counter[str] = Counter()
    routes: Counter[str] = Counter()
    for (method, route, status), n in counted.items():
        statuses[status] += n
        routes[f"{method} {route}"] += n
    record(
        "serve-fuzz",
        {
            "requests": counted.total(),
            "server_errors": sum(n for status, n in statuses.items() if status >= "500"),
            "tracebacks": log.count("Traceback"),
            "rounds": seed - options.seed,
            "rounds_with_a_failed_check": failures,
            "checks": CHECKS.split(","),
            "statuses": dict(sorted(statuses.items())),
            "routes": {route: n for route, n in routes.most_common() if n > 2},
        },
        f"index {options.index.name}; schemathesis from the server's own /openapi.json",
    )


def _round(url: str, seed: int, missing: int) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json", "--checks", CHECKS,
        "--max-examples", str(max(20, min(500, missing // 20))), "--seed", str(seed), "--workers", "2",
        "--continue-on-failure", "--exclude-path", "/api/admin/reload", "--no-color",
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _counted(url: str) -> Counter[tuple[str, str, str]]:
    """How many requests came, by method, route and status; those of this program itself are left out."""
    text = httpx.get(f"{url}/metrics", trust_env=False).text
    found = Counter({(m, r, s): int(float(n)) for m, r, s, n in COUNTED.findall(text)})
    return Counter({key: n for key, n in found.items() if key[1] not in ("/metrics", "/openapi.json")})


if __name__ == "__main__":
    main()
