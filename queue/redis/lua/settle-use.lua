#!lua flags=allow-oom
-- Settles a held use of an invite: it is used, or given back. The last of an invite takes the invite with it.
-- KEYS: 1 invites by expiry, 2 uses that are left, 3 held uses
-- ARGV: 1 the attempt, 2 used or back
-- RETURNS: 1, or 0 where nothing was held
local held = redis.call('HGET', KEYS[3], ARGV[1])
if not held then return 0 end
redis.call('HDEL', KEYS[3], ARGV[1])
local mark = held:sub(1, 16)
local left = tonumber(redis.call('HGET', KEYS[2], mark) or -1)
if left < 0 then return 1 end
if ARGV[2] == 'back' then
  redis.call('HINCRBY', KEYS[2], mark, 1)
  return 1
end
for _, other in ipairs(redis.call('HVALS', KEYS[3])) do
  if other:sub(1, 16) == mark then return 1 end
end
if left == 0 then
  redis.call('HDEL', KEYS[2], mark)
  redis.call('ZREM', KEYS[1], mark)
end
return 1
