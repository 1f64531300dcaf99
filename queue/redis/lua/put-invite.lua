#!lua
-- Adds an invite, or replaces the one with its mark; what was held of that one is not given back to this.
-- USES: clock
-- KEYS: 1 invites by expiry, 2 uses that are left, 3 held uses
-- ARGV: 1 now or 0, 2 mark, 3 uses, 4 expiry, 5 most at once
-- RETURNS: 1, or 0 where there are too many
local now = clock(ARGV[1])
for _, mark in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('HDEL', KEYS[2], mark)
  redis.call('ZREM', KEYS[1], mark)
end
local others = redis.call('ZCARD', KEYS[1]) - (redis.call('ZSCORE', KEYS[1], ARGV[2]) and 1 or 0)
if others >= tonumber(ARGV[5]) then return 0 end
local held = redis.call('HGETALL', KEYS[3])
for i = 1, #held, 2 do
  if held[i + 1]:sub(1, 16) == ARGV[2] then redis.call('HDEL', KEYS[3], held[i]) end
end
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 1
