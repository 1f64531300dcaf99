#!lua
-- Takes in an upload of prekeys, all of it or, where it would be too many, nothing.
-- KEYS: 1 the account, 2 bytes of the device's prekeys, 3 their order, 4 what was given to whom, 5 when
-- ARGV: 1 the device's field, 2 signed, 3 last resort, 4 1 to replace, 5 most of a kind, 6... one-time keys: kind and id, bytes
-- RETURNS: put, too-many or no-device
local SPAN = 1099511627776 -- scores: held o, held k, used o, used k, each a span of serial numbers
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 'no-device' end
local replace = ARGV[4] == '1'
local uploaded, fresh, count = {}, {}, { o = 0, k = 0 }
for i = 6, #ARGV, 2 do
  local id = ARGV[i]
  if not uploaded[id] then
    uploaded[id] = true
    local score = redis.call('ZSCORE', KEYS[3], id)
    if not score then fresh[#fresh + 1] = i end
    if not score or (replace and tonumber(score) < 2 * SPAN) then
      count[id:sub(1, 1)] = count[id:sub(1, 1)] + 1
    end
  end
end
local held = redis.call('ZRANGEBYSCORE', KEYS[3], 0, string.format('(%.0f', 2 * SPAN))
for _, id in ipairs(held) do
  if not replace then count[id:sub(1, 1)] = count[id:sub(1, 1)] + 1 end
end
if math.max(count.o, count.k) > tonumber(ARGV[5]) then return 'too-many' end
for _, id in ipairs(held) do
  if replace and not uploaded[id] then
    redis.call('HDEL', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
  end
end
for _, i in ipairs(fresh) do
  local serial = redis.call('HINCRBY', KEYS[2], 'c', 1)
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[3], (ARGV[i]:sub(1, 1) == 'o' and 0 or SPAN) + serial, ARGV[i])
end
if ARGV[2] ~= '' then redis.call('HSET', KEYS[2], 's', ARGV[2]) end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[2], 'l', ARGV[3]) end
if replace then redis.call('DEL', KEYS[4], KEYS[5]) end
return 'put'
