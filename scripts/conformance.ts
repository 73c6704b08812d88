import "../conformance-tests/src/cli.ts";
