"""What proves an output: its bytes, its lines and its ledger, range by range over workers."""
