"""Language models of a few thousand random weights, saved as transformers saves them."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

CAPTIONS = [
    "a red dog runs on the beach",
    "the kite flies",
    "A dog, a red kite and the sea: nobody runs there at night!",
    "runs",
    "on the beach the red red kite flies and flies and flies over the dog",
]
_HEADS = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2}
_BERT = {**_HEADS, "intermediate_size": 48, "max_position_embeddings": 40, "initializer_range": 0.2}
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 40, "initializer_range": 0.2}
SETTINGS: dict[str, dict[str, Any]] = {  # model_type -> settings of a small one
    "openai-gpt": _GPT,
    "gpt2": _GPT,
    "bert": _BERT,
    "albert": {**_BERT, "embedding_size": 16},
    "roberta": {**_BERT, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
    "electra": {**_BERT, "embedding_size": 16},
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48, "initializer_range": 0.2},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4},
    "ctrl": {**_GPT, "dff": 48},
}


def make_model(folder: Path, model_type: str, **settings: Any) -> Any:
    """Write a model and its tokeniser into a folder, and give the model."""
    import transformers

    from retrieval.encoders.pretrained import FAMILIES

    folder.mkdir(parents=True, exist_ok=True)
    n_words = _make_tokeniser(folder, model_type)
    prefix = FAMILIES[model_type].prefix
    kind = getattr(transformers, f"{prefix}Config")
    torch.manual_seed(0)
    config = kind(**{"vocab_size": n_words, **SETTINGS[model_type], **settings})
    model = getattr(transformers, f"{prefix}Model")(config).eval()
    model.save_pretrained(folder)
    return model


def _make_tokeniser(folder: Path, model_type: str) -> int:
    import transformers

    if model_type in ("gpt2", "roberta"):
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] * (model_type == "roberta")
        bytes_ = pre_tokenizers.ByteLevel
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = bytes_(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=300,
            initial_alphabet=bytes_.alphabet(),
            special_tokens=[*special, "<|endoftext|>"],
            show_progress=False,
        )
        made.train_from_iterator(CAPTIONS * 3, trainer)
        made.model.save(str(folder))
        return made.get_vocab_size()
    if model_type in ("openai-gpt", "ctrl"):
        end = "</w>"
        made = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix=end))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.BpeTrainer(
            vocab_size=120, special_tokens=["<unk>"], end_of_word_suffix=end, show_progress=False
        )
        made.train_from_iterator(CAPTIONS * 3, trainer)
        made.model.save(str(folder))
        return made.get_vocab_size()
    words = sorted({word for caption in CAPTIONS for word in caption.lower().split()})
    if model_type in ("bert", "electra"):
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, ",", ":", "!", "##s"]
        (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
        return len(vocabulary)
    special = {
        "t5": ["<pad>", "</s>", "<unk>"],
        "albert": ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"],
        "xlnet": ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"],
    }[model_type]
    pieces = [(word, 0.0) for word in special]
    pieces += [(f"▁{word}", -2.0) for word in words]
    pieces += [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyz,:!▁"]
    kind = {"t5": "T5", "albert": "Albert", "xlnet": "XLNet"}[model_type]
    extra = {"extra_ids": 0} if model_type == "t5" else {}
    getattr(transformers, f"{kind}Tokenizer")(vocab=pieces, **extra).save_pretrained(folder)
    return len(pieces)
