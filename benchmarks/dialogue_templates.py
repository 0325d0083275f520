"""Dialogues from templates over any index: what is asked is drawn from its triples, how it is asked is written here.

    python benchmarks/dialogue_templates.py --index INDEX --name bench --n 100 --out dialogues.jsonl [--seed 0]

The form of a dialogue is that of benchmarks/dialogues: turns with what is said, its kind, and the (subject, predicate)
pairs whose objects are right answers.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_attribute, strip_description
from kb_index.types import Entity, Triple

LOOKED_AT = 60_000
LONGEST_VALUE = 20
TRIES = 100
"""Of a knowledge base in which too few entities have what a shape needs, fewer dialogues are drawn."""
UNLIKELY_NAME = re.compile("的|什么|哪|谁|多少|是那")
Turn = dict[str, Any]


class Sort(NamedTuple):
    """A sort of entities: what tells it, what to call one, and what people ask of it."""

    needs: frozenset[str]
    words: tuple[str, ...]
    noun: str
    asked: tuple[str, ...]


# fmt: off
SORTS = (
    Sort(frozenset({"出生日期"}), ("这个人", "这人", "此人"), "个人", (
        "出生日期", "出生地", "职业", "民族", "国籍", "毕业院校", "身高", "代表作品", "性别")),
    Sort(frozenset({"出版社"}), ("它", "这本书"), "本书", (
        "作者", "出版社", "页数", "定价", "出版时间", "isbn", "开本", "装帧")),
    Sort(frozenset({"导演"}), ("它", "这部片子"), "部片子", (
        "导演", "主演", "类型", "上映时间", "制片地区", "片长", "编剧")),
    Sort(frozenset({"面积", "人口"}), ("那里", "这个地方"), "个地方", (
        "面积", "人口", "所属地区", "电话区号", "邮政区码", "首都", "气候条件", "行政区类别", "车牌代码")),
    Sort(frozenset({"总部地点"}), ("该公司", "它"), "家公司", (
        "总部地点", "成立时间", "经营范围", "公司性质", "公司口号", "年营业额", "员工数")),
    Sort(frozenset({"拉丁学名"}), ("它", "这种"), "种", (
        "拉丁学名", "界", "门", "纲", "目", "科", "属", "分布区域")),
)
# fmt: on


class Known(NamedTuple):
    """An entity whose name only it has, and its triples with short objects by their normalised attributes."""

    entity: Entity
    name: str
    sort: Sort
    values: Mapping[str, Sequence[Triple]]


def main() -> None:
    """Draw dialogues and write them as JSON lines."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--index", type=Path, required=True)
    options.add_argument("--name", required=True, help="what the file calls the knowledge base: bench or sample")
    options.add_argument("--n", type=int, default=60)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, required=True)
    args = options.parse_args()
    with KnowledgeBase.open(args.index) as kb:
        found = drawn(kb, args.n, args.seed)
    lines = [
        json.dumps({"id": f"{args.name}-{i:03}", "kb": args.name, "language": "zh", "turns": turns}, ensure_ascii=False)
        for i, turns in enumerate(found)
    ]
    args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def drawn(kb: KnowledgeBase, n: int, seed: int) -> list[list[Turn]]:
    """Draw n dialogues, the shapes in turn."""
    rng = np.random.default_rng(seed)
    pool = _pool(kb, rng)
    by_name = {k.name: k for k in pool}
    shapes = (_attributes, _entities, _answers, _corrected, _back)
    found = []
    for number in range(TRIES * n):
        turns = shapes[(len(found) + number // TRIES) % len(shapes)](rng, pool, by_name)
        if turns is not None:
            found.append(turns)
        if len(found) == n:
            break
    return found


def _pool(kb: KnowledgeBase, rng: np.random.Generator) -> list[Known]:
    n = kb.manifest.counts.entities
    ids = sorted(rng.choice(n, min(n, LOOKED_AT), replace=False).tolist())
    values: dict[int, dict[str, list[Triple]]] = {}
    for triple in kb.triples_of(ids):
        attribute = normalize_attribute(triple.predicate)
        if len(triple.object) <= LONGEST_VALUE:
            values.setdefault(triple.subject_id, {}).setdefault(attribute, []).append(triple)
    found = []
    for entity in kb.entities(list(values)):
        name, description = strip_description(entity.name)
        sort = next((s for s in SORTS if s.needs <= set(values[entity.id])), None)
        asked = {a: triples for a, triples in values[entity.id].items() if sort and a in sort.asked}
        if (
            sort
            and len(asked) >= 3
            and len(name) >= 2
            and not UNLIKELY_NAME.search(name)
            and not description
            and len(kb.entities_named(name)) == 1
        ):
            found.append(Known(entity, name, sort, asked))
    return [found[i] for i in rng.permutation(len(found)).tolist()]


def _turn(kind: str, say: str, known: Known, attribute: str) -> Turn:
    return {"say": say, "kind": kind, "gold": [[known.entity.name, known.values[attribute][0].predicate]]}


def _whole(kind: str, known: Known, attribute: str) -> Turn:
    return _turn(kind, f"{known.name}的{attribute}是什么？", known, attribute)


def _some(rng: np.random.Generator, items: Sequence[Any], n: int) -> list[Any]:
    return [items[i] for i in rng.permutation(len(items))[:n].tolist()]


def _attributes(rng: np.random.Generator, pool: Sequence[Known], _: Mapping[str, Known]) -> list[Turn] | None:
    one, two = _some(rng, pool, 2)
    a, b, c = _some(rng, list(one.values), 3)
    d, e = _some(rng, list(two.values), 2)
    return [
        _whole("first", one, a),
        _turn("pronoun", f"{_some(rng, one.sort.words, 1)[0]}的{b}呢？", one, b),
        _turn("ellipsis-attribute", _some(rng, (f"那{c}呢？", f"{c}呢", f"还有{c}", f"{c}？"), 1)[0], one, c),
        _whole("topic", two, d),
        _turn("pronoun", f"{_some(rng, two.sort.words, 1)[0]}的{e}是什么？", two, e),
    ]


def _entities(rng: np.random.Generator, pool: Sequence[Known], _: Mapping[str, Known]) -> list[Turn] | None:
    (one,) = _some(rng, pool, 1)
    a = _some(rng, list(one.values), 1)[0]
    alike = [k for k in pool if k.sort is one.sort and a in k.values and k is not one]
    if len(alike) < 2:
        return None
    two, three = _some(rng, alike, 2)
    b = _some(rng, [x for x in two.values if x != a], 1)[0]
    if b not in three.values:
        return None
    return [
        _whole("first", one, a),
        _turn("ellipsis-entity", _some(rng, (f"那{two.name}呢？", f"换成{two.name}", f"{two.name}呢"), 1)[0], two, a),
        _turn("ellipsis-attribute", f"那{b}呢？", two, b),
        _turn("ellipsis-entity", f"{three.name}呢？", three, b),
    ]


def _answers(rng: np.random.Generator, pool: Sequence[Known], by_name: Mapping[str, Known]) -> list[Turn] | None:
    for one in _some(rng, pool, 400):
        for a in one.values:
            (value, *more) = (t.object for t in one.values[a])
            two = one if more else by_name.get(value, one)
            if two is not one:
                own = [x for x in two.values if x not in one.values]
                if len(own) < 2:
                    continue
                b, c = _some(rng, own, 2)
                word = two.sort.words[0]
                return [
                    _whole("first", one, a),
                    _turn("answer", f"{word}的{b}是什么？", two, b),
                    _turn("ellipsis-attribute", f"{c}呢？", two, c),
                ]
    return None


def _corrected(rng: np.random.Generator, pool: Sequence[Known], _: Mapping[str, Known]) -> list[Turn] | None:
    (one,) = _some(rng, pool, 1)
    a, b = _some(rng, list(one.values), 2)
    alike = [k for k in pool if k.sort is one.sort and b in k.values and k is not one]
    if not alike:
        return None
    (two,) = _some(rng, alike, 1)
    attributes = (f"不对，我问的是{b}", f"不是，我是说{b}", f"错了，{b}")
    entities = (f"不是，我说的是{two.name}", f"我问的是{two.name}", f"不对，是{two.name}")
    return [
        _whole("first", one, a),
        _turn("correction", _some(rng, attributes, 1)[0], one, b),
        _turn("correction", _some(rng, entities, 1)[0], two, b),
    ]


def _back(rng: np.random.Generator, pool: Sequence[Known], _: Mapping[str, Known]) -> list[Turn] | None:
    one, two = _some(rng, pool, 2)
    a, b = _some(rng, list(one.values), 2)
    c, d = _some(rng, list(two.values), 2)
    if one.sort is two.sort or b in two.values:
        return None
    word = one.sort.words[0]
    again = (f"再说回{one.name}，{b}是什么", f"回到{one.name}，{word}的{b}呢？", f"刚才那{one.sort.noun}的{b}呢？")
    return [
        _whole("first", one, a),
        _whole("topic", two, c),
        _turn("pronoun", f"{two.sort.words[0]}的{d}呢", two, d),
        _turn("back", _some(rng, again, 1)[0], one, b),
    ]


if __name__ == "__main__":
    main()
