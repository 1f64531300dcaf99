#!lua
-- Begins a blob, unless its id is taken or its reservation is so old that it may be given up: the step that decides.
-- USES: clock
-- KEYS: 1 the blob, 2 blobs of the shard by when they end, 3 bytes of the shard
-- ARGV: 1 now or 0, 2 when it was reserved, 3 how long that holds, ms, 4 blob, 5 account, 6 reservation, 7 bytes, 8 mark of
--   the upload key, 9 expires, 10 when it ends unless it is ready
-- RETURNS: begun, same, taken or late, and the reservation by which the blob that is there counts
local known = redis.call('HMGET', KEYS[1], 'r', 'a', 'b', 'k')
if known[1] then
  local is_same = known[2] == ARGV[5] and known[3] == ARGV[7] and known[4] == ARGV[8]
  return { is_same and 'same' or 'taken', known[1] }
end
if clock(ARGV[1]) - ARGV[2] > tonumber(ARGV[3]) then return { 'late', '' } end
local due = math.min(ARGV[9], ARGV[10])
redis.call('HSET', KEYS[1], 'a', ARGV[5], 'r', ARGV[6], 'b', ARGV[7], 'k', ARGV[8], 'x', ARGV[9], 'd', due, 'n', 0, 'w', 0)
redis.call('ZADD', KEYS[2], due, ARGV[4])
redis.call('INCRBY', KEYS[3], ARGV[7])
return { 'begun', ARGV[6] }
