#!lua flags=allow-oom
-- Strikes a release token; the last one of a closed list ends the blob.
-- USES: clock, media
-- KEYS: 1 the blob, 2 blobs of the shard by when they end
-- ARGV: 1 now or 0, 2 mark of the token
-- RETURNS: released, last, gone or not-permitted
if has_ended(KEYS[1], clock(ARGV[1])) then return 'gone' end
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then return 'not-permitted' end
if strike(KEYS[1], ARGV[2]) and end_if_struck(KEYS[1], KEYS[2]) then return 'last' end
return 'released'
