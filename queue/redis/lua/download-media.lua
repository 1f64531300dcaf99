#!lua flags=no-writes
-- Reads a blob for whoever has a release token.
-- USES: clock, media
-- KEYS: 1 the blob
-- ARGV: 1 now or 0, 2 mark of the token
-- RETURNS: a list of bytes, expires, and 1 where it is ready; or gone, not-permitted or unfinished
if has_ended(KEYS[1], clock(ARGV[1])) then return 'gone' end
local known = redis.call('HMGET', KEYS[1], 'b', 'x', 'f', ARGV[2])
if not known[4] then return 'not-permitted' end
if known[4] ~= '' then return 'gone' end
return known[3] and known or 'unfinished'
