from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.resolve.cluster import STRONG_BITS, Edge, cluster_records


def same(a, b, score=18.0):
    return Edge(a, b, score, True, False)


def conflict(a, b):
    return Edge(a, b, -5.0, False, True)


def test_links_join_and_labels_are_the_smallest_member():
    assert cluster_records([same(1, 3), same(3, 4)]).labels == {1: 1, 3: 1, 4: 1}


def test_members_in_conflict_are_never_joined_by_a_third():
    result = cluster_records([same(0, 1, 25), same(1, 2), conflict(0, 2)])
    assert result.groups == [[0, 1], [2]]
    assert result.refused == {(1, 2): "conflit_dans_le_groupe"}


def test_one_weak_link_does_not_chain_two_groups():
    groups = [same(0, 1, 30), same(2, 3, 30)]
    assert cluster_records([*groups, same(1, 2, 5)]).groups == [[0, 1], [2, 3]]
    assert cluster_records([*groups, same(1, 2, 5), same(0, 3, 5)]).groups == [[0, 1, 2, 3]]
    assert cluster_records([*groups, same(1, 2, STRONG_BITS)]).groups == [[0, 1, 2, 3]]


def test_decisions_win():
    assert cluster_records([conflict(0, 1)], must=[(0, 1)]).groups == [[0, 1]]
    result = cluster_records([same(0, 1, 40), same(1, 2, 40)], cannot=[(0, 2)])
    assert len(result.groups) == 2
    assert set(result.refused.values()) == {"decision_contraire"}


EDGES = st.lists(
    st.tuples(
        st.integers(0, 8), st.integers(0, 8), st.integers(0, 30), st.booleans(), st.booleans()
    )
    .filter(lambda e: e[0] < e[1])
    .map(lambda e: Edge(e[0], e[1], float(e[2]), e[3] and not e[4], e[4])),
    max_size=20,
    unique_by=lambda e: (e.a, e.b),
)


@given(EDGES, st.randoms())
def test_the_order_of_pairs_is_of_no_account_and_conflicts_are_kept_apart(edges, random):
    result = cluster_records(edges)
    shuffled = list(edges)
    random.shuffle(shuffled)
    assert cluster_records(shuffled) == result
    assert all(result.labels[e.a] != result.labels[e.b] for e in edges if e.conflict)
