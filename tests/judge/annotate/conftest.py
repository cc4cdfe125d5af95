import pytest
from annotating import both


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """(model, file) of two models, the demo's references for answers; tests do not change them."""
    return both(tmp_path_factory.mktemp("secret-answers"))
