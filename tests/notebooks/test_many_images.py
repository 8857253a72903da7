"""The notebooks that look at many images run and find what they say."""

from pathlib import Path

import pytest
from notebook_runs import RUN_BY, assert_runs


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN_BY["test_many_images.py"])
def test_runs_and_finds_what_it_says(name: str, tmp_path: Path) -> None:
    assert_runs(name, tmp_path)
