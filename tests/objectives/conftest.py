import pytest
import tf_keras


@pytest.fixture
def floatx():
  """Sets Keras's float type and policy for one test."""

  def set_dtype(dtype: str) -> None:
    tf_keras.backend.set_floatx(dtype)
    tf_keras.mixed_precision.set_global_policy(dtype)

  yield set_dtype
  set_dtype("float32")
