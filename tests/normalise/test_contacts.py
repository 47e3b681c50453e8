from .support import read, rules_of_each


def test_only_landlines_are_published():
    cases = [
        ("02.40.12.34.56", "+33240123456"),
        ("+33 (0)2 40 12 34 56", "+33240123456"),
        ("0033240123456", "+33240123456"),
        ("240123456", "+33240123456"),
        ("01 99 00 12 34", "+33199001234"),
        ("0262 12 34 56", "+262262123456"),
        ("02 40 12 34 56 / 06 12 34 56 78", "+33240123456"),
        ("06 12 34 56 78 ; 02 40 12 34 56", "+33240123456"),
        ("Tél : 02 40 12 34 56", "+33240123456"),
        ("0692 12 34 56", None),
        ("+33612345678", None),
        ("612345678", None),
        ("12 34", None),
        ("NULL", None),
    ]
    assert read("telephone", "telephone", cases) == cases


def test_a_refused_number_leaves_a_masked_row():
    rows = [{"telephone": written} for written in ("06 12 34 56 78", "12 34", "NULL")]
    assert rules_of_each(*rows) == [
        {("telephone", "mobile_ecarte")},
        {("telephone", "telephone_invalide")},
        set(),
    ]


def test_only_role_addresses_on_an_own_domain_are_published():
    cases = [
        ("Contact@Labo.fr", "contact@labo.fr"),
        ("contact[at]labo.fr", "contact@labo.fr"),
        ("mailto:info@labo.fr", "info@labo.fr"),
        ("jean.dupont@labo.fr; accueil@labo.fr", "accueil@labo.fr"),
        ("contact@gmail.com", None),
        ("contact@orange.fr", None),
        ("jean.dupont@labo.fr", None),
        ("jd@labo.fr", None),
        ("hidden", None),
        ("contact", None),
    ]
    assert read("courriel", "courriel", cases) == cases


def test_only_web_addresses_without_secrets_are_published():
    cases = [
        ("https://labo.fr/a?id=2", "https://labo.fr/a?id=2"),
        ("www.Labo.fr", "https://www.labo.fr"),
        ("HTTP://Labo.FR/Page", "http://labo.fr/Page"),
        ("http://jean:secret@labo.fr/", "http://labo.fr/"),
        ("https://labo.fr/?utm_source=x&id=2&fbclid=y", "https://labo.fr/?id=2"),
        ("https://facebook.com/labo;https://labo.fr", "https://labo.fr"),
        ("https://www.facebook.com/labo", "https://www.facebook.com/labo"),
        ("http://http://labo.fr", "http://labo.fr"),
        ("https://mastodon.social/@labo", "https://mastodon.social/@labo"),
        ("javascript:alert(1)", None),
        ("&#106;avascript:alert(1)", None),
        ("data:text/html,x", None),
        ("mailto:jean@labo.fr", None),
        ("http://", None),
        ("NULL", None),
        ("/relative", None),
        ("http://127.0.0.1/", None),
        ("http://localhost:8000/x", None),
        ("https://labo.fr/" + "a" * 10_000, None),
        ("https://labo.fr/?email=jean@labo.fr", "https://labo.fr/"),
        ("https://labo.fr/jean%40labo.fr", None),
    ]
    assert read("site_web", "site_web", cases) == cases
