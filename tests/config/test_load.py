"""A configuration is understood whole, or refused in one line that names the key or the variable, and the cure."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.config.load import default_file, load
from smartnode.config.settings import Settings, host_port
from smartnode.errors import ConfigError, ExitCode

FULL = """
[node]
name = "kitchen"
[catalogue]
urls = ["/srv/catalogue.parquet", "https://example.org/c.parquet"]
refresh = "30 min"
allow_unsigned = true
[storage]
path = "/srv/data"
quota = "500 GB"
keep_free = "20 GiB"
[bandwidth]
upload = "20 Mbit/s"
download = "2 MB/s"
[selection]
include = ["ortho", "*/ca-qc-*"]
exclude = ["*-draft"]
bbox = [-79.8, 44, -57.1, 62.6]
max_item_size = "20 GB"
[network]
id = "test-1"
listen = ["127.0.0.1:0", "[::1]:6881"]
outgoing = "127.0.0.1"
announce_ip = "192.0.2.1"
dht = false
dht_bootstrap = ["127.0.0.1:1000"]
allow_private = true
[api]
listen = "[::1]:0"
[cycle]
interval = "5 min"
probes = 7
pace = 0.25
kappa = 0.1
lambda = 2
gamma = 0.2
hysteresis = 0.5
a_guard = "2 s"
a_max = "1 h"
t_mem = "2 d"
t_urg = "30 min"
t_usual = "40 min"
[protocol]
epoch = "30 s"
quiet_window = "5 s"
k = 3
swap_period = "20 s"
holder_age_swap = "10 s"
holder_age_shrink = "15 s"
clock = "trusted"
"""


def write(folder: Path, text: str) -> Path:
    """A configuration file of *text*."""
    path = folder / "smartnode.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(config: Path | None, environment: dict[str, str] | None = None) -> str:
    """What the refused configuration says: one line, exit code 2."""
    with pytest.raises(ConfigError) as caught:
        load(config, environment or {})
    assert caught.value.exit_code is ExitCode.USAGE
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_key_of_a_file_arrives(tmp_path: Path) -> None:
    """Each value in bytes, seconds and plain types."""
    found = load(write(tmp_path, FULL), {})
    assert found.node.name == "kitchen"
    assert found.catalogue.urls == ("/srv/catalogue.parquet", "https://example.org/c.parquet")
    assert (found.catalogue.refresh, found.catalogue.allow_unsigned) == (timedelta(minutes=30), True)
    assert found.storage.path == Path("/srv/data")
    assert (found.storage.quota, found.storage.keep_free) == (500 * 10**9, 20 << 30)
    assert (found.bandwidth.upload, found.bandwidth.download) == (2_500_000, 2_000_000)
    assert (found.selection.include, found.selection.exclude) == (("ortho", "*/ca-qc-*"), ("*-draft",))
    assert (found.selection.box, found.selection.max_item_size) == ((-79.8, 44.0, -57.1, 62.6), 20 * 10**9)
    assert found.network.listen == ("127.0.0.1:0", "[::1]:6881")
    assert (found.network.id, found.network.outgoing, found.network.dht) == ("test-1", "127.0.0.1", False)
    assert found.network.announce_ip == "192.0.2.1"
    assert (found.network.port_forwarding, found.network.lan_discovery) == (False, False)
    assert (found.network.dht_bootstrap, found.network.allow_private) == (("127.0.0.1:1000",), True)
    assert (found.api.host, found.api.port) == ("::1", 0)
    assert (found.cycle.interval, found.cycle.probes, found.cycle.pace) == (timedelta(minutes=5), 7, 0.25)
    assert (found.cycle.kappa, found.cycle.lambda_) == (0.1, 2)
    assert (found.cycle.a_max, found.cycle.t_mem, found.cycle.t_urg, found.cycle.t_usual) == (
        timedelta(hours=1),
        timedelta(days=2),
        timedelta(minutes=30),
        timedelta(minutes=40),
    )
    assert (found.cycle.gamma, found.cycle.hysteresis, found.cycle.a_guard) == (0.2, 0.5, timedelta(seconds=2))
    keys = found.protocol
    assert (keys.epoch, keys.quiet_window, keys.k) == (timedelta(seconds=30), timedelta(seconds=5), 3)
    assert (keys.swap_period, keys.clock) == (timedelta(seconds=20), "trusted")
    assert (keys.holder_age_swap, keys.holder_age_shrink) == (timedelta(seconds=10), timedelta(seconds=15))


def test_the_environment_alone_says_the_same(tmp_path: Path) -> None:
    """Every key can be set by its variable, as text or as a JSON list; the result equals that of the file."""
    said = load(write(tmp_path, FULL), {})
    environment = {}
    for section, keys in said.model_dump(mode="json", by_alias=True).items():
        for key, value in keys.items():
            if value is None:
                continue
            text = json.dumps(value) if isinstance(value, list) else str(value)
            environment[f"SMARTNODE_{section}__{key}".upper()] = text
    environment |= {"SMARTNODE_CATALOGUE__REFRESH": "1800", "SMARTNODE_CYCLE__INTERVAL": "300 s"}
    environment |= {
        "SMARTNODE_CYCLE__A_MAX": "1 h",
        "SMARTNODE_CYCLE__T_MEM": "48 h",
        "SMARTNODE_CYCLE__T_URG": "0.5 h",
        "SMARTNODE_CYCLE__T_USUAL": "40 min",
        "SMARTNODE_CYCLE__A_GUARD": "2",
        "SMARTNODE_PROTOCOL__EPOCH": "30",
        "SMARTNODE_PROTOCOL__QUIET_WINDOW": "5 s",
        "SMARTNODE_PROTOCOL__SWAP_PERIOD": "20 s",
        "SMARTNODE_PROTOCOL__HOLDER_AGE_SWAP": "10 s",
        "SMARTNODE_PROTOCOL__HOLDER_AGE_SHRINK": "15 s",
    }
    assert load(write(tmp_path, ""), environment) == said


def test_a_box_may_cross_the_antimeridian(tmp_path: Path) -> None:
    """West of its own east is a box too; no box is none."""
    box = "[selection]\nbbox = [170, 50, -130, 70]"
    assert load(write(tmp_path, box), {}).selection.box == (170.0, 50.0, -130.0, 70.0)
    assert load(write(tmp_path, ""), {}).selection.box is None


def test_a_proxy_never_shows_its_password(tmp_path: Path) -> None:
    """Neither the settings nor an error about the address show the password; only the library's url holds it."""
    proxy = load(write(tmp_path, '[network]\nproxy = "socks5://me:hunter%402@[::1]:1080"'), {}).network.proxy
    assert proxy is not None
    assert (str(proxy), proxy.password) == ("socks5://[::1]:1080", "hunter@2")
    assert proxy.url == "socks5://me:hunter%402@[::1]:1080"
    assert "hunter2" not in f"{proxy} {proxy!r}"
    with pytest.raises(ConfigError) as refused:
        load(write(tmp_path, '[network]\nproxy = "ftp://me:hunter2@host:1080"'), {})
    assert "hunter2" not in str(refused.value)


def test_without_anything_there_are_the_defaults(tmp_path: Path) -> None:
    """A default file that does not exist is no error; what has no default is asked for where it is needed."""
    found = load(None, {"CONFIGURATION_DIRECTORY": str(tmp_path)})
    assert found == Settings()
    with pytest.raises(ConfigError, match=r"storage\.quota is not set; set \[storage\] quota"):
        found.require_storage()
    with pytest.raises(ConfigError, match=r"catalogue\.urls is not set; set \[catalogue\] urls"):
        found.require_catalogue()


def test_what_is_set_is_returned(tmp_path: Path) -> None:
    """The required settings, once they are there."""
    found = load(write(tmp_path, FULL), {})
    assert found.require_storage() == 500 * 10**9
    assert found.require_catalogue() is found


def test_the_environment_wins_over_the_file_key_by_key(tmp_path: Path) -> None:
    """Only the key that the variable names changes; capitals in the name do not matter."""
    path = write(tmp_path, '[storage]\nquota = "1 GB"\nkeep_free = "2 GB"\n')
    for name in ("SMARTNODE_STORAGE__QUOTA", "smartnode_storage__quota"):
        found = load(path, {name: "3 GB"})
        assert (found.storage.quota, found.storage.keep_free) == (3 * 10**9, 2 * 10**9)


def test_the_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mapping the process's own variables count."""
    monkeypatch.setenv("SMARTNODE_NODE__NAME", "from-outside")
    assert load(write(tmp_path, "")).node.name == "from-outside"


def test_other_variables_are_not_ours(tmp_path: Path) -> None:
    """Container platforms invent SMARTNODE_PORT and the like for a service of that name: ignored."""
    invented = {"SMARTNODE_PORT": "tcp://10.0.0.1:80", "SMARTNODE_SERVICE_HOST": "10.0.0.1", "OTHER__KEY": "1"}
    assert load(write(tmp_path, ""), invented) == Settings()


def test_where_the_default_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first folder that systemd names, else the user's."""
    assert default_file({"CONFIGURATION_DIRECTORY": "/etc/smartnode:/etc/other"}) == Path(
        "/etc/smartnode/smartnode.toml"
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if not Path("/config/smartnode.toml").exists():
        assert default_file({}) == tmp_path / "smartnode" / "smartnode.toml"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[storage]\nquoat = "1 GB"', "unknown key 'storage.quoat'; did you mean 'storage.quota'?"),
        ("[storage]\nkeepfree = 1", "unknown key 'storage.keepfree'; did you mean 'storage.keep_free'?"),
        ("[cycle]\nlambda_ = 1", "unknown key 'cycle.lambda_'; did you mean 'cycle.lambda'?"),
        ("[bandwidth]\nmontly_upload = 1", "did you mean 'bandwidth.monthly_upload'?"),
        ("[storage]\nzzzzzzzzzzzzzzzzzzzzz = 1", "docs/configuration.md lists the keys"),
        ("[storag]\nquota = 1", "unknown section 'storag'; did you mean 'storage'?"),
        ("[storag]", "unknown section 'storag'; did you mean 'storage'?"),
        ("quota = 1", "unknown section 'quota'; docs/configuration.md lists the keys"),
        ("storage = 1", "'storage' is a section, not a key; write [storage] on a line of its own"),
        ("[[storage]]\nquota = 1", "'storage' is a section, not a key"),
        ("[alerts]", "'alerts' is not supported yet; remove it"),
        ("[selection]\ntarget_copies = 0", "'selection.target_copies': Input should be greater than or equal to 1"),
        ("[selection]\nmax_size = 3", "unknown key 'selection.max_size'; did you mean 'selection.max_item_size'?"),
        ("[selection]\ninclude = 'ortho'", "'selection.include': Input should be a valid list"),
        ("[selection]\ninclude = ['']", "'selection.include': String should have at least 1 character"),
        ('[selection]\nexclude = ["a\\nb"]', "'selection.exclude': 'a\\nb' holds a character that cannot be shown"),
        (
            "[selection]\nbbox = [1, 2, 3]",
            "'selection.bbox': [1.0, 2.0, 3.0] is no box, use [west, south, east, north]",
        ),
        ("[selection]\nbbox = [1, 2, 3, 1]", "'selection.bbox': [1.0, 2.0, 3.0, 1.0] is no box"),
        ("[selection]\nbbox = [-181, 2, 3, 4]", "'selection.bbox': [-181.0, 2.0, 3.0, 4.0] is no box"),
        ("[selection]\nbbox = [1, 2, 3, nan]", "'selection.bbox': Input should be a finite number"),
        ("[selection]\nbbox = [1, 2, 3, '4']", "'selection.bbox': Input should be a valid number"),
        ("[selection]\nmax_item_size = 0", "'selection.max_item_size': Input should be greater than 0"),
        ("[bandwidth]\nwindows = []", "'bandwidth.windows' is not supported yet; remove it"),
        ("[storage\n", "smartnode.toml is not TOML (Expected ']'"),
        ("[storage]\nquota = 1\nquota = 2", "smartnode.toml is not TOML (Cannot overwrite a value"),
        ("[storage]\nquota = 1" + "0" * 5000, "smartnode.toml is not TOML (Exceeds the limit"),
        ("[storage]\nquota = " + "[" * 5000, "smartnode.toml is not TOML ("),
        ("[storage]\nquota = '5 XB'", "'storage.quota': '5 XB' is not understood, use \"500 GB\""),
        ("[storage]\nquota = 0", "'storage.quota': Input should be greater than 0"),
        ("[storage]\nquota = true", "'storage.quota': True is not understood"),
        ("[storage]\nkeep_free = {a = 1}", "'storage.keep_free': {'a': 1} is not understood"),
        ("[storage]\npath = 'data'", "'storage.path': 'data' is relative, use an absolute path"),
        ("[storage]\npath = '~/data'", "'storage.path': '~/data' is relative, use an absolute path"),
        ('[storage]\npath = "/a\\u0000b"', "'storage.path': '/a\\x00b' holds a character that cannot be shown"),
        ("[bandwidth]\nupload = 0", "'bandwidth.upload': a limit of 0 would stop all traffic"),
        ("[catalogue]\nurls = '/x'", "'catalogue.urls': Input should be a valid list"),
        ("[catalogue]\nurls = [1]", "'catalogue.urls': Input should be a valid string"),
        ('[catalogue]\nurls = ["a\\nb"]', "'catalogue.urls': 'a\\nb' holds a character that cannot be shown"),
        ("[catalogue]\nallow_unsigned = 2", "'catalogue.allow_unsigned': Input should be a valid boolean"),
        ("[catalogue]\nrefresh = '0 s'", "'catalogue.refresh': '0 s' is too short"),
        ("[network]\nid = 'D4C'", "'network.id': 'D4C' is no network id, use 1 to 32 of a-z, 0-9 and -"),
        ("[network]\nlisten = []", "'network.listen': List should have at least 1 item"),
        ("[network]\nlisten = ['6881']", "'network.listen': '6881' is not host:port"),
        ("[network]\nlisten = ['example.org:1']", "'network.listen': 'example.org' does not appear to be an IPv4"),
        ("[network]\noutgoing = 'eth0:1'", "'network.outgoing': 'eth0:1' does not appear to be an IPv4"),
        ("[network]\nannounce_ip = 'home'", "'network.announce_ip': 'home' does not appear to be an IPv4"),
        ("[network]\nproxy = 'socks4://host:1'", "'network.proxy': is no proxy, use socks5://host:port"),
        ("[network]\nproxy = 'http://host:1/path'", "'network.proxy': is no proxy, use socks5://host:port"),
        ("[network]\nproxy = 'socks5://host:1'\nport_forwarding = true", "'network': a proxy hides this host"),
        ("[network]\nproxy = 'http://host:1'\noutgoing = 'wg0'", "'network': behind a proxy the proxy alone is"),
        ("[network]\ndht_bootstrap = ['a:99999']", "'network.dht_bootstrap': 'a:99999' is not host:port"),
        ("[api]\nlisten = '0.0.0.0:80'", "'api.listen': '0.0.0.0:80' is not a loopback address"),
        ("[api]\nlisten = 'example.org:80'", "'api.listen': 'example.org' does not appear to be an IPv4"),
        ("[cycle]\npace = nan", "'cycle.pace': Input should be"),
        ("[cycle]\npace = 1.5", "'cycle.pace': Input should be less than or equal to 1"),
        ("[cycle]\nlambda = inf", "'cycle.lambda': Input should be less than or equal to 100"),
        ("[cycle]\nprobes = 1.5", "'cycle.probes': Input should be a valid integer"),
        ("[cycle]\ninterval = 00:15:00", "'cycle.interval': datetime.time(0, 15) is not understood"),
        ("[node]\nregion = 'Québec'", "'node.region': String should match pattern"),
        ("[node]\nname = ''", "'node.name': String should have at least 1 character"),
        ('[node]\nname = "a\\u001b[2J"', "'node.name': 'a\\x1b[2J' holds a character that cannot be shown"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Each mistake, with its key and its cure."""
    assert said in refusal(write(tmp_path, text))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SMARTNODE_STORAGE__QUOAT": "1"}, "unknown key 'SMARTNODE_STORAGE__QUOAT'; did you mean 'storage.quota'?"),
        ({"SMARTNODE_STORAGE__": "1"}, "unknown key 'SMARTNODE_STORAGE__'"),
        ({"SMARTNODE_SCRUB__HOURS": "1"}, "'SMARTNODE_SCRUB__HOURS' is not supported yet"),
        (
            {"SMARTNODE_STORAGE": "{}"},
            "SMARTNODE_STORAGE names a section, not a key; two underscores come before the key",
        ),
        ({"SMARTNODE_STORAGE__QUOTA": ""}, "SMARTNODE_STORAGE__QUOTA: '' is not understood, use \"500 GB\""),
        ({"SMARTNODE_STORAGE__PATH": ""}, "SMARTNODE_STORAGE__PATH: '.' is relative"),
        ({"SMARTNODE_NETWORK__DHT": "maybe"}, "SMARTNODE_NETWORK__DHT: Input should be a valid boolean"),
        (
            {"SMARTNODE_CATALOGUE__URLS": "/x"},
            "SMARTNODE_CATALOGUE__URLS is not a JSON list; write SMARTNODE_CATALOGUE__",
        ),
        ({"SMARTNODE_CATALOGUE__URLS": '"/x"'}, "SMARTNODE_CATALOGUE__URLS is not a JSON list"),
        ({"SMARTNODE_CATALOGUE__URLS": "[" * 100_000}, "SMARTNODE_CATALOGUE__URLS is not a JSON list"),
        ({"SMARTNODE_CATALOGUE__URLS": "[1]"}, "SMARTNODE_CATALOGUE__URLS: Input should be a valid string"),
        ({"smartnode_network__id": "A"}, "smartnode_network__id: 'A' is no network id"),
        (
            {"SMARTNODE_NODE__NAME": "a", "smartnode_node__name": "b"},
            "SMARTNODE_NODE__NAME and smartnode_node__name set one key; keep SMARTNODE_NODE__NAME only",
        ),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    """The variable is named as it was written, not the library that stumbled over it."""
    assert said in refusal(write(tmp_path, ""), environment)


def test_a_wrong_value_that_the_environment_replaces_does_no_harm(tmp_path: Path) -> None:
    """The environment wins before values are checked."""
    assert load(write(tmp_path, "[storage]\nquota = 'x'"), {"SMARTNODE_STORAGE__QUOTA": "5"}).storage.quota == 5


def test_all_wrong_keys_are_named_at_once(tmp_path: Path) -> None:
    """The first mistake with its message, the others by name, each once, a few of many."""
    path = write(tmp_path, "[network]\nid = 'A'\nlisten = ['a', 'b', 'c']\n[cycle]\npace = 2\n")
    said = refusal(path, {"SMARTNODE_STORAGE__QUOTA": "x"})
    assert said.startswith("SMARTNODE_STORAGE__QUOTA: 'x' is not understood")
    assert "; also wrong: 'network.id', 'network.listen', 'cycle.pace';" in said
    path = write(
        tmp_path,
        "[cycle]\n"
        + "".join(f"{key} = 'x'\n" for key in ("pace", "kappa", "lambda", "a_max", "probes", "t_mem", "t_urg")),
    )
    assert "'cycle.t_mem', ...;" in refusal(path)


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    """--config FILE is a promise, the default file is not."""
    assert "missing.toml does not exist; name an existing TOML file" in refusal(tmp_path / "missing.toml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A folder, a file that is not text, a file that is too large: named, with the cure."""
    assert "cannot be read (" in refusal(tmp_path)
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe")
    assert "check its permissions and that it is UTF-8 text" in refusal(path)
    assert "is larger than a configuration can be" in refusal(write(tmp_path, "#" * (1 << 20) + "\n"))


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_whatever_a_section_says_the_answer_is_settings_or_one_line(said: dict[str, str]) -> None:
    """Any keys with any text in the environment: never another exception, never two lines."""
    environment = {f"SMARTNODE_{section}__{key}": key for section, key in said.items()}
    try:
        assert load(None, environment | {"CONFIGURATION_DIRECTORY": "/nonexistent"})
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 -- both outcomes are right


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), ("a.example:65535", ("a.example", 65535))],
)
def test_host_and_port(text: str, expected: tuple[str, int]) -> None:
    """IPv6 addresses lose their brackets."""
    assert host_port(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":", "a:", ":80", "a", "::1:80", "[]:80", "a:65536", "a:-1", "a:1 ", "[::1]", "a:b"]
)
def test_what_is_no_host_and_port(text: str) -> None:
    """The form is named; an IPv6 address without brackets is ambiguous."""
    with pytest.raises(ValueError, match=r"is not host:port \(IPv6: \[address\]:port\)"):
        host_port(text)


PROTOCOL = {
    "epoch": "2 h",
    "quiet_window": "20 min",
    "k": "2",
    "swap_period": "1 h",
    "holder_age_swap": "12 h",
    "holder_age_shrink": "24 h",
    "clock": "checked",
}


@pytest.mark.parametrize("key", PROTOCOL)
def test_no_constant_is_set_in_the_network_of_everybody(tmp_path: Path, key: str) -> None:
    """Exit 2 and one line with the cure, even for the constant's own value, by file or variable; a network of one's own
    may set it.
    """
    value = PROTOCOL[key] if key == "k" else json.dumps(PROTOCOL[key])
    text = f"[protocol]\n{key} = {value}\n"
    cure = "remove it, or set network.id to that of a network of your own"
    variable = f"SMARTNODE_PROTOCOL__{key.upper()}"
    for network in ("", '[network]\nid = "d4c"\n'):
        with pytest.raises(ConfigError) as refused:
            load(write(tmp_path, network + text), {})
        assert str(refused.value) == f"'protocol.{key}' is a constant of the network 'd4c'; {cure}"
        assert refused.value.exit_code is ExitCode.USAGE
    with pytest.raises(ConfigError) as refused:
        load(write(tmp_path, ""), {variable: PROTOCOL[key]})
    assert str(refused.value) == f"{variable} is a constant of the network 'd4c'; {cure}"
    own = load(write(tmp_path, '[network]\nid = "mine"\n' + text), {})
    assert own.protocol == Settings().protocol


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('epoch = "20 min"', "quiet_window must be shorter than epoch"),
        ('quiet_window = "2 h"', "quiet_window must be shorter than epoch"),
        ("k = 0", "'protocol.k'"),
        ('clock = "sundial"', "'checked' or 'trusted'"),
        ('quiet_window = "9 min"', "'cycle.a_guard' must be at most half of protocol.quiet_window"),
        ('quiet_window = "10 min"', None),
    ],
)
def test_constants_that_protect_nobody_are_refused(tmp_path: Path, keys: str, says: str | None) -> None:
    """A quiet window that fills its epoch, no holders at all, views that are too old to show what left."""
    path = write(tmp_path, f'[network]\nid = "mine"\n[protocol]\n{keys}\n')
    if says is None:
        assert load(path, {}).protocol.quiet_window == timedelta(minutes=10)
        return
    with pytest.raises(ConfigError) as refused:
        load(path, {})
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_old_view_supports_nothing_in_any_network(tmp_path: Path) -> None:
    """A volunteer may not let the guard look further back than half of the quiet window."""
    assert load(write(tmp_path, '[cycle]\na_guard = "10 min"'), {}).cycle.a_guard == timedelta(minutes=10)
    with pytest.raises(ConfigError, match=r"set cycle\.a_guard to 600 s or less"):
        load(write(tmp_path, '[cycle]\na_guard = "601 s"'), {})
