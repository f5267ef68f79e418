"""Manners towards hosts: few at once, a second apart, none while it asked for peace."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from smartnode.sources.hosts import DOORS_MAX, Budget, Hosts, Purse, host_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


async def test_places_are_counted_in_all_at_a_host_and_for_looks_nobody_waits_for() -> None:
    """8 at once, 2 at one host; what nobody waits for takes 4; a host that is full holds up no other."""
    hosts = Hosts(Budget(host_spacing=timedelta(), urgent_spacing=timedelta()))
    inside: list[str] = []
    gate = asyncio.Event()

    async def look(host: str, *, urgent: bool) -> None:
        async with hosts.visit(host, urgent=urgent):
            inside.append(host)
            await gate.wait()

    tasks = [asyncio.create_task(look("slow.example", urgent=True)) for _ in range(10)]
    tasks += [asyncio.create_task(look(f"idle{n}.example", urgent=False)) for n in range(10)]
    tasks += [asyncio.create_task(look(f"{n}.example", urgent=True)) for n in range(10)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(inside) == 8
    assert inside.count("slow.example") <= 2
    assert sum(host.startswith("idle") for host in inside) == 4
    gate.set()
    await asyncio.gather(*tasks)
    assert len(inside) == 30


@pytest.mark.parametrize(("urgent", "pause_s"), [(True, 0.05), (False, 0.1)])
async def test_looks_at_one_host_begin_apart(*, urgent: bool, pause_s: float) -> None:
    """The next one begins no sooner than the pause after the last one's beginning: four take three pauses."""
    loop = asyncio.get_running_loop()
    hosts = Hosts(Budget(host_spacing=timedelta(seconds=0.1), urgent_spacing=timedelta(seconds=0.05)))
    began = loop.time()
    for _ in range(4):
        async with hosts.visit("h", urgent=urgent):
            pass
    assert loop.time() - began >= 3 * (pause_s - 0.001)


async def test_hosts_are_forgotten() -> None:
    """A million hosts of a hostile catalogue leave nothing behind."""
    hosts = Hosts(Budget(host_spacing=timedelta(), urgent_spacing=timedelta()))
    for number in range(DOORS_MAX + 50):
        async with hosts.visit(str(number), urgent=True):
            pass
    assert len(hosts._doors) <= DOORS_MAX + 1


def test_peace_is_kept_for_as_long_as_asked_and_an_hour_at_most() -> None:
    """A short pause never shortens a longer one."""
    hosts = Hosts(Budget())
    hosts.pause("h", NOW, timedelta(minutes=5))
    hosts.pause("h", NOW, None)
    assert not hosts.is_open("h", NOW + timedelta(minutes=4))
    assert hosts.is_open("h", NOW + timedelta(minutes=5))
    hosts.pause("h", NOW, timedelta(days=1))
    assert hosts.is_open("h", NOW + timedelta(hours=1))
    assert host_of("https://H.example:8443/x?y") == "h.example:8443"


def test_idle_bytes_are_bounded_per_period_and_one_piece_always_fits() -> None:
    """64 MiB in 15 min; a piece of 100 MiB fits alone; a clock that steps back starts a new period."""
    purse = Purse(Budget())
    mib = 1 << 20
    assert [purse.take(30 * mib, NOW) for _ in range(3)] == [True, True, False]
    assert not purse.take(30 * mib, NOW + timedelta(minutes=14))
    assert purse.take(100 * mib, NOW + timedelta(minutes=15))
    assert not purse.take(1, NOW + timedelta(minutes=16))
    assert purse.take(1, NOW)
