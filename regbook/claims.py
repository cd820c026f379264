"""What the paper claims, in this book's words, and what becomes of each claim when it is run again.

A claim knows its numbers as functions of results in the form of ``experiments.ch12.reproduce``, so the same
lines serve the paper's images and the drawn ones. Its verdict is computed, too: were the results others, it
would be another.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

HOLDS, BOUND, DIFFERS, OPEN = "holds", "holds, within a bound", "comes out differently", "cannot be decided"
BETS = (HOLDS, BOUND, DIFFERS)
UNRECORDED = "not recorded: times are those of this computer"


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    place: where it stands; says: the claim, in our words; paper: its number, or a dash; ours: results ↦ our
    number; verdict: results ↦ one of the four words; why: one or two sentences; chapter: the page that shows
    it, without ending; test: what holds it, below tests/.
    """

    place: str
    says: str
    paper: str
    ours: Callable[[Mapping], str]
    verdict: Callable[[Mapping], str]
    why: str
    chapter: str
    test: str


def _median(results: Mapping, name: str, what: str = "error") -> float:
    return statistics.median(found[what] for found in results["runs"][name])


def _range(results: Mapping, name: str) -> str:
    errors = [found["error"] for found in results["runs"][name]]
    low, high = f"{min(errors):.1f}", f"{max(errors):.1f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def _prediction(results: Mapping, name: str, judged: str = "new") -> Mapping:
    return results["figure_3"]["32"][name][judged]


def _better(results: Mapping, name: str) -> str:
    row, count = _prediction(results, name), results["figure_3"]["32"][name]["scales"]
    return f"{row['gradient better']} of {count}"


def _off(results: Mapping, percent: int) -> float:
    """Relative error of the Jacobian that differentiates the last ``percent`` of the iterations."""
    return results["figure_7"][str(percent)]["jacobian_error"]


def _all_is_best(results: Mapping) -> str:
    """In every run, in the median, or not at all?"""
    whole = [run["error"] for run in results["runs"]["last 100 %"]]
    parts = [run["error"] for p in (90, 95) for run in results["runs"][f"last {p} %"]]
    if max(whole) < min(parts):
        return HOLDS
    medians = [_median(results, f"last {p} %") for p in (90, 95)]
    return BOUND if _median(results, "last 100 %") < min(medians) else DIFFERS


def _start(results: Mapping) -> float:
    return results["runs"]["none"][0]["start_error"]


def _stuck(results: Mapping, name: str) -> bool:
    return _median(results, name) > 0.95 * _start(results)


CLAIMS = (
    Claim(
        "2.2, Table 1",
        "A gradient costs a few evaluations of the loss, whatever the number of parameters.",
        "2.5 with 6, 2.7 with 50",
        lambda r: f"{r['table_1'][6]['gradient']:.1f} with 6, {r['table_1'][50]['gradient']:.1f} with 50",
        lambda r: HOLDS if all(r["table_1"][p]["gradient"] < 8 for p in (6, 50)) else DIFFERS,
        "It is the theorem on the reverse mode; the factor moves with the computer, the theorem does not.",
        "01_ad_basics",
        "book/test_claims_01.py::test_claim_five_operations_at_most",
    ),
    Claim(
        "2.2, Table 1",
        "From 6 to 50 parameters the Hessian's cost grows faster than the Jacobian's.",
        "4.2 against 1.5 times the factor",
        lambda r: (
            f"{r['table_1'][50]['Hessian'] / r['table_1'][6]['Hessian']:.0f} against "
            f"{r['table_1'][50]['Jacobian'] / r['table_1'][6]['Jacobian']:.0f} times the factor"
        ),
        lambda r: (
            BOUND
            if r["table_1"][50]["Hessian"] / r["table_1"][6]["Hessian"]
            > r["table_1"][50]["Jacobian"] / r["table_1"][6]["Jacobian"]
            else DIFFERS
        ),
        "True of the whole matrix. A Newton step by conjugate gradients needs products with it only, and one "
        "costs a few gradients, with 6 parameters as with 50.",
        "11_beyond_affine",
        "regbook/test_experiments_12.py::test_a_product_needs_no_hessian",
    ),
    Claim(
        "2.2",
        "AD gives the product with the adjoint of a linear operator, by forward mode.",
        "–",
        lambda r: "it does, by reverse mode",
        lambda r: BOUND,
        "AD gives Aᵀy, and nobody has to write it: by one sweep of the reverse mode. The forward mode gives "
        "A v.",
        "01_ad_basics",
        "book/test_claims_01.py::test_claim_reverse_mode_is_the_adjoint",
    ),
    Claim(
        "3.3.1, Fig 2",
        "Registration at the finest scale alone ends in a poor minimum; predictor-corrector does not.",
        "pictures",
        lambda r: (
            f"{100 * r['figure_2']['single scale']['ratio']:.1f} % and "
            f"{100 * r['figure_2']['predictor-corrector']['ratio']:.1f} % of the start's loss"
        ),
        lambda r: (
            HOLDS
            if 2 * r["figure_2"]["predictor-corrector"]["ratio"] < r["figure_2"]["single scale"]["ratio"]
            else DIFFERS
        ),
        "The scales do it, and the paper says so: without any prediction the same thirty scales end at the "
        "same minimiser.",
        "04_multiscale",
        "regkit/test_continuation.py::test_the_papers_hands",
    ),
    Claim(
        "abstract, 3.3.2, Fig 3",
        "The prediction helps only with exact Hessians; with Gauss-Newton's matrix it fails.",
        "exact: tends to help, Gauss-Newton: tends to harm",
        lambda r: f"gradient smaller at {_better(r, 'exact')} and {_better(r, 'Gauss-Newton')} scales",
        lambda r: (
            DIFFERS
            if _prediction(r, "Gauss-Newton")["gradient better"]
            > r["figure_3"]["32"]["Gauss-Newton"]["scales"] / 2
            else HOLDS
        ),
        "The program judges the Gauss-Newton branch by the loss at the old scale, and takes a step twice too "
        "long. Judged alike, both help; the exact Hessian helps more.",
        "06_exact_hessians",
        "book/test_claims_06.py::test_the_papers_hands_give_the_known_table",
    ),
    Claim(
        "3.3.2, Fig 3",
        "All relative gradient differences of Gauss-Newton are below −31,000.",
        "below −31,000",
        lambda r: f"largest {_prediction(r, 'as printed', 'old')['gradient largest']:,.0f}".replace("-", "−"),
        lambda r: BOUND if _prediction(r, "as printed", "old")["gradient largest"] < -31000 else DIFFERS,
        "Against the old scale, where the gradient is zero up to rounding, every prediction looks so: that "
        "of the exact Hessian, too.",
        "06_exact_hessians",
        "regbook/test_experiments_12.py::test_figure_3_is_that_of_the_reference_runs",
    ),
    Claim(
        "5",
        "In some problems predictor-corrector succeeds where the standard multi-scale method fails.",
        "–",
        lambda r: (
            f"of {r['pairs']['count']} drawn pairs it alone solves {r['pairs']['only predicted']}, "
            f"the standard method alone {r['pairs']['only plain']}"
        ),
        lambda r: BOUND if r["pairs"]["only predicted"] > r["pairs"]["only plain"] else OPEN,
        "The paper shows no such problem; on its hands both end at the same minimiser. There are such "
        "problems, but they are rare.",
        "04_multiscale",
        "regbook/test_experiments_12.py::test_of_fifty_pairs_few_need_the_prediction",
    ),
    Claim(
        "3.2, 3.3",
        "Exact Hessians bring a benefit over the traditional multi-scale method.",
        "–",
        lambda r: (
            f"corrector iterations {r['corrector_iterations']['none']} without, "
            f"{r['corrector_iterations']['exact']} with, {r['corrector_iterations']['Gauss-Newton']} with "
            "Gauss-Newton"
        ),
        lambda r: (
            BOUND if r["corrector_iterations"]["exact"] < r["corrector_iterations"]["none"] else DIFFERS
        ),
        "Less correction, but each prediction costs about one Newton step. Fewer scales save more than "
        "better predictions do.",
        "05_scale_ode",
        "book/test_claims_05.py::test_claim_fixed_scales_save_iterations_and_hardly_evaluations",
    ),
    Claim(
        "4.3, Fig 4",
        "The problem of super-resolution is well-determined: 400 numbers from 400.",
        "400 unknowns, 400 pixels",
        lambda r: f"rank {r['figure_4']['rank']} of {r['figure_4']['unknowns']}",
        lambda r: DIFFERS if r["figure_4"]["rank"] < r["figure_4"]["unknowns"] else HOLDS,
        "Counting equations is not counting information: what is missing is filled in by the penalty.",
        "07_superres_model",
        "book/test_claims_07.py::test_claim_counting_equations_is_not_counting_information",
    ),
    Claim(
        "4.3, Figs 5 and 6",
        "Differentiating through all iterations gives a far better image than differentiating none.",
        "10.7 % against 25.61 %",
        lambda r: f"{_range(r, 'all')} against {_range(r, 'none')}",
        lambda r: HOLDS if _median(r, "all") < 0.6 * _median(r, "none") else DIFFERS,
        "Both numbers come out, to about a tenth of a point.",
        "08_varpro",
        "regbook/test_paper.py::test_differentiating_all_iterations_gives_the_papers_figure",
    ),
    Claim(
        "abstract",
        "A Jacobian that does not differentiate the projection is a poor approximation.",
        "–",
        lambda r: f"relative error {_off(r, 0):.1f}; Kaufman's ends at {_range(r, 'Kaufman')}",
        lambda r: BOUND if _off(r, 0) > 1 else DIFFERS,
        "Poor it is. But Kaufman's Jacobian, which differentiates no solver and projects once more, leads to "
        "as good an image as the exact one.",
        "08_varpro",
        "regbook/test_paper.py::test_jacobians",
    ),
    Claim(
        "4.3",
        "Memory that grows with the optimiser's steps is an implementation issue of PyTorch.",
        "it grows",
        lambda r: "flat, if the iterates are plain tensors",
        lambda r: DIFFERS,
        "The program's iterates carry requires_grad, and PyTorch does what that asks for: it keeps one tape "
        "through all steps. An easy thing to overlook, since the numbers are right.",
        "A3_which_derivative",
        "book/test_claims_a3.py::test_claim_an_iterate_with_a_gradient_drags_the_tape_along",
    ),
    Claim(
        "4.3.1, Fig 7",
        "Differentiating the last 70 % is worse than differentiating nothing.",
        "a curve",
        lambda r: f"relative error {float(f'{_off(r, 70):.1g}'):,.0f} against {_off(r, 0):.1f}",
        lambda r: HOLDS if _off(r, 70) > 10 * _off(r, 0) else DIFFERS,
        "The paper calls it interesting, and it is: the restart fits its polynomial to the residual, and the "
        "tangent has another right-hand side.",
        "09_differentiating_cg",
        "book/test_claims_09.py::test_claim_half_is_worse_than_none",
    ),
    Claim(
        "4.3.1, 5, Fig 8",
        "More than 70 % of the iterations must be differentiated to see any benefit.",
        "70 %",
        lambda r: f"last 70 %: {_range(r, 'last 70 %')}, last 90 %: {_range(r, 'last 90 %')}",
        lambda r: BOUND if _stuck(r, "last 70 %") and not _stuck(r, "last 90 %") else DIFFERS,
        "Of this restart, yes. Spent on the tangent's own system, a tenth of the iterations helps already.",
        "09_differentiating_cg",
        "regbook/test_paper.py::test_differentiating_the_last_half_of_figures_8_and_9_makes_no_progress",
    ),
    Claim(
        "4.3.1, Figs 8 and 9",
        "Differentiating all iterations is the best; from 90 % on the difference is small.",
        "100 % before 90 and 95 %",
        lambda r: ", ".join(f"{p} %: {_range(r, f'last {p} %')}" for p in (90, 95, 100)),
        lambda r: _all_is_best(r),
        "In the median it is. But starts that differ by 10⁻¹⁰ spread 90 and 95 % so far that one run of each "
        "cannot order the three.",
        "09_differentiating_cg",
        "book/test_claims_12.py::test_claim_rounding_orders_ninety_and_ninety_five",
    ),
    Claim(
        "4.3.1",
        "Differentiating the first iterations is worse than differentiating the last.",
        "not shown",
        lambda r: "not tried",
        lambda r: OPEN,
        "The program detaches the iterate before the second run, so these tangents are dropped: what was "
        "tried is differentiating none.",
        "09_differentiating_cg",
        "regbook/test_paper.py::test_differentiating_the_last_half_of_figures_8_and_9_makes_no_progress",
    ),
    Claim(
        "4.3.2, Figs 10 and 11",
        "A projection of few iterations, all differentiated, keeps the quality.",
        "10, 25, 50, 100 alike",
        lambda r: ", ".join(f"{n}: {_range(r, f'{n} iterations')}" for n in (5, 10, 25, 50, 100)),
        lambda r: (
            HOLDS
            if max(_median(r, f"{n} iterations") for n in (10, 25, 50, 100)) < 0.6 * _median(r, "none")
            else DIFFERS
        ),
        "Even five iterations with their derivative end nearer than a solve that is exact and not "
        "differentiated: a derivative that fits its function.",
        "10_inexact_projection",
        "regbook/test_paper.py::test_inexact_projections_of_figures_10_and_11",
    ),
    Claim(
        "abstract",
        "Differentiating through an iteratively computed projection had not been treated before.",
        "–",
        lambda r: "see its own references",
        lambda r: BOUND,
        "For this super-resolution we know of nothing earlier. Differentiating conjugate gradients itself is "
        "treated by Gratton et al. (2014), Christianson (2018), Hovland and Hückelheim (2024), which the "
        "paper cites.",
        "09_differentiating_cg",
        "book/test_claims_09.py::test_claim_the_tangent_has_another_right_hand_side",
    ),
)


def judged(record: Mapping, here: Mapping, claims: Sequence[Claim] = CLAIMS) -> list[dict[str, str]]:
    """Every claim with its numbers and its verdict.

    Args:
        record: results on the paper's images; the verdict is theirs.
        here: results on the drawn hands, with ``table_1``, which no record can hold, and ``pairs``.
        claims: which.

    Returns:
        One dictionary a claim: place, says, paper, theirs, drawn, verdict, why, chapter, test.
    """
    record = {**record, "table_1": here["table_1"], "pairs": here["pairs"]}
    return [
        {
            "place": claim.place,
            "says": claim.says,
            "paper": claim.paper,
            "theirs": UNRECORDED if "Table 1" in claim.place else claim.ours(record),
            "drawn": claim.ours(here),
            "verdict": claim.verdict(record),
            "why": claim.why,
            "chapter": claim.chapter,
            "test": claim.test,
        }
        for claim in claims
    ]


HEADINGS = ("the paper", "its images, here", "drawn hands, here", "shown by")


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """The claims as a table, one block each: claim, verdict and reason above, numbers and proof below.

    It is Markdown with the tags of a table, since the pages know no tables in what a cell puts out: so the
    links to chapters lead to pages in the book and to notebooks in Jupyter. A phone stacks the numbers.
    """
    lines = ['<table class="verdicts">']
    for row in rows:
        number = row["chapter"].split("_")[0].lstrip("0")
        where = "appendix" if number.startswith("A") else "chapter"
        says, place, why = (escape(row[key]) for key in ("says", "place", "why"))
        above = f"<b>{says}</b> ({place}) <i>{row['verdict'].capitalize()}.</i> {why}"
        lines.append(f'<tbody><tr><th scope="rowgroup" colspan="4">{above}</th></tr>')
        numbers = zip(HEADINGS, (row["paper"], row["theirs"], row["drawn"]), strict=False)
        cells = [f"<td><small>{heading}</small><br>{escape(value)}</td>" for heading, value in numbers]
        lines += [f"<tr>{''.join(cells)}<td><small>{HEADINGS[-1]}</small>", ""]
        lines += [f"[{where} {number}]({row['chapter']}.ipynb)", ""]
        lines.append(f"<code>tests/{row['test'].replace('_', '_<wbr>')}</code></td></tr></tbody>")
    return "\n".join([*lines, "</table>"])
