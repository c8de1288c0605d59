"""Lists of small catalogues, a page at a time."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common import paging
from services.common.errors import InvalidInput


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 5))
def test_pages_give_everything_once_in_the_catalogues_own_order(keys: list[str], size: int) -> None:
    catalogue, seen, token = {key: key.upper() for key in keys}, [], ""
    for _ in range(len(keys) + 1):
        page, token = paging.page_of(catalogue, SimpleNamespace(page_size=size, page_token=token), "List")
        assert len(page) <= size
        seen += page
        if not token:
            break
    assert not token
    assert seen == list(catalogue.values())


@pytest.mark.parametrize(
    ("size", "token", "field"),
    [(-1, "", "page_size"), (1001, "", "page_size"), (0, "forged", "page_token"), (0, "Zm9yZ2Vk", "page_token")],
)
def test_a_wrong_page_is_refused_with_its_field(size: int, token: str, field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        paging.page_of({"a": 1}, SimpleNamespace(page_size=size, page_token=token), "List")
    assert [violation.field for violation in error.value.violations] == [field]


def test_a_token_of_another_list_is_refused() -> None:
    token = paging.make_token("ListA", "1")
    with pytest.raises(InvalidInput, match="was not given out by this method"):
        paging.page_of({"a": 1}, SimpleNamespace(page_size=0, page_token=token), "ListB")
