"""The command line: parse, call, print. No logic lives here."""


def main() -> None:
    """Entry point of ``utm``."""
    from utm.cli.app import run

    run()
