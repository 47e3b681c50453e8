import codecs
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data.extract.base import PayloadError
from lowtech_data.extract.decode import MAX_DEPTH, decode, read_html, read_json

from .support import make_page

TEXT = "Répar’acteurs – œuvre"
LONG = "Atelier d’été à Évry, très près. " * 200


class TestDecode:
    @pytest.mark.parametrize(
        ("body", "charset", "option", "encoding", "evidence"),
        [
            (codecs.BOM_UTF8 + TEXT.encode(), "latin-1", "cp1252", "utf-8", "bom"),
            (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), None, None, "utf-16-le", "bom"),
            (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "utf-8", None, "utf-16-be", "bom"),
            (TEXT.encode("utf-16-le"), "utf-16", None, "utf-16-le", "http"),
            (TEXT.encode("cp1252"), "ISO-8859-1", None, "cp1252", "http"),
            (TEXT.encode("cp1252"), "utf-8", "cp1252", "cp1252", "option"),
            (TEXT.encode("cp1252"), None, None, "cp1252", "cp1252"),
            (TEXT.encode(), None, None, "utf-8", "utf-8"),
            (TEXT.encode(), "inconnu-42", None, "utf-8", "utf-8"),
            (TEXT.encode(), "utf-7", "utf-7", "utf-8", "utf-8"),
            (TEXT.encode(), "rot13", "zlib", "utf-8", "utf-8"),
        ],
    )
    def test_order_of_evidence(
        self, body: bytes, charset: str, option: str, encoding: str, evidence: str
    ) -> None:
        decoded = decode(make_page(body, charset=charset), option)
        assert (decoded.text, decoded.encoding, decoded.evidence) == (TEXT, encoding, evidence)

    def test_a_page_s_own_declaration_counts_only_in_html(self) -> None:
        page = '<html><meta charset="iso-8859-15"><p>10 €</p>'.encode("iso-8859-15")
        assert decode(make_page(page)).encoding == "iso8859-15"
        assert decode(make_page(page, charset="windows-1252")).encoding == "cp1252"
        assert decode(make_page(b'{"a": "<meta charset=iso-8859-15>"}')).encoding == "utf-8"

    def test_contradicting_declarations_are_read_by_the_first_that_fits(self) -> None:
        body = '<meta charset="utf-8">été'.encode("cp1252")
        decoded = decode(make_page(body, charset="latin-1"))
        assert decoded.text.endswith("été")
        assert decoded.evidence == "http"

    def test_utf7_never_hides_markup(self) -> None:
        body = b"+ADw-script+AD4-alert(1)"
        assert decode(make_page(body, charset="utf-7")).text == body.decode("ascii")

    def test_one_broken_byte_does_not_turn_utf8_into_another_charset(self) -> None:
        decoded = decode(make_page(LONG.encode() + b"\xe9"))
        assert (decoded.encoding, decoded.damaged) == ("utf-8", 1)
        assert "été" in decoded.text

    def test_too_much_damage_is_refused(self) -> None:
        with pytest.raises(PayloadError, match="caractères perdus"):
            decode(make_page((LONG + "\ufffd" * 20).encode()))
        decode(make_page((LONG + "\ufffd" * 2).encode()))

    def test_utf16_without_a_mark_is_read_when_it_is_declared(self) -> None:
        body = LONG.encode("utf-16-be")
        assert decode(make_page(body, charset="utf-16be")).text == LONG
        assert decode(make_page(body), "utf-16-be").text == LONG
        with pytest.raises(PayloadError):
            decode(make_page(body))

    def test_binary_is_refused(self) -> None:
        with pytest.raises(PayloadError, match="octets nuls"):
            decode(make_page("abcdef".encode("utf-16-le")))

    @given(st.text(max_size=200).filter(lambda text: "\ufffd" not in text and "\0" not in text))
    def test_utf8_round_trip(self, text: str) -> None:
        marked = codecs.BOM_UTF8 + text.encode()
        assert decode(make_page(marked)).text == text


class TestJson:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ('{"a": 1, "b": 2, "a": 3}', "clé répétée 'a'"),
            ('[{"x": {"k": 1, "k": 1}}]', "clé répétée 'k'"),
            ("[NaN]", "NaN n’est pas un nombre"),
            ("[-Infinity]", "-Infinity n’est pas"),
            ("[1e999]", "hors limites 1e999"),
            ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "niveaux"),
            ("[" * 100_000, "niveaux"),
            ('{"a":' * 100_000, "niveaux"),
            ("[" + "9" * 5_000 + "]", "4 300 chiffres"),
            ('[{"nom": "Ate', "JSON illisible, ligne 1"),
            ('{"a": [1, 2', "tronqué après 11 caractères"),
            ("var x = [1]", "commence par 'var x"),
            ("", "JSON illisible"),
        ],
    )
    def test_refused_with_its_reason(self, body: str, reason: str) -> None:
        with pytest.raises(PayloadError, match=reason):
            read_json(make_page(body))

    def test_deepest_accepted(self) -> None:
        read_json(make_page("[" * MAX_DEPTH + "]" * MAX_DEPTH))

    def test_the_refusal_shows_no_address(self) -> None:
        with pytest.raises(PayloadError) as caught:
            read_json(make_page("contact prenom.nom@example.org 06 12 34 56 78"))
        assert "prenom" not in str(caught.value)
        assert "34" not in str(caught.value)

    @pytest.mark.parametrize(
        ("body", "found"),
        [
            ("<html><title>Site en maintenance</title>", "page de maintenance « Site en mainten"),
            (
                "<!DOCTYPE html><title>Bonjour</title><form><input type=password></form>",
                "page de connexion « Bonjour »",
            ),
            ("<html><title>Just a moment...</title>", "contrôle anti-robot"),
            ("\n<html><body>Rien</body></html>", "page HTML sans titre"),
            ('<?xml version="1.0"?><a/>', "du XML"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "du XML"),
            (
                "<!DOCTYPE html><title>x.fr</title><p>Ce domaine est à vendre</p>",
                "page de domaine à vendre « x.fr »",
            ),
            (
                "<!DOCTYPE html><title>Carte</title><div id=app></div><script>go()</script>",
                "page vide que des scripts remplissent « Carte »",
            ),
        ],
    )
    def test_a_web_page_instead_is_named(self, body: str, found: str) -> None:
        with pytest.raises(PayloadError, match=f"attendu du JSON, trouvé .*{found}"):
            read_json(make_page(body))

    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd")),
            lambda below: st.lists(below, max_size=4) | st.dictionaries(st.just("k"), below),
            max_leaves=10,
        )
    )
    def test_whatever_is_json_is_read(self, document: object) -> None:
        assert read_json(make_page(json.dumps(document))) == document


class TestHtml:
    @pytest.mark.parametrize(
        "body",
        [
            "<div>" * 20_000,
            "<!--" * 50_000,
            "<p " + " ".join(f"a{n}=1" for n in range(50_000)) + ">",
            "<![a" * 20_000,
            "<table><tr><td>" * 5_000,
        ],
        ids=["nested", "comments", "attributes", "sections", "tables"],
    )
    def test_hostile_markup_is_read_in_bounded_time(self, body: str) -> None:
        start = time.process_time()
        read_html(make_page(body))
        assert time.process_time() - start < 5

    def test_too_many_tags_are_refused(self) -> None:
        with pytest.raises(PayloadError, match="300000 balises"):
            read_html(make_page("<b>" * 300_001))

    def test_xml_is_no_page_but_xhtml_is_one(self) -> None:
        head = '<?xml version="1.0" encoding="utf-8"?>\n'
        with pytest.raises(PayloadError, match="attendu une page HTML, trouvé du XML"):
            read_html(make_page(f"{head}<rss><item/></rss>"))
        page = read_html(make_page(f"{head}<!DOCTYPE html><html><body><p>été</p></body></html>"))
        assert page.get_text() == "été"

    @pytest.mark.parametrize(
        ("body", "found"), [("{}", "du JSON"), (" ", "vide"), ("a", "sans balise")]
    )
    def test_something_else_is_named(self, body: str, found: str) -> None:
        with pytest.raises(PayloadError, match=found):
            read_html(make_page(body))

    def test_entities_are_decoded_once(self) -> None:
        page = read_html(make_page("<p>&amp;lt;script&amp;gt; &#106;avascript:</p>"))
        assert page.get_text() == "&lt;script&gt; javascript:"
