#!lua flags=no-writes
-- Lists names that have been in doubt for some time.
-- USES: clock
-- KEYS: for each shard, its names in doubt
-- ARGV: 1 now or 0, 2 for how long, ms, 3 how many at most of a shard
-- RETURNS: for each, its holder and the name behind it
local now = clock(ARGV[1])
local found = {}
for i = 1, #KEYS do
  for _, doubt in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now - ARGV[2], 'LIMIT', 0, ARGV[3])) do
    found[#found + 1] = doubt
  end
end
return found
