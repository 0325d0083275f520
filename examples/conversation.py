"""Talk about the sample: follow-ups, what the answer rests on, and what decided.

    python examples/conversation.py [INDEX]

Without an index, one of the embedded sample is built in a temporary folder.
"""

import sys
import tempfile
from pathlib import Path

from kb_index import build_index
from kbqa_agent import Dialogue, KBQAgent
from kbqa_agent.sample import sample_triples

QUESTIONS = ("法国的首都是哪里？", "那人口呢？", "那日本呢？", "它的货币是什么？", "法国的总统是谁？")


def main(index: Path) -> None:
    """Ask the questions as one conversation."""
    dialogue = Dialogue()
    with KBQAgent.open(index, model="none") as agent:
        for question in QUESTIONS:
            answer = agent.ask(question, dialogue)
            print(f"> {question}\n{agent.explain(answer)}\n")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(f"usage: python {sys.argv[0]} [INDEX]")
    if sys.argv[1:]:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            build_index([sample_triples()], Path(folder) / "index", progress=False)
            main(Path(folder) / "index")
