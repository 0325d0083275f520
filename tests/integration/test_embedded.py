"""The embedded model: converted once, opened with the shipped adapter, and right about what its prompt says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [models]")

from kb_index.errors import ModelError  # noqa: E402 - after the check for torch
from kb_index.types import Triple  # noqa: E402
from kbqa_agent.generation import HuggingFaceGenerator, load_generator, shipped_adapter  # noqa: E402
from kbqa_agent.gguf_cache import converted, embedded_gguf  # noqa: E402
from kbqa_agent.prompts import UNKNOWN, answer_prompt  # noqa: E402

FACTS = {
    "作者": "惠能",
    "朝代": "唐",
    "出版社": "中华书局",
    "页数": "203页",
    "定价": "32.00元",
    "语言": "汉语",
    "类别": "佛教典籍",
    "出版时间": "1983年9月",
    "装帧": "平装",
    "ISBN": "9787101003116",
}
QUESTIONS = {
    "《坛经》是谁写的？": "惠能",
    "坛经是哪个出版社出版的": "中华书局",
    "请问坛经有多少页？": "203页",
    "《坛经》这本书多少钱？": "32.00元",
    "坛经是什么时候出版的？": "1983年9月",
    "你知道坛经的类别是什么吗？": "佛教典籍",
}

try:
    embedded_gguf()
except ModelError as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def generator(cache: Path) -> HuggingFaceGenerator:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KBQA_CACHE", str(cache))
        return load_generator(progress=False)


def prompt(question: str, *without: str) -> str:
    shown = [(p, o) for p, o in FACTS.items() if o not in without]
    return answer_prompt(question, [Triple(i, "坛经", p, o, 0) for i, (p, o) in enumerate(shown)])


def test_it_is_converted_once(generator, cache, monkeypatch):
    monkeypatch.setenv("KBQA_CACHE", str(cache))
    (folder,) = (cache / "models").iterdir()
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert converted(embedded_gguf()) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written


def test_it_comes_with_the_shipped_adapter(generator):
    assert (generator.name, generator.adapter) == ("smollm2-135m-instruct+adapter", "shipped")


def test_the_shipped_adapter_is_small_and_has_its_record():
    folder = shipped_adapter()
    assert folder is not None
    assert (folder / "adapter_model.safetensors").stat().st_size <= 12_000_000
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert settings["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert "scripts/train_adapter.py" in (folder / "TRAINING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("question", "answer"), QUESTIONS.items())
def test_the_right_object_of_ten_is_the_likeliest(generator, question, answer):
    objects = list(FACTS.values())
    assert objects[int(np.argmax(generator.score(prompt(question), objects)))] == answer


def test_it_writes_the_right_objects(generator):
    written = generator.generate([prompt(question) for question in QUESTIONS])
    assert sum(text == answer for text, answer in zip(written, QUESTIONS.values(), strict=True)) >= 5


def test_it_says_that_it_does_not_know(generator):
    objects = [value for value in FACTS.values() if value != "惠能"]
    scores = generator.score(prompt("《坛经》是谁写的？", "惠能"), [*objects, UNKNOWN])
    assert int(np.argmax(scores)) == len(objects)
