"""`python -m recsys`, and the `recsys` command."""


def main() -> None:
    from recsys.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
