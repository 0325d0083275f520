"""English questions over one, two and three facts, over a real index of films that never saw a training question."""

from __future__ import annotations

import pytest

from kbqa_agent.chains import chain

LINES = """\
Jaws\tdirected_by\tSteven Spielberg
Jaws\twritten_by\tPeter Benchley
Jaws\tstarred_actors\tRoy Scheider
Jaws\tstarred_actors\tRichard Dreyfuss
Jaws\trelease_year\t1975
Jaws\thas_genre\tThriller
The Deep\twritten_by\tPeter Benchley
The Deep\tdirected_by\tPeter Yates
The Deep\trelease_year\t1977
Duel\tdirected_by\tSteven Spielberg
Duel\tstarred_actors\tDennis Weaver
Duel\trelease_year\t1971
Duel\tin_language\tEnglish
Blue Thunder\tstarred_actors\tRoy Scheider
Blue Thunder\tdirected_by\tJohn Badham
Steven Spielberg\tspouse\tKate Capshaw
Kate Capshaw\tbirthPlace\tFort Worth
"""


@pytest.fixture(scope="module")
def kb(open_kb):
    return open_kb(LINES)


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("who directed Jaws?", {"Steven Spielberg"}),
        ("the film Jaws starred which actors", {"Roy Scheider", "Richard Dreyfuss"}),
        ("when was Jaws released", {"1975"}),
        ("what film genre is Jaws", {"Thriller"}),
        ("which movies did Steven Spielberg direct", {"Jaws", "Duel"}),
        ("Roy Scheider appears in which movies", {"Jaws", "Blue Thunder"}),
        ("list all movies starring Roy Scheider", {"Jaws", "Blue Thunder"}),
    ],
)
def test_one_fact_in_either_direction(kb, question, values):
    assert set(chain(kb, question).values) == values


@pytest.mark.parametrize(
    ("question", "values"),
    [
        (
            "who starred in the movies directed by Steven Spielberg",
            {"Roy Scheider", "Richard Dreyfuss", "Dennis Weaver"},
        ),
        ("when did the films written by Peter Benchley release", {"1975", "1977"}),
        ("who is listed as director of Roy Scheider acted films", {"Steven Spielberg", "John Badham"}),
        ("who co-starred with Roy Scheider", {"Richard Dreyfuss"}),
        ("the director of Jaws is also the director of which films", {"Duel"}),
        ("which movies share the same actor of Jaws", {"Blue Thunder"}),
        ("where was the wife of Steven Spielberg born", {"Fort Worth"}),
    ],
)
def test_two_facts(kb, question, values):
    assert set(chain(kb, question).values) == values


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("who acted in the movies directed by the director of Jaws", {"Dennis Weaver"}),
        ("who directed the films that share actors with the film Jaws", {"John Badham"}),
        ("what languages are the movies directed by the Jaws director in", {"English"}),
        ("when did the films release whose writers also wrote Jaws", {"1977"}),
    ],
)
def test_three_facts(kb, question, values):
    assert set(chain(kb, question).values) == values


def test_the_path_is_the_evidence(kb):
    (answer,) = chain(kb, "who acted in the movies directed by the director of Jaws").candidates
    assert [t[1:4] for t in answer.evidence] == [
        ("Jaws", "directed_by", "Steven Spielberg"),
        ("Duel", "directed_by", "Steven Spielberg"),
        ("Duel", "starred_actors", "Dennis Weaver"),
    ]


def test_a_quoted_name_is_the_one_that_is_meant(kb):
    assert chain(kb, 'who wrote "The Deep"').values == ("Peter Benchley",)


@pytest.mark.parametrize(
    "question",
    [
        "",
        "Jaws",
        "who composed Jaws?",
        "who wrote The Shallows",
        "《Jaws》的导演是谁",
        "what is the budget of Jaws",
        "which movies did Steven Spielberg direct and when were they released",
        "?!",
    ],
)
def test_what_no_chain_answers_is_left_to_others(kb, question):
    assert chain(kb, question) is None


def test_two_names_share_what_both_lead_to(agent_of):
    agent = agent_of(LINES)
    assert agent.ask("Roy Scheider and Richard Dreyfuss starred together in which films?").values == ("Jaws",)


def test_a_shorter_chain_that_leaves_a_word_unread_is_less_sure(kb):
    assert round(chain(kb, "who directed Jaws").candidates[0].score, 2) == 0.98
    assert round(chain(kb, "who cleverly directed Jaws").candidates[0].score, 2) == 0.92
