"""A small BERT of random weights and a tokenizer of characters, for where no trained one is to be had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from kb_index.normalize import normalize_name
from kbqa_agent.text_encoder import MAX_TOKENS

__all__ = ["character_tokenizer", "small_bert"]

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LEAST = 2
"""Characters that are there less often are unknown ones, so that an unknown one is seen in training."""
WIDTH_OF_HEAD = 64


def character_tokenizer(texts: Iterable[str]) -> Any:
    """Make a tokenizer whose tokens are the characters of these texts that are there more than once."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    counts = Counter(c for text in texts for c in normalize_name(text))
    vocabulary = {token: i for i, token in enumerate((*SPECIAL, *sorted(c for c, n in counts.items() if n >= LEAST)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", behavior="isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **dict(zip(names, SPECIAL, strict=True)))


def small_bert(vocabulary: int, layers: int, width: int) -> Any:
    """Make a BERT of this size, its weights drawn from torch's seed, with heads of 64 numbers each."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // WIDTH_OF_HEAD),
        intermediate_size=4 * width,
        max_position_embeddings=MAX_TOKENS,
    )
    return BertModel(config)
