#!lua flags=no-writes
-- Reads a blob for whoever has its upload key.
-- USES: clock, media
-- KEYS: 1 the blob
-- ARGV: 1 now or 0, 2 mark of the upload key
-- RETURNS: a list of bytes, expires, and 1 where it is ready; or gone or not-permitted
local refused = refusal(KEYS[1], clock(ARGV[1]), ARGV[2])
return refused or redis.call('HMGET', KEYS[1], 'b', 'x', 'f')
