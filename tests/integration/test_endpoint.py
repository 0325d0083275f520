"""Models behind a server and LangChain chat models: the same prompts, and one clear line for what goes wrong."""

from __future__ import annotations

import json
import logging
import time

import numpy as np
import pytest

from kb_index.errors import ModelError, NoLikelihoodError
from kbqa_agent import AgentConfig, KBQAgent
from kbqa_agent.generation import open_generator
from kbqa_agent.langchain_generator import LangChainGenerator

KEY = "sk-secret-1234"
PROMPT = "【坛经】\n作者：惠能\n问：《坛经》的作者是谁？\n答："
LINES = "坛经 ||| 作者 ||| 惠能\n坛经 ||| 朝代 ||| 唐\n"


def chat(text):
    return lambda route, body: (200, {"choices": [{"message": {"content": text}}]})


def echo(route, body):
    """As vLLM repeats texts: a token is a character and has -0.5, the first none; one more token is written."""
    return 200, {
        "choices": [
            {"index": i, "text": text + "！", "logprobs": {"token_logprobs": [None, *[-0.5] * (len(text) - 1), -9.0]}}
            for i, text in reversed(list(enumerate(body["prompt"])))
        ]
    }


def generator(server, form="openai"):
    return open_generator(f"{form}:{server.url}#qwen3")


def message(caught):
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_chat_model_gets_the_prompt_and_its_first_line_is_the_answer(server):
    server.reply = chat(" 惠能\n（唐代）")
    model = generator(server)
    assert model.name == f"qwen3@127.0.0.1:{server.server_port}"
    assert model.generate([PROMPT, PROMPT], 7) == ["惠能", "惠能"]
    assert model.generate([]) == []
    route, body, authorization = server.requests[0]
    assert (route, body["model"], body["max_tokens"], body["temperature"]) == ("chat/completions", "qwen3", 7, 0)
    assert [m["role"] for m in body["messages"]] == ["system", "user"]
    assert body["messages"][1]["content"] == PROMPT
    assert authorization is None


def test_a_model_that_is_tuned_on_the_prompts_gets_them_as_they_are(server):
    server.reply = lambda route, body: (200, {"choices": [{"text": "惠能"}]})
    assert generator(server, "completions").generate([PROMPT]) == ["惠能"]
    route, body, _ = server.requests[0]
    assert (route, body["prompt"], body["stop"]) == ("completions", PROMPT, ["\n"])


def test_the_key_goes_into_the_header_and_nowhere_else(server, monkeypatch, caplog):
    monkeypatch.setenv("KBQA_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    model = generator(server)
    assert model.generate([PROMPT]) == ["惠能"]
    assert server.requests[0][2] == f"Bearer {KEY}"
    server.reply = lambda route, body: (401, {"error": f"Incorrect key: {KEY}"})
    with pytest.raises(ModelError, match=r"refused with 401.*set KBQA_API_KEY") as caught:
        model.generate([PROMPT])
    shown = message(caught) + caplog.text + repr(model._endpoint) + model.name
    assert KEY not in shown


def test_likelihoods_come_from_repeated_texts(server):
    server.reply = echo
    scores = generator(server).score(PROMPT, ["惠能", "唐", ""])
    np.testing.assert_allclose(scores, [-1.0, -0.5, 0.0], atol=1e-6)
    assert scores.dtype == np.float32
    assert len(server.requests) == 1
    assert generator(server).score(PROMPT, []).shape == (0,)


@pytest.mark.parametrize(
    "reply",
    [
        lambda route, body: (404, {"error": "no such route"}),
        lambda route, body: (200, {"choices": [{"index": i, "text": "惠"} for i, _ in enumerate(body["prompt"])]}),
        lambda route, body: (200, {"choices": [{"index": 0, "text": body["prompt"][0], "logprobs": None}]}),
        lambda route, body: (200, {"choices": []}),
    ],
)
def test_a_server_without_likelihoods_is_asked_once_for_them(server, reply):
    server.reply = reply
    model = generator(server)
    for _ in range(2):
        with pytest.raises(NoLikelihoodError, match="the ranker decides alone") as caught:
            model.score(PROMPT, ["惠能"])
        message(caught)
    assert len(server.requests) == 1


def test_the_ranker_decides_alone_where_there_are_no_likelihoods(server, agent_of, caplog):
    server.reply = lambda route, body: (404, {})
    plain = agent_of(LINES)
    asking = KBQAgent(plain.kb, plain.ranker, generator(server), AgentConfig(generator="always"))
    for _ in range(2):
        answer = asking.ask("坛经的作者是谁？")
        assert [(c.answer, c.score) for c in answer.candidates] == [
            (c.answer, c.score) for c in plain.ask("坛经的作者是谁？").candidates
        ]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_one_of_the_candidates_is_written_by_a_schema(server):
    def second(route, body):
        answers = body["response_format"]["json_schema"]["schema"]["properties"]["answer"]["enum"]
        return chat(json.dumps({"answer": answers[1]}))(route, body)

    server.reply = second
    assert generator(server).generate([PROMPT, PROMPT], among=[["惠能", "唐"], []]) == ["唐", ""]
    server.reply = chat("惠能是作者")
    with pytest.raises(ModelError, match="'惠能是作者', which is no candidate") as caught:
        generator(server).generate([PROMPT], among=[["惠能", "唐"]])
    message(caught)


def test_who_has_no_more_time_asks_once(server):
    tries = []

    def reply(route, body):
        tries.append(route)
        time.sleep(0.0 if len(tries) == 1 else 2.0)
        return 503, {"error": "busy"}

    server.reply = reply
    model = open_generator(f"openai:{server.url}#qwen3", seconds=0.5)
    with pytest.raises(ModelError, match="refused with 503"):
        model.generate([PROMPT])
    with pytest.raises(ModelError, match="cannot be reached"):
        model.generate([PROMPT])
    assert len(tries) == 2


def test_a_busy_server_is_asked_again(server):
    statuses = iter([429, 503, 200])
    server.reply = lambda route, body: (next(statuses), chat("惠能")(route, body)[1])
    assert generator(server).generate([PROMPT]) == ["惠能"]
    server.reply = lambda route, body: (429, {"error": "slow down"})
    with pytest.raises(ModelError, match=r"refused with 429 .*slow down"):
        generator(server).generate([PROMPT])
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(b"<html>", "no JSON"), ([], "expected a JSON object"), ({"choices": []}, "has no text"), ({}, "has no text")],
)
def test_a_server_that_speaks_something_else(server, sent, expected):
    server.reply = lambda route, body: (200, sent)
    with pytest.raises(ModelError, match=expected) as caught:
        generator(server).generate([PROMPT])
    message(caught)


def test_a_server_that_is_not_running(server):
    port = server.server_port
    model = open_generator(f"openai:http://127.0.0.1:{port}/v1#qwen3")
    server.shutdown()
    server.server_close()
    with pytest.raises(ModelError, match=r"cannot be reached .*is it running") as caught:
        model.generate([PROMPT])
    message(caught)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("openai:http://host/v1", "expected openai:URL#NAME"),
        ("openai:#name", "expected openai:URL#NAME"),
        ("openai:file:///etc/passwd#name", "expected a URL such as"),
        ("completions:http://me:secret@host/v1#name", "holds a user or password"),
    ],
)
def test_names_that_are_no_endpoint(model, expected):
    with pytest.raises(ModelError, match=expected) as caught:
        open_generator(model)
    assert "secret" not in message(caught)


def test_an_adapter_cannot_go_to_a_server(server):
    with pytest.raises(ModelError, match="behind a server"):
        open_generator(f"openai:{server.url}#qwen3", "my-adapter")


def test_a_key_that_cannot_be_sent_is_not_shown(server, monkeypatch):
    monkeypatch.setenv("KBQA_API_KEY", "sk-\n-secret")
    with pytest.raises(ModelError) as caught:
        generator(server)
    assert "secret" not in message(caught)


class TestLangChain:
    @pytest.fixture
    def model(self):
        chat_models = pytest.importorskip("langchain_core.language_models.fake_chat_models")
        return chat_models.FakeListChatModel(responses=["惠能\n（唐代）", "唐"])

    def test_it_writes_with_the_same_prompts(self, model, agent_of):
        generator = LangChainGenerator(model, "fake")
        assert open_generator(generator) is generator
        assert sorted(generator.generate([PROMPT, PROMPT])) == ["唐", "惠能"]
        plain = agent_of(LINES)
        asking = KBQAgent(plain.kb, plain.ranker, generator, AgentConfig(generator="always", free_text=True))
        answer = asking.ask("坛经的作者是谁？")
        assert (answer.text, answer.supported) == ("惠能", True)

    def test_its_failures_are_one_line(self, model):
        generator = LangChainGenerator(model)
        with pytest.raises(NoLikelihoodError, match="FakeListChatModel"):
            generator.score(PROMPT, ["惠能"])
        with pytest.raises(ModelError, match="did not answer") as caught:
            generator.generate([PROMPT], among=[["惠能"]])
        message(caught)

    def test_its_structured_output_chooses(self, model, monkeypatch):
        runnables = pytest.importorskip("langchain_core.runnables")
        monkeypatch.setattr(
            type(model),
            "with_structured_output",
            lambda self, schema: runnables.RunnableLambda(
                lambda _: {"answer": schema["properties"]["answer"]["enum"][-1]}
            ),
        )
        assert LangChainGenerator(model).generate([PROMPT] * 2, among=[["惠能", "唐"], []]) == ["唐", ""]
