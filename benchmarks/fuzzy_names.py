"""Find misspelt names among all names of a file of triples, by vectors and then by spelling.

    python benchmarks/fuzzy_names.py ../shared/data/nlpcc2016/bench.kbqa.kb [--cases 1000] [--seed 0]

Builds the encoder and the vectors of the file's names, and asks from a fresh process. Cases are drawn from the distinct
plain names (normalised, without descriptions) of 4 to 40 characters, a third each with one character that is wrong
(any of the names' characters, all alike), missing, or exchanged with its neighbour. A misspelt form that is itself a
name of the file is left out and counted. Prints one JSON row.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from kb_index.encoder import CHAR_STATIC, StaticEncoder, build_char_static, open_encoder
from kb_index.normalize import plain_name
from kb_index.spelling import SPELLING_CANDIDATES, rank_by_spelling
from kb_index.vectors import VectorIndex, build_vectors

KINDS = ("wrong", "missing", "swapped")
FIRST = 10


def main() -> None:
    """Build here, ask in a fresh process, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("triples", type=Path)
    parser.add_argument("--cases", type=int, default=1000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        print(json.dumps(ask(arguments.ask, arguments.cases, arguments.seed), ensure_ascii=False))
        return
    with tempfile.TemporaryDirectory() as name:
        figures = build(arguments.triples, Path(name), arguments.seed)
        command = [sys.executable, __file__, *sys.argv[1:], "--ask", name]
        answered = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures |= json.loads(answered.stdout)
    row = {
        "command": " ".join(["python", *sys.argv]),
        "commit": _git("rev-parse", "HEAD"),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "data": arguments.triples.name,
        **figures,
    }
    print(json.dumps(row, ensure_ascii=False, indent=1))


def build(source: Path, folder: Path, seed: int) -> dict[str, Any]:
    """Build encoder and vectors into a folder, beside the names; gives seconds, sizes and memory."""
    names = list(dict.fromkeys(plain_names(source)))
    (folder / "names.txt").write_text("\n".join(names), encoding="utf-8")
    before = _peak_megabytes()
    started = time.perf_counter()
    (folder / "encoder").mkdir()
    build_char_static(names, folder / "encoder", seed)
    encoder = StaticEncoder(CHAR_STATIC, folder / "encoder")
    encoded = time.perf_counter()
    index = build_vectors(names, np.arange(len(names)), encoder, seed, lambda _: None)
    index.save(folder / "entities.faiss")
    return {
        "names": len(names),
        "encoder_seconds": round(encoded - started, 1),
        "vectors_seconds": round(time.perf_counter() - encoded, 1),
        "file_megabytes": round((folder / "entities.faiss").stat().st_size / 1e6, 1),
        "extra_peak_megabytes": round(_peak_megabytes() - before),
    }


def plain_names(source: Path) -> Iterator[str]:
    """Yield the normalised plain names of the subjects of a file, in order."""
    with source.open(encoding="utf-8", newline="\n") as lines:
        for subject, _ in groupby(line.partition("|||")[0] for line in lines):
            if name := plain_name(subject):
                yield name


def draw(names: Sequence[str], n: int, seed: int) -> tuple[list[tuple[str, str, int]], int]:
    """Draw n cases of each kind as (kind, misspelt, number of the name), and count those left out as names."""
    rng, known, left_out = random.Random(seed), set(names), 0
    alphabet = sorted(set("".join(names)))
    cases = []
    for kind in KINDS:
        drawn = 0
        while drawn < n:
            number = rng.randrange(len(names))
            name = names[number]
            if not 4 <= len(name) <= 40 or (text := misspell(name, kind, alphabet, rng)) == name:
                continue
            if text in known:
                left_out += 1
                continue
            cases.append((kind, text, number))
            drawn += 1
    return cases, left_out


def misspell(name: str, kind: str, alphabet: Sequence[str], rng: random.Random) -> str:
    """Put one error of a kind into a name; the same name may come out."""
    i = rng.randrange(len(name) - (kind == "swapped"))
    if kind == "wrong":
        return name[:i] + rng.choice(alphabet) + name[i + 1 :]
    return name[:i] + name[i + 1 :] if kind == "missing" else name[:i] + name[i + 1] + name[i] + name[i + 2 :]


def ask(folder: Path, n: int, seed: int) -> dict[str, Any]:
    """Look the misspelt names up; gives memory, milliseconds and recall by kind."""
    encoder = open_encoder(CHAR_STATIC, folder / "encoder")
    encoder.encode(["名字"])
    before = _resident_megabytes()
    started = time.perf_counter()
    index = VectorIndex.open(folder / "entities.faiss")
    opened = time.perf_counter() - started
    memory = _resident_megabytes() - before
    names = (folder / "names.txt").read_text(encoding="utf-8").split("\n")
    cases, left_out = draw(names, n, seed)
    places: dict[str, list[int]] = {kind: [] for kind in KINDS}
    fetched, milliseconds = 0, []
    for kind, text, number in cases:
        started = time.perf_counter()
        [found] = index.search(encoder.encode([text]), SPELLING_CANDIDATES)
        ranked = rank_by_spelling(text, [(i, names[i], cosine) for i, cosine in found], len(found))
        milliseconds.append(1e3 * (time.perf_counter() - started))
        order = [i for i, _ in ranked]
        fetched += number in order
        places[kind].append(order.index(number) if number in order else len(names))
    recall = {kind: round(statistics.mean(place < FIRST for place in found), 3) for kind, found in places.items()}
    percentiles = statistics.quantiles(milliseconds, n=100)
    return {
        "open_seconds": round(opened, 3),
        "open_megabytes": round(memory),
        "first_look_up_ms": round(milliseconds[0], 1),
        "look_up_ms_p50": round(percentiles[49], 1),
        "look_up_ms_p99": round(percentiles[98], 1),
        "cases": len(cases),
        "left_out": left_out,
        "candidates": SPELLING_CANDIDATES,
        "among_candidates": round(fetched / len(cases), 4),
        f"recall@{FIRST}": recall | {"all": round(statistics.mean(recall.values()), 3)},
    }


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
