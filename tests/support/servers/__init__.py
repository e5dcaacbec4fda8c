"""Private, throw-away database servers on free loopback ports, for the tests of every distribution."""
