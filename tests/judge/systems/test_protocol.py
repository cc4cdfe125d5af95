"""What a system may say."""

import pytest

from judge.core.failure import CALL, JUDGE, MODEL
from judge.systems import Failed


@pytest.mark.parametrize(("reasons", "side"), [(MODEL, "model"), (CALL, "call")])
def test_a_failure_is_the_models_or_the_calls(reasons, side):
    assert {Failed(reason, "why").side for reason in reasons} == {side}


@pytest.mark.parametrize("reason", [*JUDGE, "tired", ""])
def test_no_other_failure_is_a_systems(reason):
    with pytest.raises(ValueError, match="judge"):
        Failed(reason, "why")
