"""The context that ends the call of a client who left."""

import asyncio

import pytest

from server.http.cancellation import Cancellation


def test_the_block_is_cancelled_and_the_code_after_it_continues() -> None:
    async def main() -> list[str]:
        cancellation, seen = Cancellation(), list[str]()
        asyncio.get_running_loop().call_later(0.01, cancellation.cancel)
        with cancellation:
            try:
                await asyncio.sleep(10)
            finally:
                seen.append("ended")
        await asyncio.sleep(0)
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0
        return [*seen, "went on"]

    assert asyncio.run(main()) == ["ended", "went on"]


def test_cancelling_before_it_is_entered_ends_it_at_its_first_wait() -> None:
    async def main() -> bool:
        cancellation = Cancellation()
        cancellation.cancel()
        with cancellation:
            await asyncio.sleep(10)
            return False
        return True

    assert asyncio.run(main())


def test_cancelling_after_it_is_over_does_nothing() -> None:
    async def main() -> None:
        cancellation = Cancellation()
        with cancellation:
            pass
        cancellation.cancel()
        await asyncio.sleep(0)

    asyncio.run(main())


@pytest.mark.parametrize("both", [False, True])
def test_another_cancellation_of_the_task_is_not_delayed(both: bool) -> None:
    async def call(cancellation: Cancellation) -> None:
        with cancellation:
            await asyncio.sleep(10)

    async def main() -> None:
        cancellation = Cancellation()
        task = asyncio.create_task(call(cancellation))
        await asyncio.sleep(0)
        if both:
            cancellation.cancel()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_an_error_of_what_runs_in_it_is_raised() -> None:
    async def main() -> None:
        with Cancellation():
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(main())
