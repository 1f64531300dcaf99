#!lua flags=allow-oom
-- Clears owners, each only where it is on record, and notes the minute.
-- USES: clock, record
-- KEYS: owner record of each item
-- ARGV: now, items: session I6, length B of node, node
-- RETURNS: for each item n (no device), f (fenced) and the owner, or s
local now, items, at = clock(ARGV[1]), ARGV[2], 1

return for_each_record(KEYS, 1, 1, function(r, key)
  local session, length, start = struct.unpack('>I6B', items, at)
  local node = string.sub(items, start, start + length - 1)
  at = start + length
  if not r then return 'n' end
  if r.node == '' or r.node ~= node or r.session ~= session then return 'f' .. owner_of(r) end
  r.node, r.session, r.seen = '', 0, math.floor(now / 60000)
  note(key)
  return 's'
end)
