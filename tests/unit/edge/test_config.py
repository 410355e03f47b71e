"""The configuration: what a file may say, and that everything wrong is told in one line each."""

import os
import re
from pathlib import Path

import pytest

from edge.config import (
    Config,
    ConfigError,
    MailConfig,
    MetricsConfig,
    RouteConfig,
    Secret,
    SimulatorConfig,
    SIPConfig,
    TracingConfig,
    TrunkConfig,
    UpstreamConfig,
    load,
    parse,
)
from edge.config_mail import IMAPConfig

CONF = Path(__file__).resolve().parents[3] / "conf"
FILE = Path("t.toml")
TRUNK = '[sip]\ndomain = "sip.example.net"\n[[sip.trunk]]\nname = "pbx"\nhost = "pbx.example.net"\n'
MAIL = f'[mail]\ndomain = "sms.example.net"\nreply_keys = "1:{"0" * 64}"\n'
UPSTREAM = '[[upstream]]\nname = "carrier"\nport = 2775\nsystem_id = "me"\n'
ROUTE = '[[route]]\nname = "{}"\nupstreams = ["carrier"]\n'
OTHER = '\n[[upstream]]\nname = "b"\nport = 2776\nsystem_id = "me"\n'


def read(text: str, **environment: str) -> Config:
    return parse(text.encode(), FILE, environment)


def problems(text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, **environment)
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_file_is_all_defaults() -> None:
    assert read("") == Config(path=FILE)


def test_the_shipped_file_holds_every_key_at_its_default() -> None:
    shipped = (CONF / "trunkline.toml").read_text("utf-8")
    assert read(shipped) == Config(path=FILE)
    config = read(re.sub(r"^#(?=[a-z\[])", "", shipped, flags=re.MULTILINE))
    upstream = UpstreamConfig(name="carrier", port=2775, system_id="trunkline", password=Secret("change-me"))
    simulator = SimulatorConfig(system_id="simulator", password=Secret("change-me"))
    route = RouteConfig(name="everything", upstreams=("carrier",))
    sip = SIPConfig(domain="sip.example.net", trunks=(TrunkConfig(name="pbx", host="pbx.example.net"),))
    imap = IMAPConfig(host="mail.example.net", username="sms", password=Secret("change-me"))
    mail = MailConfig(
        domain="sms.example.net",
        reply_keys=Secret(f"1:{'0' * 64}"),
        password=Secret("change-me"),
        imap=imap,
    )
    assert config == Config(
        path=FILE,
        upstreams=(upstream,),
        routes=(route,),
        metrics=MetricsConfig(),
        tracing=TracingConfig(authorization=Secret("change-me")),
        simulator=simulator,
        sip=sip,
        mail=mail,
    )


def test_the_demo_file_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "smpp-password").write_text("secret\n")
    config = load(CONF / "demo.toml")
    assert config.simulator is not None
    assert config.simulator.password == config.upstreams[0].password == Secret("secret")
    assert config.simulator.smpp_listen == f"127.0.0.1:{config.upstreams[0].port}"


def test_values_arrive_as_they_are_typed() -> None:
    config = read(
        UPSTREAM
        + 'password = "x"\nwindow = 7\ntls = true\nreconnect_min_seconds = 2\nbind = "transmitter_receiver"\n'
        + '[simulator]\nsystem_id = "s"\npassword = ""\nphones = ["+12025550150"]\n[server]\nnode = 3\n'
    )
    (upstream,) = config.upstreams
    assert (upstream.window, upstream.tls, upstream.bind) == (7, True, "transmitter_receiver")
    assert isinstance(upstream.reconnect_min_seconds, float)
    assert config.simulator is not None
    assert config.simulator.phones == ("+12025550150",)
    assert config.simulator.password.reveal() == ""
    assert config.server.node == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[http]\nlisen = 1", "http.lisen = 1: expected a known key; did you mean listen?"),
        (
            '[http]\nlisten = "127.0.0.1:2775"\n[simulator]\nsystem_id="s"\npassword="p"',
            'simulator.smpp_listen = "127.0.0.1:2775": expected another port: http.listen listens on',
        ),
        (
            '[http]\nlisten = "127.0.0.1:5060"\n[sip]\ndomain="x.example"\ntcp = ["0.0.0.0:5060"]',
            'sip.tcp = "0.0.0.0:5060": expected another port: http.listen listens on 127.0.0.1:5060',
        ),
        ("nonsense = 1", "nonsense = 1: expected a known key: server, store, http, "),
        ("[http]\nlisten = 8080", "http.listen = 8080: expected an address and port such as"),
        ('[http]\nlisten = "127.0.0.1:0"', 'http.listen = "127.0.0.1:0": expected an address and port'),
        ('[http]\nlisten = "::1:80"', 'http.listen = "::1:80": expected an address and port'),
        ('[http]\nlisten = ":80"', "expected an address and port"),
        ('[http]\npublic_url = "sms.example.net"', "expected an http or https URL, or nothing"),
        ('[http]\npublic_url = "http://[/"', "expected an http or https URL, or nothing"),
        ('[log]\nlevel = "loud"', 'log.level = "loud": expected one of "debug", "info", "warning", "error"'),
        ('[log]\nlevel = ["info"]', 'log.level = ["info"]: expected one of'),
        ("[server]\nnode = 15", "server.node = 15: expected a number from 0 to 14"),
        ("[server]\nnode = true", "server.node = true: expected a number from 0 to 14"),
        ("[server]\nnode = 1.0", "server.node = 1.0: expected a number from 0 to 14"),
        ("[server]\ndrain_seconds = -1", "server.drain_seconds = -1: expected a number of at least 0"),
        ("[server]\ndrain_seconds = inf", "server.drain_seconds = Infinity: expected a number of at least 0"),
        ("[server]\ndrain_seconds = nan", "server.drain_seconds = NaN: expected a number of at least 0"),
        ('server = "x"', 'server = "x": expected a table'),
        ('[store]\nurl = "mysql://u:hunter2@h/d"', 'store.url = "mysql://u:…@h/d": expected sqlite:///path'),
        (
            '[store]\nurl = "postgresql://host:port/x"',
            'url = "postgresql://host:port/x": expected sqlite:///',
        ),
        ('[store]\nurl = "sqlite://"', 'store.url = "sqlite://": expected sqlite:///path'),
        ("[store]\nurl = 1", "store.url = 1: expected sqlite:///path"),
        ("[store]\nallow_non_durable = 1", "store.allow_non_durable = 1: expected true or false"),
        ('[numbers]\nregion = "XX"', 'numbers.region = "XX": expected an ISO 3166 country'),
        ('[callback]\ntimezone = "Mars/Base"', 'callback.timezone = "Mars/Base": expected a time zone'),
        ('[callback]\ntimezone = "../etc"', "expected a time zone"),
        ("[outbox]\nper_target = 0", "outbox.per_target = 0: expected a number of at least 1"),
        ("upstream = 1", "upstream = 1: expected a list, each item a table"),
        ("upstream = [1]", "upstream[0] = 1: expected a table"),
        (
            '[simulator]\nsystem_id="s"\npassword="p"\nphones = ["12"]',
            'simulator.phones[0] = "12": expected a number',
        ),
        ('[simulator]\nsystem_id="s"\npassword="p"\nphones = "1"', 'simulator.phones = "1": expected a list'),
        (
            UPSTREAM + 'password="x"\nport2 = 1',
            'upstream["carrier"].port2 = 1: expected a known key; did you',
        ),
        (UPSTREAM + 'password="x"\nvalidity_period = "7d"', 'validity_period = "7d": expected an SMPP time'),
        (
            UPSTREAM + 'password="x"\nvalidity_period = "991332000000000+"',
            'validity_period = "991332000000000+": expected an SMPP time',
        ),
        (UPSTREAM + 'password="x"\nvalidity_period = "270230120000000+"', "expected an SMPP time"),
        *(
            (
                UPSTREAM + f'password="x"\nstatuses = {{"{name}" = "fail"}}',
                "expected a key that is a command_st",
            )
            for name in ("ESME_ROK", "0", "0x00", "4294967296")
        ),
        (
            UPSTREAM + 'password="x"\nstatuses = {ESME_RTHROTTLED = "retry", 088 = "fail"}',
            'statuses.088 = "fail": expected no second verdict on ESME_RTHROTTLED',
        ),
        (
            UPSTREAM + 'password="x"\ncharsets = {0 = "latin1", 00 = "ucs2"}',
            'charsets.00 = "ucs2": expected no second charset for 0',
        ),
        (UPSTREAM + 'password="x"\nvalidity_period = "000000000000000R"', "expected an SMPP time"),
        (UPSTREAM + 'password="x"\nvalidity_period = "270101000000000+"', "expected an SMPP time"),
        (UPSTREAM + 'password_file = "/dev/null"', "expected a password in it: it is empty"),
        (
            UPSTREAM + 'password="x"\nreconnect_max_seconds = 0.5',
            '["carrier"].reconnect_max_seconds = 0.5: expected at least reconnect_min_seconds, which is 1.0',
        ),
        (UPSTREAM + 'password="x"\nthrottle_max_seconds = 0.1', "expected at least throttle_min_seconds"),
        (
            UPSTREAM + 'password="x"\nstatuses = {ESME_NO = "retry"}',
            '.ESME_NO = "retry": expected a key that is a',
        ),
        (
            UPSTREAM + 'password="x"\nstatuses = {"0x58" = "again"}',
            'expected one of "retry", "rebind", "elsewhere", "fail"',
        ),
        (
            UPSTREAM + 'password="x"\nstatuses = 1',
            "statuses = 1: expected a table, each key a command_status",
        ),
        (
            UPSTREAM + 'password="x"\ncharsets = {"256" = "gsm7"}',
            "expected a key that is a data_coding, 0 to 255",
        ),
        (UPSTREAM + 'password="x"\ncharsets = {"0" = "utf8"}', 'charsets.0 = "utf8": expected one of "gsm7"'),
        (UPSTREAM + 'password="x"\nton_npi = {short_code = "9/0"}', 'expected type and plan such as "3/0"'),
        (
            UPSTREAM + 'password="x"\nreceipt_pattern = "id:("',
            "expected a regular expression with a group named id",
        ),
        (UPSTREAM + 'password="x"\nreceipt_pattern = "id:(.*)"', "with a group named id"),
        (
            UPSTREAM + 'password="x"\ntls = true\ntls_verify = false',
            "tls_verify = false: expected true, or tls_pins",
        ),
        (
            UPSTREAM + 'password="x"\ntls_server_name = "smsc.example.net"',
            'tls_server_name = "smsc.example.net": expected nothing while tls is not true',
        ),
        (
            UPSTREAM + 'password="x"\ntls = true\ntls_ca_file = "pyproject.toml"',
            "expected a PEM file with certificates",
        ),
        (UPSTREAM + 'password="x"\nhost = "smsc.example.net:2775"', "name or address, without the port"),
        (
            UPSTREAM + 'password="x"\n[[route]]\nname = "r"\nupstreams = ["carrier"]\nprefixes = ["0044"]',
            'prefixes[0] = "0044": expected the beginning of a number',
        ),
        (UPSTREAM + 'password="x"\ntls_pins = ["abcd"]', 'tls_pins[0] = "abcd": expected a SHA-256'),
        (
            UPSTREAM + 'password="x"\ntls = true\ntls_ca_file = "/no/such"',
            'tls_ca_file = "/no/such": expected a file that is',
        ),
        (
            UPSTREAM + 'password="x"\ntls = true\ntls_certificate_file = "pyproject.toml"',
            "expected a key and a certificate",
        ),
        (UPSTREAM + 'password="x"\nbinds = 0', "binds = 0: expected a number from 1 to 64"),
        ('[[route]]\nname = "r"\nupstreams = []', "upstreams = []: expected at least one upstream"),
        (
            UPSTREAM + 'password="x"\n[[route]]\nname = "r"\nupstreams = ["carrier"]\nfailover = ["carrier"]',
            'failover = "carrier": expected each upstream once in a route',
        ),
        (
            UPSTREAM + 'password="x"\n' + ROUTE.format("a") + ROUTE.format("b"),
            'route["b"] = "b": expected a place before a, which fits all',
        ),
        (
            UPSTREAM + 'password="x"\ngroup = "b"\n' + OTHER + 'password="x"\ngroup = "c"',
            'upstream["carrier"].group = "b": expected another name: b is in another group',
        ),
        (
            f'{UPSTREAM}password="x"\ngroup="g"\n{OTHER}password="x"\ngroup="g"\nreceipt_per="message"',
            'upstream["b"].receipt_per = "message": expected as carrier of its group has it',
        ),
        (UPSTREAM + 'password="x"\nreassembly_timeout_seconds = 604801', "at most 604800 (a week)"),
        (UPSTREAM + 'password="x"\nreceipt_pattern = "(?P<id>.*) (?P<state>.*)"', "with a group named id"),
        (
            UPSTREAM + 'password="x"\n[[route]]\nname = "r"\nupstreams = ["carrier"]\nfailover = ["other"]',
            'route["r"] = "other": expected one of the upstreams: carrier',
        ),
        (
            UPSTREAM + 'password="x"\n[[route]]\nname = "r"\nupstreams = ["carrier"]\nweights = {c = 2}',
            'weights.c = "c": expected an upstream of this route',
        ),
        (
            UPSTREAM + 'password="x"\n' + (ROUTE.format("r") + 'prefixes = ["+1"]\n') * 2,
            'route.name = "r": expected a name that no other route has',
        ),
        (
            '[[upstream]]\nname = "a"\nport = 70000\nsystem_id = "x"\npassword = "p"',
            "port = 70000: expected a port",
        ),
        (
            TRUNK + "register = true",
            'sip.trunk["pbx"].username = "": expected the name to register as',
        ),
        (TRUNK + "tls_verify = false", "tls_verify = false: expected true, or tls_pins"),
        (TRUNK + 'region = "XX"', 'region = "XX": expected an ISO 3166 country such as "US", or nothing'),
        (TRUNK + 'networks = ["x"]', 'networks[0] = "x": expected a network'),
        (TRUNK + 'password_env = "NOT_SET"', "password_env"),
        (TRUNK + TRUNK.partition("\n[[")[2].join(("[[", "")), "expected a name that no other trunk has"),
        (MAIL + 'postmaster = "me@sms.example.net"', "an address that this server does not take itself"),
        (MAIL + 'postmaster = "me"', "expected an address of another domain, or nothing"),
        (MAIL + 'tls = "implicit"', 'mail.tls = "implicit": expected a smarthost'),
        (MAIL + 'username = "me"\nsmarthost = "h:1"', 'username = "me": expected a password'),
        (MAIL + 'username = "me"\npassword = "p"', 'mail.username = "me": expected a smarthost'),
        (MAIL + 'username = "me"\npassword = "p"\nsmarthost = "h:1"\ntls = "off"', "no password goes in the"),
        (MAIL + 'dkim_selector = "s"', "expected dkim_selector and dkim_key together"),
        (MAIL + 'dkim_selector = "s"\ndkim_key = "pyproject.toml"', "expected a PEM file with an RSA key"),
        (MAIL + 'certificate = "c"', "expected certificate and private_key together"),
        (MAIL + 'subject = "{nothing}"', "expected one line, with any of {token}"),
        (MAIL + 'subject = "{did.__class__}"', "expected one line, with any of {token}"),
        (MAIL + 'subject = "{token:>99999999999}"', "expected one line, with any of {token}"),
        (MAIL + 'subject = "{token!r}"', "expected one line, with any of {token}"),
        (MAIL + 'subject = "{}"', "expected one line, with any of {token}"),
        (MAIL + 'subject = "{token"', "expected one line, with any of {token}"),
        (MAIL + 'mailbox = "postmaster"', "at most 16 characters, not postmaster, abuse or digits"),
        (MAIL + 'mailbox = "abuse"', "at most 16 characters, not postmaster, abuse or digits"),
        (MAIL + 'mailbox = "12025550150"', "at most 16 characters, not postmaster, abuse or digits"),
        (MAIL + 'trusted = ["10.0.0.0/8"]', 'trusted = ["10.0.0.0/8"]: expected listen'),
        (MAIL.strip()[:-1] + f' 2:{"0" * 64}"', "reply_keys = (hidden): expected an id (0 to 255)"),
        (MAIL.strip()[:-1] + f' 1:{"2" * 64}"', "reply_keys = (hidden): expected an id (0 to 255)"),
        (MAIL + 'subject = "a\\nb"', "expected one line, with any of {token}"),
        (MAIL + 'smarthost = "mail"', 'smarthost = "mail": expected a host and port such as'),
        (MAIL + 'mailbox = "a+b"', 'mailbox = "a+b": expected what stands before the "+"'),
        (MAIL + 'authserv_id = "mx.example.net"', "expected trusted, lmtp or [mail.imap]"),
        (MAIL + "per_hour = 1", "per_hour = 1: expected at least per_minute"),
        ('[mail]\ndomain = "Example"\nreply_keys = "1:' + "0" * 64 + '"', "expected a domain in lower case"),
        ('[mail]\ndomain = "a.net"', "mail.reply_keys is missing: expected exactly one of reply_keys, reply"),
        ('[mail]\ndomain = "a.net"\nreply_keys = "1:00"', "reply_keys = (hidden): expected an id (0 to 255)"),
        ("a = ", "expected TOML: Invalid value (at "),
    ],
)
def test_one_line_names_file_key_value_and_what_was_expected(text: str, problem: str) -> None:
    (line,) = problems(text)
    assert line.startswith("t.toml: ")
    assert problem in line
    assert "\n" not in line


def test_missing_keys_are_named() -> None:
    assert problems("[[upstream]]") == [
        "t.toml: upstream[0].name is missing: expected a name of letters, digits, . _ -",
        "t.toml: upstream[0].port is missing: expected a port, 1 to 65535",
        "t.toml: upstream[0].system_id is missing: expected 1 to 64 ASCII characters",
        "t.toml: upstream[0].password is missing: expected exactly one of password, password_file, "
        "password_env",
    ]


def test_everything_wrong_is_told_at_once() -> None:
    found = problems(
        "[http]\nlisten = 1\n[server]\nnode = 99\n" + (UPSTREAM + 'password = "x"\n') * 2 + "tsl = 0\n"
    )
    assert len(found) == 4
    assert found[-1] == 't.toml: upstream.name = "carrier": expected a name that no other upstream has'


def test_a_value_of_any_length_is_one_short_line() -> None:
    (line,) = problems(f'[http]\nlisten = "{"x" * 10_000}"')
    assert len(line) < 250


# -- secrets ------------------------------------------------------------------------------------------------


def test_a_password_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from file\nsecond line\n")
    assert read(UPSTREAM + f'password_file = "{file}"').upstreams[0].password.reveal() == "from file"
    assert read(UPSTREAM + 'password_env = "PW"', PW="from env").upstreams[0].password.reveal() == "from env"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('password = "hunter2"\npassword_env = "PW"', ".password = (hidden): expected exactly one of"),
        ("password = 4711", ".password = (hidden): expected a text"),
        ("password_env = 1", ".password_env = 1: expected a text"),
        ('password_env = "NOPE"', '.password_env = "NOPE": expected the name of an environment variable'),
        ('password_file = "/no/such"', '.password_file = "/no/such": expected a readable file'),
        (f'password = "{"x" * 65}"', ".password = (hidden): expected at most 64 characters of Latin-1"),
        ('password = "x"\npasword = "hunter2"', ".pasword = (hidden): expected a known key"),
    ],
)
def test_a_password_that_is_not_right_is_never_shown(lines: str, problem: str) -> None:
    (line,) = problems(UPSTREAM + lines)
    assert problem in line
    assert "hunter2" not in line
    assert "4711" not in line


def test_a_secret_hides_itself_and_compares() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret!r} {secret} {[secret]}"
    assert secret == Secret("hunter2") != Secret("other")
    assert secret != "hunter2"
    assert len({secret, Secret("hunter2")}) == 1


# -- files --------------------------------------------------------------------------------------------------


def test_load_remembers_where_it_read(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[server]\nnode = 2\n")
    config = load(os.fspath(file))
    assert (config.path, config.server.node) == (file, 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read (No such file or directory)"), (b"a = \xff", "is not UTF-8 at octet 4")],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "a.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{file}: {says}")
    assert str(caught.value) == str(problem)


def test_tables_within_an_upstream() -> None:
    (upstream,) = read(
        UPSTREAM
        + 'password = "x"\nstatuses = {ESME_RSYSERR = "elsewhere", "0x410" = "retry"}\n'
        + 'charsets = {"0" = "latin1"}\ntls = true\ntls_pins = ["'
        + "ab:" * 31
        + 'cd"]\nbinds = 3\n'
    ).upstreams
    assert upstream.statuses == {"ESME_RSYSERR": "elsewhere", "0x410": "retry"}
    assert upstream.charsets == {"0": "latin1"}
    assert (upstream.binds, upstream.group_name) == (3, "carrier")
