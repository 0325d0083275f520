"""The report's families at a size that a CPU trains from nothing: GPT-2 and Galactica, each in both settings.

    python benchmarks/families.py --data ../shared/data/nlpcc2016 --index INDEX --work runs/families [--only gpt2 ...]

Nothing is downloaded: a model has the true architecture of its family, 4 layers of width 256 with random weights, and
a byte-level BPE of 8,000 tokens learnt on the training file. All its weights are then tuned by `kbqa finetune sft`,
once without triples (the report's own setting) and once with them in the prompt. What is finished is not done again,
what was stopped goes on. Of LLaMA's family there is the embedded SmolLM2 (`generators.py`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kb_index.atomic import replacing_folder
from kb_index.types import Triple
from kbqa_agent.prompts import answer_prompt, closed_book_prompt
from kbqa_agent.qa_data import read_questions

TRAIN = "nlpcc-iccpol-2016.kbqa.training-data"
FAMILIES = ("gpt2", "galactica")
LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY = 4, 256, 4, 512, 8000
SPECIAL = ["<|endoftext|>", "[START_REF]", "[END_REF]"]
SETTINGS = {
    "closed-book": ("--closed-book", "--steps", "800", "--rows-per-step", "16", "--rows-at-once", "16"),
    "retrieved": ("--steps", "400", "--rows-per-step", "8", "--max-tokens", "384"),
}


def main() -> None:
    """Make and train the models that are not there."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="folder of the task's files")
    options.add_argument("--index", type=Path, required=True)
    options.add_argument("--work", type=Path, required=True, help="folder for the models")
    options.add_argument("--only", nargs="*", choices=FAMILIES, default=FAMILIES)
    args = options.parse_args()
    questions = args.data / TRAIN
    for family in args.only:
        base = args.work / family
        if not (base / "config.json").exists():
            make(family, questions, base)
        for setting, settings in SETTINGS.items():
            out = args.work / f"{family}-{setting}"
            if (out / "config.json").exists():
                continue
            command = ["finetune", "sft", "--questions", str(questions), "--model", str(base), "--full", *settings]
            command += [] if setting == "closed-book" else ["--index", str(args.index)]
            command += ["--out", str(out), *(["--resume"] if out.exists() else [])]
            print("$ kbqa", *command, flush=True)
            subprocess.run([sys.executable, "-m", "cli", *command], check=True)


def make(family: str, questions: Path, base: Path) -> None:
    """Write an untrained model of a family and its tokenizer into the folder `base`."""
    import torch
    from transformers import AutoModelForCausalLM

    with replacing_folder(base, holds="config.json") as folder:
        tokenizer = learn_tokenizer(texts(questions))
        tokenizer.save_pretrained(folder)
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config(family, len(tokenizer)))
        model.save_pretrained(folder)
    print(f"{base}: {sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer):,} tokens", flush=True)


def texts(questions: Path) -> Iterator[str]:
    """Yield what a prompt of each training question looks like, with its gold triple, and the answer."""
    for example in read_questions(questions):
        facts = [Triple(0, *example.triple, 0)] if example.triple else []
        yield answer_prompt(example.question, facts) + "".join(example.answers)
        yield closed_book_prompt(example.question)


def learn_tokenizer(corpus: Iterator[str]) -> Any:
    """Learn a byte-level BPE, as GPT-2 and Galactica have one; one token is beginning, end and padding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(corpus, trainer)
    end = SPECIAL[0]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=end, eos_token=end, pad_token=end)


def config(family: str, n_tokens: int) -> Any:
    """The shape of a model, as `transformers` has it."""
    from transformers import GPT2Config, OPTConfig

    ends = {"vocab_size": n_tokens, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    if family == "gpt2":
        return GPT2Config(n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, **ends)
    return OPTConfig(  # Galactica is one without biases, with GeLU
        max_position_embeddings=CONTEXT,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        ffn_dim=4 * WIDTH,
        word_embed_proj_dim=WIDTH,
        enable_bias=False,
        layer_norm_elementwise_affine=False,
        activation_function="gelu",
        **ends,
    )


if __name__ == "__main__":
    main()
