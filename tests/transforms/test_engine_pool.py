import threading
from contextlib import ExitStack

import pytest

from transforms.engine_pool import EnginePool


@pytest.fixture
def pool():
    """A pool with one user."""
    made = EnginePool()
    made.enter("a")
    return made


def test_engine_is_lent_again_when_it_is_back(pool):
    with pool.borrow("a", object) as first:
        pass
    with pool.borrow("a", object) as second:
        assert second is first


def test_two_who_need_one_at_a_time_get_two(pool):
    with ExitStack() as stack:
        engines = [stack.enter_context(pool.borrow("a", object)) for _ in range(2)]
        assert engines[0] is not engines[1]


def test_threads_never_share_one(pool):
    seen, lock, both = [], threading.Lock(), threading.Barrier(2)

    def work():
        for _ in range(50):
            with pool.borrow("a", object) as engine:
                with lock:
                    assert engine not in seen
                    seen.append(engine)
                with lock:
                    seen.remove(engine)
        both.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == []


def test_engine_on_which_something_failed_is_not_lent_again(pool):
    lent = []

    def fail():
        with pool.borrow("a", object) as engine:
            lent.append(engine)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    with pool.borrow("a", object) as other:
        assert other is not lent[0]


def test_engines_for_other_tokenizers_are_others(pool):
    pool.enter("b")
    with pool.borrow("a", object) as one:
        pass
    with pool.borrow("b", object) as other:
        assert other is not one


def test_engines_go_with_their_last_user(pool):
    pool.enter("a")
    with pool.borrow("a", object) as first:
        pass
    pool.leave("a")
    with pool.borrow("a", object) as second:
        assert second is first
    pool.leave("a")
    pool.enter("a")
    with pool.borrow("a", object) as third:
        assert third is not first


def test_engine_that_comes_back_after_the_last_user_has_gone_is_let_go(pool):
    with pool.borrow("a", object) as first:
        pool.leave("a")
    pool.enter("a")
    with pool.borrow("a", object) as second:
        assert second is not first
