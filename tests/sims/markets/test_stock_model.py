"""Stocks move in sessions, stand still between them and gap with BTC."""

from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.stats import kstest

from amm.units import HOUR_MS, MINUTE_MS
from sims.markets.block import Clock, Floats
from sims.markets.regimes import Regimes
from sims.markets.stock_betas import DECAY, RATIO_MAX, Betas
from sims.markets.stock_model import (
    Gap,
    Stock,
    Stocks,
    average_square,
    calibrated_stocks,
    draw_stocks,
)
from sims.markets.stock_sessions import session_steps

ERRORS_MAX = 4.0
NIGHT, WEEKEND = Gap(0.1, 0.33, 4.0, 0.5), Gap(0.1, 0.45, 4.0, 1.2)
ONE = Stock("ONE", 100.0, 0.03, 0.75, 0.4, NIGHT, WEEKEND)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000


HALVES = Clock(ms("2026-01-05T00:00:00"), 30 * MINUTE_MS, 48 * 14)


def random(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def draw(
    stocks: Stocks, clock: Clock, paths: int, vol: float = 0.0, stressed: bool = False
) -> tuple[Floats, Floats]:
    """Return log prices of stocks and of BTC."""
    shocks = random(2).standard_normal((paths, clock.steps))
    step = vol * np.sqrt(clock.step_ms / (8_760 * HOUR_MS))
    btc = np.zeros((paths, clock.steps + 1))
    btc[:, 1:] = np.cumsum(step * shocks - step * step / 2.0, axis=1)
    is_stressed = np.full(btc.shape, stressed)
    variances = np.full(paths, vol**2 / 365.0)
    prices, _ = draw_stocks(stocks, clock, btc, is_stressed, variances, random())
    return np.log(prices), btc


def gaps_of(logs: Floats, clock: Clock, weekend: bool) -> Floats:
    steps = session_steps(clock)
    rows = steps.weekend == weekend
    return np.asarray((logs[:, steps.opens + 1] - logs[:, steps.closed])[:, rows])


def test_sessions_of_a_week_that_is_known() -> None:
    clock = Clock(ms("2026-01-15T00:00:00"), HOUR_MS, 24 * 7)  # Monday the 19th is a holiday
    steps = session_steps(clock)
    times = clock.times_ms
    opened = [int(times[each]) for each in steps.opens]
    days = ("15", "16", "20", "21")
    assert opened == [ms(f"2026-01-{day}T14:00:00") for day in days]
    assert steps.weekend.tolist() == [False, False, True, False]
    assert times[steps.closed].tolist() == [
        times[0],
        *(ms(f"2026-01-{day}T21:00:00") for day in ("15", "16", "20")),
    ]
    assert steps.share.sum() == pytest.approx(4.0)
    is_open = dict(zip(times.tolist(), steps.is_open.tolist(), strict=True))
    assert is_open[ms("2026-01-15T15:00:00")]
    assert not is_open[ms("2026-01-15T14:00:00")]
    assert not is_open[ms("2026-01-15T21:00:00")]
    assert not is_open[ms("2026-01-19T16:00:00")]


@pytest.mark.parametrize(
    "start", ["2026-01-05T00:00:00", "2026-01-06T17:00:00", "2026-01-10T03:00:00"]
)
def test_a_price_stands_still_while_the_exchange_is_closed(start: str) -> None:
    clock = Clock(ms(start), HOUR_MS, 24 * 9)
    logs, _ = draw(Stocks((ONE,)), clock, 4, vol=0.6)
    moved = np.diff(logs[:, :, 0], axis=1) != 0.0
    steps = session_steps(clock)
    assert not moved[:, steps.share == 0.0].any()
    assert moved[:, steps.share > 0.0].all()


def test_no_stock_is_drawn_where_none_is_asked_for() -> None:
    logs, _ = draw(Stocks(), HALVES, 2)
    assert logs.shape == (2, HALVES.steps + 1, 0)


@pytest.mark.parametrize("stressed", [False, True])
def test_nobody_gains_by_holding(stressed: bool) -> None:
    logs, _ = draw(Stocks((ONE, ONE._replace(price=20.0))), HALVES, 6_000, 0.9, stressed)
    ends = np.exp(logs[:, -1] - logs[:, 0])
    for column in range(2):
        error = ends[:, column].std() / np.sqrt(ends.shape[0])
        assert abs(ends[:, column].mean() - 1.0) < ERRORS_MAX * error


def test_the_mean_of_gaps_is_drawn_where_it_is_asked_for() -> None:
    calm, paid = (draw(Stocks((ONE,), premium=each), HALVES, 2_000)[0] for each in (0.0, 1.0))
    days = session_steps(HALVES).opens.size
    gain = (paid - calm)[:, -1].mean()
    assert gain == pytest.approx(days * 0.1 * ONE.sigma, rel=0.15)


@pytest.mark.parametrize(("weekend", "law"), [(False, NIGHT), (True, WEEKEND)])
def test_gaps_have_their_law(weekend: bool, law: Gap) -> None:
    still = Stocks((ONE._replace(session=0.0, session_beta=0.0),), reversion=1.0)
    logs, _ = draw(still, HALVES, 6_000)
    gaps = gaps_of(logs, HALVES, weekend).ravel() / (ONE.sigma * law.scale)
    assert kstest(gaps, "t", args=(law.freedom,)).pvalue > 1e-3
    assert kstest(1.05 * gaps, "t", args=(law.freedom,)).pvalue < 0.1


@pytest.mark.parametrize(("weekend", "law"), [(False, NIGHT), (True, WEEKEND)])
def test_gaps_follow_btc_over_the_closed_hours(weekend: bool, law: Gap) -> None:
    logs, btc = draw(Stocks((ONE,)), HALVES, 3_000, vol=0.8)
    gaps = gaps_of(logs, HALVES, weekend).ravel()
    pause = gaps_of(btc[..., None], HALVES, weekend).ravel()
    apart = pause - pause.mean()
    beta = (apart * gaps).sum() / (apart**2).sum()
    error = (gaps - beta * apart).std() / np.sqrt((apart**2).sum())
    assert abs(beta - law.beta) < ERRORS_MAX * error + 0.01


def slope(logs: Floats, btc: Floats) -> tuple[float, float]:
    """Return the slope of gaps after a night on BTC, and its standard error."""
    gaps, pause = (gaps_of(each, HALVES, weekend=False).ravel() for each in (logs[:, :, 0], btc))
    beta = float((pause * gaps).sum() / (pause**2).sum())
    return beta, float((gaps - beta * pause).std() / np.sqrt((pause**2).sum()))


@pytest.mark.parametrize(("vol", "ratio"), [(0.4, 2.0), (0.8, 1.0), (1.6, 0.5)])
def test_a_slope_falls_as_the_vol_of_btc_rises(vol: float, ratio: float) -> None:
    law = NIGHT._replace(scale=0.05)
    stock = ONE._replace(overnight=law, weekend=law, session=0.05, session_beta=0.0)
    usual = 0.8 / np.sqrt(365.0)
    beta, error = slope(*draw(Stocks((stock,), reversion=1.0, btc_sigma=usual), HALVES, 800, vol))
    # BTC's own average wanders: a slope in proportion to 1 / vol is a little steeper in the mean.
    assert abs(beta - ratio * law.beta) < 4.0 * error + 0.06 * ratio * law.beta


def test_slopes_have_their_eras_all_stocks_together() -> None:
    law = NIGHT._replace(scale=0.05, beta_spread=0.4)
    stock = ONE._replace(overnight=law, weekend=law, session=0.05, session_beta=0.0)
    logs, btc = draw(Stocks((stock, stock)), HALVES, 800, vol=0.8)
    pause, found = gaps_of(btc, HALVES, weekend=False), []
    for column in range(2):
        gaps = gaps_of(logs[:, :, column], HALVES, weekend=False)
        found.append((gaps * pause).sum(axis=1) / (pause**2).sum(axis=1))
    assert np.std(found[0]) == pytest.approx(0.4, rel=0.15)
    assert np.corrcoef(found)[0, 1] > 0.9


def test_no_ratio_of_vols_is_wider_than_was_seen() -> None:
    betas = Betas({"overnight": np.array([[0.5, 0.0]])}, np.zeros(2), np.array([0.03]), 0.04)
    at = betas.at("overnight", np.array([[0.03**2], [0.3**2]]), np.array([0.04**2, 0.001**2]))
    assert at.ravel() == pytest.approx([0.5, 0.5 * RATIO_MAX])


def test_stocks_fall_together_and_more_so_under_stress() -> None:
    def correlation(stressed: bool) -> float:
        logs, _ = draw(Stocks((ONE, ONE), 0.3, 0.8), HALVES, 1_500, 0.0, stressed)
        moves = np.diff(logs, axis=1)[:, session_steps(HALVES).share > 0.0].reshape(-1, 2)
        kept = (np.abs(moves) < 0.02).all(axis=1)
        return float(np.corrcoef(moves[kept, 0], moves[kept, 1])[0, 1])

    assert correlation(stressed=False) == pytest.approx(0.3, abs=0.03)
    assert correlation(stressed=True) == pytest.approx(0.8, abs=0.03)


def test_vol_rises_after_a_large_day_and_comes_back() -> None:
    stocks = Stocks((ONE,), reversion=0.01)
    mean = ONE.sigma**2
    risen = average_square(stocks, np.array([[mean]]), np.array([[6.0 * ONE.sigma]]))
    expected = DECAY + (1.0 - DECAY) * 36.0
    assert risen[0, 0] / mean == pytest.approx(0.99 * expected + 0.01)
    quiet = risen
    for _ in range(2_000):  # days that move as much as their sigma says
        quiet = average_square(stocks, quiet, np.sqrt(quiet))
    assert quiet[0, 0] == pytest.approx(mean, rel=1e-6)
    calm, wild = (
        np.diff(draw(Stocks((ONE._replace(sigma=each),)), HALVES, 200)[0][:, [0, -1], 0])
        for each in (0.01, 0.03)
    )
    assert np.median(np.abs(wild)) > 2.0 * np.median(np.abs(calm))


def test_shipped_stocks_are_drawn_with_the_market() -> None:
    names = ("TSLA", "MSTR")
    market = Regimes(stocks=calibrated_stocks(*names))
    clock = Clock(ms("2026-01-05T00:00:00"), HOUR_MS, 24 * 30)
    block = market.draw(clock, 40, random())
    assert block.stocks.shape == (40, clock.steps + 1, 2)
    assert np.array_equal(block.stocks, market.draw(clock, 40, random()).stocks)
    steps, logs = session_steps(clock), np.log(block.stocks)
    btc = np.log(block.prices[:, :, :1])
    pause = gaps_of(btc, clock, weekend=True).ravel()
    tsla, mstr = (gaps_of(logs[:, :, [each]], clock, weekend=True).ravel() for each in range(2))
    assert np.corrcoef(mstr, pause)[0, 1] > np.corrcoef(tsla, pause)[0, 1] > 0.0
    assert block.is_open.sum() == steps.is_open.sum() > 100
    with pytest.raises(KeyError):
        calibrated_stocks("NOBODY")
