"""The development corpus: documents, sidecars, chunks, vectors and their cache."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

from server.dev.knowledge_base.chunks import MAXIMUM_CHARACTERS, cut
from server.dev.knowledge_base.corpus import Corpus
from server.dev.knowledge_base.retrieval_filter import everything, parse_filter
from server.dev.knowledge_base.sidecar import read_sidecar
from server.dev.sample import SAMPLE_DOCUMENTS
from server.errors import StartupError


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.load(SAMPLE_DOCUMENTS, tmp_path_factory.mktemp("embeddings"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small documents, the first with a sidecar."""
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "cats.md").write_text("# Cats\n\nCats sleep most of the day.\n")
    (documents / "cats.md.metadata.json").write_text('{"metadataAttributes": {"animal": "cat"}}')
    (documents / "ships.txt").write_text("The ferry leaves the harbour at noon.\n")
    return documents


def tier(name):
    return parse_filter({"equals": {"key": "tier", "value": name}})


# Question, then what the right passage says for each tier.
QUESTIONS = [
    ("What is the deductible for auto insurance?", "$1,000", "$500"),
    ("What is the maximum deductible for auto insurance?", "$2,400", "$750"),
    ("My car is in the shop, will you pay for a replacement vehicle?", "$35 per day", "$85 per day"),
    ("How far will you tow my broken down car?", "25 miles", "120 miles"),
    ("cracked windscreen cost", "flat $150", "windshield replacement are free"),
    ("Someone got hurt in my car, who pays the hospital?", "$4,000", "$20,000"),
    ("My laptop was stolen from my parked car", "$300", "$1,600"),
    ("How much will you pay if I hit another person?", "$60,000", "$275,000"),
    ("What happens if I pay my premium late?", "costs $25", "grace period of 30 days"),
    ("What is the deductible for home insurance?", "$1,750", "$650"),
    ("A pipe burst and flooded my kitchen", "$18,000", "$52,000"),
    ("Where can I stay while my house is rebuilt?", "$110 per day", "$390 per day"),
    ("Is my wedding ring insured?", "$1,200", "$9,500"),
    ("my dog bit the mailman", "$30,000", "Dog bites"),
    ("How long do I have to report an accident?", "within 14 days", "within 45 days"),
    ("When will I get my money after a claim is approved?", "10 business days", "3 business days"),
    ("Can I contest a rejected claim?", "within 30 days in writing", "within 90 days"),
    ("Which paperwork do you need for a claim?", "$70", "$700"),
    ("How much do I have to pay out of pocket after a car crash?", "$1,000", "$500"),
    ("Can I take my car to my own mechanic?", "At another workshop", "any workshop"),
]


@pytest.mark.parametrize(("name", "deductible"), [("regular", "$1,000"), ("platinum", "$500")])
@pytest.mark.parametrize("kind", ["", "maximum "])
def test_the_first_passage_about_the_auto_deductible_states_it(sample, name, deductible, kind):
    (first,) = sample.search(f"What is the {kind}deductible for auto insurance?", tier(name), limit=1)
    assert f"The deductible for auto insurance is {deductible} per claim." in first.text
    assert "The maximum deductible for auto insurance is $" in first.text


def test_the_right_passage_is_in_the_first_three_for_85_percent_of_paraphrased_questions(sample):
    missed = [
        (question, name)
        for question, *answers in QUESTIONS
        for name, answer in zip(("regular", "platinum"), answers, strict=True)
        if not any(answer in passage.text for passage in sample.search(question, tier(name), limit=3))
    ]
    assert len(missed) <= 0.15 * 2 * len(QUESTIONS), missed


def test_no_amount_of_money_appears_in_both_tiers():
    amounts = {
        name: {
            amount
            for path in SAMPLE_DOCUMENTS.glob(f"*-{name}.md")
            for amount in re.findall(r"\$[\d,]*\d", path.read_text())
        }
        for name in ("regular", "platinum")
    }
    assert min(map(len, amounts.values())) > 20
    assert not amounts["regular"] & amounts["platinum"]


@pytest.mark.parametrize(("name", "foreign"), [("regular", ["$500", "platinum"]), ("platinum", ["$1,000", "regular"])])
def test_a_sample_document_never_mentions_the_other_tier(name, foreign):
    paths = list(SAMPLE_DOCUMENTS.glob(f"*-{name}.md"))
    assert len(paths) == 3
    for path in paths:
        text = path.read_text().lower()
        assert not [word for word in foreign if word in text]
        assert read_sidecar(path).attributes["tier"] == name


def test_search_ranks_by_meaning_and_scores_within_0_and_1(folder, tmp_path):
    corpus = Corpus.load(folder, tmp_path / "cache")
    passages = corpus.search("When does the boat depart?", everything)
    assert [passage.uri.rpartition("/")[2] for passage in passages] == ["ships.txt", "cats.md"]
    assert 1 >= passages[0].score > passages[1].score >= 0


def test_offset_continues_where_the_limit_stopped(sample):
    together = sample.search("water damage", everything, limit=6)
    apart = [sample.search("water damage", everything, limit=2, offset=offset) for offset in (0, 2, 4)]
    assert list(itertools.chain(*apart)) == together
    assert sample.search("water damage", everything, offset=len(sample)) == []


def test_a_passage_carries_the_attributes_and_what_bedrock_adds(folder, tmp_path):
    corpus = Corpus.load(folder, tmp_path / "cache")
    cats, ships = sorted(corpus.search("cats", everything), key=lambda passage: passage.uri)
    assert cats.metadata["animal"] == "cat"
    assert cats.metadata["x-amz-bedrock-kb-source-uri"] == cats.uri == "s3://tenantgate-documents/cats.md"
    assert cats.metadata["x-amz-bedrock-kb-chunk-id"] != ships.metadata["x-amz-bedrock-kb-chunk-id"]
    assert "animal" not in ships.metadata


def test_metadata_of_a_passage_cannot_be_changed(folder, tmp_path):
    corpus = Corpus.load(folder, tmp_path / "cache")
    (passage, *_) = corpus.search("cats", everything)
    with pytest.raises(TypeError):
        passage.metadata["tier"] = "platinum"  # pyright: ignore[reportIndexIssue]


def test_a_document_without_a_sidecar_is_matched_by_no_positive_filter(folder, tmp_path):
    corpus = Corpus.load(folder, tmp_path / "cache")
    matches = parse_filter({"stringContains": {"key": "animal", "value": ""}})
    assert [passage.uri[-7:] for passage in corpus.search("ferry", matches)] == ["cats.md"]


def test_a_second_load_embeds_nothing(folder, tmp_path):
    first = Corpus.load(folder, tmp_path / "cache")
    second = Corpus.load(folder, tmp_path / "cache")
    assert (first.embedded, second.embedded, len(second)) == (2, 0, 2)
    assert second.search("ferry", everything) == first.search("ferry", everything)


def test_a_changed_document_is_the_only_one_embedded_again(folder, tmp_path):
    Corpus.load(folder, tmp_path / "cache")
    (folder / "ships.txt").write_text("The ferry leaves the harbour at midnight.\n")
    assert Corpus.load(folder, tmp_path / "cache").embedded == 1


@pytest.mark.parametrize("content", [b"", b"not numpy", b"\x93NUMPY\x01\x00"])
def test_a_damaged_cache_is_replaced(folder, tmp_path, content):
    Corpus.load(folder, tmp_path / "cache")
    files = list((tmp_path / "cache").iterdir())
    files[0].write_bytes(content)
    np.save(files[1], np.full((1, 384), np.nan, dtype=np.float32))
    assert Corpus.load(folder, tmp_path / "cache").embedded == 2
    assert Corpus.load(folder, tmp_path / "cache").embedded == 0


def test_a_cache_that_cannot_be_written_is_an_error_with_the_remedy(folder, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(StartupError, match=r"cache .*make the folder writable"):
        Corpus.load(folder, tmp_path / "cache")


def test_an_attribute_for_embedding_takes_part_in_the_search(folder, tmp_path):
    attribute = {"value": {"type": "STRING", "stringValue": "submarine"}, "includeForEmbedding": True}
    without = Corpus.load(folder, tmp_path / "cache").search("submarine", everything)
    (folder / "cats.md.metadata.json").write_text(json.dumps({"metadataAttributes": {"vehicle": attribute}}))
    with_attribute = Corpus.load(folder, tmp_path / "cache").search("submarine", everything)
    scores = [{passage.uri: passage.score for passage in found} for found in (without, with_attribute)]
    uri = "s3://tenantgate-documents/cats.md"
    assert scores[1][uri] > scores[0][uri]
    assert not [passage for passage in with_attribute if "submarine" in passage.text]


def test_documents_in_sub_folders_are_loaded_and_other_files_are_not(folder, tmp_path):
    (folder / "fleet").mkdir()
    (folder / "fleet" / "cars.md").write_text("Cars have four wheels.")
    (folder / "fleet" / "image.png").write_bytes(b"\x89PNG")
    corpus = Corpus.load(folder, tmp_path / "cache")
    assert len(corpus) == 3
    (first, *_) = corpus.search("automobile", everything)
    assert first.uri == "s3://tenantgate-documents/fleet/cars.md"


def test_a_folder_that_is_missing_or_empty_is_an_error(tmp_path):
    with pytest.raises(StartupError, match="does not exist"):
        Corpus.load(tmp_path / "nowhere", tmp_path)
    with pytest.raises(StartupError, match=r"holds no \.md or \.txt file"):
        Corpus.load(tmp_path, tmp_path)


def test_a_document_that_is_not_utf_8_is_an_error_naming_it(folder, tmp_path):
    (folder / "latin.txt").write_bytes("Café".encode("latin-1"))
    with pytest.raises(StartupError, match=r"latin\.txt is not UTF-8"):
        Corpus.load(folder, tmp_path / "cache")


def test_a_sidecar_without_its_document_is_an_error(folder, tmp_path):
    (folder / "cats.md.metadata.json").rename(folder / "cats.metadata.json")
    with pytest.raises(StartupError, match=r"cats\.metadata\.json belongs to no document"):
        Corpus.load(folder, tmp_path / "cache")


SOUND = [
    ({"value": {"type": "STRING", "stringValue": "regular"}}, "regular"),
    ({"value": {"type": "NUMBER", "numberValue": 2024}, "includeForEmbedding": True}, 2024),
    ({"value": {"type": "BOOLEAN", "booleanValue": False}, "includeForEmbedding": False}, False),
    ({"value": {"type": "STRING_LIST", "stringListValue": ["auto", "home"]}}, ["auto", "home"]),
    ("regular", "regular"),
    (2.5, 2.5),
    (True, True),
    (["auto"], ["auto"]),
]


@pytest.mark.parametrize(("written", "value"), SOUND)
def test_a_sidecar_value_may_be_plain_or_typed(tmp_path, written, value):
    (tmp_path / "a.md.metadata.json").write_text(json.dumps({"metadataAttributes": {"name": written}}))
    read = read_sidecar(tmp_path / "a.md").attributes["name"]
    assert (type(read), read) == (type(value), value)


BROKEN = [
    ("", "not JSON"),
    ("{", "not JSON"),
    ("[" * 100_00, "not JSON"),
    ('{"metadataAttributes": {"year": ' + "9" * 5000 + "}}", "not JSON"),
    ("[]", "lacks the object"),
    ('{"metadataattributes": {"tier": "regular"}}', "lacks the object"),
    ('{"metadataAttributes": ["tier"]}', "lacks the object"),
    ('{"metadataAttributes": {"tier": "regular", "tier": "platinum"}}', "same key twice"),
    ('{"metadataAttributes": {"tier": null}}', '"tier" must be a string'),
    ('{"metadataAttributes": {"tier": []}}', '"tier" must be a string'),
    ('{"metadataAttributes": {"tier": ["regular", 1]}}', '"tier" must be a string'),
    ('{"metadataAttributes": {"year": NaN}}', "NaN is not a number"),
    ('{"metadataAttributes": {"year": 1e999}}', '"year" must be'),
    ('{"metadataAttributes": {"tier": "\\ud800"}}', '"tier" must be'),
    ('{"metadataAttributes": {"": "x"}}', "1 to 100 characters"),
    ('{"metadataAttributes": {"x-amz-bedrock-kb-source-uri": "s3://else/where"}}', "reserved prefix"),
    ('{"metadataAttributes": {"_id": "x"}}', "reserved prefix"),
    ('{"metadataAttributes": {"tier": {"stringValue": "regular"}}}', '"tier" must have a "value"'),
    ('{"metadataAttributes": {"tier": {"value": "regular"}}}', '"tier" must have a "value"'),
    ('{"metadataAttributes": {"tier": {"value": {"type": "TEXT", "stringValue": "x"}}}}', "STRING with stringValue"),
    ('{"metadataAttributes": {"tier": {"value": {"type": "NUMBER", "stringValue": "1"}}}}', "NUMBER with numberValue"),
    ('{"metadataAttributes": {"tier": {"value": {"type": "NUMBER", "numberValue": "1"}}}}', "NUMBER with numberValue"),
    (
        '{"metadataAttributes": {"tier": {"value": {"type": "STRING", "stringValue": "x"}, "includeForEmbedding": 1}}}',
        'a boolean "includeForEmbedding"',
    ),
    ('{"metadataAttributes": {"tier": "' + "x" * 10_240 + '"}}', "larger than 10 KB"),
]


@pytest.mark.parametrize(("content", "reason"), BROKEN)
def test_a_broken_sidecar_is_an_error_naming_the_file_and_the_remedy(folder, tmp_path, content, reason):
    (folder / "cats.md.metadata.json").write_text(content)
    with pytest.raises(StartupError, match=reason) as error:
        Corpus.load(folder, tmp_path / "cache")
    assert "cats.md.metadata.json" in str(error.value)
    assert 'write {"metadataAttributes":' in str(error.value)


def test_every_chunk_starts_with_the_headings_that_lead_to_it():
    text = "# Guide\nIntroduction.\n## One\nFirst.\n### Deep\nDeeper.\n## Two ##\n\nSecond.\n"
    assert cut(text, markdown=True) == [
        "# Guide\n\nIntroduction.",
        "# Guide\n\n## One\n\nFirst.",
        "# Guide\n\n## One\n\n### Deep\n\nDeeper.",
        "# Guide\n\n## Two\n\nSecond.",
    ]


def test_a_number_sign_in_code_or_plain_text_is_not_a_heading():
    assert cut("```\n# not a heading\n```\n", markdown=True) == ["```\n# not a heading\n```"]
    assert cut("# plain\n\ntext", markdown=False) == ["# plain\n\ntext"]


@pytest.mark.parametrize(
    "body",
    [
        "\n\n".join(f"Paragraph {number} says something of its own." for number in range(200)),
        " ".join(f"Sentence {number} says something." for number in range(400)),
        "word " * 3_000,
        "x" * 10_000,
        "| cell | cell |\n" * 400,
    ],
    ids=["paragraphs", "sentences", "words", "one word", "table"],
)
def test_a_long_section_becomes_overlapping_chunks_that_lose_nothing(body):
    chunks = cut(f"# Long\n\n{body}", markdown=True)
    assert len(chunks) > 5
    assert max(map(len, chunks)) <= MAXIMUM_CHARACTERS
    assert all(chunk.startswith("# Long\n\n") for chunk in chunks)
    assert set(re.findall(r"\d+", body)) <= set(re.findall(r"\d+", " ".join(chunks)))
    for before, after in itertools.pairwise(chunks):
        assert "x" in body[:1] or before[-20:] in after[:300]


def test_an_empty_document_has_no_chunks(folder, tmp_path):
    (folder / "empty.md").write_text("# Only a title\n")
    assert len(Corpus.load(folder, tmp_path / "cache")) == 2
