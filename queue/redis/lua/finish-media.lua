#!lua flags=allow-oom
-- All of a blob is there: it can be had.
-- USES: clock, media
-- KEYS: 1 the blob, 2 blobs of the shard by when they end
-- ARGV: 1 now or 0, 2 mark of the upload key, 3 blob
-- RETURNS: ready, gone or not-permitted
local refused = refusal(KEYS[1], clock(ARGV[1]), ARGV[2])
if refused then return refused end
local expires = redis.call('HGET', KEYS[1], 'x')
redis.call('HSET', KEYS[1], 'f', 1, 'd', expires)
redis.call('ZADD', KEYS[2], expires, ARGV[3])
return 'ready'
