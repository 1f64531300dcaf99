#!lua flags=allow-oom
-- Forgets whose a blob is, and ends it where it is not ready, or in any case.
-- USES: clock, media
-- KEYS: 1 the blob, 2 blobs of the shard by when they end
-- ARGV: 1 now or 0, 2 account, 3 unfinished or all
-- RETURNS: 1, or 0 where it is not the account's
if redis.call('HGET', KEYS[1], 'a') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'a')
local is_ready = redis.call('HEXISTS', KEYS[1], 'f') == 1
if ARGV[3] == 'all' or not is_ready or has_ended(KEYS[1], clock(ARGV[1])) then end_blob(KEYS[1], KEYS[2]) end
return 1
