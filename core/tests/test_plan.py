"""Plans: plain data that compares, pickles and goes through JSON, and carries no secret away."""

import copy
import pickle
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import holdfast
from holdfast.api import DumpRequest, RestoreRequest
from holdfast.errors import UsageError
from holdfast.pipeline import Pipeline
from holdfast.plan import BackupPlan, Plan, RestorePlan
from holdfast.plugins.builtin import NoCodec

TEXTS = st.lists(st.text(max_size=10), max_size=3).map(tuple)
URLS = st.sampled_from(["sqlite:///app.db", "mysql://me@h:3306/db", "memory://host/app?timeout=x"])
OPTIONS = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(0, 9) | st.booleans(), max_size=3)
BACKUPS = st.builds(
    BackupPlan,
    source=URLS,
    store=st.none() | st.text(max_size=10),
    codec=st.none() | st.just("zstd:3"),
    checksums=TEXTS,
    jobs=st.none() | st.integers(1, 256),
    select=TEXTS,
    options=OPTIONS,
    proof=st.none() | st.booleans(),
    adopt=st.booleans(),
    tags=st.lists(st.sampled_from(["nightly", "before upgrade", "é", "v1.2"]), max_size=3).map(tuple),
)
RESTORES = st.builds(
    RestorePlan,
    backup=st.sampled_from(["latest", "app/latest", "20260101T000000Z-aaaaaa"]),
    target=URLS,
    store=st.none() | st.text(max_size=10),
    replace=st.booleans(),
    live=st.booleans(),
    check=st.none() | st.booleans(),
    jobs=st.none() | st.integers(1, 256),
    select=TEXTS,
    options=OPTIONS,
)


@given(BACKUPS | RESTORES)
def test_a_plan_is_equal_after_pickle_json_and_plain_data(plan: BackupPlan | RestorePlan) -> None:
    kind = type(plan)
    for same in (
        pickle.loads(pickle.dumps(plan)),
        kind.from_json(plan.to_json()),
        kind.from_data(plan.as_data()),
        plan.replace() if isinstance(plan, BackupPlan) else plan.evolve(),
    ):
        assert (same, hash(same)) == (plan, hash(plan))


SECRETS = ["mysql://me:SECRET@h/db", "postgresql://h/db?password=SECRET", "postgresql://h/db?sslpassword=SECRET"]


@pytest.mark.parametrize("source", SECRETS)
def test_a_plan_with_a_secret_in_its_url_cannot_be_serialized(source: str) -> None:
    for plan in (BackupPlan(source=source), RestorePlan(backup="latest", target=source)):
        for way in (plan.as_data, plan.to_json, partial(pickle.dumps, plan)):
            with pytest.raises(UsageError, match=r"(secret|password) and cannot be serialized") as caught:
                way()
            assert "SECRET" not in caught.value.message
            assert all(where in (caught.value.hint or "") for where in ("PGPASSWORD", "MYSQL_PWD", "~/.pgpass"))


@pytest.mark.parametrize("source", SECRETS)
def test_a_plan_is_shown_without_the_secrets_of_its_url(source: str) -> None:
    assert "SECRET" not in repr(BackupPlan(source=source))
    assert "SECRET" not in repr(RestorePlan(backup="latest", target=source))


@pytest.mark.parametrize("jobs", [0, -1, 257, 10**9])
def test_jobs_are_a_number_from_1_to_256(jobs: int) -> None:
    with pytest.raises(UsageError, match=f"jobs is {jobs}, expected a whole number from 1 to 256"):
        BackupPlan(source="sqlite:///a", jobs=jobs)
    with pytest.raises(UsageError, match="jobs"):
        RestorePlan(backup="latest", target="sqlite:///a", jobs=jobs)
    with pytest.raises(UsageError, match="jobs"):
        holdfast.drill("latest", jobs=jobs)


@pytest.mark.parametrize(
    "data",
    [
        *({}, [], "x", {"source": 3}, {"source": "no url"}),
        *({"source": "sqlite:///a", **more} for more in ({"sauce": 1}, {"jobs": "two"}, {"jobs": 0})),
    ],
)
def test_data_that_is_no_plan_is_a_usage_error(data: Any) -> None:
    with pytest.raises(UsageError):
        BackupPlan.from_data(data)
    with pytest.raises(UsageError, match="not a restore plan"):
        RestorePlan.from_data(data)


@pytest.mark.parametrize("text", ["", "{", "null", b"\xff"])
def test_json_that_is_no_plan_is_a_usage_error(text: str | bytes) -> None:
    with pytest.raises(UsageError, match="not a backup plan"):
        BackupPlan.from_json(text)
    with pytest.raises(UsageError, match="not a restore plan"):
        RestorePlan.from_json(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("source", value) for value in (3, None, b"sqlite:///a", Path("a.db"))),
        *((name, "nightly") for name in ("tags", "select", "exclude", "checksums", "check", "proof", "adopt", "jobs")),
        *(("tags", value) for value in (None, 5, [1])),
        *(("jobs", value) for value in (2.5, True)),
        *(("options", value) for value in (None, ["a"], {1: 2})),
        *(("name", 5), ("codec", NoCodec()), ("store", Path("backups"))),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_when_the_plan_is_made(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        BackupPlan(**{"source": "sqlite:///a", name: value})
    with pytest.raises(UsageError, match=name):
        BackupPlan(source="sqlite:///a").replace(**{name: value})


@pytest.mark.parametrize("check", [None, True, False, "full"])
def test_a_check_is_on_off_or_full(check: Any) -> None:
    plan = BackupPlan(source="sqlite:///a", check=check)
    assert BackupPlan.from_json(plan.to_json()).check is check or plan.check == "full"
    assert plan.request_fields(DumpRequest).get("check") == check
    restore = RestorePlan(backup="latest", target="sqlite:///a", check=check)
    assert restore.request_fields(RestoreRequest).get("check") == check
    with pytest.raises(UsageError, match="check: "):
        RestorePlan(backup="latest", target="sqlite:///a", check="fuller")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["replace", "live", "allow_damaged"])
def test_a_text_is_no_switch_of_a_restore(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: expected `bool"):
        RestorePlan(**{"backup": "latest", "target": "sqlite:///a", name: "no"})  # type: ignore[arg-type]


def test_lists_become_tuples_and_options_are_the_plans_own() -> None:
    options = {"a": 1}
    plan = BackupPlan(source="sqlite:///a", tags=["x"], options=options)
    restore = RestorePlan(backup="latest", target="sqlite:///a", select=["x"], options=options)
    options["a"] = 2
    assert (plan.tags, plan.options) == (("x",), {"a": 1})
    assert (restore.select, restore.options) == (("x",), {"a": 1})


def test_a_secret_in_the_url_of_the_store_stays_in_the_process_too() -> None:
    store = "s3://key:SECRET@host/bucket"
    plan = BackupPlan(source="sqlite:///a", store=store)
    restore = RestorePlan(backup="latest", target="sqlite:///a", store=store)
    assert "SECRET" not in repr(plan) + repr(restore) + repr(Pipeline(source="sqlite:///a", store=store))
    ways: list[Any] = [plan.to_json, lambda: pickle.dumps(plan), lambda: pickle.dumps(restore)]
    for way in ways:
        with pytest.raises(UsageError, match="cannot be serialized"):
            way()


def test_a_plan_of_a_restore_pickles_unless_its_target_holds_a_secret() -> None:
    plan = RestorePlan(backup="latest", target="sqlite:///a", select=("x",), options={"a": 1})
    assert pickle.loads(pickle.dumps(plan)) == plan
    for target in SECRETS:
        with pytest.raises(UsageError, match="cannot be serialized"):
            pickle.dumps(RestorePlan(backup="latest", target=target))


def test_a_plan_of_a_restore_is_shown_as_it_was_made() -> None:
    plan = RestorePlan(backup="latest", target="mysql://me:SECRET@h/db", replace=True, jobs=2)
    assert repr(plan) == "RestorePlan(backup='latest', target='mysql://me:***@h/db', replace=True, jobs=2)"
    assert plan.evolve(replace=False, target="sqlite:///a").to_json() == (
        '{"backup":"latest","target":"sqlite:///a","jobs":2}'
    )


@pytest.mark.parametrize("plan", [BackupPlan(source="sqlite:///a"), RestorePlan(backup="latest", target="sqlite:///a")])
def test_a_misspelt_field_is_refused_and_told_which_there_are(plan: BackupPlan | RestorePlan) -> None:
    change: Any = plan.replace if isinstance(plan, BackupPlan) else plan.evolve
    with pytest.raises(UsageError, match=rf"no option 'jbos' \(there are: {', '.join(plan.__struct_fields__)}\)"):
        change(jbos=2)


def test_a_plan_cannot_be_changed() -> None:
    plan = BackupPlan(source="sqlite:///a")
    with pytest.raises(AttributeError):
        plan.source = "sqlite:///b"  # type: ignore[misc]
    assert plan.replace(jobs=3).jobs == 3
    plan = BackupPlan(source="sqlite:///a", options={"method": ["raw"]})
    options: Any = plan.options
    for change in (partial(options.update, x=1), partial(options.pop, "method")):
        with pytest.raises(TypeError, match="make another plan"):
            change()
    assert len({plan, pickle.loads(pickle.dumps(plan)), copy.deepcopy(plan), plan.replace(jobs=None)}) == 1
    assert plan.replace(options={"method": "raw"}).options == {"method": "raw"}
    with pytest.raises(UsageError):
        plan.replace(jobs=0)


def test_a_restore_into_what_is_no_url_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="not a database URL"):
        RestorePlan(backup="latest", target="copy.db")


@pytest.mark.parametrize("tag", ["", " ", "two\nlines", " before", "after ", "bell\a", "x" * 81, "é" * 41])
def test_a_tag_that_could_not_be_shown_or_taken_off_again_is_refused(tag: str) -> None:
    for make in (partial(BackupPlan, source="a:///b"), BackupPlan(source="a:///b").replace):
        with pytest.raises(UsageError, match="not a tag") as caught:
            make(tags=[tag])
        assert "\n" not in caught.value.message
    assert BackupPlan(source="a:///b", tags=("before upgrade", "x" * 80)).tags == ("before upgrade", "x" * 80)


@pytest.mark.parametrize(("plan", "request_type"), [(BackupPlan, DumpRequest), (RestorePlan, RestoreRequest)])
def test_what_a_request_takes_from_a_plan_by_name_has_the_same_type_there(plan: type[Plan], request_type: type) -> None:
    wanted = get_type_hints(request_type)
    shared = [field for field in msgspec.structs.fields(plan) if field.name in wanted.keys() - {"options", "jobs"}]
    assert {"select", "exclude", "check", "allow_damaged"} <= {field.name for field in shared}
    for field in shared:
        assert field.type in (wanted[field.name], wanted[field.name] | None), field.name


def test_a_request_gets_what_a_plan_says_and_its_own_default_where_it_says_nothing() -> None:
    plan = BackupPlan(source="sqlite:///a", select=["x"], proof=False, jobs=3, options={"a": 1})
    fields = {"select": ("x",), "exclude": (), "exclude_kinds": (), "proof": False, "allow_damaged": False}
    assert plan.request_fields(DumpRequest) == fields
    assert plan.replace(check=False).request_fields(DumpRequest) == {**fields, "check": False}
