#!lua flags=no-writes
-- Lists what has been in doubt for some time: names, or room that is reserved for blobs.
-- USES: clock
-- KEYS: for each shard, what is in doubt by the time since which it is
-- ARGV: 1 now or 0, 2 for how long, ms, 3 how many at most of a shard
-- RETURNS: for each, what stands there: a holder and the name; account, blob and reservation
local now = clock(ARGV[1])
local found = {}
for i = 1, #KEYS do
  for _, doubt in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now - ARGV[2], 'LIMIT', 0, ARGV[3])) do
    found[#found + 1] = doubt
  end
end
return found
