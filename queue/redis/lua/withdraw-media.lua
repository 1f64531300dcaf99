#!lua flags=allow-oom
-- Ends a blob by its uploader's wish.
-- USES: clock, media
-- KEYS: 1 the blob, 2 blobs of the shard by when they end
-- ARGV: 1 now or 0, 2 mark of the upload key
-- RETURNS: ended, gone or not-permitted
local refused = refusal(KEYS[1], clock(ARGV[1]), ARGV[2])
if refused then return refused end
end_blob(KEYS[1], KEYS[2])
return 'ended'
