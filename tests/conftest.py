"""Fixtures that all tests share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """Find a folder of real data by name; the test is skipped where it is absent."""

    def find(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.exists():
            pytest.skip(f"needs the real data in ../shared/data/{name}, which is not here")
        return path

    return find


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A headless browser; the test is skipped where there is none."""
    from tests.page import open_browser

    with open_browser() as opened:
        yield opened


@pytest.fixture
def new_page(browser, url) -> Iterator:
    """Fresh browsers on the module's server, `url`, which may ask nobody else and meet no error."""
    from tests.page import Visitors

    visitors = Visitors(browser, url)
    yield visitors
    visitors.leave()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where a browser is promised, a browser test that is skipped has failed."""
    report = yield
    promised = os.environ.get("HUBLENS_NEED_BROWSER") and item.path.name.startswith("test_app")
    if promised and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped although HUBLENS_NEED_BROWSER is set: {report.longrepr}"
    return report
