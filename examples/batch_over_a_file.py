"""Answer every question of a text file, one a line, into JSON lines, many at once.

    python examples/batch_over_a_file.py INDEX QUESTIONS ANSWERS

Both cores work where there are many questions. The file of answers appears whole, or not at all.
"""

import json
import sys
from pathlib import Path

from kb_index.atomic import replacing_text
from kb_index.errors import KBQAError, QuestionError
from kbqa_agent import KBQAgent
from kbqa_agent.answer_forms import answer_to_json


def main(index: Path, questions: Path, answers: Path) -> int:
    """Ask what can be asked; give the number of answers."""
    with KBQAgent.open(index, model="none") as agent:
        asked = [line for line in questions.read_text(encoding="utf-8").splitlines() if can_be_asked(agent, line)]
        with replacing_text(answers) as out:
            for answer in agent.ask_many(asked):
                out.write(json.dumps(answer_to_json(answer), ensure_ascii=False) + "\n")
    return len(asked)


def can_be_asked(agent: KBQAgent, question: str) -> bool:
    """Leave out blank lines and what is far too long."""
    try:
        agent.check(question)
    except QuestionError as error:
        print(f"left out: {error}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(f"usage: python {sys.argv[0]} INDEX QUESTIONS ANSWERS")
    try:
        print(main(*map(Path, sys.argv[1:])), "answers")
    except KBQAError as error:
        sys.exit(str(error))
