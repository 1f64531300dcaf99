#!lua flags=allow-oom
-- Clears owners, each only where it is on record, and notes the minute.
-- USES: clock, record
-- KEYS: owner record of each item
-- ARGV: now, items: session I6, length B of node, node
-- RETURNS: for each item n (no device), f (fenced) and the owner, or s
local now, at, out = clock(ARGV[1]), 1, {}
for i, key in ipairs(KEYS) do
  local session, length, start = struct.unpack('>I6B', ARGV[2], at)
  local node = string.sub(ARGV[2], start, start + length - 1)
  at = start + length
  local r = recall(key)
  if not r then
    out[i] = 'n'
  elseif r.node == '' or r.node ~= node or r.session ~= session then
    out[i] = 'f' .. owner_of(r)
  else
    r.node, r.session, r.seen = '', 0, math.floor(now / 60000)
    note(key, r)
    out[i] = 's'
  end
end
return out
