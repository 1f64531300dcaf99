#!lua flags=allow-oom
-- Counts the days on which no relay said that it runs: use is counted in the days that are left.
-- USES: clock
-- KEYS: for each shard, its days that passed
-- ARGV: now or 0, in ARGV[1]
-- RETURNS: today
local now = clock(ARGV[1])
local today = math.floor(now / 86400000)
for i = 1, #KEYS do
  local days = KEYS[i]
  local last = tonumber(redis.call('HGET', days, 'last') or today)
  if today - last > 1 then redis.call('HINCRBY', days, 'away', today - last - 1) end
  if redis.call('HGET', days, 'last') ~= tostring(today) then redis.call('HSET', days, 'last', today) end
end
return today
