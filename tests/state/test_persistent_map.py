"""Maps that share what stays: whatever happens to one, it says what a dict would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from istio_netpol.state.persistent_map import PersistentMap
from istio_netpol.state.tally import Tally

keys = st.integers(0, 400)
steps = st.lists(st.tuples(st.dictionaries(keys, st.integers(), max_size=150), st.sets(keys)), max_size=6)


@given(steps)
def test_a_changed_map_is_as_a_dict_and_leaves_the_one_before_alone(
    changes: list[tuple[dict[int, int], set[int]]],
) -> None:
    """However it grows and shrinks."""
    found, expected = PersistentMap[int, int](), dict[int, int]()
    for put, gone in changes:
        before, then = found, dict(expected)
        for key in gone:
            expected.pop(key, None)
        expected |= put
        found = before.after(put, gone)
        assert dict(found) == dict(found.items()) == expected
        assert sorted(found.values()) == sorted(expected.values())
        assert len(found) == len(expected)
        assert all((key in found) == (key in expected) for key in range(400))
        assert found.get(401, "absent") == "absent"
        assert dict(before) == then


@given(
    st.dictionaries(keys, st.sampled_from("ab")), st.dictionaries(keys, st.sampled_from("ab")), st.sets(keys)
)
def test_differences_are_what_is_another_object(
    entries: dict[int, str], put: dict[int, str], gone: set[int]
) -> None:
    """Between a map and the one after a change, and between any two."""
    before = PersistentMap(entries)
    after = before.after(put, gone)
    expected = {
        key: (entries.get(key), after.get(key))
        for key in range(401)
        if entries.get(key) is not after.get(key)
    }
    for other in (after, PersistentMap(dict(after))):
        assert {key: (was, now) for key, was, now in before.differences(other)} == expected


def test_a_change_that_changes_nothing_gives_the_same_map() -> None:
    """Whoever compares maps by identity sees that there is nothing to do."""
    before = PersistentMap({"a": 1})
    assert before.after({"a": 1}, ["absent"]) is before


def test_a_change_copies_little_of_a_large_map() -> None:
    """The rest is shared."""
    before = PersistentMap({number: number for number in range(10_000)})
    after = before.after({5: 6}, [7])
    shared = {id(bucket) for bucket in before._buckets} & {id(bucket) for bucket in after._buckets}
    assert len(shared) >= len(before._buckets) - 2


values = st.integers(0, 30)


@given(st.lists(values, max_size=40), st.lists(values, max_size=40), st.data())
def test_a_tally_has_each_value_that_is_left_once_and_sorted(
    first: list[int], second: list[int], data: st.DataObject
) -> None:
    """As often as values came, so often they have to go."""
    counted = Tally[int]().after((), first)
    gone = data.draw(st.lists(st.sampled_from(range(len(first))), unique=True)) if first else []
    left = [value for position, value in enumerate(first) if position not in gone]
    after = counted.after([first[position] for position in gone], second)
    assert after.values == tuple(sorted({*left, *second}))
    assert counted.values == tuple(sorted(set(first)))
    assert after.after(second, [first[position] for position in gone]).values == counted.values


def test_a_tally_keeps_its_values_where_only_their_numbers_change() -> None:
    """Pods that share a node with others come and go."""
    counted = Tally[str]().after((), ["a", "b"])
    assert counted.after((), ["b"]).values is counted.values


def test_a_key_without_a_value_that_goes_is_a_difference() -> None:
    """Sets are maps to None."""
    entries, nothing = PersistentMap({"a": None}), PersistentMap[str, None]()
    assert [key for key, *_ in entries.differences(nothing)] == ["a"]
    assert [key for key, *_ in nothing.differences(entries)] == ["a"]
