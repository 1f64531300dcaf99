#!lua flags=allow-oom
-- Before files are rewritten: what was removed until now is what the rewrite is for. One that was broken off still counts.
-- KEYS: counters of some shards
-- ARGV: none
-- RETURNS: for each 1 if there are removed bytes in files, else 0
local out = {}
for i, key in ipairs(KEYS) do
  local raw = redis.call('GET', key)
  out[i] = 0
  if raw then
    local mailboxes, envelopes, bytes, since, rewriting = struct.unpack('>i8i8i8I6I6', raw)
    if rewriting == 0 or since ~= 0 and since < rewriting then rewriting = since end
    out[i] = rewriting > 0 and 1 or 0
    redis.call('SET', key, struct.pack('>i8i8i8I6I6', mailboxes, envelopes, bytes, 0, rewriting))
  end
end
return out
