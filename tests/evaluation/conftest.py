from tests.cli.conftest import vecx

__all__ = ["vecx"]
