"""Database URLs: nothing of an odd name is lost, nothing of a secret is shown."""

from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.url import HARMLESS, DatabaseURL, list_harmless, redact, secrets_of

SCHEMES = st.from_regex(r"[a-z][a-z0-9+.-]{0,12}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=()), max_size=30)  # lone surrogates stand for undecodable bytes
HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{0,4}:[0-9a-f:]{1,20}", fullmatch=True),
    st.just("/var/run/postgresql"),
)
PORTS = st.none() | st.integers(1, 65535)
# What os.fsdecode makes of any bytes, and so what a path or a password of bytes looks like.
BYTES_TEXT = st.binary(max_size=30).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@st.composite
def urls(draw: st.DrawFn) -> DatabaseURL:
    user = draw(st.none() | BYTES_TEXT)
    return DatabaseURL(
        scheme=draw(SCHEMES),
        user=user,
        password=None if user is None else draw(st.none() | BYTES_TEXT),
        hosts=tuple(draw(st.lists(st.tuples(HOSTS, PORTS), max_size=3))),
        path=draw(st.just("") | BYTES_TEXT.map("/{}".format)),
        query=tuple(draw(st.lists(st.tuples(BYTES_TEXT, BYTES_TEXT), max_size=3))),
    )


@given(urls())
def test_a_url_written_and_parsed_again_is_equal(url: DatabaseURL) -> None:
    assert DatabaseURL.parse(url.text()) == url


@given(urls(), BYTES_TEXT)
def test_a_redacted_url_is_the_same_whatever_the_password_was(url: DatabaseURL, other: str) -> None:
    first = replace(url, user="me", password="PASSWORD")
    second = replace(first, password=other)
    assert first.redacted() == second.redacted() == redact(second.text())
    assert repr(first) == repr(second)
    assert "PASSWORD" not in first.redacted() + repr(first)


@given(urls(), st.text("abcXYZ0189", min_size=8, max_size=12), BYTES_TEXT)
def test_a_value_of_the_query_is_shown_only_where_it_is_known_to_be_harmless(
    url: DatabaseURL, secret: str, key: str
) -> None:
    assume(secret not in url.text())
    with_secret = DatabaseURL(scheme=url.scheme, hosts=url.hosts, path=url.path, query=(("x" + key, secret),))
    redacted = with_secret.redacted()
    assert (secret in redacted) == (("x" + key).lower() in HARMLESS)
    assert secret not in repr(with_secret)


@pytest.fixture
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a registry has listed so far is forgotten."""
    monkeypatch.setattr("holdfast.url._listed", {})


@pytest.mark.usefixtures("no_plugins")
def test_what_an_engine_lists_is_shown_in_urls_of_its_scheme_alone() -> None:
    text = "postgresql://db/app?sslmode=require&connect_timeout=7&sslpassword=hush"
    assert redact(text) == "postgresql://db/app?sslmode=***&connect_timeout=7&sslpassword=***"
    assert secrets_of(text) == ["require", "hush"]
    list_harmless("postgresql", frozenset({"sslmode"}))
    assert redact(text.upper()).endswith("APP?SSLMODE=REQUIRE&CONNECT_TIMEOUT=7&SSLPASSWORD=***")
    assert secrets_of(text) == ["hush"]
    assert redact(text.replace("postgresql", "mysql")).startswith("mysql://db/app?sslmode=***&")


def said(text: str) -> str:
    """What a person gets to see of a URL: its redacted form, or the error with its hint."""
    try:
        return DatabaseURL.parse(text).redacted()
    except UsageError as error:
        return f"{error.message} {error.hint}"


# A password typed as it is, with whatever a URL gives a meaning to.
RAW_PASSWORDS = st.text(st.sampled_from("ab9/?#@:%&=[], é"), max_size=12)


@given(RAW_PASSWORDS, RAW_PASSWORDS)
@example("12/", "")
@example("12?", "")
@example("a@b/", "c")
@example("9?x=", "")
def test_a_password_that_was_not_encoded_is_not_shown_either(before: str, after: str) -> None:
    secret = "SECRET"
    text = f"postgresql://user:{before}{secret}{after}@db.example/app"
    assert secret not in redact(text)
    assert secret not in said(text)


@given(TEXT)
@example("~\U00018cd6")
@example("./a\x1b[2J")
def test_any_text_is_a_url_or_a_usage_error(text: str) -> None:
    assert said(text).isprintable()
    assert redact(text).isprintable()


@pytest.mark.parametrize("text", ["", "app.db", "sqlite:/app.db", "://x", "1x://h", "postgresql//h"])
def test_what_has_no_scheme_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="not a database URL") as caught:
        DatabaseURL.parse(text)
    assert "sqlite:///app.db" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "display", "hint"),
    [
        ("host=db user=app password=tiger://x dbname=shop", "'host=***'", "postgresql://app@"),
        ("Server=db;Database=shop;User Id=app;Password=tiger;", "'Server=***'", "postgresql://app@"),
        ("password = tiger", "'password =***'", "postgresql://app@"),
        ("jdbc:postgresql://db/shop?user=app&password=tiger", "'jdbc:postgresql://db/shop'", "leave 'jdbc:' out"),
    ],
)
def test_a_connection_string_is_refused_without_its_password(text: str, display: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        DatabaseURL.parse(text)
    assert caught.value.message == f"not a database URL: {display}"
    assert hint in (caught.value.hint or "")
    assert "tiger" not in redact(text)


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1", "٣", "1e3", pytest.param("9" * 5000, id="huge")])
def test_a_port_is_a_number_from_1_to_65535(port: str) -> None:
    with pytest.raises(UsageError, match="port in the mysql URL is not a number from 1 to 65535"):
        DatabaseURL.parse(f"mysql://h:{port}/db")


@pytest.mark.parametrize("text", ["sqlite:///a%2", "mysql://u:%zz@h/db", "sqlite:///100%"])
def test_a_lone_percent_sign_is_refused_with_its_encoding(text: str) -> None:
    with pytest.raises(UsageError, match="two hexadecimal digits") as caught:
        DatabaseURL.parse(text)
    assert caught.value.hint == "write a literal % as %25"


@pytest.mark.parametrize("host", ["[::1", "[::1]x", "[]", "a]b"])
def test_a_malformed_ipv6_address_is_refused(host: str) -> None:
    with pytest.raises(UsageError):
        DatabaseURL.parse(f"mysql://{host}/db")


def test_each_part_of_a_full_url_is_found() -> None:
    url = DatabaseURL.parse("PostgreSQL://me:p%40ss@[::1]:5433,b.example/my%20db?sslmode=require&password=x")
    assert (url.scheme, url.user, url.password) == ("postgresql", "me", "p@ss")
    assert url.hosts == (("::1", 5433), ("b.example", None))
    assert (url.path, url.query) == ("/my db", (("sslmode", "require"), ("password", "x")))
    assert url.redacted().partition("?")[0] == "postgresql://me:***@[::1]:5433,b.example/my%20db"


def test_a_file_name_may_hold_at_signs_and_hashes() -> None:
    assert DatabaseURL.parse("sqlite:////srv/a@b#c.db").path == "//srv/a@b#c.db"
    assert DatabaseURL.parse("sqlite:///caf%E9.db").path == "/caf\udce9.db"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", " ", "\t"])
@pytest.mark.parametrize("url", ["sqlite:///app.db", "postgresql://app:secret@db/shop"])
def test_what_a_file_of_variables_leaves_at_the_end_is_told(url: str, end: str) -> None:
    with pytest.raises(UsageError, match="at its end") as caught:
        DatabaseURL.parse(url + end)
    assert "secret" not in str(caught.value)
    assert "\r" not in str(caught.value)
