"""An index in shards says what the same triples say in one folder, ids and order included.

`KBQA_EXAMPLES=100 pytest tests/integration/test_sharded_look_ups.py` tries as many knowledge bases as that.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cli import main
from eval.identity import answers_key
from kb_index import KnowledgeBase, build_index
from kb_index.errors import IndexFolderError, InputError
from kb_index.shards.asking import LocalShards
from kb_index.shards.build import ShardedBuild
from kb_index.shards.opening import Opening
from kb_index.stats.forms import stats_to_json, stats_to_text
from kb_index.stats.numbers import index_stats
from kbqa_agent import AgentConfig, Dialogue, KBQAgent
from kbqa_agent.answer_forms import answer_to_json, answer_to_text
from kbqa_agent.dialogue_file import turns_from_json, turns_to_json
from kbqa_agent.qa_data import read_questions
from kbqa_agent.sample import sample_test, sample_triples
from kbqa_agent.types import Answer

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # Ray leaves some behind

N_EXAMPLES = int(os.environ.get("KBQA_EXAMPLES", "8"))

SUBJECTS = [
    "坛经",
    "《坛经》",
    "Ａ书",
    "a书",
    "A 书",
    "机械(教材)",
    "机械(2010年)",
    "机械",
    "械机",
    "惠能",
    "b",
    "唐(朝代)",
]
PREDICATES = ["作者", "作 者", "者作", "别名", "中文名", "页数[1]", "Name", "朝代"]
OBJECTS = ["惠能", "慧能、六祖", "A书", "ａ书", "机械", "b", "350", "唐", "一段很长的文字" * 6, "甲/乙", "《坛经》"]
TEXTS = [f"{name}和{other}是什么？" for name, other in zip(SUBJECTS, OBJECTS, strict=False)]
MISSPELT = [*SUBJECTS, *OBJECTS, "机诫", "坛坛经", "惠", "xyz", "", "书a"]


class Statement(NamedTuple):
    """A line; `source` is an extra column, or empty."""

    subject: str
    predicate: str
    object: str
    source: str = ""


statements = st.builds(
    Statement, *(st.sampled_from(of) for of in (SUBJECTS, PREDICATES, OBJECTS, ["", "甲源", "乙源"]))
)


def build_both(lines: Sequence[Statement], n_shards: int, folder: Path) -> tuple[Path, Path]:
    """Build an index of lines in one folder and in shards."""
    rows = [line._asdict() for line in lines]
    build_index([rows], folder / "whole", progress=False)
    ShardedBuild(n_shards, progress=False).run([rows], folder / "sharded")
    return folder / "whole", folder / "sharded"


def answers(kb: KnowledgeBase, names: Sequence[str], texts: Sequence[str], attributes: Sequence[str]) -> dict[str, Any]:
    """Ask an index everything about some names, texts and attributes."""
    n = kb.manifest.counts
    ids, triples = range(-2, n.entities + 3), range(-2, n.triples + 3)
    pairs = kb.attributes_of_entities(4)
    prefixes = sorted({name[:i] for name in names for i in (0, 1, 2)})
    return {
        "mentions": [kb.mentions(text) for text in texts],
        "named": [kb.entities_named(name) for name in names],
        "entities": kb.entities(ids),
        "some entities": kb.entities([3, 1, 1, 10**30]),
        "triples of": kb.with_extra(kb.triples_of(ids)),
        "triples of some": kb.triples_of([2, 0, 2]),
        "triples": kb.triples_by_id(triples),
        "some triples": [kb.triples_by_id([i, i + 2]) for i in triples[::7]],
        "about": [kb.triples_about(name, limit) for name in names for limit in (0, 1, 2, 100)],
        "listed about": [kb.triples_about(name, limit, listed=True) for name in names for limit in (1, 100)],
        "frequency": kb.attribute_frequency(attributes).tolist(),
        "pairs": (pairs[0], pairs[1].tolist(), pairs[2].tolist()),
        "prefixes": [kb.entities_with_prefix(prefix, limit) for prefix in prefixes for limit in (1, 3, 50)],
    }


def assert_alike(found: Sequence[Sequence[tuple[object, float]]], expected: Sequence[Sequence[tuple[object, float]]]):
    """Compare what is similar: the same in the same order, as near but for how floats are added up."""
    assert [[of for of, _ in matches] for matches in found] == [[of for of, _ in matches] for matches in expected]
    scores = [[score for matches in of for _, score in matches] for of in (found, expected)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def assert_equal(sharded: KnowledgeBase, whole: KnowledgeBase, names=MISSPELT, texts=TEXTS, attributes=PREDICATES):
    """Compare all look-ups of two indexes."""
    found, expected = (answers(kb, names, texts, attributes) for kb in (sharded, whole))
    for look_up, says in expected.items():
        assert found[look_up] == says, look_up
    for k in (1, 3, 20):
        assert_alike(sharded.similar_entities(names, k), whole.similar_entities(names, k))
        assert_alike(sharded.similar_attributes(attributes, k), whole.similar_attributes(attributes, k))


@pytest.mark.slow
@settings(max_examples=N_EXAMPLES, deadline=None)
@given(lines=st.lists(statements, min_size=1, max_size=40), n_shards=st.integers(1, 5))
@example(lines=[Statement("坛经", "作者", "惠能")], n_shards=5)
@example(
    lines=[Statement(name, "作者", "慧能、六祖", "甲源") for name in ("机械", "械机", "机械", "械机(书)")], n_shards=3
)
def test_shards_say_what_one_folder_says(lines, n_shards):
    with tempfile.TemporaryDirectory() as folder:
        whole, sharded = build_both(lines, n_shards, Path(folder))
        with KnowledgeBase.open(sharded) as found, KnowledgeBase.open(whole) as expected:
            assert_equal(found, expected)


def lines_of(path: Path) -> list[Statement]:
    parts = (line.split("|||", 2) for line in path.read_text(encoding="utf-8").split("\n"))
    return [Statement(*(part.strip() for part in of)) for of in parts if len(of) == 3 and all(map(str.strip, of))]


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> tuple[Path, Path]:
    """The embedded sample in one folder and in four shards."""
    return build_both(lines_of(sample_triples()), 4, tmp_path_factory.mktemp("sample"))


def test_the_sample_says_the_same_in_four_shards(sample):
    with KnowledgeBase.open(sample[0]) as whole, KnowledgeBase.open(sample[1]) as sharded:
        entities = whole.entities(range(0, whole.manifest.counts.entities, 60))
        names = [e.name for e in entities] + [e.name[:-1] for e in entities] + ["", "一"]
        texts = [f"{a.name}的{b.name}" for a, b in pairwise(entities)]
        attributes = sorted({t.predicate for t in whole.triples_of([e.id for e in entities])})
        assert len(list((sample[1] / "shards").iterdir())) == 4
        assert_equal(sharded, whole, names, texts, attributes)


def test_the_agent_answers_the_same_from_four_shards(sample):
    questions = [example.question for example in read_questions(sample_test())[:60]]
    with KBQAgent.open(sample[0], "none") as one, KBQAgent.open(sample[1], "none") as many:
        expected, found = list(one.ask_many(questions)), list(many.ask_many(questions))
        assert [replace(a, timings={}) for a in found] == [replace(a, timings={}) for a in expected]
        assert replace(many.ask(questions[0]), timings={}) == replace(expected[0], timings={})
        assert sum(answer.text is not None for answer in found) > 30


def test_the_numbers_of_four_shards_are_those_of_one_folder(sample):
    whole, sharded = map(index_stats, sample)
    assert replace(sharded, path=whole.path, manifest=whole.manifest, files=whole.files) == whole


def test_the_numbers_count_what_is_in_the_shards(sample):
    stats = index_stats(sample[1])
    text, sizes = stats_to_text(stats), json.loads(stats_to_json(stats))["bytes"]
    assert (
        text.splitlines()[0]
        == f"{sample[1]}: 12,952 triples of {stats.manifest.counts.entities:,} entities in 4 shards"
    )
    files = {path.relative_to(sample[1]).as_posix(): path.stat().st_size for path in sample[1].rglob("*.*")}
    assert sizes == {name: size for name, size in files.items() if not name.endswith("manifest.json")}
    assert "\n  shards/ " in text


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda shards: shutil.rmtree(shards / "0001"), "no such folder"),
        (lambda shards: (shards / "0001" / "names.marisa").unlink(), "names.marisa is missing"),
        (lambda shards: shutil.copytree(shards / "0000", shards / "0001", dirs_exist_ok=True), "not the shard that"),
    ],
)
def test_the_numbers_say_which_shard_is_lost_and_to_copy_it(sample, tmp_path, harm, reason):
    index = tmp_path / "index"
    shutil.copytree(sample[1], index)
    harm(index / "shards")
    with pytest.raises(IndexFolderError) as raised:
        index_stats(index)
    message = str(raised.value)
    assert message.startswith(f"index '{index}': shard 0001 is lost (")
    assert reason in message
    assert message.endswith("); copy it there again")


@pytest.fixture
def broken(sample, tmp_path) -> Path:
    """The sample in four shards, of which two are lost."""
    shutil.copytree(sample[1], tmp_path / "broken")
    shutil.rmtree(tmp_path / "broken" / "shards" / "0001")
    (tmp_path / "broken" / "shards" / "0003" / "kb.duckdb").write_bytes(b"")
    return tmp_path / "broken"


def test_a_lost_shard_is_an_error(broken):
    with pytest.raises(IndexFolderError, match=r"shard 0001 cannot be asked .*no such folder.; copy it there again$"):
        KnowledgeBase.open(broken)


def test_an_index_goes_on_without_lost_shards_and_its_answers_say_so(sample, broken, caplog):
    with KnowledgeBase.open(sample[0]) as whole, KnowledgeBase.open(broken, partial=True) as kb:
        assert kb.missing_shards == ("0001", "0003")
        assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
            f"index '{broken}': shard {shard} cannot be asked" for shard in kb.missing_shards
        ]
        ids = range(whole.manifest.counts.entities)
        there = {entity.id for entity in kb.entities(ids)}
        assert 0 < len(there) < len(ids)
        assert kb.triples_of(ids) == [t for t in whole.triples_of(ids) if t.subject_id in there]
        lost = next(entity for entity in whole.entities(ids) if entity.id not in there)
        assert lost not in kb.entities_named(lost.name)
        assert kb.reopen()
        shutil.rmtree(broken / "shards")
        shutil.copytree(sample[1] / "shards", broken / "shards")
        assert kb.reopen()
        assert kb.missing_shards == ()
        assert not kb.reopen()
        assert kb.entities(ids) == whole.entities(ids)


def test_a_shard_may_be_lost_before_its_vectors_are_opened(sample, tmp_path):
    index = tmp_path / "index"
    shutil.copytree(sample[1], index)
    with KnowledgeBase.open(index) as whole, KnowledgeBase.open(index, partial=True) as kb:
        shutil.rmtree(index / "shards" / "0002")
        found = kb.similar_entities(["发国"], 3)
        assert (len(found[0]) >= 3, kb.missing_shards) == (True, ("0002",))
        with pytest.raises(IndexFolderError, match="replaced since it was opened"):
            whole.similar_entities(["发国"], 3)


def test_an_index_that_loses_all_shards_says_so_each_time(sample, tmp_path):
    index = tmp_path / "index"
    shutil.copytree(sample[1], index)
    with KnowledgeBase.open(index, partial=True) as kb:
        shutil.rmtree(index / "shards")
        with pytest.raises(IndexFolderError, match="nor can the others; copy them there again"):
            kb.similar_entities(["发国"], 3)
        for look_up in (kb.mentions, kb.entities_named):
            with pytest.raises(IndexFolderError, match="none of its shards can be asked; copy them there again"):
                look_up("法国")


def test_answers_without_lost_shards_are_marked(broken):
    question = "法国的首都是哪里？"
    with KBQAgent.open(broken, "none", config=AgentConfig(partial=True)) as agent:
        dialogue = Dialogue()
        answers = [agent.ask(question, dialogue), *agent.ask_many([question]), *agent.stream(question)]
        told = [answer for answer in answers if isinstance(answer, Answer)]
        assert [answer.partial for answer in told] == [True] * 3
        assert answer_to_json(told[0])["partial"] is True
        assert answer_to_text(told[0]).splitlines()[0].endswith("[partial: shards of the index are missing]")
        assert turns_from_json(turns_to_json(dialogue.turns))[0].answer.partial


def test_an_evaluation_without_lost_shards_says_so_and_is_not_used_again(broken, tmp_path):
    words = ["eval", "--index", str(broken), "--questions", str(sample_test()), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*words, "--model", "none", "--limit", "20", "--partial"])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert (report["n_partial"], report["system"]["key"]) == (20, None)
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "**Partial**: 20 answers did without shards of the index that are missing." in text


def test_answers_over_an_index_that_may_lose_shards_have_no_key(sample):
    with (
        KBQAgent.open(sample[1], "none") as whole,
        KBQAgent.open(sample[1], "none", config=AgentConfig(partial=True)) as a,
    ):
        assert answers_key(whole, [], None)
        assert answers_key(a, [], None) is None


@pytest.mark.parametrize("look_up", ["entities", "triples_of", "called", "plain_names", "extra"])
@pytest.mark.parametrize("shard", [0, 2])
def test_a_shard_may_be_lost_while_a_question_is_answered(sample, monkeypatch, look_up, shard):
    ask = LocalShards.ask

    def lose(shards, method, arguments):
        if method.__name__ == look_up:
            shards._shards.pop(shard, None)
            shards._missing.add(shard, "lost", OSError())
        return ask(shards, method, arguments)

    monkeypatch.setattr(LocalShards, "ask", lose)
    for question in ("法国的首都是哪里？", "法国和日本的首都是哪里？", "罗马尼压的首都是哪里？"):
        with KBQAgent.open(sample[1], "none", config=AgentConfig(partial=True)) as agent:
            answer = agent.ask(question)
            assert answer.partial == bool(agent.kb.missing_shards)


def test_answers_of_a_whole_index_are_not_marked(sample):
    with KBQAgent.open(sample[1], "none", config=AgentConfig(partial=True)) as agent:
        answer = agent.ask("法国的首都是哪里？")
        assert not answer.partial
        assert "partial" not in answer_to_json(answer)


def test_the_command_line_does_without_lost_shards_where_it_is_told_to(broken):
    arguments = ["ask", "法国的首都是哪里？", "--index", str(broken), "--model", "none", "--json"]
    refused = CliRunner().invoke(main, arguments)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.endswith("; copy it there again, or do without it: --partial\n")
    told = CliRunner().invoke(main, [*arguments, "--partial"])
    assert told.exit_code == 0
    assert json.loads(told.stdout)["partial"] is True


def test_a_command_without_the_option_does_not_advise_it(broken):
    words = ["finetune", "ranker", "--questions", str(sample_test()), "--index", str(broken)]
    refused = CliRunner().invoke(main, words)
    assert refused.exit_code == 1
    assert refused.stderr.endswith("; copy it there again\n")


def test_a_comparison_of_systems_does_without_lost_shards(broken, tmp_path):
    systems = tmp_path / "systems.toml"
    systems.write_text('[[system]]\nname = "one"\nmodel = "none"\n', encoding="utf-8")
    words = ["eval", "--index", str(broken), "--questions", str(sample_test()), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*words, "--systems", str(systems), "--limit", "20", "--partial"])
    assert done.exit_code == 0, done.output


def test_no_other_process_opens_shards_that_actors_ask(sample, caplog):
    with KBQAgent.open(sample[1], "none") as agent:
        agent.kb.opening = Opening(engine="ray")
        assert [answer.text for answer in agent.ask_many(["法国的首都是哪里？"], processes=2)] == ["巴黎"]
    assert caplog.messages == ["2 processes: none but this one can answer as this agent does; it answers alone"]


def test_an_index_of_which_no_shard_is_left_cannot_be_opened(broken):
    shutil.rmtree(broken / "shards")
    with pytest.raises(IndexFolderError, match="nor can the others"):
        KnowledgeBase.open(broken, partial=True)


def end(actor):
    """End an actor for good, and wait for it: Ray only begins to, and what is asked meanwhile may be answered."""
    import ray

    ray.kill(actor)
    with suppress(ray.exceptions.RayActorError):
        while True:
            ray.get(actor.look_up.remote("called", ([],)))


@pytest.mark.slow
def test_actors_say_what_one_folder_says_while_nodes_and_actors_go(ray_cluster, add_ray_node, sample):
    import ray

    names = ["法国", "法", "巴黎", "发国", ""]
    with KnowledgeBase.open(sample[0]) as whole, KnowledgeBase.open(sample[1], engine="ray") as sharded:
        texts, attributes = ["法国的首都是巴黎吗"], ["首都", "首府", "人口"]
        assert_equal(sharded, whole, names, texts, attributes)
        actors = sharded._view._shards._actors
        ray.kill(actors[2], no_restart=False)
        assert_equal(sharded, whole, names, texts, attributes)
        node = next(node for node in ray_cluster.list_all_nodes() if node is not ray_cluster.head_node)
        ray_cluster.remove_node(node)
        add_ray_node(ray_cluster)
        assert_equal(sharded, whole, names, texts, attributes)
        end(actors[1])
        with pytest.raises(IndexFolderError, match=r"shard 0001 cannot be asked .its actor has died"):
            sharded.mentions("法国")


@pytest.mark.slow
def test_an_actor_that_is_lost_for_good_is_gone_without_where_that_may_be(ray_cluster, sample):
    with (
        KBQAgent.open(sample[1], "none") as expected,
        KBQAgent.open(KnowledgeBase.open(sample[1], engine="ray", partial=True), "none") as agent,
    ):
        question = "法国的首都是哪里？"
        assert not agent.ask(question).partial
        end(agent.kb._view._shards._actors[0])
        assert agent.ask(question).partial
        assert agent.kb.missing_shards == ("0000",)
        assert agent.kb.reopen()
        assert agent.kb.missing_shards == ()
        assert replace(agent.ask(question), timings={}) == replace(expected.ask(question), timings={})


@pytest.mark.slow
def test_a_connection_to_ray_lasts_until_the_knowledge_base_is_closed(ray_cluster, broken, sample):
    import ray

    ray.shutdown()
    try:
        with KnowledgeBase.open(broken, partial=True, engine="ray", ray_address=ray_cluster.address) as kb:
            shutil.rmtree(broken / "shards")
            shutil.copytree(sample[1] / "shards", broken / "shards")
            assert kb.reopen()
            gc.collect()
            assert kb.entities([0, 1, 2, 3]) == KnowledgeBase.open(sample[0]).entities([0, 1, 2, 3])
        assert not ray.is_initialized()
    finally:
        ray.init(ray_cluster.address, log_to_driver=False)


def test_ray_asks_no_index_without_shards(sample):
    with pytest.raises(InputError, match="in no shards"):
        KnowledgeBase.open(sample[0], engine="ray")
