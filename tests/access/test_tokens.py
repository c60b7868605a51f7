"""Whose tokens are whose: good ones are accepted, and every known attack is refused."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from laurels.access.file import Players
from laurels.access.principal import Principal
from laurels.access.tokens import LEEWAY, Tokens
from laurels.errors import BadBody, BadCredential, BadName, NoSecret
from tests.access.issuing import (
    AUDIENCE,
    FOREIGN,
    ISSUER,
    NOW,
    OWN,
    SECRET,
    encoded,
    issuer,
    own,
    private,
    public,
    signed,
    tokens,
)

KINDS = ("RS256", "ES256", "EdDSA")
OTHER = "https://other.example/"
TRUSTED = tokens(issuer(*KINDS), issuer("RS256-2", issuer=OTHER, audience=("a", "b")))


def whose(token: bytes, trusted: Tokens = TRUSTED, now: float = NOW) -> Principal:
    """Return the player whose token it is, of an issuer that need not be asked."""
    found = trusted.verify(token.decode(errors="surrogateescape"), now)
    assert isinstance(found, Principal)
    return found


PEM = private("RS256").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_own_token() -> None:
    """A token of the service is good for its player, on the boards that it is for and that all players have."""
    trusted = tokens(scopes=("read", "submit:self"), boards=("mario-*", "zelda"))
    found = whose(own({"boards": ["*-kart"]}), trusted)
    assert (str(found), sorted(found.scopes)) == ("player:v", ["read", "submit:self"])
    assert found.expires == NOW + 60 + LEEWAY
    assert [board for board in ("mario-kart", "mario-party", "luigi-kart", "zelda") if found.may_on(board)] == [
        "mario-kart"
    ]
    assert not found.has_every_board


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_token(kind: str) -> None:
    """A token of an issuer is good for all boards, whatever it claims of them."""
    found = whose(signed(FOREIGN | {"boards": 7}, kind))
    assert (found.kind, found.name, found.boards) == ("player", "v", ("*",))


def test_signed_token_is_accepted() -> None:
    """What the service signs it accepts; a representation of it does not show the token."""
    made = TRUSTED.sign("v", ["mario-*"], 3600, NOW + 0.5)
    assert whose(made.token.encode()).boards == ("mario-*",)
    assert made.expires_at.timestamp() == NOW + 3600
    assert made.token not in repr(made)


def test_new_name_of_ed25519() -> None:
    """EdDSA is called Ed25519 as well (RFC 9864), by tokens and by keys."""
    token = signed(FOREIGN, "EdDSA", {"alg": "Ed25519"})
    assert whose(token).name == "v"
    assert whose(token, tokens(issuer(keys=(public("EdDSA", alg="Ed25519"),)))).name == "v"


def test_without_kid() -> None:
    """A token that names no key can only mean the one that its issuer has for its algorithm; a key may have no name."""
    assert whose(signed(FOREIGN, "RS256", {"kid": None})).name == "v"
    assert whose(signed(FOREIGN, "RS256"), tokens(issuer(keys=(public("RS256", kid=None),)))).name == "v"
    with pytest.raises(BadCredential):
        whose(signed(FOREIGN, "RS256", {"kid": None}), tokens(issuer("RS256", "RS256-2")))


def test_audiences() -> None:
    """A token may be for several, of whom one must be the issuer's."""
    assert whose(signed(FOREIGN | {"iss": OTHER, "aud": ["x", "b"]}, "RS256-2")).name == "v"


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("user_id", {"user_id": "v"}),
        ("user_metadata.nick", {"user_metadata": {"nick": "v"}}),
        ("https://game.example/name", {"https://game.example/name": "v"}),
    ],
)
def test_claim_of_name(claim: str, claims: dict[str, Any]) -> None:
    """The name is any claim, also one in another, and one with points in its own name."""
    trusted = tokens(issuer("RS256", name=claim))
    assert whose(signed(FOREIGN | {"sub": "x"} | claims, "RS256"), trusted).name == "v"


NAMES: list[object] = [None, 7, True, "", [], ["v"], {"v": 1}, ".", "..", "a\nb", "a\x00", "a\x7f", "é" * 129, "\ud800"]


@pytest.mark.parametrize("name", NAMES, ids=repr)
@pytest.mark.parametrize("claim", ["sub", "a.b", "a.b.c"])
def test_bad_name(name: object, claim: str) -> None:
    """A claim that is no good name of a player is nobody's."""
    value: object = name
    for part in reversed(claim.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    table = {key: each for key, each in FOREIGN.items() if key != "sub"} | value
    with pytest.raises(BadCredential, match="no good name"):
        whose(signed(table, "EdDSA"), tokens(issuer("EdDSA", name=claim)))


def confused(form: str) -> bytes:
    """Return a token that is signed by HS256 with a public key as the secret."""
    key = private("RS256").public_key()
    secret = (
        json.dumps(public("RS256")).encode()
        if form == "JWK"
        else key.public_bytes(getattr(Encoding, form), PublicFormat.SubjectPublicKeyInfo)
    )
    message = encoded({"alg": "HS256", "kid": "RS256"}) + b"." + encoded(FOREIGN)
    return message + b"." + encoded(jwt.get_algorithm_by_name("HS256").sign(message, secret))


def forged(algorithm: str, signature: bytes = b"", claims: dict[str, Any] = FOREIGN, kid: str | None = None) -> bytes:
    """Return a token with a signature that is made up."""
    head = encoded({"alg": algorithm, "kid": kid or algorithm})
    return head + b"." + encoded(claims) + b"." + encoded(signature)


def without(claim: str, claims: dict[str, Any] = OWN) -> dict[str, Any]:
    """Return claims without one."""
    return {key: value for key, value in claims.items() if key != claim}


def and_also(more: bytes) -> bytes:
    """Return the usual claims, and more JSON behind them."""
    return json.dumps(OWN).encode()[:-1] + b"," + more


GOOD = own()
HEAD, PAYLOAD, SIGNATURE = GOOD.split(b".")
ORDER = bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
"""Of the group of P-256."""
ATTACKS = {
    "half a surrogate pair in a pattern": own({"boards": ["mario-\ud800*"]}),
    # Algorithms and keys
    **{f"alg {name!r}": forged(name, claims=OWN) for name in ("none", "None", "NONE", "nOnE", "none ", "", "HS256")},
    **{f"foreign alg {name!r}": forged(name) for name in ("none", "NONE", "RS256", "rs256", "HS256")},
    "no alg": own(head=b"{}"),
    "alg is no string": own(head=b'{"alg":["HS256"]}'),
    "own by HS512": own(head={"alg": "HS512"}),
    "own by HS384": own(head={"alg": "HS384"}),
    "own by another secret": own(secret=b"x" * 32),
    "own by RS256": signed(OWN, "RS256"),
    "foreign by the secret": own(FOREIGN),
    "public key as secret, PEM": confused("PEM"),
    "public key as secret, DER": confused("DER"),
    "public key as secret, JWK": confused("JWK"),
    "PS256 by a key of RS256": jwt.encode(FOREIGN, private("RS256"), "PS256", headers={"kid": "RS256"}).encode(),
    "key of another type": signed(FOREIGN, "RS256", {"kid": "ES256"}),
    "algorithm of another key": forged("ES256", b"\0" * 64, kid="RS256"),
    "ES256 with r = s = 0": forged("ES256", b"\0" * 64),
    "ES256 with s = 0": forged("ES256", b"\1" * 32 + b"\0" * 32),
    "ES256 with the group's order": forged("ES256", ORDER * 2),
    "ES256 in DER": forged("ES256", private("ES256").sign(b"", ec.ECDSA(SHA256()))),
    "ES256 cut": forged("ES256", b"\1" * 63),
    "RS256 with 0": forged("RS256", b"\0" * 256),
    "RS256 without a signature": forged("RS256"),
    "EdDSA with 0": forged("EdDSA", b"\0" * 64),
    "another issuer's key": signed(FOREIGN, "RS256-2"),
    "another issuer's key under its kid": signed(FOREIGN, "RS256-2", {"kid": "RS256"}),
    "an issuer as another": signed(FOREIGN | {"iss": OTHER, "aud": "a"}, "RS256"),
    "embedded key": signed(FOREIGN, "RS256-3", {"kid": "RS256", "jwk": public("RS256-3")}),
    **{
        f"{name} in the head": own(head={name: value})
        for name, value in {
            "crit": ["exp"],
            "jku": "https://evil.example/keys",
            "x5u": "https://evil.example/cert",
            "x5c": ["MIIB"],
            "jwk": {"kty": "oct", "k": "eHh4"},
            "b64": False,
            "zip": "DEF",
            "enc": "A256GCM",
        }.items()
    },
    "kid is a number": own(head={"kid": 7}),
    "kid is null": own(head={"kid": None}),
    "kid is huge": signed(FOREIGN, "RS256", {"kid": "k" * 5000}),
    "kid is a path": signed(FOREIGN, "RS256-3", {"kid": "../../../dev/null"}),
    "kid is a URL": signed(FOREIGN, "RS256-3", {"kid": "http://169.254.169.254/"}),
    "kid is SQL": signed(FOREIGN, "RS256-3", {"kid": "' UNION SELECT 'k' --"}),
    # Claims
    "unknown issuer": signed(FOREIGN | {"iss": "https://evil.example/"}, "RS256"),
    "issuer with a slash less": signed(FOREIGN | {"iss": ISSUER[:-1]}, "RS256"),
    "issuer in another case": signed(FOREIGN | {"iss": ISSUER.upper()}, "RS256"),
    "issuers": signed(FOREIGN | {"iss": [ISSUER]}, "RS256"),
    "no issuer": signed(without("iss", FOREIGN), "RS256"),
    "foreign audience": signed(FOREIGN | {"aud": "other-game"}, "RS256"),
    "audience of another issuer": signed(FOREIGN | {"aud": "a"}, "RS256"),
    "no audience": signed(without("aud", FOREIGN), "RS256"),
    "own for another audience": own({"aud": AUDIENCE}),
    "own without audience": own(json.dumps(without("aud")).encode()),
    "audience in no list": own({"aud": {"laurels": True}}),
    "empty audiences": own({"aud": []}),
    "expired": own({"exp": NOW - LEEWAY}),
    "no exp": own(json.dumps(without("exp")).encode()),
    **{
        f"exp {text:.9}, {len(text)}": own(json.dumps(OWN).encode().replace(str(NOW + 60).encode(), text.encode()))
        for text in ("NaN", "Infinity", "-Infinity", "1e400", "1e300", "9" * 400, "9" * 5000, "-1", "0", "true", "null")
    },
    "exp is a string": own({"exp": str(NOW + 60)}),
    "exp is a list": own({"exp": [NOW + 60]}),
    "not yet": own({"nbf": NOW + LEEWAY + 1}),
    "not yet, far": own({"nbf": 9e99}),
    "from the future": own({"iat": NOW + LEEWAY + 1}),
    "boards are no list": own({"boards": "*"}),
    "boards are no strings": own({"boards": [7]}),
    "boards are null": own({"boards": None}),
    # Forms
    "two parts": HEAD + b"." + PAYLOAD,
    "four parts": GOOD + b".x",
    "five parts": b"a.b.c.d.e",
    "nothing": b"",
    "points": b"..",
    "not ASCII": GOOD[:-1] + b"\xff",
    "padding": GOOD + b"=",
    "space": GOOD + b" ",
    "a bit that does not count": GOOD[:-1] + bytes([GOOD[-1] + 1]),
    "cut": GOOD[:-1],
    "stretched": GOOD + b"A",
    "the other alphabet": own(and_also(b'"a":"???>>>"}')).replace(b"_", b"/").replace(b"-", b"+"),
    "too long": own({"more": "x" * 9000}),
    "no JSON": own(b"laurels"),
    "no object": own(b"[]"),
    "a head that is no object": own(head=b'"alg"'),
    "not UTF-8": own(b'{"iss":"\xff"}'),
    "UTF-16": own(json.dumps(OWN).encode("utf-16")),
    "claim twice": own(and_also(b'"sub":"w"}')),
    "claim twice by an escape": own(and_also(b'"s\\u0075b":"w"}')),
    "key twice inside": own(and_also(b'"a":{"b":1,"b":2}}')),
    "alg twice": own(head=b'{"alg":"none","alg":"HS256"}'),
    "more behind it": own(and_also(b'"a":1}{}')),
    "nested": own(b"[" * 5000),
    "nested objects": own(and_also(b'"a":' + b'{"a":' * 1000)),
}


@pytest.mark.parametrize("token", ATTACKS.values(), ids=ATTACKS.keys())
def test_attack_is_refused(token: bytes) -> None:
    """It is a 401, whose words show neither the token nor the secret."""
    with pytest.raises(BadCredential) as refused:
        whose(token)
    assert not token or token.decode(errors="replace") not in str(refused.value)
    assert SECRET.decode() not in str(refused.value)


@given(st.text(max_size=300) | st.lists(st.text("-_.=eyJhbGciOi0{}", max_size=40), max_size=5).map(".".join))
def test_any_text_is_refused(text: str) -> None:
    """Whatever is shown is refused as every bad credential is, and nothing else happens."""
    with pytest.raises(BadCredential):
        TRUSTED.verify(text, NOW)


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=4)


@given(st.dictionaries(st.sampled_from([*FOREIGN, "nbf", "iat", "boards", "x"]), JSON), st.sampled_from([OWN, FOREIGN]))
def test_any_claims(changes: dict[str, Any], claims: dict[str, Any]) -> None:
    """A token that is rightly signed is a player's, or is refused, whatever else it claims."""
    token = own(claims | changes) if claims is OWN else signed(claims | changes, "EdDSA")
    try:
        assert whose(token).kind == "player"
    except BadCredential:
        assert changes


@given(st.integers(0, len(GOOD) - 1), st.sampled_from([*map(bytes, zip(range(33, 127)))]))
def test_any_change_is_refused(place: int, other: bytes) -> None:
    """There is no second way to write a token."""
    changed = GOOD[:place] + other + GOOD[place + 1 :]
    if changed == GOOD:
        assert whose(changed).name == "v"
    else:
        with pytest.raises(BadCredential):
            whose(changed)


def test_the_attacks_are_bad_alone_by_what_they_are() -> None:
    """The same ways of making tokens make good ones."""
    for token in (GOOD, own(and_also(b'"a":1}')), own(head={"kid": "7"}), signed(FOREIGN, "RS256", {"typ": "at+jwt"})):
        assert whose(token).name == "v"
    assert whose(GOOD[:-1] + GOOD[-1:]).name == "v"


def test_own_issuer_without_secret() -> None:
    """A service without a secret has no tokens of its own, and says how it would if it is to make one."""
    trusted = Tokens(Players())
    with pytest.raises(BadCredential):
        whose(GOOD, trusted)
    with pytest.raises(NoSecret, match="LAURELS_TOKEN_SECRET"):
        trusted.sign("v", ["*"], 60, NOW)


@pytest.mark.parametrize("claims", [{"exp": NOW - LEEWAY + 1}, {"nbf": NOW + LEEWAY}, {"iat": NOW + LEEWAY}])
def test_leeway(claims: dict[str, Any]) -> None:
    """The clocks of the signer and the service may differ a little."""
    assert whose(own(claims)).name == "v"


@pytest.mark.parametrize("secret", [b"x" * 31, b"", PEM])
def test_bad_secret(secret: bytes) -> None:
    """A secret that may be guessed, or is a public key, is refused with the command that makes a good one."""
    with pytest.raises(ValueError, match="openssl rand -base64 32"):
        Tokens(Players(), secret)


def weak() -> dict[str, Any]:
    """Return an RSA key of 1,024 bits."""
    return RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True)  # noqa: S505 - that it is weak is the point


def of_curve(curve: ec.EllipticCurve) -> dict[str, Any]:
    """Return a key on another curve."""
    return ECAlgorithm.to_jwk(ec.generate_private_key(curve).public_key(), as_dict=True)


BAD_ISSUERS = {
    "ours": ({"issuer": "laurels"}, "itself"),
    "empty": ({"issuer": ""}, "empty"),
    "no audience": ({"audience": ""}, "audience"),
    "no audiences": ({"audience": ()}, "audience"),
    "an empty audience": ({"audience": ("a", "")}, "audience"),
    "no claim": ({"name": ""}, "the name"),
    "no keys": ({"keys": ()}, "either"),
    "no number as a port": ({"jwks": "https://issuer.example:x/", "keys": ()}, "[Pp]ort"),
    "port 0": ({"jwks": "https://issuer.example:0/", "keys": ()}, "a URL with a host"),
    "keys and a URL": ({"jwks": "https://issuer.example/"}, "either"),
    "plain http": ({"jwks": "http://issuer.example/", "keys": ()}, "https://"),
    "another scheme": ({"jwks": "file:///etc/passwd", "keys": ()}, "host"),
    "a password": ({"jwks": "https://a:b@issuer.example/", "keys": ()}, "password"),
    "a fragment": ({"jwks": "https://issuer.example/#x", "keys": ()}, "fragment"),
    "a secret": ({"keys": ({"kty": "oct", "k": "eHh4"},)}, "key 0 cannot be used: it is neither"),
    "a private key": ({"keys": (public("RS256", d="AQ"),)}, "private"),
    "weak": ({"keys": (weak(),)}, "1024 bits"),
    "P-384": ({"keys": (of_curve(ec.SECP384R1()),)}, "neither"),
    "for encryption": ({"keys": (public("RS256", use="enc"),)}, "not for signatures"),
    "for signing": ({"keys": (public("RS256", key_ops=["sign"]),)}, "not for signatures"),
    "for RS512": ({"keys": (public("RS256", alg="RS512"),)}, "its alg is not RS256"),
    "malformed": ({"keys": (public("RS256", n="!"),)}, "malformed"),
    "off the curve": ({"keys": (public("ES256", x=encoded(b"\1" * 32).decode()),)}, "malformed"),
    "no number": ({"keys": (public("RS256", n=7),)}, "Expected `str`"),
}


@pytest.mark.parametrize(("changes", "problem"), BAD_ISSUERS.values(), ids=BAD_ISSUERS.keys())
def test_bad_issuer(changes: dict[str, Any], problem: str) -> None:
    """An issuer that cannot be used is refused, with the reason."""
    with pytest.raises(ValueError, match=problem):
        tokens(issuer("RS256", **changes))


def test_issuer_twice() -> None:
    """It would not be told which of the two a token is of."""
    with pytest.raises(ValueError, match="twice"):
        tokens(issuer("RS256"), issuer("ES256"))


@pytest.mark.parametrize("name", ["", "a\nb", ".", "é" * 129])
def test_no_token_for_a_bad_name(name: str) -> None:
    """A token is made for names alone that a player can have."""
    with pytest.raises(BadName):
        TRUSTED.sign(name, ["*"], 60, NOW)


def test_no_token_that_would_be_refused() -> None:
    """A token with so many boards that it is too long is not made."""
    with pytest.raises(BadBody, match="fewer boards"):
        TRUSTED.sign("v", ["b" * 250] * 100, 60, NOW)
