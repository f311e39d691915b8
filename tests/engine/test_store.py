from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_mobilesam.engine import Embedding, EmbeddingStore


def embedding(key: str, kib: int = 512) -> Embedding:
    return Embedding(np.zeros((kib, 16, 32), np.float16), (8, 8), (1024, 1024), key)


def test_returns_what_was_put() -> None:
    store = EmbeddingStore(4)
    one = embedding('one')
    store.put(one)
    assert store.get('one') is one
    assert store.get('two') is None
    assert 'one' in store
    assert 'two' not in store
    assert len(store) == 1
    assert store.nbytes == one.nbytes == 2**19


def test_drops_what_was_unused_longest() -> None:
    store = EmbeddingStore(1)
    store.put(embedding('a'))
    store.put(embedding('b'))
    store.get('a')
    store.put(embedding('c'))
    assert ('a' in store, 'b' in store, 'c' in store) == (True, False, True)


def test_putting_again_does_not_count_twice() -> None:
    store = EmbeddingStore(1)
    for _ in range(5):
        store.put(embedding('a'))
    assert store.nbytes == 2**19
    store.put(embedding('a', kib=256))
    assert store.nbytes == 2**18
    store.clear()
    assert (store.nbytes, len(store)) == (0, 0)


def test_too_large_for_the_budget() -> None:
    store = EmbeddingStore(1)
    store.put(embedding('small'))
    store.put(embedding('large', kib=2048))
    assert 'large' not in store
    assert 'small' in store


@pytest.mark.parametrize('budget', [-1, float('nan')])
def test_impossible_budget(budget: float) -> None:
    with pytest.raises(ValueError, match='the budget is 0 MiB or more'):
        EmbeddingStore(budget)


def test_T26_the_budget_holds_whatever_comes_from_many_threads() -> None:
    store = EmbeddingStore(8)
    seen = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(60):
            key = str(rng.integers(40))
            if store.get(key) is None:
                store.put(embedding(key, kib=int(rng.integers(200, 800))))
            seen.append(store.nbytes)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert max(seen) <= 8 * 2**20
    assert store.nbytes == sum(
        kept.nbytes for key in map(str, range(40)) if (kept := store.get(key)) is not None
    )
