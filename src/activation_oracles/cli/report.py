"""`ao report`: runs of evaluations as one page to look at, and as plots."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from activation_oracles.evals.report.report import Decode


@dataclass(frozen=True, kw_only=True)
class Report:
    """Show what evaluations found: one page that needs no network, to open in any browser.

    Scores beside controls and intervals, what is gained over the best control, scores by layer and
    token where the rows differ in them (where in both, a map of gains), and every row with
    everybody's answers. Runs that were asked the same rows are compared row by row; the settings
    of training grids stand side by side.
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders that `ao eval --out`, `ao depth --out` or `ao grid` wrote, or folders of several
    such."""
    out: str = "report.html"
    """Where to write the page."""
    plots: str | None = None
    """Folder for the figures as PNG and SVG (extra `eval`)."""
    calibration: tuple[str, ...] = ()
    """Files that `ao calibrate --json` was printed into: how sure the oracle was, and how right."""
    target: str | None = None
    """Folder or hub id of the model that was read, whose tokenizer turns texts back into words;
    without it they are shown only where the rows hold what was said."""

    def run(self) -> None:
        """Write the page and the plots, and print where they are.

        Raises:
            OracleError: a run cannot be read, or two were asked different rows of one task.
        """
        from activation_oracles.evals.report.grids import is_only_grids, read_grids
        from activation_oracles.evals.report.measured import read_measured
        from activation_oracles.evals.report.page import page
        from activation_oracles.evals.report.report import report
        from activation_oracles.evals.report.runs import read_runs
        from activation_oracles.files import writing

        measured = {name: read_measured(Path(name)) for name in self.calibration}
        folders = [Path(folder) for folder in self.runs]
        grids = read_grids(folders)
        runs = read_runs([folder for folder in folders if not is_only_grids(folder)])
        found = report(runs, measured, grids=grids, decode=self._decode())
        Path(self.out).parent.mkdir(parents=True, exist_ok=True)
        with writing(Path(self.out)) as part:
            part.write_text(page(found), encoding="utf-8")
        print(self.out)
        if self.plots is not None:
            from activation_oracles.evals.report.plots import save_plots

            for path in save_plots(found, Path(self.plots)):
                print(path)

    def _decode(self) -> "Decode | None":
        if self.target is None:
            return None
        from activation_oracles.models.load import read_shape

        tokenizer, _ = read_shape(self.target)
        return lambda ids: str(tokenizer.decode(list(ids)))
