"""Names of keys, as Ruby and node-resque were seen to use them."""

from __future__ import annotations

import pytest

from taskhero.wire.keys import Keys

WORKER = "vm:18825+1:default,slow"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("queues", "resque:queues"),
        ("workers", "resque:workers"),
        ("heartbeats", "resque:workers:heartbeat"),
        ("failed", "resque:failed"),
        ("schedule", "resque:delayed_queue_schedule"),
        ("processed", "resque:stat:processed"),
        ("failures", "resque:stat:failed"),
        ("pause", "resque:pause-all-workers"),
        ("ruby_master_lock", "resque:resque:resque_scheduler_master_lock"),
        ("processes", "resque:taskhero:processes"),
        ("renewals", "resque:taskhero:renewals"),
        ("leases", "resque:taskhero:leases"),
        ("leader", "resque:taskhero:leader"),
        ("wake_new", "resque:taskhero:wake-new"),
        ("wake_schedule", "resque:taskhero:wake-schedule"),
        ("tracking_lease", "resque:taskhero:sentry"),
        ("taskhero_workers", "resque:taskhero:workers"),
    ],
)
def test_fixed_names(name: str, expected: str) -> None:
    assert getattr(Keys(), name) == expected
    if name != "ruby_master_lock":
        assert getattr(Keys("a:b"), name) == expected.replace("resque:", "a:b:", 1)
        assert getattr(Keys(""), name) == expected.replace("resque:", "", 1)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (Keys().queue("ns:with:colons"), "resque:queue:ns:with:colons"),
        (Keys().delayed(4102444800), "resque:delayed:4102444800"),
        (Keys().timestamps('{"class":"A"}'), 'resque:timestamps:{"class":"A"}'),
        (Keys().worker(WORKER), f"resque:worker:{WORKER}"),
        (Keys().started(WORKER), f"resque:worker:{WORKER}:started"),
        (Keys().ping("vm:18825+1"), "resque:worker:ping:vm:18825+1"),
        (Keys().processed_by("vm:1"), "resque:stat:processed:vm:1"),
        (Keys().failed_by("vm:1"), "resque:stat:failed:vm:1"),
        (Keys().wake("mail"), "resque:taskhero:wake:mail"),
        (Keys().named('lock:QueuedOnce:default:["x"]'), 'resque:lock:QueuedOnce:default:["x"]'),
        (Keys("").queue("mail"), "queue:mail"),
        (Keys("").named("lock:x"), "lock:x"),
    ],
)
def test_names_with_a_part(key: str, expected: str) -> None:
    assert key == expected


def test_ruby_s_lock_has_the_namespace_twice() -> None:
    assert Keys("app").ruby_master_lock == "app:app:resque_scheduler_master_lock"


def test_ruby_s_lock_has_the_prefix_that_its_schedulers_were_given() -> None:
    lock = Keys("resque", resque_scheduler_prefix="shop").ruby_master_lock
    assert lock == "resque:resque:shop:resque_scheduler_master_lock"


def test_it_shows_its_namespace() -> None:
    assert repr(Keys("app")) == "Keys('app')"
    assert Keys("app").namespace == "app"
