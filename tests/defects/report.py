"""Defects of the page of `train.report`."""

from tests.defects.defect import Defect

PAGE = ("tests/train/reports/page/test_page.py",)
READING = ("tests/train/reports/page/test_reading.py",)
CHARTS = ("tests/train/reports/page/test_charts.py",)
MEASURES = ("tests/train/reports/page/test_measures.py",)
DOOR = ("tests/train/doors/test_report.py",)
WHERE = "train/reports/page"

DEFECTS = [
    Defect(
        "texts on the page are not escaped",
        f"{WHERE}/html.py",
        "return Html(html.escape(terminal.shown(text)))",
        "return Html(terminal.shown(text))",
        PAGE,
    ),
    Defect(
        "names take the direction of the text around them",
        f"{WHERE}/html.py",
        'return element("bdi", str(text), dir="auto")',
        'return element("span", str(text))',
        PAGE,
    ),
    Defect(
        "the page may load what a name smuggles in",
        f"{WHERE}/document.py",
        "POLICY = \"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"",
        'POLICY = "default-src https:"',
        PAGE,
    ),
    Defect(
        "charts have no text alternative",
        f"{WHERE}/charts/frame.py",
        '        aria_label=f"{title}. {description}",\n',
        "",
        PAGE,
    ),
    Defect(
        "curves are drawn through values that are not finite",
        f"{WHERE}/charts/lines.py",
        '            command = "M"\n            continue',
        "            continue",
        CHARTS,
    ),
    Defect(
        "a page has every value of a long log",
        f"{WHERE}/charts/lines.py",
        "POINTS = 120",
        "POINTS = 100_000",
        CHARTS,
    ),
    Defect(
        "seeds of a setting have colours of their own",
        f"{WHERE}/runs.py",
        'REPEATED = (\n    "seed",',
        "REPEATED = (",
        PAGE,
    ),
    Defect(
        "a damaged record hides the others",
        f"{WHERE}/reading.py",
        "            whole[name] = record\n        except UserError as error:\n"
        "            notes.append(_sentence(error))",
        "            whole[name] = record\n        except UserError as error:\n"
        "            notes.append(_sentence(error))\n            return {}",
        READING,
    ),
    Defect(
        "a run that trains is said to have stopped",
        f"{WHERE}/summary.py",
        'begun = "goes on" if folder.training else',
        'begun = "goes on" if not folder.training else',
        READING,
    ),
    Defect(
        "a run that trains more epochs is finished",
        f"{WHERE}/reading.py",
        'self.result.get("epochs", epochs) == epochs',
        "True",
        READING,
    ),
    Defect(
        "results on different data are shown without a warning",
        f"{WHERE}/sections/results.py",
        "if len(data) < 2:",
        "if len(data) < 3:",
        PAGE,
    ),
    Defect(
        "a command to repeat lacks the fields that were changed",
        f"{WHERE}/sections/commands.py",
        "field in fields and value != fields[field]",
        "field in fields and value is not fields[field] and field == 'seed'",
        DOOR,
    ),
    Defect(
        "another number is shown as AUROC",
        f"{WHERE}/measures/ood.py",
        'found["area_under_roc"],',
        'found["average_precision_out"],',
        MEASURES,
    ),
    Defect(
        "a folder that is named twice is shown twice",
        f"{WHERE}/runs.py",
        "        seen.setdefault(key, path)",
        "        seen.setdefault(str(len(seen)), path)",
        READING,
    ),
]
