"""The store of feedback: what it keeps, what it refuses, and that it is safe with many threads and odd files."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kb_index.errors import FeedbackError, FeedbackFileError, KBQAError, StorageError
from kb_index.types import Entity, Triple
from kbqa_agent.feedback import FeedbackStore, feedback_beside, feedback_for
from kbqa_agent.feedback_checks import about_candidate
from kbqa_agent.feedback_records import IndexIdentity, Shown, System, Undone, record_to_json
from kbqa_agent.types import Answer, Candidate, EntityMention, Feedback

TRIPLE = Triple(7, "坛经", "作者", "惠能", 3, ({"source": "a.txt"},))
CANDIDATES = (Candidate("惠能", 0.8, (TRIPLE,)), Candidate("唐", 0.1, (Triple(8, "坛经", "朝代", "唐", 3),)))
MENTION = EntityMention("坛经", 1, 3, (Entity(3, "坛经", "http://a.org/3"),))
SYSTEM = System("smol", "my-adapter", IndexIdentity("2026-01-01T00:00:00+00:00", ("ab12",), 2, 40))
SHOWN = Shown(CANDIDATES, (MENTION,), ("惠能",), "问：《坛经》是谁写的？\n答：", SYSTEM)
GOOD = Feedback("《坛经》是谁写的？", "惠能", "good", None, "谢谢")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(tmp_path / "feedback.sqlite") as opened:
        yield opened


def test_a_piece_is_kept_with_all_that_was_shown(store: FeedbackStore) -> None:
    assert store.add(GOOD, SHOWN, "li") == 1
    (record,) = store.records()
    assert (record.id, record.user, record.feedback, record.shown, record.undone) == (1, "li", GOOD, SHOWN, None)
    created = datetime.fromisoformat(record.created)
    assert created.tzinfo == UTC
    assert abs(datetime.now(UTC) - created) < timedelta(minutes=1)
    judgement = store.changes_after(0, 0).judgements[0]
    assert (judgement.wording, judgement.attribute, judgement.values) == ("_是谁写的", "作者", ("惠能",))


def test_it_is_there_after_the_store_is_opened_again(store: FeedbackStore) -> None:
    store.add(GOOD, SHOWN, "li")
    store.close()
    with FeedbackStore(store.path, create=False) as again:
        assert [record.feedback for record in again.records()] == [GOOD]


def test_the_json_form(store: FeedbackStore) -> None:
    store.add(Feedback(GOOD.question, "惠能", "bad", "唐"), SHOWN, "li")
    row = json.loads(json.dumps(record_to_json(store.records()[0])))
    del row["created"]
    assert row["candidates"][0]["evidence"] == [
        {
            "id": 7,
            "subject": "坛经",
            "subject_id": 3,
            "predicate": "作者",
            "object": "惠能",
            "extra": [{"source": "a.txt"}],
        }
    ]
    del row["candidates"]
    assert row == {
        "id": 1,
        "user": "li",
        "question": "《坛经》是谁写的？",
        "answer": "惠能",
        "rating": "bad",
        "correction": "唐",
        "comment": None,
        "undone": None,
        "values": ["惠能"],
        "supported": True,
        "mentions": [{"text": "坛经", "start": 1, "end": 3, "entity": "坛经", "key": "http://a.org/3"}],
        "prompt": "问：《坛经》是谁写的？\n答：",
        "system": {
            "model": "smol",
            "adapter": "my-adapter",
            "index": {"created": "2026-01-01T00:00:00+00:00", "sources": ["ab12"], "updates": 2, "triples": 40},
        },
    }


def test_undoing_is_a_record_of_its_own(store: FeedbackStore) -> None:
    store.add(GOOD, SHOWN, "li")
    store.add(GOOD, SHOWN, "wang")
    store.undo(1, "admin")
    undone = store.records()[0].undone
    assert isinstance(undone, Undone)
    assert undone.user == "admin"
    assert [r.user for r in store.records(undone=False)] == ["wang"]
    assert [r.user for r in store.records("li")] == ["li"]
    with pytest.raises(FeedbackError, match="feedback 1 is undone already"):
        store.undo(1)
    for number in (3, 0, -1, 10**30):
        with pytest.raises(FeedbackError, match=f"no feedback has the number {number};"):
            store.undo(number)


def test_changes_come_once(store: FeedbackStore) -> None:
    store.add(GOOD, SHOWN, "li")
    seen = store.version()
    assert store.version() == seen
    with FeedbackStore(store.path) as other:
        other.add(GOOD, SHOWN, "wang")
        other.undo(1)
    assert store.version() != seen
    changes = store.changes_after(1, 0)
    assert ([j.user for j in changes.judgements], changes.undone) == (["wang"], [1])
    assert store.changes_after(2, changes.last_undoing) == ([], [], changes.last_undoing)


@pytest.mark.parametrize(
    ("feedback", "shown", "message"),
    [
        (Feedback("问", "孔子", "good"), SHOWN, "'孔子' is not among the answers to this question"),
        (Feedback("问", None, "good"), Shown((), (), (), "", SYSTEM), "nothing was answered, so nothing is good"),
        (Feedback("问", None, "bad"), SHOWN, "nothing was answered, so nothing is bad; give a correction"),
        (Feedback("问", "惠能", "great"), SHOWN, "rating 'great': expected one of good, bad, unknown"),  # type: ignore[arg-type]
        (Feedback("问", "惠能", "good", "唐"), SHOWN, "a correction beside the rating 'good': expected 'bad'"),
        (Feedback("问", "惠能", "bad", " 惠 能 "), SHOWN, "the correction is the answer itself"),
        (Feedback(" ", "惠能", "good"), SHOWN, "feedback on an empty question"),
        (Feedback("问", "惠能", "bad", "长" * 10_000), SHOWN, "the correction has 10,000 characters; at most 1,000"),
        (
            Feedback("问", "惠能", "good", None, "长" * 10_000),
            SHOWN,
            "the comment has 10,000 characters; at most 2,000",
        ),
        (Feedback("问" * 10_001, "惠能", "good"), SHOWN, "the question has 10,001 characters; at most 10,000"),
        (Feedback("问", "惠能", "bad", "\udc80"), SHOWN, "the correction is not UTF-8"),
    ],
)
def test_what_is_refused(store: FeedbackStore, feedback: Feedback, shown: Shown, message: str) -> None:
    with pytest.raises(FeedbackError, match=message) as error:
        store.add(feedback, shown)
    assert "\n" not in str(error.value)
    assert store.records() == []


@pytest.mark.parametrize(("user", "message"), [(" \x00", "the user's name is empty"), ("u" * 101, "the user has 101")])
def test_users_need_a_name(store: FeedbackStore, user: str, message: str) -> None:
    with pytest.raises(FeedbackError, match=message):
        store.add(GOOD, SHOWN, user)


def test_silence_may_be_corrected_and_confirmed(store: FeedbackStore) -> None:
    store.add(Feedback("问", None, "bad", "孔子"), SHOWN)
    store.add(Feedback("问", None, "unknown"), SHOWN)
    assert [j.values for j in store.changes_after(0, 0).judgements] == [(), ()]


def test_the_generators_own_words_may_be_judged(store: FeedbackStore) -> None:
    own = Shown(CANDIDATES, (MENTION,), (), "", SYSTEM, supported=False)
    store.add(Feedback("问", "孔子", "bad"), own)
    assert store.changes_after(0, 0).judgements[0].values == ("孔子",)


HOSTILE = (
    "'); DROP TABLE feedback; --",
    '"; DELETE FROM undone WHERE 1=1 --',
    "<script>alert(1)</script>",
    "%s %d {0} :user ?",
    "a" * 100,
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_texts(store: FeedbackStore, text: str) -> None:
    store.add(GOOD, SHOWN, "li")
    store.add(Feedback(text, "惠能", "bad", text, text), SHOWN, text)
    (record,) = store.records(text)
    assert record.feedback == Feedback(text, "惠能", "bad", text, text)
    store.undo(2, text)
    assert store.records(text, undone=False) == []
    assert len(store.records()) == 2


def test_control_characters_become_blanks(store: FeedbackStore) -> None:
    store.add(Feedback("问", "惠能", "bad", "孔\x00子\u202e\x1b[31m", "一\n二\r\t三"), SHOWN, "l\x07i")
    record = store.records()[0]
    assert (record.user, record.feedback.correction, record.feedback.comment) == ("l i", "孔 子 [31m", "一 二 三")


def test_the_same_piece_once_more_is_the_one_that_counts(store: FeedbackStore) -> None:
    bad = replace(GOOD, rating="bad")
    assert [store.add(piece, SHOWN) for piece in (GOOD, GOOD, bad, GOOD)] == [1, 1, 2, 3]
    assert store.add(GOOD, SHOWN, "another") == 4
    store.undo(3)
    assert [store.add(piece, SHOWN) for piece in (bad, GOOD)] == [2, 5]
    assert len(store.records("local")) == 4


def test_many_threads_and_connections(store: FeedbackStore) -> None:
    numbers: list[int] = []

    def give(own: bool) -> None:
        used = FeedbackStore(store.path) if own else store
        user = threading.current_thread().name
        numbers.extend(used.add(replace(GOOD, comment=str(i)), SHOWN, user) for i in range(20))
        if own:
            used.close()

    threads = [threading.Thread(target=give, args=(i % 2 == 0,), name=f"user {i}") for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 121))
    assert [len(store.records(f"user {i}")) for i in range(6)] == [20] * 6


def test_two_make_the_file_at_once(tmp_path: Path) -> None:
    errors: list[KBQAError] = []
    start = threading.Barrier(4)

    def make() -> None:
        start.wait()
        try:
            with FeedbackStore(tmp_path / "new.sqlite") as new:
                new.add(GOOD, SHOWN, threading.current_thread().name)
        except KBQAError as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with FeedbackStore(tmp_path / "new.sqlite") as new:
        assert len(new.records()) == 4


def test_commits_reach_the_disk(store: FeedbackStore) -> None:
    settings = [store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]  # 2 is FULL


def test_files_that_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but long enough to be taken for one\n" * 20, encoding="utf-8")
    with pytest.raises(FeedbackFileError, match="text': no database, or a damaged one"):
        FeedbackStore(tmp_path / "text")
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE x (y)")
    other.close()
    with pytest.raises(FeedbackFileError, match=r"other\.sqlite': another program's database"):
        FeedbackStore(tmp_path / "other.sqlite")
    with pytest.raises(FeedbackFileError, match="none': no such file; make it with kbqa feedback add"):
        FeedbackStore(tmp_path / "none", create=False)
    with pytest.raises(StorageError, match="cannot be"):
        FeedbackStore(tmp_path)
    (tmp_path / "empty").touch()
    with FeedbackStore(tmp_path / "empty") as empty:
        assert empty.records() == []


def test_another_version_is_named(store: FeedbackStore) -> None:
    store.close()
    with sqlite3.connect(store.path) as raw:
        raw.execute("PRAGMA user_version = 9")
    raw.close()
    with pytest.raises(FeedbackFileError, match="version 9, expected 1; open it with the kbqa that wrote it"):
        FeedbackStore(store.path)


def test_a_store_that_another_program_keeps_locked(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store._connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(FeedbackFileError, match="another program has been writing for 30 seconds; try again"):
        store.add(GOOD, SHOWN)
    other.execute("ROLLBACK")
    other.close()
    assert store.add(GOOD, SHOWN) == 1


def test_a_closed_store_says_so(store: FeedbackStore) -> None:
    store.close()
    with pytest.raises(StorageError, match=r"cannot be read or written \(Cannot operate on a closed database"):
        store.records()


def test_which_file_counts_for_an_index(tmp_path: Path) -> None:
    index = tmp_path / "kb"
    assert feedback_for(index, None) is None
    with FeedbackStore(feedback_beside(index)):
        pass
    assert feedback_for(index, None) == tmp_path / "kb.feedback.sqlite"
    assert feedback_for(index, "none") is None
    with pytest.raises(FeedbackFileError, match="mine': no such file"):
        feedback_for(index, str(tmp_path / "mine"))


def test_another_candidate_may_be_rated() -> None:
    answer = Answer("问", "惠能", 0.8, None, CANDIDATES, (MENTION,), values=("惠能",))
    assert about_candidate(answer, "惠能") is answer
    rated = about_candidate(answer, " 唐")
    assert (rated.text, rated.values, rated.supported) == ("唐", (), True)
    with pytest.raises(FeedbackError, match="'孔子' is not among the answers"):
        about_candidate(answer, "孔子")
