"""Arrays of entries. numpy copies an entry field by field where it can, which takes twenty times as long as copying its bytes; these copy bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pick(entries: NDArray[Any], chosen: NDArray[Any]) -> NDArray[Any]:
    """``entries[chosen]`` for a truth value each."""
    import numpy as np

    return entries.take(np.flatnonzero(chosen))


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """``np.concatenate`` of one array or more, all of one type of entry."""
    import numpy as np

    kind = parts[0].dtype
    return np.concatenate([part.view(f"V{kind.itemsize}") for part in parts]).view(kind)


def order_by(first: NDArray[Any], *then: NDArray[Any]) -> NDArray[Any]:
    """The order by numbers, hardly any of which are equal, and by others where they are."""
    import numpy as np

    first = np.ascontiguousarray(first)
    order = np.argsort(first)
    in_order = first[order]
    same = in_order[1:] == in_order[:-1]
    if same.any():
        tied = np.zeros(len(order), dtype=bool)
        tied[1:] |= same
        tied[:-1] |= same
        places = np.flatnonzero(tied)
        some = order[places]
        order[places] = some[np.lexsort((*(key[some] for key in reversed(then)), in_order[places]))]
    return order
