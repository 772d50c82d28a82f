import keras
import pytest


@pytest.fixture
def zero_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks start from zeros: drawing 70 million random numbers takes longer than all the rest of a test."""
    monkeypatch.setattr(
        keras.initializers.VarianceScaling,
        "__call__",
        lambda _self, shape, dtype=None: keras.ops.zeros(shape, dtype or "float32"),
    )
