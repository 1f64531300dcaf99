#!lua flags=no-writes
-- Names accounts that were last used on a day before another, the longest unused of each shard first.
-- KEYS: for each shard, its days of use and its days that passed
-- ARGV: 1 the day, 2 how many at most of a shard
-- RETURNS: for each account, the account and its day
local found = {}
for i = 1, #KEYS, 2 do
  local away = tonumber(redis.call('HGET', KEYS[i + 1], 'away') or 0)
  local before = string.format('(%.0f', ARGV[1] - away)
  local some = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', before, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
  for j = 1, #some, 2 do
    found[#found + 1] = some[j]
    found[#found + 1] = some[j + 1] + away
  end
end
return found
