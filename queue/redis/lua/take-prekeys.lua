#!lua
-- Takes a bundle: the one-time keys that this requester had within the time, or others that nobody had.
-- USES: clock
-- KEYS: 1 bytes of the device's prekeys, 2 their order, 3 what was given to whom, 4 when
-- ARGV: 1 now or 0, 2 requester, 3 1 for one-time keys, 4 how long the same are given, ms, 5 used ids kept of a kind
-- RETURNS: signed, last resort, and two one-time keys (id and bytes, or empty); nothing where the device has no keys
local SPAN = 1099511627776 -- as in put-prekeys
local known = redis.call('HMGET', KEYS[1], 's', 'l')
if not known[1] or not known[2] then return false end
if ARGV[3] ~= '1' then return { known[1], known[2], '', '' } end
local now = clock(ARGV[1])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now - ARGV[4])) do
  redis.call('HDEL', KEYS[3], 'o' .. old, 'k' .. old)
  redis.call('ZREM', KEYS[4], old)
end
local given = redis.call('HMGET', KEYS[3], 'o' .. ARGV[2], 'k' .. ARGV[2])
if given[1] then return { known[1], known[2], given[1], given[2] } end
local function first(base)
  local id = redis.call('ZRANGEBYSCORE', KEYS[2], base, string.format('(%.0f', base + SPAN), 'LIMIT', 0, 1)[1]
  if not id then return '' end
  local bytes = redis.call('HGET', KEYS[1], id)
  redis.call('HDEL', KEYS[1], id)
  local used, most = base + 2 * SPAN, string.format('(%.0f', base + 3 * SPAN)
  redis.call('ZADD', KEYS[2], used + redis.call('HINCRBY', KEYS[1], 'c', 1), id)
  local over = redis.call('ZCOUNT', KEYS[2], used, most) - ARGV[5]
  if over > 0 then
    redis.call('ZREM', KEYS[2], unpack(redis.call('ZRANGEBYSCORE', KEYS[2], used, most, 'LIMIT', 0, over)))
  end
  return id:sub(2) .. bytes
end
local oneTime, oneTimeKem = first(0), first(SPAN)
if oneTime ~= '' or oneTimeKem ~= '' then
  redis.call('HSET', KEYS[3], 'o' .. ARGV[2], oneTime, 'k' .. ARGV[2], oneTimeKem)
  redis.call('ZADD', KEYS[4], now, ARGV[2])
  redis.call('PEXPIRE', KEYS[3], ARGV[4])
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
end
return { known[1], known[2], oneTime, oneTimeKem }
