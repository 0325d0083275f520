"""The examples of docs/langchain.md run as they are printed, but for the address of the chat model's server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("langchain_openai", reason="needs langchain-openai")

from kb_index import build_index
from kbqa_agent.sample import sample_triples

PAGE = (Path(__file__).parents[2] / "docs" / "langchain.md").read_text(encoding="utf-8")


def message(content="", **calls):
    called = [
        {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for name, arguments in calls.items()
    ]
    said = {"role": "assistant", "content": content} | ({"tool_calls": called} if called else {})
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls" if called else "stop"}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "qwen3", "choices": [choice]}


def model(body):
    """What the chat model says next: it asks the tool once, and plans in three steps."""
    heard = [json.loads(m["content"]) for m in body["messages"] if m["role"] == "tool"]
    if body["tools"][0]["function"]["name"] == "ask_knowledge_base":
        return message(heard[0]["answer"]) if heard else message(ask_knowledge_base={"question": "法国的首都是哪里？"})
    if not heard:
        return message(find_entity={"name": "法国"})
    last = heard[-1]
    if "entities" in last and len(heard) == 1:
        return message(get_triples={"entity_id": last["entities"][0]["entity_id"], "attribute": "首都"})
    if len(heard) == 2:
        return message(find_entity={"name": last["triples"][0]["object"]})
    if len(heard) == 3:
        return message(get_triples={"entity_id": last["entities"][0]["entity_id"], "attribute": "人口"})
    ids = [heard[1]["triples"][0]["id"], last["triples"][0]["id"]]
    return message(FinalAnswer={"answers": [last["triples"][0]["object"]], "triple_ids": ids})


@pytest.fixture
def run_page(tmp_path, monkeypatch, capsys, server):
    """Runs the examples with a chat model of which it is given what it says next; gives the lines that they print."""

    def run(model):
        server.reply = lambda route, body: (200, model(body))
        build_index([sample_triples()], tmp_path / "my-index", progress=False)
        monkeypatch.chdir(tmp_path)
        names: dict[str, object] = {}
        for example in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
            exec(compile(example.replace("http://localhost:8000/v1", server.url), "langchain.md", "exec"), names)
        names["agent"].close()
        names["writing"].close()
        return capsys.readouterr().out.splitlines()

    return run


def test_the_examples_run(run_page):
    printed = run_page(model)
    assert printed[0].startswith("圣何塞(美国加利福尼亚州城市) | 所属国家 | 美国 0.")
    assert printed[1].startswith("圣何塞(哥斯达黎加首都) | 所属国家 | 哥斯达黎加 0.")
    assert printed[-5:-1] == ["巴黎", "巴黎", "东京", "['法国的首都是哪里？', '巴黎', '它的人口呢？', '66987244']"]
    assert re.fullmatch(r"\d+ True \[\('巴黎', '人口', '\d+'\), \('法国', '首都', '巴黎'\)\]", printed[-1])


def test_a_plan_that_no_triple_supports_is_printed_too(run_page):
    def guessing(body):
        asks = body["tools"][0]["function"]["name"] == "ask_knowledge_base"
        return model(body) if asks else message(FinalAnswer={"answers": ["很多"], "triple_ids": []})

    assert run_page(guessing)[-1] == "很多 False []"
