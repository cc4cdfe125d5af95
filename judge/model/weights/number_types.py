"""Bytes of weights as numpy numbers and back, without torch: bfloat16 is the upper half of a float32.

    decode_numbers(b"\\x80\\x3f", "BF16")            array([1.0], float32)
    encode_numbers(array([1.0]), "BF16")            b"\\x80\\x3f", to the nearest, and to even where two are as near

Source of the layout: huggingface/safetensors, README, "Format": little-endian, C order.
"""

from __future__ import annotations

import numpy as np

_PLAIN = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def decode_numbers(data: bytes | bytearray, dtype: str) -> np.ndarray:
    """The numbers in `data`, flat: float64 for "F64", float32 for "F32", "F16" and "BF16"."""
    if dtype == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    found = np.frombuffer(data, _PLAIN[dtype])
    return found if dtype == "F64" else found.astype(np.float32, copy=False)


def encode_numbers(numbers: np.ndarray, dtype: str) -> bytes:
    """Finite numbers as the bytes of a type; beyond the type's range they become infinite."""
    with np.errstate(over="ignore"):
        if dtype != "BF16":
            return numbers.astype(_PLAIN[dtype]).tobytes()
        bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    even = (bits >> 16) & 1
    return ((bits + 0x7FFF + even) >> 16).astype("<u2").tobytes()
