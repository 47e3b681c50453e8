from .support import clean, read, rules_of_each


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


def test_damaged_web_addresses_are_mended():
    cases = [
        ("labo.fr/page", "https://labo.fr/page"),
        ("//labo.fr/x", "https://labo.fr/x"),
        ("https//labo.fr", "https://labo.fr"),
        ("http:labo.fr", "http://labo.fr"),
        ("http:/labo.fr", "http://labo.fr"),
        ("http\\c//labo.fr", "http://labo.fr"),
        ("https\\c//labo.fr/a", "https://labo.fr/a"),
        ("http\\://labo.fr", "http://labo.fr"),
        ("http;//labo.fr", "http://labo.fr"),
        ("htpp://labo.fr", "http://labo.fr"),
        ("ttps://labo.fr", "https://labo.fr"),
        ("http:// labo.fr", "http://labo.fr"),
        ("http://https://labo.fr", "https://labo.fr"),
        ("http://www.http://labo.fr", "http://labo.fr"),
        ("  https://labo.fr \n", "https://labo.fr"),
        ("https://labo.fr/\u200b", "https://labo.fr/"),
        ("https://labo.fr./", "https://labo.fr/"),
        ("labo.fr.", "https://labo.fr"),
        ("HTTPS://LABO.FR/Page", "https://labo.fr/Page"),
        ("https://labo.fr:443/x", "https://labo.fr/x"),
        ("https://labo.fr:8080/x", "https://labo.fr:8080/x"),
        ("https://café.fr/", "https://xn--caf-dma.fr/"),
        ("https://labo.fr/?a=1&amp;b=2", "https://labo.fr/?a=1&b=2"),
        ("https://labo.fr/?a=1&amp;amp;b=2", "https://labo.fr/?a=1&b=2"),
        ("https://labo.fr/;jsessionid=12AB", "https://labo.fr/"),
        ("https://labo.fr/?a=1;b=2", "https://labo.fr/?a=1;b=2"),
        ("(https://labo.fr)", "https://labo.fr"),
        ("https://fr.wikipedia.org/wiki/Labo_(lieu)", "https://fr.wikipedia.org/wiki/Labo_(lieu)"),
        ("[Site](https://labo.fr)", "https://labo.fr"),
        ('<a href="https://labo.fr">site</a>', "https://labo.fr"),
        ("Site : https://labo.fr", "https://labo.fr"),
    ]
    assert read("site_web", "site_web", cases) == cases
    assert read("url", "url", cases) == cases


def test_tracking_and_credentials_are_taken_out():
    cases = [
        ("https://labo.fr/?utm_source=x&utm_campaign=y", "https://labo.fr/"),
        ("https://labo.fr/?gclid=1#plan", "https://labo.fr/#plan"),
        ("https://labo.fr/?fbclid=1&page=2", "https://labo.fr/?page=2"),
        ("https://labo.fr/?token=abc&id=2", "https://labo.fr/?id=2"),
        ("https://jean@labo.fr/", "https://labo.fr/"),
        ("https://jean:secret@labo.fr/", "https://labo.fr/"),
    ]
    assert read("site_web", "site_web", cases) == cases


def test_the_own_site_is_preferred_in_a_list():
    cases = [
        ("https://labo.fr;https://autre.fr", "https://labo.fr"),
        ("labo.fr;autre.fr", "https://labo.fr"),
        ("https://labo.fr ; NULL", "https://labo.fr"),
        ("NULL;https://labo.fr", "https://labo.fr"),
        ("https://labo.fr,https://autre.fr", "https://labo.fr"),
        ("https://labo.fr|https://autre.fr", "https://labo.fr"),
        ("https://labo.frhttps://labo.fr", "https://labo.fr"),
        ("https://www.facebook.com/labo labo.fr", "https://labo.fr"),
        ("https://m.facebook.com/labo;https://labo.fr", "https://labo.fr"),
        ("https://twitter.com/a;https://facebook.com/labo", "https://twitter.com/a"),
        ("facebook.com/labo", "https://facebook.com/labo"),
        ("voir www.labo.fr ou facebook", "https://www.labo.fr"),
    ]
    assert read("site_web", "site_web", cases) == cases


def test_what_is_not_a_site_is_refused_with_its_reason():
    cases = {
        "@labo": "hote_invalide",
        "@labo.fr": "hote_invalide",
        "fablabnantes": "hote_invalide",
        "FabLab Nantes": "hote_invalide",
        "facebook : labo": "hote_invalide",
        "facebook/labo": "hote_invalide",
        "Jean.Dupont": "hote_invalide",
        "index.php": "hote_invalide",
        "contact@labo.fr": "hote_invalide",
        "http://labo": "hote_invalide",
        "http://labo.local": "hote_invalide",
        "https://www.labo": "hote_invalide",
        "https://labo..fr": "hote_invalide",
        "http://192.168.1.1": "hote_invalide",
        "http://[::1]/": "hote_invalide",
        "https://labo.fr:99999/": "adresse_illisible",
        "/a/b": "adresse_relative",
        "../a": "adresse_relative",
        "?p=1": "adresse_relative",
        "mailto:contact@labo.fr": "schema_refuse",
        "tel:+33240123456": "schema_refuse",
        "ftp://labo.fr": "schema_refuse",
        "JaVaScRiPt:alert(1)": "schema_refuse",
        "data:text/html,x": "schema_refuse",
        "06 41 72 83 95": "donnee_personnelle_dans_adresse",
        "https://labo.fr/" + "a" * 10_000: "adresse_trop_longue",
    }
    for column in ("site_web", "url"):
        rows = [{column: written} for written in cases]
        assert rules_of_each(*rows) == [{(column, rule)} for rule in cases.values()]
    empty = ("NULL", "http://", "https://www.", "néant", "Aucun", "-", "n/a", " ", "Pas de site")
    assert rules_of_each(*({"site_web": written} for written in empty)) == [set()] * len(empty)


def test_a_hostile_web_address_is_read_in_bounded_time():
    texts = ("http" + " " * 100_000, "a" * 100_000, "(" * 100_000, "&amp;" * 20_000, "h;" * 50_000)
    rows = [{"site_web": text} for text in texts]
    assert [fiche["site_web"] for fiche in clean(*rows).fiches.to_pylist()] == [None] * len(texts)
