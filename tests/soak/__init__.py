"""Long trials under load: too long for the suite, which runs a short form of each."""
