#!lua
-- Adds release tokens to a blob, then strikes some, then closes its list; or does nothing of it.
-- USES: clock, media
-- KEYS: 1 the blob, 2 blobs of the shard by when they end
-- ARGV: 1 now or 0, 2 mark of the upload key, 3 marks to add, 4 marks to strike, 5 1 to close, 6 most tokens
-- RETURNS: done, closed, too-many, gone or not-permitted
local refused = refusal(KEYS[1], clock(ARGV[1]), ARGV[2])
if refused then return refused end
local added, count = {}, 0
for at = 1, #ARGV[3], 16 do
  local mark = string.sub(ARGV[3], at, at + 15)
  if not added[mark] and redis.call('HEXISTS', KEYS[1], mark) == 0 then added[mark], count = true, count + 1 end
end
local known = redis.call('HMGET', KEYS[1], 'c', 'n')
if known[1] and count > 0 then return 'closed' end
if known[2] + count > tonumber(ARGV[6]) then return 'too-many' end
for mark in pairs(added) do redis.call('HSET', KEYS[1], mark, '') end
redis.call('HINCRBY', KEYS[1], 'n', count)
redis.call('HINCRBY', KEYS[1], 'w', count)
for at = 1, #ARGV[4], 16 do strike(KEYS[1], string.sub(ARGV[4], at, at + 15)) end
if ARGV[5] == '1' then redis.call('HSET', KEYS[1], 'c', 1) end
end_if_struck(KEYS[1], KEYS[2])
return 'done'
