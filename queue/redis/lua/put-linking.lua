#!lua
-- Fills a slot of a linking mailbox; the first slot makes the mailbox.
-- USES: clock
-- KEYS: 1 the mailbox, 2 all of them by their end
-- ARGV: 1 now or 0, 2 mailbox, 3 slot, 4 slot before it or nothing, 5 message, 6 life, 7 most mailboxes
-- RETURNS: kept, taken, early, ended or full
local now = clock(ARGV[1])
local known = redis.call('HMGET', KEYS[1], 'until', 'ended', ARGV[3])
if known[1] and tonumber(known[1]) > now then
  if known[2] then return 'ended' end
  if ARGV[4] ~= '' and redis.call('HEXISTS', KEYS[1], ARGV[4]) == 0 then return 'early' end
  if known[3] then return known[3] == ARGV[5] and 'kept' or 'taken' end
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[5])
  return 'kept'
end
if ARGV[4] ~= '' then return 'ended' end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[7]) then return 'full' end
local ends = now + ARGV[6]
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'until', ends, ARGV[3], ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('ZADD', KEYS[2], ends, ARGV[2])
return 'kept'
