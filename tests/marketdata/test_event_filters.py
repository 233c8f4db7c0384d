"""Which events a registration wants: design.md §7, on events as nodes send them."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.client_messages import Filters
from marketdata.errors import ClientError
from marketdata.event_filters import (
    FEED_OF_TYPE,
    MAX_FILTERS_BYTES,
    Traits,
    completed,
    filters_text,
    matches,
    stored_filters,
    wanted,
)
from marketdata.event_traits import of_contract_event, of_market
from marketdata.messages import ContractEvent

SENDER = "GBRPYHIL2CI3FNQ4BXLFMNDLFJUNPU2HY3ZMFSHONUCEOASW7QC7OX2H"
POOL = "CAS3J7GYLGXMF6TDJBBYYSE3HQ6BBSMLNUQ34T6TZMYMW2EVH34XOWMA"
ISSUER = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
DECIMALS = st.decimals(min_value=0, max_value=10**12, places=10)


def symbol(text):
    return {"symbol": text}


def address(text):
    return {"address": text}


def string(text):
    return {"string": text}


def i128(number):
    return {"i128": str(number)}


def record(**members):
    return {"map": [{"key": symbol(name), "val": value} for name, value in members.items()]}


def event(topics, data):
    return ContractEvent(
        ledger=7,
        transaction_hash="ab" * 32,
        contract_id=POOL,
        topics=msgspec.Raw(json.dumps(topics).encode()),
        data=msgspec.Raw(json.dumps(data).encode()),
        id="0000000030064771072-0000000000",
        timestamp="2026-01-01T00:00:00Z",
        event_type="contract",
        transaction_index=0,
        operation_index=0,
        in_successful_call=True,
    )


def traits(topics, data="void"):
    return of_contract_event(event(topics, data))


def transfer(amount=10**9, asset=f"USDC:{ISSUER}"):
    topics = [symbol("transfer"), address(SENDER), address(POOL), string(asset)]
    return traits(topics, i128(amount))


def wants(seen, **filters):
    return matches(wanted(Filters(**filters)), seen)


@pytest.mark.parametrize(
    ("first", "types"),
    [
        ("transfer", {"contract_event", "payment"}),
        ("trade", {"contract_event", "trade"}),
        ("swap", {"contract_event", "trade"}),
        ("mint", {"contract_event"}),
    ],
)
def test_the_first_topic_tells_payments_and_trades(first, types):
    assert traits([symbol(first)]).types == types
    assert traits([string(first), symbol("else")]).types == types


def test_empty_types_are_the_chains_events_and_market_data_have_to_be_named():
    assert wants(transfer())
    for kind in ("price_update", "candle", "depth"):
        seen = of_market(kind, "BTC/USD")
        assert not wants(seen)
        assert wants(seen, types=(kind,))
        assert not wants(transfer(), types=(kind,))
    assert wanted(Filters()).feeds == {"events"}
    assert wanted(Filters(types=("depth", "candle"))).feeds == {"depth", "candles"}


def test_only_transfers_are_payments_and_only_swaps_are_trades():
    swap = traits([symbol("swap"), address(SENDER)])
    assert wants(transfer(), types=("payment",))
    assert not wants(swap, types=("payment",))
    assert wants(swap, types=("trade", "depth"))
    assert not wants(transfer(), types=("trade",))


@pytest.mark.parametrize(
    "data",
    [
        address(SENDER),
        {"vec": [i128(1), {"vec": [address(SENDER)]}]},
        record(a=record(b=address(SENDER))),
        {"map": [{"key": address(SENDER), "val": i128(1)}]},
    ],
)
def test_accounts_are_found_in_topics_and_at_any_depth_of_data(data):
    assert wants(traits([symbol("sync")], data), account_ids=("GOTHER", SENDER))
    assert not wants(traits([symbol("sync")], data), account_ids=(POOL,))
    assert wants(traits([symbol("sync"), {"vec": [data]}]), account_ids=(SENDER,))


def test_an_account_in_a_text_is_none():
    assert not wants(traits([symbol("sync")], string(SENDER)), account_ids=(SENDER,))


@pytest.mark.parametrize("code", ["USDC", f"USDC:{ISSUER}"])
def test_an_asset_is_asked_for_by_its_code_or_with_its_issuer(code):
    assert wants(transfer(), asset_codes=("EURC", code))
    assert wants(
        traits([symbol("x")], {"vec": [string(f"USDC:{ISSUER}")]}), asset_codes=(code,)
    )
    assert not wants(transfer(asset=f"usdc:{ISSUER}"), asset_codes=(code,))
    assert not wants(transfer(asset="USDC"), asset_codes=(code,))


@pytest.mark.parametrize("code", ["XLM", "native"])
def test_native_is_xlm(code):
    assert wants(transfer(asset="native"), asset_codes=(code,))
    assert not wants(transfer(), asset_codes=(code,))


@pytest.mark.parametrize("code", ["BTC", "USD"])
def test_market_data_are_matched_by_base_and_quote(code):
    for kind in ("price_update", "candle", "depth"):
        assert wants(of_market(kind, "BTC/USD"), types=(kind,), asset_codes=(code,))
        assert not wants(of_market(kind, "ETH/EUR"), types=(kind,), asset_codes=(code,))


def test_market_data_never_match_accounts_or_amounts():
    seen = of_market("depth", "BBCA")
    assert wants(seen, types=("depth",), asset_codes=("BBCA",))
    assert not wants(seen, types=("depth",), account_ids=(SENDER,))
    assert not wants(seen, types=("depth",), min_amount="1")


@pytest.mark.parametrize(
    ("data", "amount"),
    [
        (i128(5), 5),
        (i128(-5), -5),
        ({"u128": "6"}, 6),
        ({"i128": 7}, 7),
        ({"i128": {"hi": 1, "lo": 2}}, (1 << 64) + 2),
        ({"i128": {"hi": -1, "lo": (1 << 64) - 3}}, -3),
        ({"i128": {"hi": "1", "lo": "2"}}, (1 << 64) + 2),
        (record(amount=i128(8), to_muxed_id={"u64": "99"}), 8),
        (record(amount_in=i128(3), amount_out=i128(9)), 9),
        ({"vec": [i128(4), i128(2), {"u32": 60_000_000}]}, 4),
        (record(reserve_0=i128(5)), None),
        ({"u64": "5"}, None),
        ({"i128": "many"}, None),
        ({"i128": True}, None),
        ({"i128": {"hi": 1}}, None),
        ("void", None),
    ],
)
def test_the_amount_is_the_data_or_what_these_call_amount_or_list(data, amount):
    assert traits([symbol("transfer")], data).amount == amount


def test_a_minimum_is_in_whole_units_inclusive_and_exact():
    for least in ("100", 100, "100.0000000", "1e2", "99.99999991"):
        assert wants(transfer(100 * 10**7), min_amount=least)
        assert not wants(transfer(100 * 10**7 - 1), min_amount=least)
    large = 2**126
    assert wants(transfer(large), min_amount=f"{large // 10**7}.{large % 10**7:07d}")
    assert not wants(transfer(large - 1), min_amount=f"{large // 10**7}.{large % 10**7:07d}")


@given(DECIMALS, st.integers(0, 10**19))
def test_a_minimum_of_any_fineness_decides_as_exact_decimals_do(least, amount):
    expected = not least or amount >= least * 10**7
    assert wants(transfer(amount), min_amount=str(least)) == expected


def test_events_without_an_amount_match_no_minimum_but_zero():
    seen = traits([symbol("heartbeat")])
    assert not wants(seen, min_amount="0.0000001")
    assert wants(seen, min_amount="0")
    assert wants(seen, min_amount="")
    assert wants(seen, min_amount=None)


def test_all_that_is_filtered_by_must_match():
    filters = {"types": ("payment",), "asset_codes": ("USDC",), "min_amount": "100"}
    assert wants(transfer(), **filters, account_ids=(SENDER,))
    assert not wants(transfer(), **filters, account_ids=("GOTHER",))
    assert not wants(transfer(asset="native"), **filters)
    assert not wants(transfer(1), **filters)


def test_filters_are_echoed_with_their_defaults_and_the_amount_as_sent():
    nothing = Filters(types=None, account_ids=None, asset_codes=None, min_amount=None)
    assert completed(nothing) == Filters()
    asked = Filters(types=("trade",), asset_codes=("native",), min_amount=100)
    assert completed(asked) == asked
    assert stored_filters(filters_text(asked)) == asked


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("types", ("trade", "create_account"), "'create_account' is no type of event here"),
        ("types", ("TRADE",), "contract_event, payment, trade, price_update, candle, depth"),
        ("account_ids", ("",), "empty text"),
        ("asset_codes", ("x" * 129,), "more than 128 characters"),
        ("min_amount", "-1", "below zero"),
        ("min_amount", -1, "below zero"),
        ("min_amount", "-0.00000001", "below zero"),
        ("min_amount", "lots", "'lots' is not a decimal number"),
        ("min_amount", "NaN", "'NaN' is not a decimal number"),
        ("min_amount", "1e999", "not a usable decimal number"),
        ("min_amount", "1" * 65, "longer than 64 characters"),
    ],
)
def test_filters_that_are_none_are_refused_by_name(member, value, said):
    with pytest.raises(ClientError) as refused:
        wanted(Filters(**{member: value}))
    assert refused.value.code == "VALIDATION_ERROR"
    assert f"`{member}`" in str(refused.value)
    assert said in str(refused.value)


def test_a_thousand_accounts_can_be_asked_for_and_not_without_end():
    wanted(Filters(account_ids=tuple(SENDER[:-4] + f"{n:04d}" for n in range(1000))))
    with pytest.raises(ClientError, match=str(MAX_FILTERS_BYTES)):
        wanted(Filters(account_ids=tuple(f"{n:0128d}" for n in range(1000))))


@given(JSON, JSON)
def test_an_event_of_any_shape_has_traits(topics, data):
    seen = of_contract_event(event(topics, data))
    assert isinstance(seen, Traits)
    assert "contract_event" in seen.types <= FEED_OF_TYPE.keys()


def test_nesting_without_end_costs_its_event_the_traits_and_nobody_else():
    deep = msgspec.Raw(b"[" * 50_000 + b"]" * 50_000)
    plain = transfer()
    for topics, data in ((deep, msgspec.Raw(b'"void"')), (msgspec.Raw(b"[]"), deep)):
        broken = msgspec.structs.replace(event([], None), topics=topics, data=data)
        assert of_contract_event(broken) == Traits(frozenset({"contract_event"}))
    assert wants(plain, account_ids=(SENDER,))
