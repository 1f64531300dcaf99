#!lua flags=no-writes
-- Nothing but a sign that scripts run.
-- KEYS: one of the server that is asked
-- ARGV: what comes back
-- RETURNS: ARGV[1]
return { KEYS[1], ARGV[1] }
