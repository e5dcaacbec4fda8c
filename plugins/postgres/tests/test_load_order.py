from holdfast_postgres.restore.load_order import levels


def test_what_is_referred_to_goes_first_and_circles_go_last() -> None:
    a, b, c, d = (("public", name) for name in "abcd")
    assert levels({a: {b, c}, b: {c}, c: set()}) == {c: 0, b: 1, a: 2}
    assert levels({a: {b}, b: {a, c}, c: set(), d: {a}}) == {c: 0, a: 1, b: 1, d: 1}
    assert levels({}) == {}
