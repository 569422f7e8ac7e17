"""The program of the demo: an app, its tasks, and a script that enqueues jobs.

Only the calls of `board` are special to the demo. The rest is what a user's program would have.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from taskhero import Settings, TaskHero, current
from taskhero.plugins import Retry

if TYPE_CHECKING:
    from taskhero.cli.demo.board import Board

__all__ = [
    "CourierBusy",
    "PaymentDeclined",
    "app",
    "ask_partner",
    "book_courier",
    "charge_card",
    "check_stock",
    "count_words",
    "open_shop",
    "remind",
    "resize_photo",
    "send_receipt",
]

app = TaskHero(
    "memory://",
    settings=Settings(
        queues=("high", "low"),  # no job from `low` while `high` has one
        min_task_processors=1,
        max_task_processors=6,
        check_interval=0.25,
        scheduler=True,
        worker_logging={"failure": "off", "retry": "off"},  # the board shows these events
    ),
)


class PaymentDeclined(Exception):
    """The error of `charge_card`."""


class CourierBusy(Exception):
    """The error of the first attempt of `book_courier`."""


@app.task(queue="high")
async def send_receipt(*, to: str) -> str:
    """Run in the event loop, because it is asynchronous."""
    await asyncio.sleep(0.3)
    return f"sent to {to}"


@app.task(queue="low")
def resize_photo(number: int, width: int) -> int:
    """Run in a thread, because it is synchronous and would block the loop."""
    time.sleep(0.6)
    return number * width


@app.task(queue="low")
async def count_words(text: str) -> int:
    """Run for a short time; one step enqueues many of these jobs."""
    await asyncio.sleep(0.08)
    return len(text.split())


@app.task(queue="high")
async def charge_card(*, customer: str, cents: int) -> None:
    """Fail for one of the customers."""
    await asyncio.sleep(0.2)
    if cents > 50_00:
        raise PaymentDeclined(f"{customer}'s bank declined {cents / 100:.2f}")


@app.task(queue="low", timeout=0.8)
async def ask_partner(*, order: int) -> None:
    """Exceed the timeout."""
    await asyncio.sleep(30 + order)


@app.task(queue="high")
async def remind(*, who: str) -> str:
    """Run later, because it is enqueued with a delay."""
    await asyncio.sleep(0.05)
    return f"{who} knows"


@app.task(queue="high", plugins=(Retry(limit=3, delay=1, jitter=0),))
async def book_courier(*, order: int) -> str:
    """Fail at the first attempt, and succeed one second later."""
    await asyncio.sleep(0.1)
    if current().attempt == 1:
        raise CourierBusy("no courier is free")
    return f"a courier fetches order {order}"


@app.task(queue="high", frequency=2)
async def check_stock() -> None:
    """Run at the start, and two seconds after each run."""
    await asyncio.sleep(0.05)


async def open_shop(board: Board) -> None:
    """Enqueue the jobs of the demo with some pauses, and record them on the board."""
    await book_courier.enqueue(order=7)
    board.enqueued(book_courier.job(order=7))
    for seconds, who in ((1, "Ann"), (3, "Bob"), (4, "Cid")):
        await remind.enqueue_in(seconds, who=who)
        board.delayed(remind.job(who=who), seconds)
    for number in range(1, 9):
        await resize_photo.enqueue(number, 640)
        board.enqueued(resize_photo.job(number, 640))
    stories = [count_words.job(f"a story of {number} words") for number in range(30)]
    board.enqueued(stories[0], await app.queue.enqueue_many(stories))
    for customer, cents in (("Ann", 12_50), ("Bob", 80_00)):
        await charge_card.enqueue(customer=customer, cents=cents)
        board.enqueued(charge_card.job(customer=customer, cents=cents))
    await asyncio.sleep(2.5)

    await ask_partner.enqueue(order=7)
    board.enqueued(ask_partner.job(order=7))
    for number in range(1, 21):
        await send_receipt.enqueue(to=f"guest{number}@example.com")
        board.enqueued(send_receipt.job(to=f"guest{number}@example.com"))
    await asyncio.sleep(2.0)

    await app.queue.stop_recurrent("check_stock")
    await charge_card.enqueue(customer="Cid", cents=9_99)
    board.enqueued(charge_card.job(customer="Cid", cents=9_99))
