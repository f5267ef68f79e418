"""What a server says is taken only when it fits what was asked: pure, so that it can be asked a thousand times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.catalogue.answer import (
    NOTHING_KNOWN,
    REASON_MAX,
    VALIDATOR_MAX,
    Answer,
    DownloadError,
    Kind,
    Progress,
    Question,
    Validators,
    judge,
    strong,
)

MAX = 1000
TIME = "Sun, 22 Nov 2026 12:00:00 GMT"
BEGUN = Progress(etag='"one"', length=100, sha256="0" * 64, total=300)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["ETag", "Last-Modified", "Date", "Content-Range", "Content-Length", "Content-Encoding", "Retry-After"]
    ),
    st.text(max_size=40)
    | st.sampled_from(['"one"', "bytes 100-299/300", "bytes 100-299/*", "200", "300", "identity", TIME])
    | st.builds("bytes {}-{}/{}".format, st.integers(0, 400), st.integers(0, 400), st.integers(0, 400)),
)
QUESTIONS = st.builds(
    Question,
    known=st.builds(Validators, etag=st.none() | st.just('"k"'), last_modified=st.none() | st.just(TIME)),
    progress=st.none()
    | st.builds(
        Progress, etag=st.just('"one"'), length=st.just(100), sha256=st.just(""), total=st.none() | st.just(300)
    ),
)


def asked(question: Question, status: int, headers: dict[str, str]) -> Answer:
    """Judge an answer under the limit of 1,000 bytes."""
    return judge(question, status, headers, reason="Said", max_bytes=MAX)


def test_a_reason_is_one_line_that_can_be_shown() -> None:
    """A server cannot paint on the terminal or fill the log through its reason phrase."""
    with pytest.raises(DownloadError) as caught:
        judge(Question(), 500, {}, reason="\x1b[2J\u202e" + "a" * 60_000, max_bytes=MAX)
    assert str(caught.value).startswith("the server answers 500 ?[2J?aaa")
    assert len(str(caught.value)) == REASON_MAX


def outcome(question: Question, status: int, headers: dict[str, str]) -> Answer | DownloadError:
    """Judge an answer; a refusal is returned."""
    try:
        return asked(question, status, headers)
    except DownloadError as error:
        return error


@given(QUESTIONS, st.sampled_from([200, 206, 304, 416]) | st.integers(100, 999), HEADERS)
def test_an_answer_fits_its_question_or_is_an_error(question: Question, status: int, headers: dict[str, str]) -> None:
    """No answer raises anything else; a rest continues the very file; "unchanged" and "no rest" were asked about."""
    answer = outcome(question, status, headers)
    if isinstance(answer, DownloadError):
        assert str(answer).isprintable()
        assert answer.retry_after is None or status in {429, 503}
        return
    assert answer.total is None or answer.total <= MAX
    match answer.kind:
        case Kind.WHOLE:
            assert status == 200
        case Kind.REST:
            assert question.progress is not None
            assert status == 206
            assert headers["ETag"] == question.progress.etag
            assert headers["Content-Range"].startswith(f"bytes {question.progress.length}-")
            assert question.progress.total in {None, answer.total}
        case Kind.UNCHANGED:
            assert question.known != NOTHING_KNOWN
        case Kind.NO_SUCH_REST:
            assert question.progress is not None


@given(st.text(max_size=600))
def test_a_validator_is_kept_only_if_it_can_be_sent_back(text: str) -> None:
    """What is remembered is visible ASCII of at most 512 characters, exactly as it came."""
    kept = Validators.of({"ETag": text, "Last-Modified": text})
    assert kept.etag == kept.last_modified
    assert kept.etag in {None, text}
    assert kept.etag is None or (kept.etag.isascii() and kept.etag.isprintable() and len(kept.etag) <= VALIDATOR_MAX)


def test_a_time_within_the_answers_own_second_is_not_kept() -> None:
    """The file may change again in that second and have the same time (RFC 9110, 8.8.2.2)."""
    assert Validators.of({"Last-Modified": TIME, "Date": TIME}) == NOTHING_KNOWN
    later = TIME.replace("12:00:00", "12:00:01")
    assert Validators.of({"Last-Modified": TIME, "Date": later}).last_modified == TIME


@pytest.mark.parametrize(
    ("etag", "expected"),
    [('"a"', '"a"'), ('"a b"', None), ('W/"a"', None), ("a", None), ('""', None), (None, None), ('"a', None)],
)
def test_only_a_strong_tag_means_equal_bytes(etag: str | None, expected: str | None) -> None:
    """Weak, unquoted and empty tags cannot carry a rest."""
    assert strong(etag) == expected


def test_the_question_is_what_is_sent() -> None:
    """No condition without a known file, no range without a beginning, never a content coding."""
    assert Question().headers == {"Accept-Encoding": "identity"}
    whole = Question(known=Validators(etag='W/"k"', last_modified=TIME), progress=BEGUN).headers
    assert whole == {
        "Accept-Encoding": "identity",
        "If-None-Match": 'W/"k"',
        "If-Modified-Since": TIME,
        "Range": "bytes=100-",
        "If-Range": '"one"',
    }


def test_a_beginning_of_unknown_length_learns_it_from_the_rest() -> None:
    """A total that only the rest announces is taken; one that nobody announces stays unknown."""
    unknown = Question(progress=Progress(etag='"one"', length=100, sha256="", total=None))
    for place, total in (("bytes 100-299/300", 300), ("bytes 100-299/*", None)):
        answer = asked(unknown, 206, {"ETag": '"one"', "Content-Range": place})
        assert (answer.kind, answer.total) == (Kind.REST, total)
    assert asked(Question(progress=BEGUN), 206, {"ETag": '"one"', "Content-Range": "bytes 100-299/*"}).total == 300
