"""The command line: parse, call, print. No logic lives here."""


def main() -> None:
    """Entry point of ``utm``."""
    import gc

    # Imports make a million objects that stay: looking through them for garbage was a sixth of a command's start.
    gc.set_threshold(100_000, 50, 50)
    from utm.cli.app import run

    run()
