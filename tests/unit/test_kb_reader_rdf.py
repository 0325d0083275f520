"""N-Triples and Turtle: labels become names, IRIs stay as keys."""

from pathlib import Path

import pytest

from kb_index.errors import TripleFileError
from kb_index.readers.load import load_sources
from kb_index.readers.sources import ReadOptions

PREFIXES = """@prefix : <http://a.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
"""


def load(connection, *paths: Path) -> list[tuple]:
    connection.execute("DELETE FROM raw")
    load_sources(connection, paths, ReadOptions(), paths[0].parent / "spill", lambda _: None)
    sql = "SELECT line_number, subject, predicate, object, key, extra FROM raw WHERE reason IS NULL ORDER BY rowid"
    return connection.execute(sql).fetchall()


def rejects(connection) -> list[tuple]:
    sql = "SELECT line_number, reason, text FROM raw WHERE reason IS NOT NULL ORDER BY line_number"
    return connection.execute(sql).fetchall()


def write(folder: Path, content: str | bytes, name: str = "kb.ttl") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_labels_become_names_and_iris_keys(tmp_path, connection):
    path = write(
        tmp_path,
        PREFIXES + ':s :author :o ; rdfs:label "坛经" . :o skos:prefLabel "惠能"@zh-cn . :author rdfs:label "作者" .',
    )
    assert load(connection, path) == [
        (1, "坛经", "作者", "惠能", "http://a.org/s", '{"object_iri":"http://a.org/o"}'),
        (2, "坛经", "label", "坛经", "http://a.org/s", None),
        (3, "惠能", "label", "惠能", "http://a.org/o", '{"language":"zh-cn"}'),
        (4, "作者", "label", "作者", "http://a.org/author", None),
    ]


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ('rdfs:label "a" ; skos:prefLabel "z"@fr', "z"),
        ('rdfs:label "b"@en, "c"@zh-hant, "d"', "d"),
        ('rdfs:label "a"@fr, "b"@en-gb, "c"@ZH', "c"),
        ('rdfs:label "a"@fr, "b"@EN', "b"),
        ('rdfs:label "b"@fr, "a"@de', "a"),
        ('rdfs:label "b", "a\\n ", " "', "a"),
        ("rdfs:label :other", "s"),
    ],
)
def test_one_label_is_chosen_and_all_are_kept(tmp_path, connection, labels, name):
    got = load(connection, write(tmp_path, f"{PREFIXES}:s {labels} ; :p 1 ."))
    assert {row[1] for row in got} == {name}
    assert [row[2] for row in got].count("label") == len(got) - 1


@pytest.mark.parametrize(
    ("iri", "name"),
    [
        ("http://a.org/x#%E6%AD%A6%E6%B1%89_1", "武汉_1"),
        ("http://a.org/x/", "x"),
        ("http://a.org", "a.org"),
        ("http://a.org/a+b%20c", "a+b c"),
        ("http://a.org/%FF", "%FF"),
        ("http://a.org/%0A", "http://a.org/%0A"),
        ("urn:isbn:12", "urn:isbn:12"),
    ],
)
def test_an_iri_without_a_label_shows_its_local_name(tmp_path, connection, iri, name):
    got = load(connection, write(tmp_path, f"<{iri}> <{iri}> <{iri}> .\n", "kb.nt"))
    assert got == [(1, name, name, name, iri, f'{{"object_iri":"{iri}"}}')]


def test_literals_and_blank_nodes(tmp_path, connection):
    path = write(
        tmp_path, PREFIXES + ':s :p 1.5e3, true, "x\\n\\ty"@en-GB, [ :q _:b ] . _:b :q "" , "2020-01-01"^^:date .'
    )
    got = load(connection, path)
    assert got == [
        (1, "s", "p", "1.5e3", "http://a.org/s", None),
        (2, "s", "p", "true", "http://a.org/s", None),
        (3, "s", "p", "x y", "http://a.org/s", '{"language":"en-gb"}'),
        (4, "_:[1]", "q", "_:b", f"_:[1]@{path}", f'{{"object_iri":"_:b@{path}"}}'),
        (5, "s", "p", "_:[1]", "http://a.org/s", f'{{"object_iri":"_:[1]@{path}"}}'),
        (7, "_:b", "q", "2020-01-01", f"_:b@{path}", None),
    ]
    assert rejects(connection) == [(6, "the object is empty", f"_:b@{path} q ")]
    assert load(connection, path) == got


def test_nodes_without_an_id_are_numbered_and_those_with_one_are_not(tmp_path, connection):
    ids = ["[]"] * 500 + ["_:b", "_:deadbeef", "_:507f1f77bcf86cd799439011"]
    got = load(connection, write(tmp_path, PREFIXES + "".join(f"{node} :p 1 ." for node in ids)))
    assert [row[1] for row in got] == [*(f"_:[{n}]" for n in range(1, 501)), *ids[500:]]


def test_a_label_in_one_file_names_a_node_of_another(tmp_path, connection):
    facts = write(tmp_path, "<http://a.org/s> <http://a.org/p> <http://a.org/o> .\n" * 2, "facts.nt")
    text = write(tmp_path, "a ||| b ||| c\n", "kb.txt")
    labels = write(tmp_path, PREFIXES + ':s rdfs:label "坛经" . :o rdfs:label "惠能" .')
    got = load(connection, facts, text, labels)
    assert [row[1:4] for row in got] == [
        ("坛经", "p", "惠能"),
        ("坛经", "p", "惠能"),
        ("a", "b", "c"),
        ("坛经", "label", "坛经"),
        ("惠能", "label", "惠能"),
    ]


def test_bad_lines_of_n_triples_are_rejected_and_the_rest_loads(tmp_path, connection):
    good = '<http://a.org/s> <http://a.org/p> "%d" .'
    lines = ["# comment", good % 2, "", "broken", good % 5, '<s> <http://a.org/p> "x" .', good % 7 + " # end"]
    content = "\n".join(lines).encode() + b'\r\n<http://a.org/s> <http://a.org/p> "\xff" .\n' + (good % 9).encode()
    got = load(connection, write(tmp_path, content, "kb.nt"))
    assert [(row[0], row[3]) for row in got] == [(2, "2"), (5, "5"), (7, "7"), (9, "9")]
    assert rejects(connection) == [
        (4, "The subject of a triple must be an IRI or a blank node", "broken"),
        (6, "No scheme found in an absolute IRI", '<s> <http://a.org/p> "x" .'),
        (8, "not UTF-8, byte 0xff at byte 36 of the line", '<http://a.org/s> <http://a.org/p> "\ufffd" .'),
    ]


def test_many_n_triples_keep_their_lines(tmp_path, connection):
    path = write(tmp_path, "".join(f'<http://a.org/{i}> <http://a.org/p> "{i}" .\n' for i in range(1, 12_001)), "kb.nt")
    assert [row[:2] for row in load(connection, path)] == [(i, str(i)) for i in range(1, 12_001)]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (PREFIXES + ":a :b :c .\n:a bad:b :c .\n", "kb.ttl", "kb.ttl: line 5: The prefix bad: has not been declared"),
        (PREFIXES + ":a :b ", "kb.ttl", "kb.ttl: line 4: "),
        (PREFIXES, "kb.ttl", "kb.ttl: no triple in it; expected Turtle"),
        ("# nothing\n", "kb.nt", "kb.nt: no triple in it; expected UTF-8 lines of N-Triples"),
        ("no\ntriples\n", "kb.nt", "kb.nt: 2 of the first 2 lines are no triples (line 1: "),
    ],
)
def test_a_file_that_is_no_rdf_is_refused(tmp_path, connection, content, name, message):
    with pytest.raises(TripleFileError) as caught:
        load(connection, write(tmp_path, content, name))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
