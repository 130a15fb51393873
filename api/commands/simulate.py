"""`evergamma simulate ...`: all commands of the simulator by name."""

import typer

from api.commands import market, report, run, settlement, stress, suggest, sweep

app = typer.Typer(help="How far pools fall, and what it depends on.", no_args_is_help=True)
app.command()(run.run)
app.command()(run.scenarios)
app.command()(run.show)
app.command()(report.report)
app.command()(sweep.sweep)
app.command()(sweep.tornado)
app.command()(sweep.frontier)
app.command()(suggest.suggest)
app.command()(stress.stress)
app.command("settlement")(settlement.settlement)
app.command()(market.calibrate)
app.command()(market.check_market)
