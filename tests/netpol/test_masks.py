"""Sets of workloads as bit masks."""

from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some
from tests.netpol.port_numbers import SETS

from istio_netpol.netpol.masks import LabelMasks, overlay, positions
from istio_netpol.netpol.port_sets import NOTHING, PortSets

EIGHT = 255
masks = st.integers(0, EIGHT)


@given(masks)
def test_positions_are_the_bits_of_a_mask(mask):
    """Whoever is in a set is listed once, in order."""
    assert list(positions(mask)) == [bit for bit in range(8) if mask >> bit & 1]


@given(st.lists(some.labels, max_size=8), some.selectors, masks)
def test_a_selector_selects_whom_its_labels_match(labelled, selector, everyone):
    """Each operator means to a set of workloads what it means to one of them, asked once or twice."""
    found = LabelMasks(((1 << bit, labels) for bit, labels in enumerate(labelled)), everyone)
    expected = sum(1 << bit for bit, labels in enumerate(labelled) if selector.matches(labels)) & everyone
    unlabelled = everyone >> len(labelled) << len(labelled)
    expected |= unlabelled if selector.matches({}) else 0
    assert found.select(selector) == expected
    assert found.select(selector) == expected


def _ports_of(cells, bit, sets):
    found = [number for number, mask in cells.items() if mask >> bit & 1]
    assert len(found) <= 1
    return sets.value(found[0]) if found else sets.value(NOTHING)


@given(st.lists(st.tuples(masks, st.integers(0, 4)), max_size=5))
def test_each_workload_has_all_ports_that_were_laid_over_it(layers):
    """A workload that several rules name has the ports of all of them, and is in one cell."""
    sets = PortSets()
    numbers = [NOTHING, *(sets.number(ports) for ports in SETS)]
    cells = {}
    for mask, index in layers:
        cells = overlay(cells, mask, numbers[index], sets)
    for bit in range(8):
        expected = sets.value(NOTHING)
        for mask, index in layers:
            if mask >> bit & 1:
                expected |= sets.value(numbers[index])
        assert _ports_of(cells, bit, sets) == expected
    assert all(cells.values())
