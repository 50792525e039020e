#!/bin/sh
# A function for tests: the test binary itself, whose entry point then serves invocations.
exec "$TEST_BINARY" --exact lambda::test_function::entry --nocapture
