"""Learning rates at known places, and what a validation score decides."""

import math

import pytest

from commandline import RequestError
from train.options import RunOptions
from train.schedule import SCHEDULES, Schedule, Watch, check


def test_onecycle_is_pytorchs():
    import torch

    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2.0, total_steps=101, cycle_momentum=False)
    ours = Schedule("onecycle", 2.0, 101, 0)
    for step in range(101):
        # PyTorch ends the rise one step earlier: 0.3 * steps - 1
        assert ours.rate(step) == pytest.approx(optimiser.param_groups[0]["lr"], abs=0.06)
        optimiser.step()
        if step < 100:
            theirs.step()
    assert ours.rate(0) == pytest.approx(2 / 25) and ours.rate(30) == pytest.approx(2.0)
    assert ours.rate(100) == pytest.approx(2 / 250_000)


@pytest.mark.parametrize(
    ("name", "start", "middle", "end"),
    [("cosine", 1, 0.5, 0), ("step", 1, 0.1, 0.01), ("constant", 1, 1, 1), ("plateau", 1, 1, 1)],
)
def test_schedules_by_known_values(name, start, middle, end):
    schedule = Schedule(name, 1.0, 101, 0)
    assert [schedule.rate(step) for step in (0, 50, 100)] == pytest.approx([start, middle, end])


def test_warmup_rises_to_the_peak_and_the_rest_follows():
    schedule = Schedule("cosine", 3.0, 14, 4)
    assert [schedule.rate(step) for step in range(5)] == pytest.approx([0.75, 1.5, 2.25, 3.0, 3.0])
    assert schedule.rate(13) == pytest.approx(0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_course_of_one_step_has_a_finite_rate(name):
    assert math.isfinite(Schedule(name, 1.0, 1, 0).rate(0))


def test_each_plateau_divides_by_ten():
    assert Schedule("plateau", 1.0, 10, 0).rate(5, lowered=2) == pytest.approx(0.01)


def test_the_best_epoch_is_the_first_of_equals():
    watch = Watch("val_loss", patience=0, lowers=False)
    assert [watch.see(epoch, loss) for epoch, loss in enumerate((3, 2, 2, 2.5, 1), 1)] == [
        *(True, True, False, False, True)
    ]
    assert (watch.best, watch.best_epoch) == (1, 5)


def test_more_is_better_but_for_the_loss():
    watch = Watch("val_f1", patience=0, lowers=False)
    assert watch.see(1, 0.4) and watch.see(2, 0.5) and not watch.see(3, 0.45)


def test_patience_ends_and_plateaus_lower():
    watch = Watch("val_loss", patience=6, lowers=True)
    lowered = []
    for epoch, loss in enumerate((1.0, *[2.0] * 6), 1):
        assert not watch.exhausted
        watch.see(epoch, loss)
        lowered.append(watch.lowered)
    assert watch.exhausted and lowered == [0, 0, 1, 1, 2, 2, 3]
    again = Watch("val_loss", patience=6, lowers=True)
    again.restore(watch.state())
    assert again == watch


@pytest.mark.parametrize(
    "wrong", [{"schedule": "plateau"}, {"patience": 3}, {"warmup": 1.0}, {"blind": True}]
)
def test_what_does_not_go_together_is_refused(wrong):
    with pytest.raises(RequestError):
        check(RunOptions(**wrong))
    check(
        RunOptions(val="group", schedule="cosine" if "warmup" in wrong else "onecycle")
        if "schedule" not in wrong
        else RunOptions(val="group", **wrong)
    )
