#!lua flags=allow-oom
-- Forgets a blob that has ended.
-- USES: clock, counters, media
-- KEYS: 1 the blob, 2 blobs of the shard by when they end, 3 bytes of the shard, 4 counters
-- ARGV: 1 now or 0, 2 blob
-- RETURNS: 1, or 0 where there is none or it has not ended
local now = clock(ARGV[1])
if not has_ended(KEYS[1], now) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[2])
local bytes = redis.call('HGET', KEYS[1], 'b')
if not bytes then return 0 end
redis.call('DECRBY', KEYS[3], bytes)
redis.call('UNLINK', KEYS[1])
added.removed = true
count_up(KEYS[4], now)
return 1
