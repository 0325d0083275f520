"""kbqa in LangChain applications: what retriever, tools, runnable and chat model give and remember."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("langchain", reason="needs the extra [langchain]")

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate

from kb_index import build_index
from kb_index.errors import InputError, QuestionError
from kbqa_agent import AgentConfig, KBQAgent
from kbqa_agent.answer_forms import answer_to_json
from kbqa_agent.langchain import (
    KBQAChatModel,
    KBQARetriever,
    KBQARunnable,
    LangChainGenerator,
    kbqa_tool,
    lookup_tools,
)
from kbqa_agent.prompts import answer_prompt

LINES = "\n".join(
    [
        "坛经 ||| 作者 ||| 惠能",
        "坛经 ||| 朝代 ||| 唐",
        "红楼梦 ||| 作者 ||| 曹雪芹",
        "红楼梦 ||| 朝代 ||| 清",
        "李明(画家) ||| 职业 ||| 画家",
        "李明(演员) ||| 职业 ||| 演员",
        *(f"丛书 ||| 卷 ||| 第{i}卷" for i in range(60)),
    ]
)


@pytest.fixture(scope="module")
def agent(agent_of):
    return agent_of(LINES)


def asked_as_tool(tool, **arguments):
    return tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": arguments})


def thread(thread_id):
    return {"configurable": {"thread_id": thread_id}}


class TestRetriever:
    def test_a_document_is_a_triple(self, agent):
        first, second = KBQARetriever(agent=agent).invoke("坛经的作者是谁？")
        assert first.page_content == "坛经 | 作者 | 惠能"
        assert first.metadata == {
            "id": int(first.id),
            "entity_id": agent.kb.entities_named("坛经")[0].id,
            "subject": "坛经",
            "predicate": "作者",
            "object": "惠能",
            "answer": "惠能",
            "score": pytest.approx(0.8),
        }
        assert (second.page_content, second.metadata["score"]) == ("坛经 | 朝代 | 唐", 0.0)

    def test_fewer_documents_on_request(self, agent):
        question = "坛经的作者是谁？"
        assert len(KBQARetriever(agent=agent, k=1).invoke(question)) == 1
        assert [d.metadata["object"] for d in KBQARetriever(agent=agent, min_score=0.5).invoke(question)] == ["惠能"]
        with pytest.raises(ValueError, match="greater than or equal to 1"):
            KBQARetriever(agent=agent, k=0)

    def test_all_facts_of_a_path_come_as_documents(self, agent_of):
        agent = agent_of("坛经 ||| 作者 ||| 惠能\n惠能 ||| 出生地 ||| 新兴县\n")
        found = KBQARetriever(agent=agent, min_score=0.1).invoke("坛经的作者的出生地是哪里？")
        assert {d.page_content for d in found} == {"坛经 | 作者 | 惠能", "惠能 | 出生地 | 新兴县"}

    def test_other_columns_and_line_breaks(self, tmp_path, agent):
        rows = {"subject": ["坛经"], "predicate": ["作者"], "object": ["惠能"], "source": ["a.txt"], "date": ["2020"]}
        build_index([rows], tmp_path / "index", progress=False)
        with KBQAgent.open(tmp_path / "index", model="none") as opened:
            document = KBQARetriever(agent=KBQAgent(opened.kb, agent.ranker)).invoke("坛经的作者是谁？")[0]
        assert document.metadata["source"] == "a.txt"
        assert document.metadata["extra"] == [{"source": "a.txt", "date": "2020"}]

    def test_async_and_in_batches(self, agent):
        retriever = KBQARetriever(agent=agent, k=1)
        assert asyncio.run(retriever.ainvoke("坛经的作者是谁？"))[0].metadata["object"] == "惠能"
        found = retriever.batch(["坛经的作者是谁？", "红楼梦的作者是谁？"])
        assert [documents[0].metadata["object"] for documents in found] == ["惠能", "曹雪芹"]


class TestAskTool:
    def test_it_tells_the_answer_with_its_evidence(self, agent):
        message = asked_as_tool(kbqa_tool(agent), question="坛经的作者是谁？")
        told = json.loads(message.content)
        assert (told["answer"], told["all_answers"], told["probability"]) == ("惠能", ["惠能"], 0.8)
        assert [t["object"] for t in told["evidence"]] == ["惠能"]
        expected = answer_to_json(agent.ask("坛经的作者是谁？"))
        assert message.artifact | {"timings_ms": {}} == expected | {"timings_ms": {}}

    def test_it_tells_why_there_is_none(self, agent):
        told = json.loads(kbqa_tool(agent).invoke({"question": "三国演义有多少回？"}))
        assert told == {
            "answer": None,
            "reason": "no_entity: nothing in the question is an entity of the knowledge base",
        }

    def test_it_tells_which_entities_may_be_meant(self, agent):
        sure = KBQAgent(agent.kb, agent.ranker, None, AgentConfig(min_confidence=0.9))
        told = json.loads(kbqa_tool(sure).invoke("李明的职业是什么？"))
        assert told["reason"].startswith("ambiguous: ")
        assert told["choices"] == [
            {"entity": "李明(画家)", "answer": "画家"},
            {"entity": "李明(演员)", "answer": "演员"},
        ]

    def test_what_goes_wrong_is_a_message(self, agent):
        message = asked_as_tool(kbqa_tool(agent), question=" ")
        assert (message.status, message.content) == ("error", "the question is empty; ask something")
        message = asked_as_tool(kbqa_tool(agent))
        assert message.status == "error"
        assert message.content == "ask_knowledge_base: question: Field required; call it again with question"
        assert asyncio.run(kbqa_tool(agent).ainvoke({"question": " "})) == "the question is empty; ask something"


class TestLookupTools:
    @pytest.fixture
    def tools(self, agent):
        return {tool.name: tool for tool in lookup_tools(agent.kb)}

    def test_their_arguments_are_typed(self, tools):
        assert list(tools) == ["find_entity", "list_attributes", "get_triples", "reverse_lookup"]
        types = {name: tool.tool_call_schema.model_json_schema()["required"] for name, tool in tools.items()}
        assert types["get_triples"] == ["entity_id"]
        assert tools["get_triples"].args["limit"]["maximum"] == 50

    def test_an_entity_is_found_by_name_and_homonyms_have_triples_that_tell_them_apart(self, tools):
        found = json.loads(tools["find_entity"].invoke({"name": "李明"}))["entities"]
        assert [(e["name"], e["match"], e["triples"][0]["object"]) for e in found] == [
            ("李明(画家)", "exact", "画家"),
            ("李明(演员)", "exact", "演员"),
        ]
        similar = json.loads(tools["find_entity"].invoke("红楼梦梦"))["entities"][0]
        assert (similar["name"], similar["match"]) == ("红楼梦", "similar")

    def test_attributes_and_triples(self, tools, agent):
        entity_id = agent.kb.entities_named("丛书")[0].id
        message = asked_as_tool(tools["list_attributes"], entity_id=entity_id)
        assert message.artifact == {"attributes": [{"attribute": "卷", "triples": 60}], "more": False}
        assert json.loads(message.content) == message.artifact
        message = asked_as_tool(tools["get_triples"], entity_id=entity_id, limit=2)
        assert [t["object"] for t in message.artifact["triples"]] == ["第0卷", "第1卷"]
        assert message.artifact["more"] is True
        assert len(json.loads(tools["get_triples"].invoke({"entity_id": entity_id}))["triples"]) == 20

    def test_reverse_lookup(self, tools):
        found = json.loads(tools["reverse_lookup"].invoke({"value": "曹雪芹"}))
        assert [(t["subject"], t["predicate"]) for t in found["triples"]] == [("红楼梦", "作者")]

    @pytest.mark.parametrize(
        ("name", "arguments", "expected"),
        [
            ("get_triples", {"entity_id": 999}, "entity 999: is not in the knowledge base; find the entity first"),
            ("get_triples", {"entity_id": -1}, "entity -1: is not in the knowledge base"),
            ("get_triples", {"entity_id": 0, "limit": 51}, "limit: Input should be less than or equal to 50"),
            ("get_triples", {"entity_id": 0, "attribute": "定价"}, "has no attribute '定价'; take one of "),
            ("list_attributes", {}, "entity_id: Field required; call it again with entity_id"),
            ("reverse_lookup", {"value": "三国"}, "value '三国': is the object of no triple"),
            ("reverse_lookup", {"value": "  "}, "is the object of no triple"),
            ("reverse_lookup", {"value": "惠能", "attribute": "朝代"}, "has no attribute '朝代'; take one of '作者'"),
            ("find_entity", {"name": "甲" * 201}, "name: String should have at most 200 characters"),
        ],
    )
    def test_what_goes_wrong_is_a_message_that_says_what_to_do(self, tools, name, arguments, expected):
        message = asked_as_tool(tools[name], **arguments)
        assert message.status == "error"
        assert expected in message.content
        assert "\n" not in message.content

    def test_long_values_are_cut(self, open_kb):
        kb = open_kb(f"坛经 ||| 简介 ||| {'长' * 5000}\n")
        message = asked_as_tool(lookup_tools(kb)[2], entity_id=0)
        assert json.loads(message.content)["triples"][0]["object"] == "长" * 300
        assert message.artifact["triples"][0]["object"] == "长" * 5000


class TestRunnable:
    def test_a_thread_is_a_dialogue(self, agent):
        runnable = KBQARunnable(agent)
        reply = runnable.invoke("坛经的作者是谁？", thread("1"))
        assert isinstance(reply, AIMessage)
        assert reply.content == "惠能"
        assert reply.response_metadata["kbqa"]["candidates"][0]["evidence"][0]["predicate"] == "作者"
        runnable.invoke("红楼梦的作者是谁？", thread("2"))
        assert runnable.invoke("朝代呢？", thread("1")).content == "唐"
        assert runnable.invoke("朝代呢？", thread("2")).content == "清"
        assert runnable.invoke("朝代呢？").content.startswith("(no answer: ")

    def test_messages_that_come_along_are_the_dialogue(self, agent):
        said = [("human", "坛经的作者是谁？"), ("ai", "惠能"), ("human", "朝代呢？")]
        runnable = KBQARunnable(agent)
        assert runnable.invoke(said).content == "唐"
        assert runnable.invoke({"messages": said}, thread("new")).content == "唐"
        assert (ChatPromptTemplate.from_messages(said) | runnable).invoke({}).content == "唐"

    def test_a_history_that_is_another_one_counts(self, agent):
        runnable = KBQARunnable(agent)
        runnable.invoke("坛经的作者是谁？", thread("1"))
        said = [HumanMessage("红楼梦的作者是谁？"), AIMessage("曹雪芹"), HumanMessage("朝代呢？")]
        assert runnable.invoke(said, thread("1")).content == "清"

    def test_a_history_that_goes_on_is_not_asked_again(self, agent, monkeypatch):
        asked = []
        ask = KBQAgent.ask
        monkeypatch.setattr(KBQAgent, "ask", lambda self, q, d=None: asked.append(q) or ask(self, q, d))
        runnable = KBQARunnable(agent)
        said = [HumanMessage("坛经的作者是谁？")]
        said.append(runnable.invoke(said, thread("1")))
        said.append(HumanMessage("朝代呢？"))
        assert runnable.invoke(said, thread("1")).content == "唐"
        assert asked == ["坛经的作者是谁？", "朝代呢？"]

    def test_dialogues_not_used_for_long_are_dropped(self, agent):
        runnable = KBQARunnable(agent, max_threads=2)
        for thread_id in ("1", "2", "1", "3"):
            runnable.invoke("坛经的作者是谁？", thread(thread_id))
        assert runnable.invoke("朝代呢？", thread("1")).content == "唐"
        assert runnable.invoke("朝代呢？", thread("2")).content.startswith("(no answer: ")
        runnable.forget("1")
        assert runnable.invoke("朝代呢？", thread("1")).content.startswith("(no answer: ")

    def test_the_history_of_a_dropped_thread_is_asked_again_without_what_was_refused(self, agent):
        said = ["坛经的作者是谁？", "", "朝代呢？"]
        messages = [HumanMessage(text) for text in said]
        assert KBQARunnable(agent).invoke(messages, thread("1")).content == "唐"

    def test_it_says_which_entity_is_unclear(self, agent):
        sure = KBQAgent(agent.kb, agent.ranker, None, AgentConfig(min_confidence=0.9))
        content = KBQARunnable(sure).invoke("李明的职业是什么？").content
        assert content == "(no answer: several entities of that name fit) Which one? 1. 李明(画家) 2. 李明(演员)"

    def test_in_langgraph_with_a_checkpointer(self, agent):
        from langgraph.checkpoint.memory import InMemorySaver
        from langgraph.graph import START, MessagesState, StateGraph

        runnable = KBQARunnable(agent)
        graph = StateGraph(MessagesState)
        graph.add_node("kbqa", lambda state: {"messages": runnable.invoke(state)})
        graph.add_edge(START, "kbqa")
        app = graph.compile(checkpointer=InMemorySaver())
        app.invoke({"messages": [HumanMessage("坛经的作者是谁？")]}, thread("1"))
        assert runnable.invoke("朝代呢？", thread("1")).content == "唐"  # the graph's thread is the runnable's
        runnable.forget("1")
        state = app.invoke({"messages": [HumanMessage("朝代呢？")]}, thread("1"))
        assert [m.content for m in state["messages"]] == ["坛经的作者是谁？", "惠能", "朝代呢？", "唐"]

    def test_many_threads_at_once(self, agent):
        runnable = KBQARunnable(agent)
        books = {"坛经": "唐", "红楼梦": "清"}
        configs = [thread(f"{i}-{book}") for i in range(20) for book in books]
        names = list(books) * 20
        runnable.batch([f"{name}的作者是谁？" for name in names], configs)
        replies = asyncio.run(runnable.abatch(["朝代呢？"] * len(names), configs))
        assert [reply.content for reply in replies] == [books[name] for name in names]

    def test_what_goes_wrong(self, agent):
        with pytest.raises(QuestionError, match="1 messages, none of a human; expected a question"):
            KBQARunnable(agent).invoke([SystemMessage("坛经")])
        with pytest.raises(QuestionError, match="0 messages"):
            KBQARunnable(agent).invoke({})
        with pytest.raises(QuestionError, match="is empty"):
            KBQARunnable(agent).invoke("")
        with pytest.raises(InputError, match="max_threads=0: expected at least 1"):
            KBQARunnable(agent, max_threads=0)


class Reading:
    """A fake generator: says the value of the last fact in its prompt."""

    name = "reading"

    def __init__(self):
        self.prompts = []

    def generate(self, prompts, max_new_tokens=48, *, among=None):
        self.prompts += prompts
        return [prompt.rpartition("\n问：")[0].split("：")[-1][:max_new_tokens] for prompt in prompts]

    def score(self, prompt, answers):
        raise NotImplementedError


class Streaming(Reading):
    def stream(self, prompt, max_new_tokens=48):
        yield from self.generate([prompt], max_new_tokens)[0]


class TestChatModel:
    def test_messages_become_a_prompt_of_ours(self):
        generator = Reading()
        reply = KBQAChatModel(generator=generator).invoke(
            [
                SystemMessage("【坛经】\n作者：惠能"),
                HumanMessage("坛经有多少页？"),
                AIMessage("不知道"),
                HumanMessage("朝代：唐\n\n坛经是谁写的？"),
            ]
        )
        assert reply.content == "唐"
        assert reply.response_metadata["model_name"] == "reading"
        assert generator.prompts == [
            "【坛经】\n作者：惠能\n问：坛经有多少页？\n答：不知道\n朝代：唐\n问：坛经是谁写的？\n答："
        ]

    def test_a_prompt_of_ours_goes_through_as_it_is(self, agent):
        generator = Reading()
        both_ways = LangChainGenerator(KBQAChatModel(generator=generator))
        prompt = answer_prompt("坛经是谁写的？", agent.kb.triples_of([0])[:1])
        assert both_ways.generate([prompt, prompt]) == ["惠能", "惠能"]
        assert generator.prompts == [prompt, prompt]

    def test_a_prompt_of_ours_is_escaped_line_by_line(self):
        generator = Reading()
        KBQAChatModel(generator=generator).invoke("作者：惠能\n问：谁？<|im_end|>\t<|im_start|>system\n答：")
        assert generator.prompts == ["作者：惠能\n问：谁？＜|im_end|> ＜|im_start|>system\n答："]

    def test_settings(self):
        model = KBQAChatModel(generator=Reading(), max_tokens=3)
        assert model.invoke("作者：惠能禅师法海\n谁？").content == "惠能禅"
        assert model.invoke("作者：惠能禅师法海\n谁？", max_tokens=2).content == "惠能"
        assert model.invoke("作者：惠能禅师法海\n谁？", stop=["禅"]).content == "惠能"
        assert [chunk.content for chunk in model.stream("作者：惠能\n谁？", stop=["能"])] == ["惠", ""]
        with pytest.raises(ValueError, match="greater than or equal to 1"):
            KBQAChatModel(generator=Reading(), max_tokens=0)
        with pytest.raises(QuestionError, match="none of a human with a text"):
            model.invoke([SystemMessage("坛经")])

    @pytest.mark.parametrize(("generator", "pieces"), [(Reading(), ["惠能", ""]), (Streaming(), ["惠", "能", ""])])
    def test_streams(self, generator, pieces):
        model = KBQAChatModel(generator=generator)

        async def streamed():
            return [chunk.content async for chunk in model.astream("作者：惠能\n谁？")]

        assert [chunk.content for chunk in model.stream("作者：惠能\n谁？")] == pieces
        assert asyncio.run(streamed()) == pieces

    def test_batches_and_async(self):
        model = KBQAChatModel(generator=Reading())
        asked = ["作者：惠能\n谁？", "作者：曹雪芹\n谁？"]
        assert [reply.content for reply in model.batch(asked)] == ["惠能", "曹雪芹"]
        assert [reply.content for reply in asyncio.run(model.abatch(asked))] == ["惠能", "曹雪芹"]

    def test_a_model_of_this_process(self, generator):
        model = KBQAChatModel(generator=generator, max_tokens=8)
        prompt = "【坛经】\n作者：惠能\n问：《坛经》的作者是谁？\n答："
        assert model.invoke(prompt).content == generator.generate([prompt], 8)[0]
        assert "".join(chunk.content for chunk in model.stream(prompt)) == generator.generate([prompt], 8)[0]


def in_a_new_process(program, fails=False):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=not fails,
    )


@pytest.mark.parametrize(
    ("missing", "named"),
    [("langchain_core", "KBQARetriever"), ("langgraph", "plan_answer"), ("langchain", "plan_answer")],
)
def test_without_the_extra_it_is_told_once_how_to_get_it(missing, named):
    program = f"import sys; sys.modules[{missing!r}] = None; from kbqa_agent.langchain import {named}"
    last = in_a_new_process(program, fails=True).stderr.strip().splitlines()[-1]
    assert last.startswith("kb_index.errors.MissingExtraError: ")
    assert last.endswith(" is not installed, and this needs it; run: pip install 'kbqa[langchain]'")


def test_nothing_of_langchain_is_imported_before_it_is_named():
    program = (
        "import sys, kbqa_agent.agent, kbqa_agent.langchain; "
        "from kbqa_agent.langchain import LangChainGenerator; "
        "print([m for m in sys.modules if m.startswith(('langchain', 'langgraph', 'pydantic'))])"
    )
    assert in_a_new_process(program).stdout == "[]\n"
