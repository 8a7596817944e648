"""What runs in the processes of ``benchmarks/stores.py``, one store in each."""
