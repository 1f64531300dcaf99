#!lua flags=no-writes
-- Counts blobs and their bytes.
-- KEYS: for each shard, its blobs by when they end, and their bytes
-- ARGV: none
-- RETURNS: blobs, and bytes in digits
local blobs, bytes = 0, 0
for i = 1, #KEYS, 2 do
  blobs = blobs + redis.call('ZCARD', KEYS[i])
  bytes = bytes + (redis.call('GET', KEYS[i + 1]) or 0)
end
return { blobs, string.format('%.0f', bytes) }
