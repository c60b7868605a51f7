"""The clock: what a jump is, when it has settled, and what is counted meanwhile."""

from __future__ import annotations

import time

import pytest

from laurels.clock import EARLIEST, JUMP_SECONDS, SECOND, SETTLE_SECONDS, Clock


class Hands:
    """A wall clock and a steady one, which a test moves."""

    def __init__(self, wall: float = EARLIEST + 1e6, steady: float = 100.0) -> None:
        self.wall, self.steady = wall, steady

    def clock(self, boot: str = "boot") -> Clock:
        """Return a clock that reads them."""
        return Clock(lambda: self.wall, lambda: self.steady, boot=boot)

    def run(self, seconds: float, rate: float = 1.0) -> None:
        """Let time pass, on the wall clock at another rate."""
        self.steady += seconds
        self.wall += seconds * rate


@pytest.fixture
def hands() -> Hands:
    """Return both clocks."""
    return Hands()


def settled(hands: Hands) -> Clock:
    """Return a clock that has settled."""
    clock = hands.clock()
    hands.run(SETTLE_SECONDS)
    clock()
    assert clock.is_settled
    return clock


def test_real_clocks() -> None:
    """Without arguments it tells the time, and has just begun."""
    clock = Clock()
    assert abs(clock() - time.time()) < 60
    assert (clock.is_settled, clock.jump) == (False, 0)


def test_settles_in_an_hour(hands: Hands) -> None:
    """It is settled after an hour in which the two agreed, and not before."""
    clock = hands.clock()
    hands.run(SETTLE_SECONDS - 1)
    clock()
    assert not clock.is_settled
    hands.run(1)
    assert (clock(), clock.is_settled) == (hands.wall, True)


@pytest.mark.parametrize("jump", [30 * 86_400, -30 * 86_400, JUMP_SECONDS + 0.1, -3])
def test_jumps(hands: Hands, jump: float) -> None:
    """A jump begins the hour anew, and so does the way back."""
    clock = settled(hands)
    hands.wall += jump
    assert clock() == hands.wall
    assert not clock.is_settled
    assert clock.jump == pytest.approx(jump)
    hands.wall -= jump
    hands.run(SETTLE_SECONDS - 1)
    clock()
    hands.run(SETTLE_SECONDS - 1)
    clock()
    assert not clock.is_settled
    hands.run(1)
    clock()
    assert (clock.is_settled, clock.jump) == (True, 0)


def test_seen_by_whoever_reads(hands: Hands) -> None:
    """A jump for the moment of one look is known although the clocks agree again."""
    clock = settled(hands)
    hands.wall += 60
    clock()
    hands.wall -= 60
    clock()
    assert not clock.is_settled


@pytest.mark.parametrize("step", [1.0, -1.0, 0.4])
def test_small_steps(hands: Hands, step: float) -> None:
    """A leap second, and what a clock is set by now and then, are no jumps."""
    clock = settled(hands)
    for _ in range(9):
        hands.wall += step
        assert clock() == hands.wall
        hands.run(3600)
    assert clock.is_settled


def test_slewing(hands: Hands) -> None:
    """A clock that is slewed agrees; one that runs at another rate does not."""
    clock = settled(hands)
    for _ in range(1000):
        hands.run(60, rate=1.0005)
        clock()
    assert clock.is_settled
    for _ in range(60):
        hands.run(1, rate=1.1)
        clock()
    assert not clock.is_settled


def test_stopped_between_the_readings() -> None:
    """A process that was stopped just between its two readings has seen no jump."""
    walls = iter([EARLIEST, EARLIEST + 10.0, EARLIEST + 10.0])
    steadies = iter([0.0, 0.0, 10.0])
    clock = Clock(lambda: next(walls), lambda: next(steadies))
    assert (clock(), clock.jump) == (EARLIEST + 10, 0)


def test_before_this_version() -> None:
    """A clock that shows a time before this version was made never settles."""
    hands = Hands(wall=1000.0)
    clock = hands.clock()
    hands.run(2 * SETTLE_SECONDS)
    clock()
    assert not clock.is_settled


def test_agreed_time(hands: Hands) -> None:
    """Agreed time passes with the clocks, and no jump moves it."""
    clock = hands.clock()
    assert clock.agreed == 0
    hands.run(10)
    assert clock.agreed == 10 * SECOND
    for jump in (1e9, -2e9):
        hands.wall += jump
        assert clock.agreed == 10 * SECOND
    hands.run(5)
    hands.wall += 60  # nobody looked before: those five seconds are not known to be good
    assert clock.agreed == 10 * SECOND
    hands.run(5)
    assert clock.agreed == 15 * SECOND


def test_agreed_time_goes_on(hands: Hands) -> None:
    """A process goes on from where the one before was, and never goes back."""
    clock = hands.clock()
    clock.begin_at(7 * SECOND)
    clock.begin_at(3 * SECOND)
    hands.run(1)
    assert clock.agreed == 8 * SECOND


def test_resumed(hands: Hands) -> None:
    """A process on the same run of the machine is as settled as the one before, the time between included."""
    memory = settled(hands).memory
    hands.run(60)
    again = hands.clock()
    again.resume(memory)
    assert (again(), again.is_settled, again.agreed) == (hands.wall, True, (SETTLE_SECONDS + 60) * SECOND)


@pytest.mark.parametrize(
    ("memory", "boot", "jump"),
    [(None, "another", 0), (None, "boot", 60), (b"", "boot", 0), (b"\xff", "boot", 0), (b"[]", "boot", 0)],
    ids=["another start", "jumped meanwhile", "empty", "no text", "odd"],
)
def test_not_resumed(hands: Hands, memory: bytes | None, boot: str, jump: float) -> None:
    """After a start of the machine, a jump between the processes, or with a file that says nothing, the hour begins."""
    known = settled(hands).memory
    hands.wall += jump
    again = hands.clock(boot)
    again.resume(known if memory is None else memory)
    assert (again(), again.is_settled, again.agreed) == (hands.wall, False, 0)


def test_steps_are_remembered(hands: Hands) -> None:
    """What small steps add up to is no jump for the next process either."""
    clock = settled(hands)
    for _ in range(9):
        hands.wall += 1
        clock()
        hands.run(3600)
    again = hands.clock()
    again.resume(clock.memory)
    again()
    assert again.is_settled
