from kb_index.types import Entity, Triple
from kbqa_agent.dialogue import MAX_TURNS, Dialogue
from kbqa_agent.types import Answer, Candidate, EntityMention, Turn


def answered(question, name, entity_id):
    start = question.index(name)
    mention = EntityMention(name, start, start + len(name), (Entity(entity_id, name),))
    candidate = Candidate("答案", 0.9, (Triple(0, name, "属性", "答案", entity_id),))
    return Turn(question, Answer(question, "答案", 0.9, None, (candidate,), (mention,)))


def test_a_first_question_is_read_as_it_stands():
    assert Dialogue().readings("那首都呢？") == ["那首都呢？"]


def test_ellipsis_may_change_the_attribute_or_the_entity():
    dialogue = Dialogue()
    dialogue.add(answered("法国的首都是哪里？", "法国", 3))
    assert dialogue.focus == 3
    assert dialogue.readings("那德国呢？") == ["法国的德国是什么？", "德国的首都是哪里？", "那德国呢？"]
    assert dialogue.readings("那人口呢") == ["法国的人口是什么？", "人口的首都是哪里？", "那人口呢"]


def test_pronouns_become_the_entity_in_focus():
    dialogue = Dialogue()
    dialogue.add(answered("《坛经》是谁写的？", "坛经", 5))
    assert dialogue.readings("这本书是什么时候出版的？") == ["坛经是什么时候出版的？", "这本书是什么时候出版的？"]
    assert dialogue.readings("它的出版社是哪家？") == ["坛经的出版社是哪家？", "它的出版社是哪家？"]


def test_a_pronoun_inside_a_word_is_none():
    dialogue = Dialogue()
    dialogue.add(answered("法国的首都是哪里？", "法国", 3))
    for question in (
        "马耳他的首都是哪里？",
        "其他国家有哪些？",
        "吉他是谁发明的？",
        "他加禄语是什么语言？",
        "What does IT mean?",
    ):
        assert dialogue.readings(question) == [question]


def test_a_whole_question_is_left_alone():
    dialogue = Dialogue()
    dialogue.add(answered("法国的首都是哪里？", "法国", 3))
    assert dialogue.readings("德国有多少人口？") == ["德国有多少人口？"]


def test_history_is_bounded():
    dialogue = Dialogue()
    for _ in range(MAX_TURNS + 5):
        dialogue.add(answered("法国的首都是哪里？", "法国", 3))
    assert len(dialogue.turns) == MAX_TURNS
