"""Each finding on data that has the fault, and none on data that has not."""

import numpy as np
import pytest

from retrieval.advice.checks import NOTE, WARNING, check_matrices, check_shapes
from retrieval.evaluation import evaluate_matrices
from retrieval.formats import open_matrix
from retrieval.similarity import MatrixTiles, SimTiles, unit_rows
from retrieval.streaming.rows import KeptColumns, MatrixRows, ProductRows

CAPTIONS = 2  # per video


def world(rng, n_videos=80, n_bank=150, dim=24, noise=0.5):
    """Embeddings of test captions, videos and bank captions, with some hubs among the videos."""
    themes = rng.standard_normal((30, dim))

    def draw(n):
        return themes[rng.integers(30, size=n)] + 0.6 * rng.standard_normal((n, dim))

    videos, others = draw(n_videos), draw(n_bank)
    texts = np.repeat(videos, CAPTIONS, axis=0)
    texts = texts + noise * rng.standard_normal(texts.shape)
    bank = others + noise * rng.standard_normal(others.shape)
    centre = themes.mean(axis=0) + rng.standard_normal(dim)
    hubs = videos + 1.2 * rng.standard_normal((n_videos, 1)) * centre
    return unit_rows(texts + centre), unit_rows(hubs), unit_rows(bank + centre)


@pytest.fixture
def clean(rng):
    texts, videos, bank = world(rng)
    return texts @ videos.T, bank @ videos.T, np.repeat(np.arange(80), CAPTIONS)


def kinds(sims, bank=None, **settings):
    return [finding.kind for finding in check_matrices(sims, bank, **settings)]


def test_clean_matrices_raise_nothing():
    for seed in range(10):
        texts, videos, bank = world(np.random.default_rng(seed))
        correct = np.repeat(np.arange(80), CAPTIONS)
        assert kinds(texts @ videos.T, bank @ videos.T, correct=correct, betas=[20.0]) == []


@pytest.mark.parametrize("folder", ["coco500_clip_vitb16", "msrvtt100_videoclip"])
@pytest.mark.parametrize("turn", [1, -1])
def test_clean_real_sets_raise_nothing_and_random_networks_match_nothing(shared_data, folder, turn):
    for file in shared_data(folder).glob("features_*.npy"):
        videos, texts = (unit_rows(emb) for emb in np.load(file)[::turn])
        for seed in range(12):
            order = np.random.default_rng(seed).permutation(len(videos))
            shown, kept_back = np.array_split(order, 2)
            sims, bank = texts[shown] @ videos[shown].T, texts[kept_back] @ videos[shown].T
            found = set(kinds(sims, bank, correct=np.arange(len(shown))))
            if "random" in file.name:
                assert found & {"no match", "bank without matches"}
                assert found <= {"no match", "bank without matches"}
            else:
                assert found == set()


def test_transposed_matrices_of_fitting_shape_are_told(clean):
    sims, bank, correct = clean
    first = np.arange(0, 160, CAPTIONS)  # one caption a video: square, so that any way round fits
    assert "transposed" in kinds(sims[first].T, bank, correct=np.arange(80))
    assert "transposed" in kinds(sims, bank[:80].T, correct=correct)


def test_test_queries_in_the_bank_are_counted(clean):
    sims, bank, correct = clean
    # The same caption in a product of another size may differ in its last digits.
    nearly = sims[[3, 90, 91]] * np.float32(1 + 2e-7)
    found = check_matrices(sims, np.concatenate([bank, nearly]), correct=correct)
    assert [finding.kind for finding in found] == ["queries in bank"]
    assert found[0].sentence.startswith("3 of 160 test queries")


def test_padding_rows_are_no_queries_in_the_bank(clean):
    sims, bank, correct = clean
    sims, bank = sims.copy(), bank.copy()
    sims[5], bank[7] = 0, 0
    kept = np.delete(np.arange(160), 5)
    assert kinds(sims, bank, correct=correct[kept], queries=kept) == []


def test_captions_of_the_gallery_in_the_bank_are_told(rng):
    texts, videos, _ = world(rng, n_videos=300, noise=0.3)
    test, bank = texts[::CAPTIONS], texts[1::CAPTIONS]
    found = kinds(test @ videos.T, bank @ videos.T, correct=np.arange(300))
    assert found == ["bank of the gallery"]


def test_a_tiny_bank_is_told(clean):
    sims, bank, correct = clean
    assert "tiny bank" in kinds(sims, bank[:12], correct=correct)
    assert kinds(sims, bank[:60], correct=correct) == []


def test_a_bank_of_another_domain_is_told(rng, clean):
    sims, _, correct = clean
    texts, videos, _ = world(np.random.default_rng(0))
    far = unit_rows(rng.standard_normal((150, 24)) + 2 * rng.standard_normal(24))
    assert "other domain" in kinds(texts @ videos.T, far @ videos.T, correct=correct)


def test_a_bank_whose_columns_are_in_another_order_is_told(rng, clean):
    sims, bank, correct = clean
    assert "other domain" in kinds(sims, bank[:, rng.permutation(80)], correct=correct)


def test_embeddings_of_another_space_are_told(rng):
    texts, videos, bank = world(rng)
    turn = np.linalg.qr(rng.standard_normal((24, 24)))[0].astype(np.float32)
    correct = np.repeat(np.arange(80), CAPTIONS)
    assert "no match" in kinds(texts @ (videos @ turn).T, correct=correct)
    found = kinds(texts @ videos.T, bank @ (videos @ turn).T, correct=correct)
    assert {"bank without matches", "other domain"} <= set(found)


def test_a_wrong_order_of_rows_is_told(rng, clean):
    sims, bank, correct = clean
    wrong = check_matrices(sims, bank, correct=rng.permutation(correct), by_order_of="rows")
    assert [finding.kind for finding in wrong] == ["no match", "row order"]
    assert [finding.severity for finding in wrong] == [WARNING, NOTE]
    assert "the order of rows does not tell the correct items" in wrong[0].sentence


def test_row_order_alone_is_a_note(clean):
    sims, bank, correct = clean
    assert kinds(sims, bank, correct=correct, by_order_of="rows") == ["row order"]


def test_logits_are_told_with_what_overflows(clean):
    sims, bank, correct = clean
    (found,) = check_matrices(40 * sims, 40 * bank, correct=correct, betas=[20.0])
    assert (found.kind, found.severity) == ("logits", WARNING)
    assert "would overflow float32 and float64" in found.sentence
    (found,) = check_matrices(40 * sims, 40 * bank, correct=correct, betas=[0.5])
    assert found.severity == NOTE and "overflow" not in found.sentence
    scale_free = check_matrices(40 * sims, 40 * bank, correct=correct)
    assert [each.severity for each in scale_free] == [NOTE]


def test_two_units_are_told(clean):
    sims, bank, correct = clean
    assert kinds(100 * sims, bank, correct=correct)[0] == "two units"


def test_copies_of_an_item_are_counted(clean):
    sims, bank, correct = clean
    sims, bank = sims.copy(), bank.copy()
    sims[:, 9], bank[:, 9] = sims[:, 4], bank[:, 4]
    found = check_matrices(sims, bank, correct=correct)
    assert [finding.kind for finding in found] == ["duplicates"]
    assert found[0].sentence.startswith("2 of 80 gallery items")


def test_what_is_not_finite_is_told(clean):
    sims, bank, correct = clean
    bank = bank.copy()
    bank[4, 7] = np.inf
    assert kinds(sims, bank, correct=correct) == ["not finite"]


def test_every_way_to_hold_a_matrix_gives_the_same_findings(rng, tmp_path):
    texts, videos, bank_emb = world(rng)
    bank_emb = np.concatenate([bank_emb, texts[:4]])
    sims, bank = texts @ videos.T, bank_emb @ videos.T
    np.save(tmp_path / "S.npy", sims)
    np.save(tmp_path / "B.npy", np.asfortranarray(bank))
    wide = np.insert(sims, 3, 0, axis=1), np.insert(bank, 3, 0, axis=1)
    kept = np.delete(np.arange(81), 3)
    correct = np.repeat(np.arange(80), CAPTIONS)
    held = [
        (sims, bank),
        (MatrixRows(sims), MatrixTiles(bank)),
        (ProductRows(texts, videos), SimTiles(bank_emb, videos)),
        (open_matrix(tmp_path / "S.npy"), open_matrix(tmp_path / "B.npy").tiles()),
        (open_matrix(tmp_path / "S.npy").tiles(), bank),
        (KeptColumns(MatrixRows(wide[0]), kept), KeptColumns(MatrixTiles(wide[1]), kept)),
    ]
    for each in held:
        assert kinds(*each, correct=correct) == ["queries in bank"]


def test_inputs_are_untouched(clean):
    sims, bank, correct = clean
    before = sims.copy(), bank.copy()
    check_matrices(sims, bank, correct=correct)
    np.testing.assert_array_equal((sims, before[0])[0], before[0])
    np.testing.assert_array_equal(bank, before[1])


def test_tiny_and_constant_matrices_are_looked_at_without_harm():
    assert kinds(np.ones((1, 1)), np.ones((1, 1)), correct=np.array([0])) == ["tiny bank"]
    assert "tiny bank" in kinds(np.ones((40, 9)), np.ones((40, 9)), correct=np.arange(40) % 9)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((30, 20), (50, 30)), "30.*sims look transposed"),
        (((30, 20), (20, 50)), "bank_sims look transposed"),
        (((30, 20), (50, 19)), "both need one column per gallery item, in the same order$"),
        (((30, 20), None, 20), "correct has 20 elements.*sims look transposed"),
        (((30, 20), None, None, 20), "mask has 20 elements.*sims look transposed"),
        (((20, 40),), "fewer rows than columns.*if yours are on columns the matrix is transposed"),
        (((40, 20), None, None, None, "v2t"), "fewer columns than rows"),
        (((30, 20), None, 30, None, "v2t"), "correct has 30 elements"),
        (((3, 4, 5),), r"must be \[n_queries, n_gallery\]"),
        (((0, 4),), "not empty"),
    ],
)
def test_shapes_that_cannot_belong_together_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        check_shapes(*shapes)


@pytest.mark.parametrize(
    "shapes",
    [
        ((40, 20), (50, 20)),
        ((40, 20), (20, 20)),
        ((20, 40), None, 20),
        ((20, 40), None, None, None, "v2t"),
    ],
)
def test_shapes_that_can_belong_together_pass(shapes):
    check_shapes(*shapes)


def test_object_arrays_are_refused_in_a_sentence(clean):
    sims, _, _ = clean
    with pytest.raises(ValueError, match="must hold real numbers, got object"):
        evaluate_matrices(sims.astype(object))


def test_a_report_carries_the_findings(clean):
    sims, bank, correct = clean
    bank = np.concatenate([bank, sims[:2]])
    report = evaluate_matrices(sims, bank, correct=correct, n_resamples=10)
    assert report.to_dict()["findings"] == [
        {"kind": each.kind, "sentence": each.sentence, "severity": WARNING}
        for each in report.findings
    ]
    assert [each.kind for each in report.findings] == ["queries in bank"]
    by_order = evaluate_matrices(sims, bank, n_resamples=10)
    assert [each.kind for each in by_order.findings] == ["queries in bank", "row order"]
