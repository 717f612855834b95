"""Text features by name: words looked up, language models, sentences, text towers."""

import json
import pickle
import socket
import time

import numpy as np
import pytest
import torch

from retrieval import checkpoint
from retrieval.encoders import hub, texts
from retrieval.encoders.looked_up import load_looked_up
from retrieval.encoders.spelling import lemmas, nearest, split_words
from retrieval.encoders.texts import TEXT_ENCODERS, get_tokens
from retrieval.encoders.tokens import PROOF, SETTINGS, load_tokens
from retrieval.errors import ModelError
from retrieval.models.config import TEXT_DIMS
from retrieval.models.s3d import S3D, word_ids
from tests.made_models import CAPTIONS, make_model
from tests.made_models import SETTINGS as SMALL
from tests.reference import edits_by_definition, nearest_by_definition
from tests.test_word_vectors import binary, text, zipped


def refused(match, spec, **settings):
    with pytest.raises(ModelError, match=match) as caught:
        get_tokens(spec, **settings)
    message = str(caught.value)
    assert len(message) <= 220 and "\n" not in message and "/tmp" not in message
    return message


# ---- names ---------------------------------------------------------------------------------------


def test_every_text_feature_of_official_configs_has_an_encoder():
    known = {about.feature or name for name, about in TEXT_ENCODERS.items()}
    assert set(TEXT_DIMS) <= known | set(texts.GONE)
    for name in texts.GONE:
        refused("Transformer-XL", name)
    refused("unknown text encoder 'w3v'", "w3v")
    for name in ("gpt2-xl-finetune", "w2v", "grovle", "howto100m_mil_nce"):
        refused(f"{name} is not offered for download; give {name}=", name)


# ---- words ---------------------------------------------------------------------------------------

WORDS = ["dog", "run", "round", "table", "guitar", "guitars", "stage", "New", "york", "3.5", "n't"]


@pytest.fixture
def vectors(rng):
    return rng.standard_normal((len(WORDS), 300)).astype(np.float32)


@pytest.fixture
def looked_up(tmp_path, vectors):
    return load_looked_up(binary(tmp_path / "v.bin", WORDS, vectors))


def found(encoder, vectors, caption):
    """Which words a caption's tokens are."""
    return [
        WORDS[int(np.flatnonzero((vectors == token).all(axis=1))[0])]
        for token in encoder.encode(caption)
    ]


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("dog", ["dog"]),  # as it is spelled
        ("guitars", ["guitars"]),
        ("two dogs running", ["dog", "run"]),  # lemmas; "two" is too short for a spelling
        ("Dogs ran", ["dog", "run"]),
        ("the roundtable", ["round", "table"]),  # by hand
        ("gutiar, stag", ["guitar", "stage"]),  # one swap; one letter
        ("guittarrs", ["guitars"]),  # two edits
        ("a New yrok doesn't 3.5", ["New", "york", "n't", "3.5"]),
    ],
)
def test_the_first_form_that_is_known_is_taken(looked_up, vectors, caption, words):
    assert found(looked_up, vectors, caption) == words


def test_a_caption_with_no_known_word_is_the_mean(looked_up, vectors):
    for caption in ("zzzzzzzz qqqqqqqq", "a", ""):
        np.testing.assert_allclose(looked_up.encode(caption), vectors.mean(axis=0)[None], atol=1e-6)
    assert looked_up.unknown_words("a dog, zzzzzzzz zzzzzzzz dogs!") == ["a", "zzzzzzzz"]


def test_the_older_rule_splits_at_spaces_and_drops_what_is_unknown(tmp_path, vectors):
    words = ["a", *WORDS[1:]]
    encoder = get_tokens(f"w2v-spaces={binary(tmp_path / 'v.bin', words, vectors)}")
    assert encoder.name == "w2v"
    np.testing.assert_array_equal(
        encoder.encode("a run  Dogs table, guitars a"), vectors[[1, words.index("guitars")]]
    )
    assert encoder.encode("a dogs").shape == (0, 300)
    assert encoder.unknown_words("a dogs run") == ["dogs"] and encoder.n_tokens("a dogs run") == 1


def test_the_nearest_spelling_is_that_of_the_definition(rng):
    letters = list("abcde")
    known = list(dict.fromkeys("".join(rng.choice(letters, rng.integers(3, 8))) for _ in range(80)))

    place = {word: i for i, word in enumerate(known)}

    def places(words):
        return np.array([place.get(word, -1) for word in words])

    n_found = 0
    for n_letters in [4, 4, 5, 5, 6, 7] * 2:
        word = "".join(rng.choice(letters, n_letters))
        if word in known:
            continue
        expected = nearest_by_definition(word, known, most=1 if n_letters < 6 else 2)
        near = nearest(word, places)
        n_found += near is not None
        # Edits one after the other may reach what the restricted form cannot.
        if near != expected:
            assert n_letters >= 6 and edits_by_definition(word, near) == 3
    assert 2 <= n_found < 11
    assert nearest("abc", places) is None and nearest("ab-cd", places) is None


def test_words_and_contractions_are_told_apart():
    assert split_words("The man's dog can't run (fast).") == [
        *("The", "man", "'s", "dog", "ca", "n't", "run", "(", "fast", ")", ".")
    ]
    assert split_words("  ") == []
    assert "knife" in lemmas("knives") and "baby" in lemmas("babies") and "be" in lemmas("were")
    assert "stop" in lemmas("stopped") and "dance" in lemmas("dancing") and "try" in lemmas("tried")
    assert list(lemmas("dress")) == [] and list(lemmas("as")) == []


def test_tables_are_told_by_name_and_must_have_its_dimension(tmp_path, vectors, rng):
    path = zipped(tmp_path / "grovle.zip", ["dog", "ha(t", "run"], vectors[:3])
    encoder = get_tokens(f"grovle={path}")
    assert (encoder.name, encoder.dim, len(encoder.table)) == ("grovle", 300, 2)
    other = text(tmp_path / "g.txt", ["dog", "run"], vectors[:2, :50], header=False)
    refused("w2v has vectors of 300 numbers, those of g.txt have 50", f"w2v={other}")
    assert get_tokens(f"my-glove={other}").dim == 50  # a name that nobody knows may be anything
    (tmp_path / "bad.bin").write_bytes(b"no vectors")
    refused("bad.bin is not a file of word vectors", f"w2v={tmp_path}/bad.bin")
    with pytest.raises(FileNotFoundError, match="no file"):
        get_tokens("w2v=nothing.bin")


# ---- language models -----------------------------------------------------------------------------

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """model_type -> its folder, and the model that was saved there."""
    root, kept = tmp_path_factory.mktemp("models"), {}

    def make(model_type):
        if model_type not in kept:
            kept[model_type] = root / model_type, make_model(root / model_type, model_type)
        return kept[model_type]

    return make


@pytest.fixture
def no_network(monkeypatch):
    def connect(*_args):
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", connect)


@torch.no_grad()
def states_by_definition(model, tokenizer, model_type, caption):
    """Last hidden state of every token of one caption, as the released code asks for it."""
    ids = tokenizer(caption, add_special_tokens=model_type not in ("t5", "xlnet"))["input_ids"]
    given = {"input_ids": torch.tensor([ids])}
    if model_type == "t5":
        given["decoder_input_ids"] = given["input_ids"]
    return model(**given)[0][0].numpy()


@pytest.mark.parametrize("model_type", SMALL)
def test_every_token_has_the_state_that_the_caption_has_alone(made, no_network, model_type):
    folder, model = made(model_type)
    encoder = get_tokens(f"mine={folder}", device="cpu")
    together = encoder.encode_all([*CAPTIONS, CAPTIONS[1]])
    for caption, tokens in zip(CAPTIONS, together, strict=False):
        expected = states_by_definition(model, encoder.tokenizer, model_type, caption)
        assert tokens.dtype == np.float32 and tokens.shape == expected.shape
        np.testing.assert_allclose(tokens, expected, atol=1e-5)
        np.testing.assert_allclose(encoder.encode(caption), tokens, atol=1e-5)
    assert np.std(together[0], axis=0).min() > 1e-3  # tokens differ
    assert len({len(tokens) for tokens in together}) > 3
    assert encoder.encode_all([]) == [] and encoder.unknown_words("anything") == []


def test_special_tokens_are_there_where_the_released_code_has_them(made):
    def pieces(model_type):
        encoder = get_tokens(f"mine={made(model_type)[0]}", device="cpu")
        return len(encoder.encode("runs")), len(encoder.tokenizer.tokenize("runs"))

    for model_type in ("bert", "albert", "roberta", "electra"):
        n, plain = pieces(model_type)
        assert n == plain + 2
        encoder = get_tokens(f"mine={made(model_type)[0]}", device="cpu")
        assert encoder.n_tokens("runs") == plain + 1
    for model_type in ("openai-gpt", "gpt2", "xlnet", "t5", "ctrl"):
        n, plain = pieces(model_type)
        assert n == plain
        assert get_tokens(f"mine={made(model_type)[0]}", device="cpu").n_tokens("runs") == n


def test_long_captions_are_cut_at_the_models_positions(made):
    for model_type, most in (("gpt2", 40), ("bert", 40), ("roberta", 38), ("openai-gpt", 40)):
        encoder = get_tokens(f"mine={made(model_type)[0]}", device="cpu")
        tokens = encoder.encode("dog " * 200)
        assert len(tokens) == most and np.isfinite(tokens).all()
    encoder = get_tokens(f"mine={made('xlnet')[0]}", device="cpu")
    assert len(encoder.encode("dog " * 200)) == 200


def test_a_caption_without_a_token_has_none(made):
    encoder = get_tokens(f"mine={made('gpt2')[0]}", device="cpu")
    assert encoder.encode("").shape == (0, 32)
    (empty, one) = encoder.encode_all(["", "runs"])
    np.testing.assert_allclose(one, encoder.encode("runs"), atol=1e-5)
    assert empty.shape == (0, 32)


def test_a_name_says_what_a_model_must_be(made, tmp_path):
    gpt2, bert = made("gpt2")[0], made("bert")[0]
    refused("gpt2-xl has tokens of 1600 numbers, the model in gpt2 has 32", f"gpt2-xl={gpt2}")
    refused("gpt2-xl is a gpt2 model, bert holds a bert", f"gpt2-xl={bert}")
    make_model(tmp_path / "electra", "electra", hidden_size=256)
    encoder = get_tokens(f"electra={tmp_path / 'electra'}", device="cpu")
    assert (encoder.name, encoder.dim) == ("electra", TEXT_DIMS["electra"])


def test_older_weights_are_read_by_our_own_reader(made, tmp_path):
    folder, model = made("gpt2")
    for file in ("config.json", "vocab.json", "merges.txt"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    expected = get_tokens(f"mine={folder}", device="cpu").encode(CAPTIONS[0])
    # As models with a head on top were saved.
    weights = {f"transformer.{key}": value for key, value in model.state_dict().items()}
    weights["lm_head.weight"] = torch.zeros(3, 32)
    torch.save(weights, tmp_path / "pytorch_model.bin")
    encoder = get_tokens(f"mine={tmp_path}", device="cpu")
    np.testing.assert_allclose(encoder.encode(CAPTIONS[0]), expected, atol=1e-6)
    (tmp_path / "pytorch_model.bin").unlink()
    parts = {}  # in parts, in half precision
    for n, (key, value) in enumerate(model.state_dict().items()):
        parts.setdefault(f"model-{n % 2}.safetensors", {})[key] = value
    for file, some in parts.items():
        checkpoint.write_weights(tmp_path / file, some, half=True)
    names = {key: file for file, some in parts.items() for key in some}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    encoder = get_tokens(f"mine={tmp_path}", device="cpu")
    np.testing.assert_allclose(encoder.encode(CAPTIONS[0]), expected, atol=0.02)
    index.write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    refused("does not name files beside it", f"mine={tmp_path}", device="cpu")


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_a_folder_is_run(made, tmp_path, no_network):
    source, model = made("gpt2")
    folder, marker = tmp_path / "evil", tmp_path / "ran"
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    code = f"open({str(marker)!r}, 'w')\n"
    for name in ("modeling_evil", "configuration_evil", "tokenization_evil", "__init__"):
        (folder / f"{name}.py").write_text(code)
    about = json.loads((folder / "config.json").read_text())
    about |= {
        "auto_map": {"AutoConfig": "configuration_evil.C", "AutoModel": "modeling_evil.M"},
        "_attn_implementation": "evil/kernels",
        "attn_implementation": "evil/kernels",
        "fusion_config": {"anything": True},
        "transformers_weights": str(marker),
    }
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"auto_map": {"AutoTokenizer": ["tokenization_evil.T", None]}})
    )
    encoder = get_tokens(f"mine={folder}", device="cpu")
    expected = states_by_definition(model, encoder.tokenizer, "gpt2", CAPTIONS[0])
    np.testing.assert_allclose(encoder.encode(CAPTIONS[0]), expected, atol=1e-5)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Bomb(marker)}))
    refused("pytorch_model.bin", f"mine={folder}", device="cpu")
    torch.save({"wte.weight": Bomb(marker)}, folder / "pytorch_model.bin")
    refused("was not run", f"mine={folder}", device="cpu")
    assert not marker.exists()


def test_folders_that_do_not_hold_together_are_refused(made, tmp_path, no_network):
    source, _ = made("gpt2")
    files = {file.name: file.read_bytes() for file in source.iterdir()}
    about = json.loads(files["config.json"])

    def broken(match, **changed):
        folder = tmp_path / "broken"
        folder.mkdir(exist_ok=True)
        for name, content in (files | changed).items():
            (folder / name).unlink(missing_ok=True)
            if content is not None:
                (folder / name).write_bytes(content)
        refused(match, f"mine={folder}", device="cpu")

    def config(**changed):
        return {"config.json": json.dumps(about | changed).encode()}

    broken("config.json is missing", **{"config.json": None})
    broken("has no weights", **{"model.safetensors": None})
    broken("has no tokenizer.json", **{"vocab.json": None})
    broken("model_type 'llama'", **config(model_type="llama"))
    broken("is quantised", **config(quantization_config={"bits": 4}))
    broken("n_layer is 1000000000, the limit is 256", **config(n_layer=10**9))
    broken("n_positions is 100000000, the limit is 4,096", **config(n_positions=10**8))
    broken("lack h.2.attn", **config(n_layer=3))
    broken("holds [0-9,]+ weights, its config.json asks for", **config(vocab_size=2**24))
    broken("cannot be used|lack", **config(n_embd=64))
    broken("cannot be used", **config(n_head=7))
    broken("cannot be used", **config(activation_function="no such thing"))
    broken("cannot be used", **config(layer_norm_epsilon="small"))
    broken("damaged|safetensors", **{"model.safetensors": files["model.safetensors"][:-9]})
    broken("cannot be used", **{"vocab.json": b"{}", "merges.txt": b"\xff\xfe"})


def test_a_tokeniser_of_another_model_is_told(made, tmp_path):
    source, _ = made("bert")
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    words = (tmp_path / "vocab.txt").read_text().split()
    (tmp_path / "vocab.txt").write_text("\n".join([*words, "zebra"]))
    encoder = get_tokens(f"mine={tmp_path}", device="cpu")
    assert len(encoder.encode("the dog")) == 4  # as long as no such word comes
    with pytest.raises(
        ModelError, match="gives the number [0-9]+, for which the model has no vector"
    ):
        encoder.encode("the zebra")
    (tmp_path / "vocab.txt").write_text("\n".join(word for word in words if word != "[UNK]"))
    with pytest.raises(ModelError, match="cannot be used"):
        get_tokens(f"mine={tmp_path}", device="cpu").encode("the zebra")


def test_without_network_one_sentence_comes_quickly(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("urllib.request.getproxies", dict)
    start = time.monotonic()
    for name in ("gpt2-xl", "openai", "bert-base-uncased"):
        message = refused("could not fetch", name)
        assert f"give {name}=FOLDER" in message
    refused("could not fetch nobody/nothing", "mine=nobody/nothing")
    refused("there is no folder nothing", "gpt2=/no/such/nothing")
    assert time.monotonic() - start < 10


def test_what_was_fetched_before_is_found_without_network(made, monkeypatch, tmp_path):
    from huggingface_hub import constants

    source, model = made("openai-gpt")
    repository = tmp_path / "models--somebody--small"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    for file in source.iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("urllib.request.getproxies", dict)
    encoder = get_tokens("mine=somebody/small", device="cpu")
    expected = states_by_definition(model, encoder.tokenizer, "openai-gpt", CAPTIONS[0])
    np.testing.assert_allclose(encoder.encode(CAPTIONS[0]), expected, atol=1e-5)


def test_without_transformers_one_sentence_says_what_to_install(made, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    refused("pip install transformers", f"mine={made('gpt2')[0]}")
    refused("pip install transformers", "gpt2-xl")


# ---- sentences and text towers -------------------------------------------------------------------


def test_the_howto100m_network_gives_one_vector_a_sentence(tmp_path):
    torch.manual_seed(0)
    model = S3D().eval()
    torch.save(
        {f"module.{k}": v for k, v in model.state_dict().items()}, tmp_path / "s3d_howto100m.pth"
    )
    words = ["dog", "runs", "can't", "beach"]
    np.save(tmp_path / "s3d_dict.npy", np.array(words))
    encoder = get_tokens(f"howto100m_mil_nce={tmp_path}")
    ids = {word: n for n, word in enumerate(words, 1)}
    captions = ["A dog RUNS", "nothing known", "can't " * 20]
    with torch.no_grad():
        expected = model.embed_text(word_ids(captions, ids)).numpy()
    for row, tokens in zip(expected, encoder.encode_all(captions), strict=True):
        assert tokens.shape == (1, TEXT_DIMS["howto100m_mil_nce"])
        np.testing.assert_allclose(tokens[0], row, atol=1e-6)
    assert encoder.unknown_words("a dog can't") == ["a"]
    (tmp_path / "s3d_dict.npy").unlink()
    refused("has no s3d_dict.npy", f"howto100m_mil_nce={tmp_path}")
    np.save(tmp_path / "s3d_dict.npy", np.array(words))
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "s3d_howto100m.pth")
    refused("holds no text network", f"howto100m_mil_nce={tmp_path}")


TOWERS = {
    "CLIP": ("CLIP", {}),
    "a tower of its own": ("CustomTextCLIP", {}),
    "class token behind": ("CustomTextCLIP", {"embed_cls": True}),
    "both ways, read at the last place": (
        "CustomTextCLIP",
        {"pool_type": "last", "no_causal_mask": True},
    ),
    "CLIP both ways": ("CLIP", {"pool_type": "last", "no_causal_mask": True}),
}


@pytest.mark.parametrize("tower", TOWERS)
def test_any_text_tower_gives_the_states_of_its_tokens(tower):
    import open_clip.model

    from retrieval.encoders.clip.encoder import ClipEncoder

    kind, settings = TOWERS[tower]
    torch.manual_seed(0)
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text_cfg = {"context_length": 12, "width": 32, "heads": 2, "layers": 2, **settings}
    model = getattr(open_clip.model, kind)(24, vision, text_cfg).eval()
    size = {"size": (32, 32), "mode": "RGB", "mean": (0.5,) * 3, "std": (0.5,) * 3}
    fit = {"interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0}
    open_clip.model.set_model_preprocess_cfg(model, {**size, **fit})
    tokenizer = open_clip.SimpleTokenizer(context_length=12)
    captions = ["a red dog", "the beach at night"]
    encoder = ClipEncoder(model, tokenizer, "small", "0", device="cpu")
    ids = tokenizer(captions)
    within, end = settings.get("pool_type") != "last", ids.argmax(dim=1)
    with torch.no_grad():
        bare = model if kind == "CLIP" else model.text
        x = bare.token_embedding(ids)
        if settings.get("embed_cls"):
            x = torch.cat([x, bare.cls_emb.expand(2, 1, -1)], dim=1)
        x = x + bare.positional_embedding[: x.shape[1]]
        causal = torch.full((x.shape[1], x.shape[1]), -torch.inf).triu(1)
        x = bare.transformer(x, attn_mask=causal if within else None)
        x = x if settings.get("embed_cls") else bare.ln_final(x)
    for row, tokens in enumerate(encoder.encode_tokens(captions)):
        first, last = (1, int(end[row]) + 1) if within else (0, int(end[row]) + 1)
        if settings.get("embed_cls"):  # the class token does not look back at the others' states
            assert tokens.shape == (last - first, 32)
        np.testing.assert_allclose(tokens, x[row, first:last].numpy(), atol=1e-5)


def test_a_text_tower_is_named_as_a_model_is():
    encoder = get_tokens("clip", device="cpu")
    assert (encoder.name, encoder.dim) == ("clip", 128)
    other = get_tokens("clip=animations-clip", device="cpu")
    np.testing.assert_array_equal(encoder.encode("a red ball"), other.encode("a red ball"))


# ---- saved ---------------------------------------------------------------------------------------


def test_a_saved_encoder_is_its_source_and_a_proof(made, tmp_path, vectors):
    words = binary(tmp_path / "v.bin", WORDS, vectors)
    for spec in (f"mine={made('bert')[0]}", f"w2v={words}", f"w2v-spaces={words}"):
        encoder = get_tokens(spec, device="cpu")
        encoder.save(tmp_path / "saved")
        again = load_tokens(tmp_path / "saved")
        assert (again.name, again.dim) == (encoder.name, encoder.dim)
        np.testing.assert_allclose(again.encode("dogs run"), encoder.encode("dogs run"), atol=1e-5)
        assert get_tokens(str(tmp_path / "saved")).name == encoder.name
    encoder = get_tokens(f"w2v={words}")
    encoder.save(tmp_path / "saved")
    binary(words, WORDS, vectors[::-1])
    with pytest.raises(ModelError, match="v.bin makes other tokens than saved was saved with"):
        load_tokens(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / SETTINGS).read_text())["spec"] == f"w2v={words}"
    assert len(encoder.encode(PROOF)) > 0


def test_hub_is_left_as_it_was():
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    with hub.without_vain_retries():
        pass
    assert before == constants.HF_HUB_OFFLINE
