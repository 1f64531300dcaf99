#!lua flags=no-writes
-- Reads accounts. Whoever is not there is read like anybody else: two look-ups and one record, there or not.
-- KEYS: for each account asked for: the account, and the nobody of its shard
-- ARGV: none
-- RETURNS: for each account: 1 and its fields and values, or 0 and those of nobody
local answers = {}
for i = 1, #KEYS, 2 do
  local fields = redis.call('HGETALL', KEYS[i])
  if #fields > 0 then
    redis.call('EXISTS', KEYS[i + 1])
    answers[#answers + 1] = { 1, fields }
  else
    answers[#answers + 1] = { 0, redis.call('HGETALL', KEYS[i + 1]) }
  end
end
return answers
