"""Sources that the tests of this room share."""

import pytest

from tasks.reference_files import lay_copies, lay_reference


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """Return a folder with all sources of the published mixture, small; nobody may write to it."""
    folder = tmp_path_factory.mktemp("sources")
    lay_reference(folder / "datasets")
    lay_copies(folder / "copies", documents=250)
    return folder
