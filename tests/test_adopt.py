"""An existing database is adopted, migrated and proved without an edit, and nobody else notices."""

import pytest
from adoption.place import SHOP, login_of, place_for
from adoption.rows import Filler

UUIDS = [f"00000000-0000-4000-8000-00000000000{place}" for place in range(1, 6)]
IDS = {"uuid": UUIDS, "bigint": [7, 8, 9, 3_000_000_000, 11], "text": ["acme", "b-7", "c", "d", "e"]}
FAMILIES = {"uuid": "uuid", "bigint": "integer", "text": "text"}


@pytest.fixture(params=IDS)
def shop(stack, tmp_path, request):
    """The shop with rows of five tenants."""
    kind = request.param
    text = SHOP.read_text().replace("{type}", kind)
    with place_for(stack.admin_url, f"shop_{kind}", tmp_path / "adopted", text, id_type=FAMILIES[kind]) as place:
        filler = Filler(
            place.admin,
            ["shop", "billing"],
            ("shop.accounts", "id"),
            IDS[kind],
            fixed={
                (table, "account_id"): lambda number: IDS[kind][number]
                for table in (
                    "shop.orders",
                    "shop.Delivery Notes",
                    "shop.events",
                    "shop.sessions",
                    "shop.devices",
                    "shop.visits",
                    "shop.guarded",
                    "billing.orders",
                    "shop.loans",
                    "shop.categories",
                )
            },
        )
        filler.fill(4)
        yield place, kind


def test_the_shop_is_adopted_and_proved(shop) -> None:
    place, kind = shop
    place.adopt("account_id", shared=["shop.countries"])
    assert place.migrate()
    place.register(IDS[kind])
    assert place.doctor() == []
    with login_of(place) as login:
        for name, table in place.tables.items():
            for tenant in IDS[kind][:3]:
                assert place.seen(login, table, tenant) == place.truth(table, tenant), (name, tenant)
