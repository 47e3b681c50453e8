"""Files are whole or absent, whatever happens in between."""

from pathlib import Path

import pytest

from lowtech_data import files


def test_a_failed_write_leaves_the_former_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "etat.json"
    files.write_bytes(target, b"avant")

    def refuse(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="space"):
        files.write_bytes(target, b"apres")
    assert target.read_bytes() == b"avant"
    assert [p.name for p in tmp_path.iterdir()] == ["etat.json"]


def test_an_abandoned_directory_is_removed(tmp_path: Path):
    with pytest.raises(RuntimeError), files.new_directory(tmp_path) as partial:  # noqa: PT012
        (partial / "a").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_committing_keeps_what_already_has_the_name(tmp_path: Path):
    with files.new_directory(tmp_path) as partial:
        (partial / "a").write_text("premier")
        files.commit_directory(partial, tmp_path / "nom")
    with files.new_directory(tmp_path) as partial:
        (partial / "a").write_text("second")
        files.commit_directory(partial, tmp_path / "nom")
    assert (tmp_path / "nom" / "a").read_text() == "premier"
    assert [p.name for p in tmp_path.iterdir()] == ["nom"]


def test_content_address_depends_on_names_and_bytes_only(tmp_path: Path):
    for name, content in (("un", "x"), ("deux", "x"), ("trois", "y")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fichier").write_text(content)
    one, two, three = (files.content_address(tmp_path / n) for n in ("un", "deux", "trois"))
    assert one == two != three


def test_switching_a_link_replaces_it(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files.switch_link(tmp_path / "courante", name)
    assert (tmp_path / "courante").resolve() == (tmp_path / "b").resolve()


def test_partials_of_an_interrupted_process_are_removed(tmp_path: Path):
    (tmp_path / "source" / ".part-abc").mkdir(parents=True)
    (tmp_path / "source" / ".part-abc" / "f").write_text("x")
    (tmp_path / "source" / "garde").mkdir()
    files.remove_partials(tmp_path)
    assert [p.name for p in (tmp_path / "source").iterdir()] == ["garde"]
