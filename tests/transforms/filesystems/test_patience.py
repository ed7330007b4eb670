import pytest

from transforms.arrays.errors import ConfigError
from transforms.filesystems import patience as module
from transforms.filesystems.patience import CutShort, Patience, patience, persist


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    """An environment that says nothing, and waits that are short."""
    monkeypatch.delenv("OBLONG_STORE_TIMEOUT", raising=False)
    monkeypatch.delenv("OBLONG_STORE_PATIENCE", raising=False)
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)


def test_environment_says_how_long_a_file_system_is_waited_for(monkeypatch):
    assert patience() == Patience(60, 120)
    monkeypatch.setenv("OBLONG_STORE_TIMEOUT", "2.5")
    monkeypatch.setenv("OBLONG_STORE_PATIENCE", "600")
    assert patience() == Patience(2.5, 600)


@pytest.mark.parametrize("name", ["OBLONG_STORE_TIMEOUT", "OBLONG_STORE_PATIENCE"])
@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf", ""])
def test_what_is_no_number_of_seconds_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(
        ConfigError, match=f"^needs a number of seconds above 0 in the environment's {name}, not '{value}'"
    ):
        patience()


def failing(times, error):
    """A call that fails so often, and how often it was made."""
    made = []

    def call():
        made.append(1)
        if len(made) <= times:
            raise error
        return "done"

    return call, made


def test_call_is_repeated_until_it_goes_well():
    call, made = failing(3, CutShort("half"))
    assert persist(call, lambda error: isinstance(error, CutShort), 10) == "done"
    assert len(made) == 4


def test_call_that_was_wrong_is_not_repeated():
    call, made = failing(3, KeyError("no such bucket"))
    with pytest.raises(KeyError, match="no such bucket"):
        persist(call, lambda error: isinstance(error, CutShort), 10)
    assert len(made) == 1


def test_patience_ends_with_what_was_raised_last():
    call, made = failing(10**6, CutShort("half"))
    with pytest.raises(CutShort, match=r"^half$"):
        persist(call, lambda error: True, 0.05)
    assert 2 <= len(made) <= 4  # waits of 0.01, 0.02 and 0.04 seconds, or up to half of that less
