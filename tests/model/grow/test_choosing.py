"""How tokens are counted and ordered by what leaving them out costs."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from dgemma_model.errors import ModelError
from dgemma_model.grow import choosing, ranking, texts, vocabulary
from dgemma_model.grow.choosing import Counts, by_cost, inflation
from dgemma_model.grow.texts import Package, Registry
from dgemma_model.grow.vocabulary import Merges
from tests.model.grow.networks import TEXT, tokenizer

SOURCE = tokenizer().to_str()


def merges() -> Merges:
    return Merges(json.loads(SOURCE))


def test_every_beginning_of_the_order_is_closed_under_merges() -> None:
    known = merges()
    kept = known.needed()
    order = by_cost(known, Counter(ranking.count(json.loads(SOURCE), [TEXT])))
    assert set(order) | kept == set(vocabulary.everything(json.loads(SOURCE)).tolist())
    for token in order:
        assert set(known.parts(token)) <= kept
        kept.add(token)


def test_what_is_used_most_comes_first_and_parts_inherit_uses() -> None:
    words = tokenizer()
    ids = {name: words.token_to_id(name) for name in ("first", "Ġsecond", "Ġreturn", "Ġret")}
    order = by_cost(merges(), {ids["first"]: 5.0, ids["Ġreturn"]: 9.0, ids["Ġsecond"]: 1.0})
    place = {name: order.index(number) for name, number in ids.items()}
    assert place["Ġret"] < place["Ġreturn"] < place["Ġsecond"]
    assert place["first"] < place["Ġsecond"]


def test_a_larger_vocabulary_costs_less_and_all_tokens_cost_nothing() -> None:
    source = json.loads(SOURCE)
    order = by_cost(merges(), ranking.count(source, [TEXT]))
    costs = [inflation(source, size, order, {"Python": [TEXT]})["Python"] for size in (259, 280, 300, 318)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 0.5
    assert costs[-1] == 0


def test_languages_count_by_the_square_root_of_their_size() -> None:
    counts = Counts({"Go": Counter({1: 75, 2: 25}), "C": Counter({1: 1})}, {})
    assert counts.usefulness() == {1: 75 / 10 + 1, 2: 25 / 10}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "pypi" / "some-1.0.tar.gz"
    path.parent.mkdir()
    contents = {
        "some-1.0/a.py": "x = 1\n" * 50,
        "some-1.0/run": "#!/bin/bash\n" + "echo $x\n" * 50,
        "some-1.0/deps/vendor/b.py": "y = 1\n" * 50,
        "some-1.0/data.bin": "z" * 300,
        "some-1.0/tiny.py": "y",
        "some-1.0/chinese.md": "\u8bf4\u660e" * 300,
        "some-1.0/long.js": "x" * 3000,
    }
    with tarfile.open(path, "w:gz") as tar:
        for name, text in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def listed(archive: Path, *, held_out: bool = False) -> Package:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return Package(Registry.PYPI, "some", "1.0", archive.name, digest, "MIT", held_out)


def test_files_are_sorted_into_languages_and_what_nobody_wrote_is_left_out(archive: Path) -> None:
    assert texts.texts(archive) == {
        "Python": ["x = 1\n" * 50],
        "Bash": ["#!/bin/bash\n" + "echo $x\n" * 50],
    }


def test_a_wheel_is_read_like_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("a.rs", "fn main() {}\n" * 30)
    assert list(texts.texts(tmp_path / "a.whl")) == ["Rust"]


def test_a_package_is_taken_from_the_cache_if_it_is_the_listed_one(archive: Path, tmp_path: Path) -> None:
    package = listed(archive)
    assert package.fetch(tmp_path) == archive
    archive.write_bytes(b"something else")
    with pytest.raises(ModelError, match="is not the archive that was listed"):
        package.fetch(tmp_path)


def test_held_out_packages_are_not_counted(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for held_out in (False, True):
        monkeypatch.setattr(choosing, "packages", lambda held=held_out: [listed(archive, held_out=held)])
        counts = Counts.of_packages(json.loads(SOURCE), tmp_path)
        assert (set(counts.counted), set(counts.held_out)) == (
            (set(), {"Bash", "Python"}) if held_out else ({"Bash", "Python"}, set())
        )


def test_the_list_of_packages_is_complete() -> None:
    entries = texts.packages()
    assert len({(entry.registry, entry.name) for entry in entries}) == len(entries)
    assert all(len(entry.sha256) == 64 and entry.licence for entry in entries)
    copyleft = ("GPL", "MPL", "EPL")
    assert [
        e.name for e in entries if any(word in e.licence for word in copyleft) and " OR " not in e.licence
    ] == []
