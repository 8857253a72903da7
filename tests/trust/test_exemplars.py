"""Surveys of natural images against looking at all of them at once."""

import numpy as np
import pytest

import pellucid
from pellucid.errors import InputError, TargetError
from pellucid.trust import Feature, as_feature, survey_images
from tests.networks import plain_net, seeded


@pytest.fixture(scope="module")
def model() -> pellucid.Model:
    return pellucid.wrap(seeded(plain_net), size=32)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 3, 32, 32), np.uint8)


def test_peaks_places_and_exemplars_are_those_of_all_images_at_once(model, images):
    survey = survey_images(model, images, ["3", "8:1"])
    assert len(survey) == 70
    for layer in ("3", "8"):
        values = pellucid.record(model, images / np.float32(255), layer)[layer].values
        flat = values.reshape(70, -1, values.shape[3])
        np.testing.assert_allclose(survey.peaks[layer], flat.max(1), atol=1e-5)
        chosen = np.take_along_axis(flat, survey.places[layer][:, None].astype(int), 1)[:, 0]
        np.testing.assert_allclose(chosen, flat.max(1), atol=1e-5)
    strongest = survey.exemplars(Feature("8", 1), 5)
    assert [each.number for each in strongest] == np.argsort(-survey.peaks["8"][:, 1], kind="stable")[:5].tolist()
    for each in strongest:
        assert values[each.number, each.row, each.column, 1] == pytest.approx(each.value, abs=1e-5)
    loaded = survey.load(strongest, model)
    np.testing.assert_array_equal(np.round(loaded.numpy() * 255), images[[each.number for each in strongest]])


def test_a_direction_is_projected_position_by_position(model, images):
    vector = np.random.default_rng(1).normal(size=10)
    feature = as_feature(model, pellucid.Direction("8", vector))
    survey = survey_images(model, images, pellucid.Direction("8", vector))
    along = pellucid.record(model, images / np.float32(255), "8")["8"].values @ vector
    np.testing.assert_allclose(survey.values(feature), along.max((1, 2)), rtol=1e-4, atol=1e-5)
    with pytest.raises(TargetError, match="survey"):
        survey_images(model, images, "8").values(feature)


def test_of_many_images_some_are_taken_by_chance(model, images):
    some = survey_images(model, images, "8", most=20, seed=3)
    same = survey_images(model, images, "8", most=20, seed=3)
    other = survey_images(model, images, "8", most=20, seed=4)
    assert len(set(some.numbers.tolist())) == 20
    assert some.numbers.tolist() == same.numbers.tolist() != other.numbers.tolist()
    np.testing.assert_allclose(some.peaks["8"], survey_images(model, images, "8").peaks["8"][some.numbers], atol=1e-5)


def test_images_that_cannot_be_read_are_left_out_and_named(model, images, tmp_path):
    from PIL import Image

    for number in range(3):
        Image.fromarray(images[number].transpose(1, 2, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    survey = survey_images(model, tmp_path, "8")
    assert len(survey) == 3
    assert len(survey.remarks) == 1
    assert "broken.png" in survey.remarks[0]
    assert {each.key for each in survey.exemplars(Feature("8", 0))} == {"0.png", "1.png", "2.png"}
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        survey_images(model, tmp_path / "all", "8")


def test_features_of_targets(model):
    assert as_feature(model, "8:3") == as_feature(model, "8:3@1,2") == Feature("8", 3)
    assert as_feature(model, pellucid.Logit(4)) == Feature("logits", 4)
    np.testing.assert_array_equal(Feature("8", 3).weights(5), [0, 0, 0, 1, 0])
    with pytest.raises(TargetError, match="place"):
        as_feature(model, "8@1,2")
    with pytest.raises(TargetError):
        as_feature(model, "8:99")
