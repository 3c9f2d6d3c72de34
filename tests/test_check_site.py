"""What the check of the built documentation notices."""

import json

from tests import check_site

PICTURE = '<img src="data:image/png;base64,AA==">'


def site_of(folder, page):
    """A site of one page of ours, and the pages that the check asks for."""
    (folder / "search").mkdir()
    pages = {*check_site.NOTEBOOKS, *check_site.SEARCHED.values()}
    for name in pages:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "index.html").write_text(
            '<h1 id="top">' + PICTURE * check_site.NOTEBOOKS.get(name, 0)
        )
    (folder / "index.html").write_text(page)
    found = [
        {"location": f"{page}#top", "title": "", "text": words.upper()}
        for words, page in check_site.SEARCHED.items()
    ]
    index = folder / "search" / "search_index.json"
    index.write_text(json.dumps({"docs": found}))
    return folder


def test_a_whole_site_passes(tmp_path, capsys):
    page = (
        '<a href="robustness/#top"><a href="#here"><i id="here">'
        '<a href="https://arxiv.org/x"><a href="mailto:a@b.c">'
    )
    assert check_site.main(["", str(site_of(tmp_path, page))]) == 0
    assert "as they should" in capsys.readouterr().out


def test_links_that_lead_nowhere_are_named(tmp_path, capsys):
    page = (
        '<a href="robustness/#nowhere"><a href="../losses.md"><img src="none.png">'
        '<a href="#gone">'
    )
    assert check_site.main(["", str(site_of(tmp_path, page))]) == 1
    said = capsys.readouterr().out
    assert "index.html: robustness/#nowhere has no such place" in said
    assert "index.html: ../losses.md leads nowhere" in said
    assert "index.html: none.png leads nowhere" in said
    assert "index.html: #gone has no such place" in said


def test_a_notebook_without_its_pictures_is_named(tmp_path, capsys):
    site = site_of(tmp_path, "")
    name = next(iter(check_site.NOTEBOOKS))
    (site / name / "index.html").write_text(PICTURE)
    assert check_site.main(["", str(site)]) == 1
    assert f"{name} has 1 pictures" in capsys.readouterr().out


def test_a_search_that_finds_nothing_is_named(tmp_path, capsys):
    site = site_of(tmp_path, "")
    (site / "search" / "search_index.json").write_text('{"docs": []}')
    assert check_site.main(["", str(site)]) == 1
    assert (
        "a search for 'AutoAttack' does not find robustness/" in capsys.readouterr().out
    )
