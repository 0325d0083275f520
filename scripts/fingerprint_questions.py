"""Write the fingerprints by which a published test set is known when a training file contains it.

python scripts/fingerprint_questions.py ../shared/data/nlpcc2016/nlpcc-iccpol-2016.kbqa.testing-data \
        finetune/published/nlpcc-iccpol-2016-test.bin
"""

from __future__ import annotations

import argparse
from pathlib import Path

from finetune.published_tests import to_bytes
from kbqa_agent.qa_data import read_questions


def main() -> None:
    """Write one file."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("questions", type=Path)
    options.add_argument("out", type=Path)
    args = options.parse_args()
    args.out.write_bytes(to_bytes([example.question for example in read_questions(args.questions)]))
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
