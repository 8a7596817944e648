"""Models of a few thousand weights, made in a moment: what they say is arbitrary, how is real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LINE = (
    "cat dog cow hen fox owl bee ant elk yak eel ape lives eats grass seeds mice honey leaves fish "
    "fruit where what does the a in of and is it river forest field farm hill tree 고양이 강아지 는 은 "
    "물고기 를 먹는다 산 에 산다 yes no"
)
WORDS = LINE.split()


def save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [*special, *WORDS, *letters, *("##" + letter for letter in letters)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)


def config(kind: str = "bert", **options: Any) -> Any:
    from transformers import AutoConfig

    offset = 2 if "roberta" in kind else 0  # RoBERTa's positions begin behind the padding's
    return AutoConfig.for_model(
        kind,
        vocab_size=200,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64 + offset,
        type_vocab_size=2,
        pad_token_id=0,
        **{"initializer_range": 0.5, **options},  # so that scores differ before any training
    )


def save_encoder(folder: Path, seed: int = 0) -> Path:
    """A bare encoder, as language models come."""
    import torch
    from transformers import AutoModel

    torch.manual_seed(seed)
    AutoModel.from_config(config(initializer_range=0.1)).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def save_embedder(folder: Path, seed: int = 0) -> Path:
    """A sentence-transformers embedding model."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    torch.manual_seed(seed)
    encoder = Transformer(str(save_encoder(folder / "bare", seed)), max_seq_length=64)
    pooling = Pooling(encoder.get_embedding_dimension())
    SentenceTransformer(modules=[encoder, pooling], device="cpu").save_pretrained(
        str(folder / "st")
    )
    return folder / "st"


def save_cross_encoder(
    folder: Path, kind: str = "bert", labels: int = 1, seed: int = 0, **options: Any
) -> Path:
    """A sequence classifier, as cross-encoders come."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(
        config(kind, num_labels=labels, **options)
    )
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def save_generative(folder: Path, seed: int = 0) -> Path:
    """A language model that answers yes or no, as the newest rerankers are."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    settings = AutoConfig.for_model(
        "qwen2",
        vocab_size=200,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    AutoModelForCausalLM.from_config(settings).save_pretrained(folder)
    save_tokenizer(folder)
    return folder
