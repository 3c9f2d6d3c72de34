"""The example: its text, its model, a step of every method, and its command line."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ikl_jax
from examples.distil_decoder import __main__ as example
from examples.distil_decoder import model, text, training
from tests.support.commands import run

VOCABULARY, LENGTH, K = 300, 8, 3
WIDTH, DEPTH = 32, 1
DECODER = model.Decoder(VOCABULARY, WIDTH, DEPTH, LENGTH)
SIZE = "--width=32", "--depth=1", "--steps=3"
OF_TEACHER = "--vocabulary=260", "--length=8", "--top_k=4", "--documents=30"


@pytest.fixture(scope="module")
def sample():
    return "\n".join(itertools.islice(text.documents(), 5)).encode()


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(0).integers(VOCABULARY, size=(20, LENGTH + 1))


@pytest.fixture(scope="module")
def params(tokens):
    return DECODER.init(jax.random.key(0), tokens[:1, :-1])["params"]


def spelt(pieces, pairs):
    spelling = [bytes([byte]) for byte in range(256)]
    for left, right in pairs:
        spelling.append(spelling[left] + spelling[right])
    return b"".join(spelling[piece] for piece in pieces)


def test_pieces_spell_the_text(sample):
    pairs = text.learned(sample, 400)
    pieces = text.encoded(sample, pairs)
    assert spelt(pieces, pairs) == sample
    assert len(pieces) < 0.7 * len(sample)
    assert pieces.max() >= 256


@pytest.mark.parametrize("words", [b"a bab", b"aaa aaaa aaaaa", b"hum hummed hums"])
def test_pairs_are_the_most_frequent_ones(words):
    """As a loop over the words finds them, of which each merges from the left."""
    size, expected = 259, []
    cut = [list(word) for word in text.WORD.findall(words)]
    for new in range(256, size):
        counts = {}
        for pair in itertools.chain(*map(itertools.pairwise, cut)):
            counts[pair] = counts.get(pair, 0) + 1
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        expected.append(best)
        for word in cut:
            at = 0
            while at < len(word) - 1:
                if (word[at], word[at + 1]) == best:
                    word[at : at + 2] = [new]
                at += 1
    pairs = text.learned(words, size)
    assert pairs.tolist() == [list(pair) for pair in expected]
    assert text.encoded(words, pairs).tolist() == list(itertools.chain(*cut))


def test_no_document_is_in_two_parts():
    found = text.parts(str(number) for number in range(100))
    numbers = [set(part.split(b"\0")[:-1]) for part in found.values()]
    assert [len(each) for each in numbers] == [90, 5, 5]
    assert len(set.union(*numbers)) == 100


def test_windows_hold_every_piece_as_a_label_once():
    found = text.windows(np.arange(11), 3)
    assert found.tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]


def test_a_token_does_not_see_those_after_it(tokens, params):
    changed = tokens.copy()
    changed[:, 5] = (changed[:, 5] + 1) % VOCABULARY
    before, after = (
        np.asarray(model.predictions(DECODER, params, x)[0].hidden).reshape(
            20, LENGTH, -1
        )
        for x in (tokens, changed)
    )
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).any(-1).all()


DENSE = {
    "kd": ikl_jax.kl_divergence,
    "ikl": ikl_jax.ikl_loss,
    "gkl": lambda n, m: ikl_jax.gkl_loss(n, m, gamma=0.5),
}


@pytest.mark.parametrize("kind", ["full", "top3", "rest3"])
@pytest.mark.parametrize("name", training.DISTILLED)
def test_losses_are_the_dense_ones(name, kind, tokens, params):
    """Of 20 windows with the answers of a teacher, which has other parameters."""
    of_teacher = jax.tree.map(lambda x: 3 * x, params)
    stored = training.answers(DECODER, of_teacher, tokens, K)
    rows, make_target = training.target(kind, stored)
    student, labels = model.predictions(DECODER, params, jnp.asarray(tokens))
    teacher, _ = model.predictions(DECODER, of_teacher, tokens)
    hidden, kernel, *_ = student
    n, m = hidden @ kernel, jax.nn.log_softmax(teacher.hidden @ teacher.kernel)
    expected = optax.softmax_cross_entropy_with_integer_labels(n, labels).mean()
    if kind != "full":
        n, m = top_classes(n, m, with_rest=kind == "rest3")
    expected += 0.5 * DENSE[name](n, m).mean()
    found = training.loss_of(name, 0.5, make_target)(student, labels, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def top_classes(n, m, *, with_rest):
    """Dense logits of the K largest classes of m, and of the rest."""
    _, indices = jax.lax.top_k(m, K)
    is_top = jax.nn.one_hot(indices, VOCABULARY).sum(1) > 0
    if not with_rest:
        return n, jnp.where(is_top, m, -jnp.inf)
    of = lambda x: jnp.concatenate(
        [
            jnp.take_along_axis(x, indices, axis=1),
            jax.nn.logsumexp(jnp.where(is_top, -jnp.inf, x), axis=1, keepdims=True),
        ],
        axis=1,
    )
    return of(n), of(m)


@pytest.mark.parametrize(
    "name", ["ikl", *(pytest.param(n, marks=pytest.mark.long) for n in ("kd", "gkl"))]
)
def test_training_brings_the_student_to_its_teacher(name, tokens, params):
    of_teacher = {**params, "head": 20 * params["head"]}
    stored = training.answers(DECODER, of_teacher, tokens, K)
    rows, make_target = training.target("full", stored)
    loss = training.loss_of(name, 100.0, make_target)
    logits = lambda params: jnp.dot(*model.predictions(DECODER, params, tokens)[0][:2])

    def divergence(steps):
        _, trained = training.fit(
            tokens, VOCABULARY, loss, rows, steps=steps, learning_rate=1e-2, seed=1,
            width=WIDTH, depth=DEPTH,
        )  # fmt: skip
        return float(ikl_jax.kl_divergence(logits(trained), logits(of_teacher)).mean())

    assert divergence(20) < 0.8 * divergence(1)


def test_each_window_comes_once_an_epoch():
    epoch = np.array(list(itertools.islice(training.batches(40, seed=0), 2)))
    assert len(np.unique(epoch)) == epoch.size == 32
    other = np.array(list(itertools.islice(training.batches(40, seed=1), 2)))
    assert (epoch != other).any()


def test_perplexity_is_that_of_the_dense_cross_entropy(tokens, params):
    data = {"tuning": tokens, "test": tokens[:3]}
    found = training.perplexities(DECODER, params, data)
    for part, windows in data.items():
        head, labels = model.predictions(DECODER, params, windows)
        losses = optax.softmax_cross_entropy_with_integer_labels(
            head.hidden @ head.kernel, labels
        )
        assert found[part] == pytest.approx(np.exp(losses.mean()), rel=1e-5)


@pytest.mark.long
def test_the_command_line(tmp_path):
    def call(*arguments):
        done = run(
            *arguments, f"--runs={tmp_path}", module="examples.distil_decoder",
            optimised=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    teacher = call("teacher", *SIZE, *OF_TEACHER)
    student = call("student", *SIZE, "--loss=ikl", "--target=rest4", "--seed=1")
    for found in (teacher, student):
        assert 100 < found["test"] < 270
        assert 100 < found["tuning"] < 270
    assert call("student", *SIZE, "--loss=ikl", "--target=rest4", "--seed=1") == student


@pytest.fixture
def in_folder(tmp_path, capsys):
    def call(command, *arguments):
        result = example.main([command, f"--runs={tmp_path}", *arguments])
        assert json.loads(capsys.readouterr().out) == result
        return result

    return call


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("student",), "has no finished teacher, which comes first"),
        (("teacher", "--documents=20", "--vocabulary=255"), "got size 255"),
        (
            ("teacher", "--documents=1", "--vocabulary=90000"),
            "pieces at most, got size 90000",
        ),
        (("teacher", *OF_TEACHER, "--length=9000"), "windows, and a batch 16"),
    ],
)
def test_what_cannot_be_trained(in_folder, arguments, says):
    with pytest.raises(SystemExit, match=says):
        in_folder(*arguments)


@pytest.mark.long
def test_students_that_their_teacher_does_not_allow(in_folder):
    in_folder("teacher", *SIZE, *OF_TEACHER)
    for kind in ("top5", "rest0", "half"):
        with pytest.raises(SystemExit, match=f"K from 1 to 4: {kind}"):
            in_folder("student", *SIZE, f"--target={kind}")
    with pytest.raises(SystemExit, match="the loss is nan after 3 steps"):
        in_folder("student", *SIZE, "--strength=nan")


def test_a_loss_that_there_is_not(in_folder, capsys):
    with pytest.raises(SystemExit):
        in_folder("student", "--loss=mse")
    assert "invalid choice: 'mse'" in capsys.readouterr().err
