#!lua
-- Reserves room for a blob in its account's quota. The reservation is in doubt until it is settled.
-- USES: clock
-- KEYS: 1 what counts for the account, 2 reservations in doubt
-- ARGV: 1 now or 0, 2 blob, 3 account, 4 reservation, 5 bytes, 6 most bytes, 7 most blobs
-- RETURNS: the reservation that is there now, and now; or full, or taken where another upload of the blob is being begun
local now = clock(ARGV[1])
local known = redis.call('HGET', KEYS[1], ARGV[2])
if known then
  local bytes, settled, reservation = struct.unpack('>I6Bc8', known)
  if settled == 1 then return { reservation, now } end
  if bytes ~= tonumber(ARGV[5]) then return 'taken' end
  redis.call('ZADD', KEYS[2], now, ARGV[3] .. ARGV[2] .. reservation)
  return { reservation, now }
end
local used = tonumber(redis.call('HGET', KEYS[1], 'b') or 0)
local blobs = math.max(0, redis.call('HLEN', KEYS[1]) - 1)
if used + ARGV[5] > tonumber(ARGV[6]) or blobs >= tonumber(ARGV[7]) then return 'full' end
redis.call('HINCRBY', KEYS[1], 'b', ARGV[5])
redis.call('HSET', KEYS[1], ARGV[2], struct.pack('>I6B', ARGV[5], 0) .. ARGV[4])
redis.call('ZADD', KEYS[2], now, ARGV[3] .. ARGV[2] .. ARGV[4])
return { ARGV[4], now }
