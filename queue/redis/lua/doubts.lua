#!lua flags=no-writes
-- Lists names that have been in doubt for some time.
-- KEYS: for each shard, its names in doubt
-- ARGV: 1 now or 0, 2 for how long, ms, 3 how many at most of a shard
-- RETURNS: for each, its holder and the name behind it
local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local found = {}
for i = 1, #KEYS do
  for _, doubt in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now - ARGV[2], 'LIMIT', 0, ARGV[3])) do
    found[#found + 1] = doubt
  end
end
return found
