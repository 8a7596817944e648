from __future__ import annotations

import base64
import json
import string
import time

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.observe import Step
from llamaindex_vecx.observe.redaction import Redactor
from llamaindex_vecx.observe.secrets import MARK, SecretFinder, is_secret_name

FINDER = SecretFinder()
WORDS = st.text(alphabet=string.ascii_lowercase + "가나다 .,?", max_size=40)
KEY = st.text(alphabet=string.ascii_letters + string.digits + "-_", min_size=20, max_size=60)
PASSWORD = st.text(
    alphabet=string.ascii_letters + string.digits + "!$%^*+~#", min_size=8, max_size=30
)
HEX = st.text(alphabet="0123456789abcdef", min_size=40, max_size=40)
NAMES = st.sampled_from(
    ["password", "passwd", "PWD", "api_key", "apiKey", "API-KEY", "OPENAI_API_KEY", "secret", "token",
     "access_token", "client_secret", "AWS_SECRET_ACCESS_KEY", "AccountKey", "private_key", "비밀번호"]
)  # fmt: skip
EQUALS = st.sampled_from(["=", ": ", " = ", "=>", ":"])
QUOTES = st.sampled_from(["", "'", '"'])
PREFIXES = st.sampled_from(
    ["sk-", "sk-proj-", "sk-ant-api03-", "ghp_", "github_pat_", "hf_", "pcsk_", "xoxb-", "glpat-",
     "gsk_", "AIza", "wandb_v1_", "npm_", "lsv2_", "nvapi-"]
)  # fmt: skip


@st.composite
def secrets(draw: st.DrawFn) -> tuple[str, str]:
    """A secret, and how it stands in a text."""
    kind = draw(st.integers(0, 8))
    password, key = draw(PASSWORD), draw(KEY)
    if kind == 0:
        quote = draw(QUOTES)
        return password, f"{draw(NAMES)}{draw(EQUALS)}{quote}{password}{quote}"
    if kind == 1:
        scheme = draw(
            st.sampled_from(["postgresql", "mysql+pymysql", "redis", "mongodb+srv", "https"])
        )
        user = draw(st.sampled_from(["", "admin", "bob.smith"]))
        return password, f"{scheme}://{user}:{password.replace('#', '')}@db.example:5432/kb"
    if kind == 2:
        return key, f"Authorization: Bearer {key}"
    if kind == 3:
        told = base64.b64encode(f"bob:{password}".encode()).decode()
        return told, f"authorization: Basic {told}"
    if kind == 4:
        prefixed = draw(PREFIXES) + "a1" + draw(st.from_regex(r"[A-Za-z0-9]{30}", fullmatch=True))
        return prefixed, prefixed
    if kind == 5:
        body = base64.b64encode(key.encode() * 3).decode()
        return body, f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"
    if kind == 6:
        digest = draw(HEX)
        return digest, digest
    if kind == 7:
        parts = [draw(st.from_regex(r"[A-Za-z0-9]{20,30}", fullmatch=True)) for _ in range(3)]
        return parts[2], f"eyJ{parts[0]}.{parts[1]}.{parts[2]}"
    return password, f"Server=db;User=bob;Password={password};Database=kb"


@settings(suppress_health_check=[HealthCheck.too_slow])  # regular expressions, on a busy machine
@given(secrets(), WORDS, WORDS)
def test_a_secret_does_not_come_through(secret, before, after):
    hidden, text = secret
    hidden = hidden.replace("#", "") if "://" in text else hidden
    assume(hidden not in before + after)
    clean = FINDER.strike(f"{before} {text} {after}")
    assert hidden not in clean
    assert MARK in clean
    assert clean.startswith(before[:3])


@given(secrets(), WORDS, st.sampled_from(["question", "answer", "error", "prompt", "ids", "texts",
                                           "parameters", "deep", "name"]))  # fmt: skip
def test_nor_in_any_part_of_a_step(secret, word, part):
    hidden, text = secret
    hidden = hidden.replace("#", "") if "://" in text else hidden
    assume(hidden not in word)
    said = f"{word} {text}"
    inner = Step("search", "Store", 0.0)
    if part in ("ids", "texts"):
        setattr(inner, part, [said])
    elif part == "parameters":
        inner.parameters = {"filter": said}
    elif part == "deep":
        inner.parameters = {"a": [{"b": (said,)}]}
    elif part == "name":
        inner.parameters = {said: 1}
    else:
        setattr(inner, part, said)
    trace = Step("query", "Engine", 0.0, children=[inner])
    redactor = Redactor(texts=["questions", "answers", "errors", "prompts", "nodes"])
    clean = redactor.step(trace)
    written = repr(clean)
    assert hidden not in written
    assert hidden not in json.dumps(clean.children[0].parameters, ensure_ascii=False)
    assert trace.children[0] is inner, "the trace itself is not changed"


@given(st.text(max_size=200))
def test_any_text_goes_through_and_twice_is_as_once(text):
    clean = FINDER.strike(text)
    assert FINDER.strike(clean) == clean or MARK in clean


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "서울의 궁궐과 한강의 다리를 걷는다",
        "basic principles of bearer bonds",
        "How many tokens does the tokenizer make of this token?",
        "550e8400-e29b-41d4-a716-446655440000",
        "see https://docs.example.com/a/b?page=2#top and mail to team",
        "error E1042 on startup, see /usr/lib/python3/dist-packages/package/module.py",
        "the passage about the secretary, and her passport",
    ],
)
def test_ordinary_texts_are_left_alone(text):
    assert FINDER.strike(text) == text


@pytest.mark.parametrize("name", ["api_key", "openaiApiKey", "PGPASSWORD", "Authorization", "DSN",
                                  "access_token", "SSH_KEY", "connection_string", "cookie"])  # fmt: skip
def test_names_of_secrets(name):
    assert is_secret_name(name)
    assert Redactor().plain({name: object(), "x": {name: 5}}) == {name: MARK, "x": {name: MARK}}


@pytest.mark.parametrize("name", ["max_tokens", "top_k", "key", "group_by", "tokenizer", "tokens",
                                  "total_tokens", "monkey", "passage", "mode"])  # fmt: skip
def test_names_of_no_secrets(name):
    assert not is_secret_name(name)
    assert Redactor().plain({name: 5}) == {name: 5}


def test_values_of_the_environment_and_of_the_user(monkeypatch):
    monkeypatch.setenv("TEAM_TOKEN", "blue-horse-7")
    redactor = Redactor(secrets=["Paul"])
    assert redactor.text("ask Paul for blue-horse-7") == f"ask {MARK} for {MARK}"


def test_a_cut_does_not_open_a_secret():
    text = "x " * 1_990 + "password=" + "hunter2" * 20
    clean = Redactor().text(text)
    assert "hunter2" not in clean
    assert len(clean) < 4_100


def test_ones_own_redaction_and_one_that_breaks():
    assert Redactor(redact=str.upper).text("kim") == "KIM"
    broken = Redactor(redact=lambda text: 1 / 0)
    assert broken.text("kim") == "[redact raised ZeroDivisionError]"
    with pytest.raises(InvalidInputError, match="redact"):
        Redactor(redact=3)  # type: ignore[arg-type]


def test_texts_that_are_not_asked_for():
    step = Step("query", "Engine", 0.0, question="who?", answer="me", error="KeyError: 'who?'")
    bare = Redactor(texts=()).step(step)
    assert (bare.question, bare.answer, bare.error) == (
        "[4 characters]",
        "[2 characters]",
        "KeyError",
    )
    with pytest.raises(InvalidInputError, match="question"):
        Redactor(texts=["question"])


@pytest.mark.parametrize("text", ["a" * 8_000, "token " * 1_500, "a_" * 4_000, "://" * 2_600 + "@",
                                  "eyJ-" * 2_000, "password" * 1_000, "x=" * 4_000, "-----BEGIN " * 700,
                                  "Bearer " * 1_100, '"' * 8_000, "pass is " * 1_000])  # fmt: skip
def test_no_text_takes_long(text):
    began = time.process_time()
    FINDER.strike(text)
    assert time.process_time() - began < 0.25
