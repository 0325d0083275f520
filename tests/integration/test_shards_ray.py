"""An index is built in shards on a Ray cluster as on one machine, though a machine is lost meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kb_index import KnowledgeBase
from kb_index.errors import TripleFileError, WorkerError
from kb_index.manifest import read_manifest
from kb_index.ray_session import ray_session
from kb_index.shards.build import ShardedBuild
from kb_index.shards.engines import RayEngine
from kb_index.shards.reading import read_chunk
from kb_index.shards.shard import build_shard
from kbqa_agent.sample import sample_triples

DATA = Path(os.environ.get("KBQA_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
BENCH = DATA / "nlpcc2016" / "bench.kbqa.kb"

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]  # Ray leaves some behind


class Losing(RayEngine):
    """Loses a machine when the first shard is built and others are being built."""

    def __init__(self, ray: Any, lose: Callable[[], object]) -> None:
        super().__init__(ray)
        self._lose = lose

    def run(self, function: Any, tasks: Sequence[Any], on_done: Callable[[int], object], gpus: float = 0) -> None:
        left = [self._lose] if function is build_shard else []

        def lose(n: int) -> None:
            on_done(n)
            if left:
                left.pop()()

        super().run(function, tasks, lose, gpus)


def files(index: Path) -> dict[str, str]:
    """Give the fingerprints of all files of an index; a database has the order of its threads in it."""
    found = {name: info.sha256 for name, info in read_manifest(index).files.items()}
    for shard in read_manifest(index).shards:
        of_shard = read_manifest(index / "shards" / shard).files
        found |= {f"{shard}/{name}": info.sha256 for name, info in of_shard.items()}
    return {name: sha256 for name, sha256 in found.items() if not name.endswith("kb.duckdb")}


@pytest.mark.parametrize(
    "source",
    [
        sample_triples(),
        pytest.param(BENCH, marks=pytest.mark.skipif(not BENCH.is_file(), reason=f"no {BENCH}: set KBQA_DATA")),
    ],
    ids=["sample", "bench"],
)
def test_a_machine_is_lost_while_shards_are_built(
    ray_cluster: Any, add_ray_node: Any, tmp_path: Path, source: Path
) -> None:
    sources = [source, [("坛经", "作者", "惠能")]]
    chunk_bytes = source.stat().st_size // 5
    local = ShardedBuild(4, chunk_bytes=chunk_bytes, progress=False).run(sources, tmp_path / "local")
    with ray_session() as ray:
        nodes = list(ray_cluster.worker_nodes)

        def lose() -> None:
            ray_cluster.remove_node(nodes[0], allow_graceful=False)

        engine = Losing(ray, lose)
        found = ShardedBuild(4, engine, chunk_bytes=chunk_bytes, progress=False).run(sources, tmp_path / "ray")
        add_ray_node(ray_cluster)
    assert (found.counts, found.sources) == (local.counts, local.sources)
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    assert list(tmp_path.rglob(".*")) == []
    with KnowledgeBase.open(tmp_path / "ray") as kb, KnowledgeBase.open(tmp_path / "local") as other:
        some = range(0, found.counts.entities, 1 + found.counts.entities // 2000)
        assert kb.triples_of(some) == other.triples_of(some)
        assert kb.similar_entities(["慧能"], 3) == other.similar_entities(["慧能"], 3)


def test_an_error_in_a_source_arrives_as_itself(ray_cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("半行\n" * 10, encoding="utf-8")
    with ray_session() as ray, pytest.raises(TripleFileError, match="10 of the first 10 lines are no triples"):
        ShardedBuild(2, RayEngine(ray), progress=False).run([tmp_path / "bad"], tmp_path / "index")
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_a_build_whose_workers_die_can_be_gone_on_with(ray_cluster: Any, tmp_path: Path) -> None:
    class Deadly(RayEngine):
        def run(self, function: Any, tasks: Sequence[Any], on_done: Any, gpus: float = 0) -> None:
            super().run(function if function is read_chunk else _end_worker, tasks, on_done, gpus)

    out = tmp_path / "index"
    with ray_session() as ray:
        with pytest.raises(WorkerError, match="run the same command again: it goes on where it stopped"):
            ShardedBuild(2, Deadly(ray), progress=False).run([sample_triples()], out)
        assert not out.exists()
        (left,) = tmp_path.iterdir()
        reports = {path: path.stat().st_mtime_ns for path in left.rglob("chunks/*/report.json")}
        assert len(reports) == 1
        manifest = ShardedBuild(2, RayEngine(ray), progress=False).run([sample_triples()], out)
    assert manifest.counts.triples == 12952
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def _end_worker(task: object) -> None:
    os._exit(1)


def test_the_command_line_uses_the_cluster(ray_cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "kb").write_bytes(sample_triples().read_bytes())
    command = f"-m cli index kb --out index --shards 2 --engine ray --ray-address {ray_cluster.address}".split()
    # In a folder where the cluster's processes are not.
    ended = subprocess.run([sys.executable, *command], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("index: 12,952 triples of ")
    assert [source.path for source in read_manifest(tmp_path / "index").sources] == ["kb"]


def test_a_lost_machine_writes_nothing_into_the_output(ray_cluster: Any, add_ray_node: Callable[..., Any]) -> None:
    program = """
import sys, time
import click
from cli.commands import main

@main.command()
@click.argument("address")
@click.argument("node")
def watch(address, node):
    from kb_index.ray_session import ray_session

    with ray_session(address) as ray:
        click.echo("connected")
        while all(found["Alive"] for found in ray.nodes() if found["NodeID"] == node):
            time.sleep(0.1)
        time.sleep(2)  # what Ray tells of it comes with the news, or right after

main()
"""
    node = add_ray_node(ray_cluster)
    command = [sys.executable, "-c", program, "watch", ray_cluster.address, node.node_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "connected\n"
            ray_cluster.remove_node(node, allow_graceful=False)
            assert process.communicate(timeout=60)[0] == ""
        finally:
            process.kill()
    assert process.returncode == 0
