#!lua flags=allow-oom
-- Ends blobs that are due, and names those that have ended. Marked, so that a clock that goes back brings nothing back.
-- USES: clock, media
-- KEYS: for each shard, its blobs by when they end
-- ARGV: 1 now or 0, 2 how many at most of a shard
-- RETURNS: blobs
local now, found = clock(ARGV[1]), {}
for _, all in ipairs(KEYS) do
  local some = redis.call('ZRANGEBYSCORE', all, '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
  for i = 1, #some, 2 do
    local record = string.sub(all, 1, 5) .. 'M' .. some[i]
    if some[i + 1] ~= '0' and redis.call('EXISTS', record) == 1 then end_blob(record, all) end
    found[#found + 1] = some[i]
  end
end
return found
