#!lua
-- Takes a use of an invite for an attempt to register an account. It is held until it is settled.
-- USES: clock
-- KEYS: 1 invites by expiry, 2 uses that are left, 3 held uses
-- ARGV: 1 now or 0, 2 mark, 3 the attempt, 4 the account, 5 most held uses
-- RETURNS: taken, invalid, too-many, or who holds the uses of it that may come back: attempts and accounts
local now = clock(ARGV[1])
if redis.call('HEXISTS', KEYS[3], ARGV[3]) == 1 then return 'taken' end
local expires = redis.call('ZSCORE', KEYS[1], ARGV[2])
if not expires or tonumber(expires) <= now then return 'invalid' end
if tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or 0) > 0 then
  if redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[5]) then return 'too-many' end
  redis.call('HINCRBY', KEYS[2], ARGV[2], -1)
  redis.call('HSET', KEYS[3], ARGV[3], ARGV[2] .. ARGV[4])
  return 'taken'
end
local held, holders = redis.call('HGETALL', KEYS[3]), {}
for i = 1, #held, 2 do
  if held[i + 1]:sub(1, 16) == ARGV[2] then holders[#holders + 1] = held[i] .. held[i + 1]:sub(17) end
end
if #holders == 0 then return 'invalid' end
return holders
