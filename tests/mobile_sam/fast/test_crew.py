from __future__ import annotations

import threading
import weakref

import pytest
import torch

from mobile_sam.fast.crew import Crew


@pytest.mark.parametrize('size', [1, 2, 3])
def test_parts_are_shared_in_order(size: int) -> None:
    crew = Crew(size)
    assert crew.run(lambda: crew.share(lambda part: part * part, list(range(7)))) == [
        part * part for part in range(7)
    ]


@pytest.mark.parametrize('size', [1, 2, 3, 4])
@pytest.mark.parametrize('count', [1, 2, 5, 8, 40, 64])
def test_things_are_divided_with_most_of_them_for_the_leader(size: int, count: int) -> None:
    parts = Crew(size).divided(count)
    assert [number for part in parts for number in range(count)[part]] == list(range(count))
    sizes = [part.stop - part.start for part in parts]
    assert len(sizes) <= size
    assert min(sizes) > 0
    assert max(sizes) == sizes[0] <= -(-count // size) * 1.11


def test_two_divide_the_rows_of_an_image() -> None:
    assert [part.stop for part in Crew(4).divided(64)] == [17, 33, 49, 64]
    assert Crew(2).divided(64) == [slice(0, 34), slice(34, 64)]


def test_short_work_is_for_a_few_and_long_work_for_all() -> None:
    assert Crew(8).divided(64) == Crew(4).divided(64)
    crew, together = Crew(6), threading.Barrier(6, timeout=30)

    def who(_: int) -> int:
        together.wait()
        return threading.get_ident()

    assert len(set(crew.run(lambda: crew.share(who, range(6))))) == 6


def test_each_member_is_a_thread_with_one_of_torch_and_the_caller_keeps_his() -> None:
    crew, before = Crew(2), torch.get_num_threads()
    together = threading.Barrier(2, timeout=30)

    def who(_: int) -> tuple[int, int, bool]:
        together.wait()  # so that one member cannot do both
        return threading.get_ident(), torch.get_num_threads(), torch.is_inference_mode_enabled()

    found = crew.run(lambda: crew.share(who, [0, 1]))
    assert len({ident for ident, _, _ in found} | {threading.get_ident()}) == 3
    assert [threads for _, threads, _ in found] == [1, 1]
    assert all(inference for _, _, inference in found)
    assert torch.get_num_threads() == before
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [before]


@pytest.mark.parametrize('size', [1, 2, 3])
def test_many_parts_are_each_done_by_one_thread_alone(size: int) -> None:
    crew = Crew(size)

    def inner(part: int) -> tuple[int, int]:
        return threading.get_ident(), part

    def work(part: int) -> tuple[int, list[tuple[int, int]]]:
        # What would be shared, and what would be the leader's, are done here.
        shared = crew.run(lambda: crew.share(inner, [part, -part]))
        return threading.get_ident(), crew.apart(inner, [0] * 5) and shared

    found = crew.run(lambda: crew.apart(work, range(9)))
    for part, (me, shared) in enumerate(found):
        assert shared == [(me, part), (me, -part)]
    if size > 1:  # and shared again afterwards
        together = threading.Barrier(size, timeout=30)
        crew.run(lambda: crew.share(lambda _: together.wait(), range(size)))


def test_as_many_are_at_work_apart_as_there_are_members() -> None:
    crew, together = Crew(3), threading.Barrier(3, timeout=30)
    assert crew.run(lambda: crew.apart(lambda _: together.wait() >= 0, range(3))) == [True] * 3


def test_few_parts_are_shared_one_after_the_other() -> None:
    crew, together = Crew(3), threading.Barrier(3, timeout=30)

    def work(_: int) -> list[int]:
        return crew.share(lambda _: together.wait(), range(3))

    assert [len(each) for each in crew.run(lambda: crew.apart(work, range(2)))] == [3, 3]


def test_a_member_that_failed_apart_shares_again() -> None:
    crew, together = Crew(2), threading.Barrier(2, timeout=30)

    def work(part: int) -> None:
        raise ValueError(part)

    with pytest.raises(ValueError, match='0'):
        crew.run(lambda: crew.apart(work, range(4)))
    crew.run(lambda: crew.share(lambda _: together.wait(), range(2)))


@pytest.mark.parametrize('failing', [0, 1])
def test_errors_come_back_when_all_have_ended(failing: int) -> None:
    crew, ended = Crew(2), []

    def work(part: int) -> None:
        try:
            if part == failing:
                raise ValueError('no')
        finally:
            ended.append(part)

    with pytest.raises(ValueError, match='no'):
        crew.run(lambda: crew.share(work, [0, 1]))
    assert sorted(ended) == [0, 1]
    assert crew.run(lambda: crew.share(str, [0, 1])) == ['0', '1']


@pytest.mark.parametrize('size', [1, 2])
def test_what_runs_may_run_more_on_the_same_thread(size: int) -> None:
    crew = Crew(size)

    def work() -> tuple[int, int, list[int]]:
        inner = crew.run(threading.get_ident)
        return threading.get_ident(), inner, crew.run(lambda: crew.share(abs, [-1, -2]))

    outer, inner, shared = crew.run(work)
    assert outer == inner
    assert shared == [1, 2]


def test_threads_end_with_the_crew_and_keep_nothing() -> None:
    def used() -> tuple[list[threading.Thread], weakref.ref[torch.Tensor]]:
        crew, picture, together = Crew(2), torch.ones(1), threading.Barrier(2, timeout=30)

        def who(_: int) -> threading.Thread:
            together.wait()
            picture.add_(1)
            return threading.current_thread()

        return crew.run(lambda: crew.share(who, [0, 1])), weakref.ref(picture)

    members, picture = used()
    for member in members:
        member.join(30)
        assert not member.is_alive()
    assert len(set(members)) == 2
    assert picture() is None
